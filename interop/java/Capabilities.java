import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.DefaultConsumer;
import com.rabbitmq.client.Delivery;
import com.rabbitmq.client.Envelope;
import com.rabbitmq.client.GetResponse;
import com.rabbitmq.client.MessageProperties;
import com.rabbitmq.client.Recoverable;
import com.rabbitmq.client.RecoveryListener;
import com.rabbitmq.client.ShutdownSignalException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** Each is given a connection and throws when something is not as it should be. */
class Capabilities {
    private static final long ARRIVAL_MS_MAX = 30_000;
    private static final long RECOVERY_SECONDS_MAX = 120;

    void declare(Connection connection) throws Exception {
        Channel channel = connection.createChannel();
        String exchange = Expect.unique("exchange");
        String queue = Expect.unique("queue");
        channel.exchangeDeclare(exchange, "topic", true);
        Map<String, Object> arguments = Map.of("x-max-length", 10);
        // The same twice is no error.
        for (int i = 0; i < 2; i++) {
            AMQP.Queue.DeclareOk declared = channel.queueDeclare(queue, true, false, false, arguments);
            Expect.equal("name", queue, declared.getQueue());
            Expect.equal("messages", 0, declared.getMessageCount());
            Expect.equal("consumers", 0, declared.getConsumerCount());
        }
        channel.exchangeDeclarePassive(exchange);

        channel.queueBind(queue, exchange, "hare.*");
        channel.basicPublish(exchange, "hare.brown", null, Expect.bytes("bound"));
        channel.basicPublish(exchange, "rabbit.brown", null, Expect.bytes("not bound"));
        channel.queueUnbind(queue, exchange, "hare.*");
        channel.basicPublish(exchange, "hare.white", null, Expect.bytes("no longer bound"));
        // One of the three has arrived.
        Expect.equal("purged", 1, channel.queuePurge(queue).getMessageCount());

        // A queue without a name gets one from the broker.
        String temporary = channel.queueDeclare().getQueue();
        Expect.equal("the broker names " + temporary, true, temporary.startsWith("amq.gen-"));
        channel.exchangeDelete(exchange);
        Expect.refused(404, "NOT_FOUND - no exchange '" + exchange + "' in vhost '/'",
                () -> channel.exchangeDeclarePassive(exchange));
    }

    void publishConfirms(Connection connection) throws Exception {
        Channel channel = connection.createChannel();
        String queue = durableQueue(channel, "confirms", null);
        channel.confirmSelect();
        for (int i = 0; i < 100; i++) {
            Expect.equal("next number", i + 1L, channel.getNextPublishSeqNo());
            channel.basicPublish("", queue, MessageProperties.PERSISTENT_BASIC, Expect.bytes("message " + i));
        }
        // Throws when one is refused or the time is over.
        channel.waitForConfirmsOrDie(ARRIVAL_MS_MAX);
        Expect.equal("messages", 100L, channel.messageCount(queue));
    }

