package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	durable    = true
	autoDelete = true
	exclusive  = true
	internal   = true
	noWait     = true
	mandatory  = true
	immediate  = true
	autoAck    = true
	multiple   = true
	requeue    = true
)

// How long the program waits between two attempts to connect again.
const retryInterval = 200 * time.Millisecond

func declare(connection *amqp.Connection) error {
	channel, err := connection.Channel()
	if err != nil {
		return err
	}
	exchange, queue := unique("exchange"), unique("queue")
	if err := channel.ExchangeDeclare(exchange, "topic", durable, !autoDelete, !internal, !noWait, nil); err != nil {
		return err
	}
	arguments := amqp.Table{"x-max-length": 10}
	// The same twice is no error.
	for i := 0; i < 2; i++ {
		declared, err := channel.QueueDeclare(queue, durable, !autoDelete, !exclusive, !noWait, arguments)
		if err := first(err, equal("declare-ok", declared, amqp.Queue{Name: queue})); err != nil {
			return err
		}
	}
	if err := first(
		channel.QueueBind(queue, "hare.*", exchange, !noWait, nil),
		publish(channel, exchange, "hare.brown", amqp.Publishing{Body: []byte("bound")}),
		publish(channel, exchange, "rabbit.brown", amqp.Publishing{Body: []byte("not bound")}),
		channel.QueueUnbind(queue, "hare.*", exchange, nil),
		publish(channel, exchange, "hare.white", amqp.Publishing{Body: []byte("no longer bound")}),
	); err != nil {
		return err
	}
	// One of the three has arrived.
	purged, err := channel.QueuePurge(queue, !noWait)
	if err := first(err, equal("purged", purged, 1)); err != nil {
		return err
	}
	// A queue without a name gets one from the broker.
	temporary, err := channel.QueueDeclare("", !durable, autoDelete, exclusive, !noWait, nil)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(temporary.Name, "amq.gen-") {
		return fmt.Errorf("the broker named a queue %q", temporary.Name)
	}
	return channel.ExchangeDelete(exchange, false, !noWait)
}

func publishConfirms(connection *amqp.Connection) error {
	channel, queue, err := channelWithQueue(connection, "confirms", nil)
	if err != nil {
		return err
	}
	if err := channel.Confirm(!noWait); err != nil {
		return err
	}
	var confirms []*amqp.DeferredConfirmation
	for i := 0; i < 100; i++ {
		confirm, err := channel.PublishWithDeferredConfirmWithContext(context.Background(), "", queue, !mandatory, !immediate,
			amqp.Publishing{DeliveryMode: amqp.Persistent, Body: []byte(fmt.Sprint("message ", i))})
		if err != nil {
			return err
		}
		confirms = append(confirms, confirm)
	}
	for _, confirm := range confirms {
		if !confirm.Wait() {
			return fmt.Errorf("message %d was not taken", confirm.DeliveryTag)
		}
	}
	return ready(channel, queue, 100)
}

func consumeAcks(connection *amqp.Connection) error {
	channel, queue, err := channelWithQueue(connection, "acks", nil)
	if err != nil {
		return err
	}
	headers := amqp.Table{"colour": "brown", "legs": int32(4), "nested": amqp.Table{"deep": []interface{}{true, "two"}}}
	for _, text := range []string{"one", "two", "three"} {
		message := amqp.Publishing{ContentType: "text/plain", CorrelationId: "c-1", Headers: headers, Body: []byte(text)}
		if err := publish(channel, "", queue, message); err != nil {
			return err
		}
	}
	if err := channel.Qos(1, 0, false); err != nil {
		return err
	}
	deliveries, err := channel.Consume(queue, "tag", !autoAck, !exclusive, false, !noWait, nil)
	if err != nil {
		return err
	}
	one, err := next(deliveries)
	if err := first(err,
		equal("body", string(one.Body), "one"), equal("redelivered", one.Redelivered, false),
		equal("content type", one.ContentType, "text/plain"), equal("correlation id", one.CorrelationId, "c-1"),
		equal("headers", one.Headers, headers),
		// With a prefetch of one nothing else comes before an acknowledgement.
		ready(channel, queue, 2), equal("waiting here", len(deliveries), 0),
		one.Nack(!multiple, requeue),
	); err != nil {
		return err
	}
	again, err := next(deliveries)
	if err := first(err, equal("body", string(again.Body), "one"), equal("redelivered", again.Redelivered, true),
		again.Ack(!multiple)); err != nil {
		return err
	}
	two, err := next(deliveries)
	if err := first(err, equal("body", string(two.Body), "two"), two.Reject(!requeue)); err != nil {
		return err
	}
	three, err := next(deliveries)
	if err := first(err, equal("body", string(three.Body), "three"), three.Ack(!multiple),
		channel.Cancel("tag", !noWait)); err != nil {
		return err
	}
	left, err := channel.QueueInspect(queue)
	return first(err, equal("the queue", left, amqp.Queue{Name: queue}))
}

