import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.DefaultConsumer;
import com.rabbitmq.client.Delivery;
import com.rabbitmq.client.Envelope;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** A consumer that keeps its deliveries, to be taken one by one. */
class Inbox extends DefaultConsumer {
    private static final long ARRIVAL_SECONDS_MAX = 30;

    private final BlockingQueue<Delivery> deliveries = new LinkedBlockingQueue<>();

    Inbox(Channel channel) {
        super(channel);
    }

    @Override
    public void handleDelivery(String tag, Envelope envelope, AMQP.BasicProperties properties, byte[] body) {
        deliveries.add(new Delivery(envelope, properties, body));
    }

    Delivery next() throws InterruptedException {
        Delivery delivery = deliveries.poll(ARRIVAL_SECONDS_MAX, TimeUnit.SECONDS);
        if (delivery == null) {
            throw new AssertionError("no message arrives");
        }
        return delivery;
    }

    int waiting() {
        return deliveries.size();
    }
}