    void consumeAcks(Connection connection) throws Exception {
        Channel channel = connection.createChannel();
        String queue = durableQueue(channel, "acks", null);
        Map<String, Object> headers = Map.of("legs", 4, "nested", Map.of("deep", List.of(1, true)));
        AMQP.BasicProperties properties = new AMQP.BasicProperties.Builder()
                .contentType("text/plain").correlationId("c-1").headers(headers).build();
        for (String text : List.of("one", "two", "three")) {
            channel.basicPublish("", queue, properties, Expect.bytes(text));
        }

        channel.basicQos(1);
        Inbox inbox = new Inbox(channel);
        String tag = channel.basicConsume(queue, inbox);
        Delivery one = inbox.next();
        Expect.equal("body", "one", Expect.text(one.getBody()));
        Expect.equal("redelivered", false, one.getEnvelope().isRedeliver());
        Expect.equal("content type", "text/plain", one.getProperties().getContentType());
        Expect.equal("correlation id", "c-1", one.getProperties().getCorrelationId());
        Expect.equal("headers", headers, one.getProperties().getHeaders());
        // With a prefetch of one nothing else comes before an acknowledgement.
        Expect.equal("messages in the queue", 2L, channel.messageCount(queue));
        Expect.equal("waiting here", 0, inbox.waiting());

        channel.basicNack(one.getEnvelope().getDeliveryTag(), false, true);
        Delivery again = inbox.next();
        Expect.equal("body", "one", Expect.text(again.getBody()));
        Expect.equal("redelivered", true, again.getEnvelope().isRedeliver());
        channel.basicAck(again.getEnvelope().getDeliveryTag(), false);
        Delivery two = inbox.next();
        Expect.equal("body", "two", Expect.text(two.getBody()));
        channel.basicReject(two.getEnvelope().getDeliveryTag(), false);
        Delivery three = inbox.next();
        Expect.equal("body", "three", Expect.text(three.getBody()));
        channel.basicAck(three.getEnvelope().getDeliveryTag(), false);

        channel.basicCancel(tag);
        Expect.equal("messages in the queue", 0L, channel.messageCount(queue));
        Expect.equal("consumers", 0L, channel.consumerCount(queue));
    }

    void get(Connection connection) throws Exception {
        Channel channel = connection.createChannel();
        String queue = durableQueue(channel, "get", null);
        Expect.equal("a message", null, channel.basicGet(queue, false));
        channel.basicPublish("", queue, null, Expect.bytes("one"));
        channel.basicPublish("", queue, null, Expect.bytes("two"));

        GetResponse one = channel.basicGet(queue, false);
        Expect.equal("body", "one", Expect.text(one.getBody()));
        Expect.equal("message count", 1, one.getMessageCount());
        Expect.equal("routing key", queue, one.getEnvelope().getRoutingKey());
        channel.basicAck(one.getEnvelope().getDeliveryTag(), false);
        GetResponse two = channel.basicGet(queue, true);
        Expect.equal("body", "two", Expect.text(two.getBody()));
        Expect.equal("message count", 0, two.getMessageCount());
        Expect.equal("a message", null, channel.basicGet(queue, true));
    }

    void returns(Connection connection) throws Exception {
        Channel channel = connection.createChannel();
        List<String> events = new ArrayList<>();
        channel.addReturnListener((code, text, exchange, key, returned, body) -> events.add(code + " " + text + " '"
                + exchange + "' " + key + " " + returned.getMessageId() + " " + Expect.text(body)));
        channel.confirmSelect();
        String nowhere = Expect.unique("nowhere");
        AMQP.BasicProperties properties = new AMQP.BasicProperties.Builder().messageId("m-1").build();
        channel.basicPublish("", nowhere, true, properties, Expect.bytes("lost"));
        // A message that cannot be routed is confirmed too. By then it has been returned.
        channel.waitForConfirmsOrDie(ARRIVAL_MS_MAX);
        Expect.equal("returns", List.of("312 NO_ROUTE '' " + nowhere + " m-1 lost"), events);
    }