func get(connection *amqp.Connection) error {
	channel, queue, err := channelWithQueue(connection, "get", nil)
	if err != nil {
		return err
	}
	_, any, err := channel.Get(queue, !autoAck)
	if err := first(err, equal("a message", any, false),
		publish(channel, "", queue, amqp.Publishing{Body: []byte("one")}),
		publish(channel, "", queue, amqp.Publishing{Body: []byte("two")})); err != nil {
		return err
	}
	one, any, err := channel.Get(queue, !autoAck)
	if err := first(err, equal("a message", any, true), equal("body", string(one.Body), "one"),
		equal("message count", one.MessageCount, uint32(1)), equal("routing key", one.RoutingKey, queue),
		one.Ack(!multiple)); err != nil {
		return err
	}
	two, any, err := channel.Get(queue, autoAck)
	if err := first(err, equal("a message", any, true), equal("body", string(two.Body), "two"),
		equal("message count", two.MessageCount, uint32(0))); err != nil {
		return err
	}
	_, any, err = channel.Get(queue, autoAck)
	return first(err, equal("a message", any, false))
}

func returns(connection *amqp.Connection) error {
	channel, err := connection.Channel()
	if err != nil {
		return err
	}
	returned := channel.NotifyReturn(make(chan amqp.Return, 1))
	if err := channel.Confirm(!noWait); err != nil {
		return err
	}
	nowhere := unique("nowhere")
	confirm, err := channel.PublishWithDeferredConfirmWithContext(context.Background(), "", nowhere, mandatory, !immediate,
		amqp.Publishing{MessageId: "m-1", Body: []byte("lost")})
	if err != nil {
		return err
	}
	// A message that cannot be routed is confirmed too. By then it has been returned.
	if !confirm.Wait() {
		return fmt.Errorf("the message was not confirmed")
	}
	select {
	case message := <-returned:
		return first(
			equal("reply code", message.ReplyCode, uint16(312)), equal("reply text", message.ReplyText, "NO_ROUTE"),
			equal("exchange", message.Exchange, ""), equal("routing key", message.RoutingKey, nowhere),
			equal("message id", message.MessageId, "m-1"), equal("body", string(message.Body), "lost"),
		)
	default:
		return fmt.Errorf("the message was confirmed before it was returned")
	}
}

