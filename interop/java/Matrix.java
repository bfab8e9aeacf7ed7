import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.impl.ClientVersion;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** Runs every capability with the Java client and prints one line for each. Capabilities.java is where to read how. */
public class Matrix {
    private static final long CAPABILITY_SECONDS_MAX = 90;
    // The broker's own stop and start come on top.
    private static final long RECOVERY_SECONDS_MAX = 300;
    private static final int RECOVERY_INTERVAL_MS = 200;

    interface Proof {
        void run(Connection connection) throws Exception;
    }

    public static void main(String[] arguments) throws Throwable {
        System.out.println("client java " + ClientVersion.VERSION);
        Capabilities capabilities = new Capabilities();
        Map<String, Proof> proofs = new LinkedHashMap<>();
        proofs.put("declare", capabilities::declare);
        proofs.put("publish-confirms", capabilities::publishConfirms);
        proofs.put("consume-acks", capabilities::consumeAcks);
        proofs.put("get", capabilities::get);
        proofs.put("returns", capabilities::returns);
        proofs.put("ttl-dead-letter", capabilities::ttlDeadLetter);
        proofs.put("priorities", capabilities::priorities);
        proofs.put("rpc", capabilities::rpc);
        proofs.put("topology-errors", capabilities::topologyErrors);
        proofs.put("recovery", capabilities::recovery);

        boolean failed = false;
        for (Map.Entry<String, Proof> entry : proofs.entrySet()) {
            try {
                long seconds = entry.getKey().equals("recovery") ? RECOVERY_SECONDS_MAX : CAPABILITY_SECONDS_MAX;
                inTime(seconds, entry.getValue());
                System.out.println("ok " + entry.getKey());
            } catch (Throwable error) {
                failed = true;
                error.printStackTrace();
                System.out.println("not ok " + entry.getKey() + ": " + error.toString().replaceAll("\\s+", " "));
            }
        }
        inTime(CAPABILITY_SECONDS_MAX, Matrix::cleanUp);
        System.exit(failed ? 1 : 0);
    }

    private static void inTime(long seconds, Proof proof) throws Throwable {
        ExecutorService thread = Executors.newSingleThreadExecutor();
        try {
            thread.submit(() -> {
                onConnection(proof);
                return null;
            }).get(seconds, TimeUnit.SECONDS);
        } catch (ExecutionException error) {
            throw error.getCause();
        } catch (TimeoutException error) {
            throw new Exception("not over after " + seconds + " s");
        } finally {
            thread.shutdownNow();
        }
    }

    /** Each capability has a connection of its own, so that one that breaks it does no harm to the next. */
    private static void onConnection(Proof proof) throws Exception {
        ConnectionFactory factory = new ConnectionFactory();
        factory.setUri(System.getenv("AMQP_URL"));
        // The client connects again by itself and restores channels, queues and consumers.
        factory.setAutomaticRecoveryEnabled(true);
        factory.setNetworkRecoveryInterval(RECOVERY_INTERVAL_MS);
        Connection connection = factory.newConnection();
        try {
            proof.run(connection);
        } finally {
            connection.abort();
        }
    }

    /** To delete what does not exist is no error. */
    private static void cleanUp(Connection connection) throws Exception {
        Channel channel = connection.createChannel();
        for (String name : Expect.given) {
            channel.queueDelete(name);
            channel.exchangeDelete(name);
        }
    }
}