    /** A retry loop: messages wait in one queue until they expire into the other, whose consumer may send them back. */
    void ttlDeadLetter(Connection connection) throws Exception {
        Channel channel = connection.createChannel();
        String wait = Expect.unique("wait");
        String work = Expect.unique("work");
        channel.queueDeclare(wait, true, false, false, Map.of("x-message-ttl", 100,
                "x-dead-letter-exchange", "", "x-dead-letter-routing-key", work));
        channel.queueDeclare(work, true, false, false, Map.of(
                "x-dead-letter-exchange", "", "x-dead-letter-routing-key", wait));
        Inbox inbox = new Inbox(channel);
        channel.basicConsume(work, inbox);
        AMQP.BasicProperties properties = new AMQP.BasicProperties.Builder()
                .expiration("50").headers(Map.of("attempt", 1)).build();
        channel.basicPublish("", wait, properties, Expect.bytes("try me"));

        Delivery expired = inbox.next();
        Expect.equal("body", "try me", Expect.text(expired.getBody()));
        Expect.equal("exchange", "", expired.getEnvelope().getExchange());
        Expect.equal("routing key", work, expired.getEnvelope().getRoutingKey());
        Expect.equal("expiration", null, expired.getProperties().getExpiration());
        Map<String, Object> headers = expired.getProperties().getHeaders();
        Expect.equal("attempt", 1, headers.get("attempt"));
        Expect.equal("x-first-death-queue", wait, headers.get("x-first-death-queue").toString());
        Expect.equal("x-first-death-reason", "expired", headers.get("x-first-death-reason").toString());
        Expect.equal("x-first-death-exchange", "", headers.get("x-first-death-exchange").toString());
        List<Map<String, Object>> deaths = Expect.deaths(expired.getProperties());
        Expect.equal("deaths", 1, deaths.size());
        Expect.died(deaths.get(0), wait, "expired", 1);
        Expect.equal("original-expiration", "50", deaths.get(0).get("original-expiration").toString());

        channel.basicReject(expired.getEnvelope().getDeliveryTag(), false);
        Delivery retried = inbox.next();
        deaths = Expect.deaths(retried.getProperties());
        Expect.equal("deaths", 2, deaths.size());
        // The latest death is the first in the list.
        Expect.died(deaths.get(0), wait, "expired", 2);
        Expect.died(deaths.get(1), work, "rejected", 1);
        channel.basicAck(retried.getEnvelope().getDeliveryTag(), false);
    }

    void priorities(Connection connection) throws Exception {
        Channel channel = connection.createChannel();
        String queue = durableQueue(channel, "priorities", Map.of("x-max-priority", 5));
        for (Integer priority : new Integer[] {1, null, 5, 3, 9}) {
            AMQP.BasicProperties properties = new AMQP.BasicProperties.Builder().priority(priority).build();
            channel.basicPublish("", queue, properties, Expect.bytes("" + priority));
        }
        List<String> order = new ArrayList<>();
        for (GetResponse got = channel.basicGet(queue, true); got != null; got = channel.basicGet(queue, true)) {
            Expect.equal("priority", Expect.text(got.getBody()), "" + got.getProps().getPriority());
            order.add(Expect.text(got.getBody()));
        }
        // What is above the queue's highest priority counts as the highest, no priority as the lowest.
        Expect.equal("order", List.of("5", "9", "3", "1", "null"), order);
    }

    /** Direct reply-to: the answer comes without a queue of the client's own. */
    void rpc(Connection connection) throws Exception {
        Channel server = connection.createChannel();
        String queue = server.queueDeclare().getQueue();
        server.basicConsume(queue, new DefaultConsumer(server) {
            @Override
            public void handleDelivery(String tag, Envelope envelope, AMQP.BasicProperties request, byte[] body)
                    throws IOException {
                String replyTo = request.getReplyTo();
                String answer = Expect.text(body) + " " + replyTo.startsWith("amq.rabbitmq.reply-to.");
                AMQP.BasicProperties properties = new AMQP.BasicProperties.Builder()
                        .correlationId(request.getCorrelationId()).build();
                server.basicPublish("", replyTo, properties, Expect.bytes(answer));
                server.basicAck(envelope.getDeliveryTag(), false);
            }
        });

        Channel client = connection.createChannel();
        Inbox inbox = new Inbox(client);
        client.basicConsume("amq.rabbitmq.reply-to", true, inbox);
        for (String id : List.of("r-1", "r-2")) {
            AMQP.BasicProperties properties = new AMQP.BasicProperties.Builder()
                    .correlationId(id).replyTo("amq.rabbitmq.reply-to").build();
            client.basicPublish("", queue, properties, Expect.bytes("ping"));
            Delivery answer = inbox.next();
            Expect.equal("answer", "ping true", Expect.text(answer.getBody()));
            Expect.equal("correlation id", id, answer.getProperties().getCorrelationId());
        }
    }