// A retry loop: messages wait in one queue until they expire into the other, whose consumer may send them back.
func ttlDeadLetter(connection *amqp.Connection) error {
	wait, work := unique("wait"), unique("work")
	channel, err := connection.Channel()
	if err != nil {
		return err
	}
	waitArguments := amqp.Table{"x-message-ttl": 100, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": work}
	if _, err := channel.QueueDeclare(wait, durable, !autoDelete, !exclusive, !noWait, waitArguments); err != nil {
		return err
	}
	workArguments := amqp.Table{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": wait}
	if _, err := channel.QueueDeclare(work, durable, !autoDelete, !exclusive, !noWait, workArguments); err != nil {
		return err
	}
	deliveries, err := channel.Consume(work, "", !autoAck, !exclusive, false, !noWait, nil)
	if err != nil {
		return err
	}
	message := amqp.Publishing{Expiration: "50", Headers: amqp.Table{"attempt": "first"}, Body: []byte("try me")}
	if err := publish(channel, "", wait, message); err != nil {
		return err
	}

	expired, err := next(deliveries)
	if err := first(err, firstDeath(expired, wait, work), expired.Reject(!requeue)); err != nil {
		return err
	}
	retried, err := next(deliveries)
	if err != nil {
		return err
	}
	deaths, _ := retried.Headers["x-death"].([]interface{})
	if err := equal("entries in x-death", len(deaths), 2); err != nil {
		return err
	}
	// The latest death is the first in the list.
	return first(death(deaths[0], wait, "expired", 2), death(deaths[1], work, "rejected", 1),
		equal("x-first-death-queue", retried.Headers["x-first-death-queue"], wait), retried.Ack(!multiple))
}

func firstDeath(expired amqp.Delivery, wait, work string) error {
	deaths, _ := expired.Headers["x-death"].([]interface{})
	if err := equal("entries in x-death", len(deaths), 1); err != nil {
		return err
	}
	return first(
		equal("body", string(expired.Body), "try me"), equal("expiration", expired.Expiration, ""),
		equal("exchange", expired.Exchange, ""), equal("routing key", expired.RoutingKey, work),
		equal("attempt", expired.Headers["attempt"], "first"),
		equal("x-first-death-queue", expired.Headers["x-first-death-queue"], wait),
		equal("x-first-death-reason", expired.Headers["x-first-death-reason"], "expired"),
		equal("x-first-death-exchange", expired.Headers["x-first-death-exchange"], ""),
		death(deaths[0], wait, "expired", 1),
		equal("original-expiration", deaths[0].(amqp.Table)["original-expiration"], "50"),
	)
}

func priorities(connection *amqp.Connection) error {
	channel, queue, err := channelWithQueue(connection, "priorities", amqp.Table{"x-max-priority": 5})
	if err != nil {
		return err
	}
	for _, priority := range []uint8{1, 0, 5, 3, 9} {
		if err := publish(channel, "", queue, amqp.Publishing{Priority: priority}); err != nil {
			return err
		}
	}
	var order []uint8
	for message, any, err := channel.Get(queue, autoAck); any; message, any, err = channel.Get(queue, autoAck) {
		if err != nil {
			return err
		}
		order = append(order, message.Priority)
	}
	// What is above the queue's highest priority counts as the highest, no priority as the lowest.
	return equal("order", order, []uint8{5, 9, 3, 1, 0})
}

// Direct reply-to: the answer comes without a queue of the client's own.
func rpc(connection *amqp.Connection) error {
	server, queue, err := channelWithQueue(connection, "rpc", nil)
	if err != nil {
		return err
	}
	requests, err := server.Consume(queue, "", !autoAck, !exclusive, false, !noWait, nil)
	if err != nil {
		return err
	}
	go func() {
		for request := range requests {
			answer := fmt.Sprint(string(request.Body), " ", strings.HasPrefix(request.ReplyTo, "amq.rabbitmq.reply-to."))
			_ = publish(server, "", request.ReplyTo, amqp.Publishing{CorrelationId: request.CorrelationId, Body: []byte(answer)})
			_ = request.Ack(!multiple)
		}
	}()

	client, err := connection.Channel()
	if err != nil {
		return err
	}
	answers, err := client.Consume("amq.rabbitmq.reply-to", "", autoAck, !exclusive, false, !noWait, nil)
	if err != nil {
		return err
	}
	for _, id := range []string{"r-1", "r-2"} {
		request := amqp.Publishing{CorrelationId: id, ReplyTo: "amq.rabbitmq.reply-to", Body: []byte("ping")}
		if err := publish(client, "", queue, request); err != nil {
			return err
		}
		answer, err := next(answers)
		if err := first(err, equal("answer", string(answer.Body), "ping true"),
			equal("correlation id", answer.CorrelationId, id)); err != nil {
			return err
		}
	}
	return nil
}

func topologyErrors(connection *amqp.Connection) error {
	channel, err := connection.Channel()
	if err != nil {
		return err
	}
	missing := unique("missing")
	_, err = channel.QueueInspect(missing)
	if err := refused(err, amqp.NotFound, "NOT_FOUND - no queue '"+missing+"' in vhost '/'"); err != nil {
		return err
	}

	channel, queue, err := channelWithQueue(connection, "durable", nil)
	if err != nil {
		return err
	}
	_, err = channel.QueueDeclare(queue, !durable, !autoDelete, !exclusive, !noWait, nil)
	text := "PRECONDITION_FAILED - inequivalent arg 'durable' for queue '" + queue +
		"' in vhost '/': received 'false' but current is 'true'"
	if err := refused(err, amqp.PreconditionFailed, text); err != nil {
		return err
	}

	// A publish has no answer of its own: its error comes as the end of the channel.
	channel, err = connection.Channel()
	if err != nil {
		return err
	}
	closed := channel.NotifyClose(make(chan *amqp.Error, 1))
	if err := publish(channel, missing, "key", amqp.Publishing{Body: []byte("nowhere to go")}); err != nil {
		return err
	}
	if err := refused(<-closed, amqp.NotFound, "NOT_FOUND - no exchange '"+missing+"' in vhost '/'"); err != nil {
		return err
	}

	// The connection is still in order.
	channel, err = connection.Channel()
	return first(err, ready(channel, queue, 0))
}

// The library leaves recovery to its user: when the connection closes, the program connects and subscribes anew.
func recovery(connection *amqp.Connection) error {
	channel, queue, err := channelWithQueue(connection, "recovery", nil)
	if err != nil {
		return err
	}
	_, kept, err := channelWithQueue(connection, "kept", nil)
	if err != nil {
		return err
	}
	inbox := make(chan amqp.Delivery, 10)
	subscribed := make(chan *amqp.Channel)
	go stayConnected(queue, inbox, subscribed)
	<-subscribed

	before, err := confirmed(channel, queue, "before", inbox)
	if err := first(err, equal("body", before, "before")); err != nil {
		return err
	}
	if _, err := confirmed(channel, kept, "kept", nil); err != nil {
		return err
	}
	if output, err := exec.Command(os.Getenv("BROKER_RESTART")).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, output)
	}
	channel = <-subscribed
	after, err := confirmed(channel, queue, "after", inbox)
	if err := first(err, equal("body", after, "after")); err != nil {
		return err
	}
	message, any, err := channel.Get(kept, autoAck)
	return first(err, equal("a message", any, true), equal("body", string(message.Body), "kept"))
}

