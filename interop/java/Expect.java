import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.Method;
import com.rabbitmq.client.ShutdownSignalException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Date;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.UUID;
import java.util.concurrent.Callable;

/** The words in which the capabilities say what must be so. */
class Expect {
    private static final long CLOCK_SKEW_MS_MAX = 60_000;

    /** Every name that was given out, so that the program can delete what was declared under it. */
    static final List<String> given = new ArrayList<>();

    static String unique(String what) {
        String name = "interop-java-" + what + "-" + UUID.randomUUID();
        given.add(name);
        return name;
    }

    static void equal(String what, Object expected, Object actual) {
        if (!Objects.equals(expected, actual)) {
            throw new AssertionError(what + ": expected " + expected + ", not " + actual);
        }
    }

    static String text(byte[] body) {
        return new String(body, StandardCharsets.UTF_8);
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    /** The broker closes the channel with this code and text; the client shows it as the cause of its exception. */
    static void refused(int code, String text, Callable<?> call) throws Exception {
        try {
            call.call();
        } catch (Exception error) {
            if (error.getCause() instanceof ShutdownSignalException) {
                closedWith(code, text, (ShutdownSignalException) error.getCause());
                return;
            }
            throw error;
        }
        throw new AssertionError("the broker had to refuse this with " + code);
    }

    static void closedWith(int code, String text, ShutdownSignalException signal) {
        Method reason = signal.getReason();
        if (!(reason instanceof AMQP.Channel.Close)) {
            throw new AssertionError("expected the end of a channel, not " + reason);
        }
        equal("reply code", code, ((AMQP.Channel.Close) reason).getReplyCode());
        equal("reply text", text, ((AMQP.Channel.Close) reason).getReplyText());
    }

    /** The entries of x-death. */
    static List<Map<String, Object>> deaths(AMQP.BasicProperties properties) {
        List<Map<String, Object>> deaths = new ArrayList<>();
        for (Object entry : (List<?>) properties.getHeaders().get("x-death")) {
            @SuppressWarnings("unchecked")
            Map<String, Object> death = (Map<String, Object>) entry;
            deaths.add(death);
        }
        return deaths;
    }

    /** Every queue here is published to through the default exchange, under its own name. */
    static void died(Map<String, Object> death, String queue, String reason, long count) {
        equal("x-death's queue", queue, death.get("queue").toString());
        equal("x-death's reason", reason, death.get("reason").toString());
        equal("x-death's count", count, death.get("count"));
        equal("x-death's exchange", "", death.get("exchange").toString());
        equal("x-death's routing-keys", "[" + queue + "]", death.get("routing-keys").toString());
        long skewMs = Math.abs(System.currentTimeMillis() - ((Date) death.get("time")).getTime());
        if (skewMs > CLOCK_SKEW_MS_MAX) {
            throw new AssertionError("x-death's time is " + death.get("time"));
        }
    }
}