    void topologyErrors(Connection connection) throws Exception {
        String missing = Expect.unique("missing");
        Channel first = connection.createChannel();
        Expect.refused(404, "NOT_FOUND - no queue '" + missing + "' in vhost '/'",
                () -> first.queueDeclarePassive(missing));

        Channel second = connection.createChannel();
        String queue = durableQueue(second, "durable", null);
        Expect.refused(406, "PRECONDITION_FAILED - inequivalent arg 'durable' for queue '" + queue
                        + "' in vhost '/': received 'false' but current is 'true'",
                () -> second.queueDeclare(queue, false, false, false, null));

        // A publish has no answer of its own: its error comes as the end of the channel.
        Channel third = connection.createChannel();
        CompletableFuture<ShutdownSignalException> closed = new CompletableFuture<>();
        third.addShutdownListener(closed::complete);
        third.basicPublish(missing, "key", null, Expect.bytes("nowhere to go"));
        Expect.closedWith(404, "NOT_FOUND - no exchange '" + missing + "' in vhost '/'",
                closed.get(ARRIVAL_MS_MAX, TimeUnit.MILLISECONDS));

        // The connection is still in order.
        Expect.equal("messages", 0L, connection.createChannel().messageCount(queue));
    }

    /** The client's own recovery restores the channel, the consumer, and even a queue that went with the broker. */
    void recovery(Connection connection) throws Exception {
        Channel channel = connection.createChannel();
        String queue = durableQueue(channel, "recovery", null);
        String kept = durableQueue(channel, "kept", null);
        String transientQueue = channel.queueDeclare(Expect.unique("transient"), false, true, true, null).getQueue();
        channel.queueBind(transientQueue, "amq.fanout", "");
        Inbox inbox = new Inbox(channel);
        channel.basicConsume(queue, true, inbox);
        Inbox transientInbox = new Inbox(channel);
        channel.basicConsume(transientQueue, true, transientInbox);
        channel.confirmSelect();
        channel.basicPublish("", queue, MessageProperties.PERSISTENT_BASIC, Expect.bytes("before"));
        channel.basicPublish("", kept, MessageProperties.PERSISTENT_BASIC, Expect.bytes("kept"));
        channel.waitForConfirmsOrDie(ARRIVAL_MS_MAX);
        Expect.equal("body", "before", Expect.text(inbox.next().getBody()));

        CountDownLatch recovered = new CountDownLatch(1);
        ((Recoverable) connection).addRecoveryListener(new RecoveryListener() {
            @Override
            public void handleRecovery(Recoverable recoverable) {
                recovered.countDown();
            }

            @Override
            public void handleRecoveryStarted(Recoverable recoverable) {}
        });
        restartBroker();
        Expect.equal("recovered", true, recovered.await(RECOVERY_SECONDS_MAX, TimeUnit.SECONDS));

        channel.basicPublish("", queue, MessageProperties.PERSISTENT_BASIC, Expect.bytes("after"));
        channel.basicPublish("amq.fanout", "", null, Expect.bytes("after, to all"));
        channel.waitForConfirmsOrDie(ARRIVAL_MS_MAX);
        Expect.equal("body", "after", Expect.text(inbox.next().getBody()));
        Expect.equal("body", "after, to all", Expect.text(transientInbox.next().getBody()));
        Expect.equal("body", "kept", Expect.text(channel.basicGet(kept, true).getBody()));
    }

    private static void restartBroker() throws Exception {
        Process restart = new ProcessBuilder(System.getenv("BROKER_RESTART"))
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        Expect.equal("exit code of BROKER_RESTART", 0, restart.waitFor());
    }

    private static String durableQueue(Channel channel, String what, Map<String, Object> arguments) throws IOException {
        return channel.queueDeclare(Expect.unique(what), true, false, false, arguments).getQueue();
    }
}