// stayConnected consumes from the queue over as many connections as it takes, and hands out a channel of each.
func stayConnected(queue string, inbox chan<- amqp.Delivery, subscribed chan<- *amqp.Channel) {
	for {
		// After an error there is no connection, or it is broken: either way the next round makes a new one.
		_ = onConnection(func(connection *amqp.Connection) error {
			channel, err := connection.Channel()
			if err != nil {
				return err
			}
			deliveries, err := channel.Consume(queue, "", autoAck, !exclusive, false, !noWait, nil)
			if err != nil {
				return err
			}
			subscribed <- channel
			for delivery := range deliveries {
				inbox <- delivery
			}
			return nil
		})
		time.Sleep(retryInterval)
	}
}

// confirmed publishes, waits until the broker has the message on disk, and gives what then arrives in the inbox.
func confirmed(channel *amqp.Channel, queue, text string, inbox <-chan amqp.Delivery) (string, error) {
	if err := channel.Confirm(!noWait); err != nil {
		return "", err
	}
	confirm, err := channel.PublishWithDeferredConfirmWithContext(context.Background(), "", queue, !mandatory, !immediate,
		amqp.Publishing{DeliveryMode: amqp.Persistent, Body: []byte(text)})
	if err != nil {
		return "", err
	}
	if !confirm.Wait() {
		return "", fmt.Errorf("%q was not taken", text)
	}
	if inbox == nil {
		return "", nil
	}
	delivery, err := next(inbox)
	return string(delivery.Body), err
}

func channelWithQueue(connection *amqp.Connection, what string, arguments amqp.Table) (*amqp.Channel, string, error) {
	channel, err := connection.Channel()
	if err != nil {
		return nil, "", err
	}
	declared, err := channel.QueueDeclare(unique(what), durable, !autoDelete, !exclusive, !noWait, arguments)
	return channel, declared.Name, err
}

func publish(channel *amqp.Channel, exchange, key string, message amqp.Publishing) error {
	return channel.PublishWithContext(context.Background(), exchange, key, !mandatory, !immediate, message)
}

// ready asks the broker how many messages wait in the queue.
func ready(channel *amqp.Channel, queue string, expected int) error {
	state, err := channel.QueueInspect(queue)
	return first(err, equal("messages in the queue", state.Messages, expected))
}
