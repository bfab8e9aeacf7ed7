require "bunny"
require "securerandom"

# Each method raises when something is not as it should be.
class Capabilities
  ARRIVAL_SECONDS_MAX = 30
  RECOVERY_SECONDS_MAX = 120
  CLOCK_SKEW_SECONDS_MAX = 60

  # Every name that was given out, so that the program can delete what was declared under it.
  GIVEN = []

  Message = Struct.new(:info, :properties, :body)

  def initialize(connection, recovered)
    @connection = connection
    @recovered = recovered
  end

  def declare
    channel = @connection.create_channel
    exchange = channel.topic(unique("exchange"), durable: true)
    arguments = { "x-max-length" => 10 }
    queue = channel.queue(unique("queue"), durable: true, arguments: arguments)
    # The same once more is no error.
    again = channel.queue_declare(queue.name, durable: true, arguments: arguments)
    equal "declare-ok", [queue.name, 0, 0], [again.queue, again.message_count, again.consumer_count]

    queue.bind(exchange, routing_key: "hare.*")
    exchange.publish("bound", routing_key: "hare.brown")
    exchange.publish("not bound", routing_key: "rabbit.brown")
    queue.unbind(exchange, routing_key: "hare.*")
    exchange.publish("no longer bound", routing_key: "hare.white")
    # One of the three has arrived.
    equal "purged", 1, channel.queue_purge(queue.name).message_count

    # A queue without a name gets one from the broker.
    equal "the broker's name", true, channel.queue("", exclusive: true).name.start_with?("amq.gen-")
    exchange.delete
    equal "exchange exists", false, @connection.exchange_exists?(exchange.name)
    equal "queue exists", true, @connection.queue_exists?(queue.name)
  end

  def publish_confirms
    channel = @connection.create_channel
    channel.confirm_select
    queue = channel.queue(unique("confirms"), durable: true)
    100.times { |number| queue.publish("message #{number}", persistent: true) }
    equal "all confirmed", true, channel.wait_for_confirms
    equal "refused", 0, channel.nacked_set.size
    equal "messages", 100, queue.message_count
  end

  def consume_acks
    channel = @connection.create_channel
    queue = channel.queue(unique("acks"), durable: true)
    headers = { "colour" => "brown", "legs" => 4, "tame" => true, "nested" => { "deep" => [1, "two"] } }
    %w[one two three].each do |text|
      queue.publish(text, content_type: "text/plain", correlation_id: "c-1", headers: headers)
    end

    channel.prefetch(1)
    inbox = Queue.new
    consumer = queue.subscribe(manual_ack: true) { |*message| inbox << Message.new(*message) }
    one = take(inbox)
    equal "body", "one", one.body
    equal "redelivered", false, one.info.redelivered?
    equal "content type", "text/plain", one.properties.content_type
    equal "correlation id", "c-1", one.properties.correlation_id
    equal "headers", headers, one.properties.headers
    # With a prefetch of one nothing else comes before an acknowledgement.
    equal "messages in the queue", 2, queue.message_count
    equal "waiting here", 0, inbox.size

    channel.nack(one.info.delivery_tag, false, true)
    again = take(inbox)
    equal "body", "one", again.body
    equal "redelivered", true, again.info.redelivered?
    channel.ack(again.info.delivery_tag)
    two = take(inbox)
    equal "body", "two", two.body
    channel.reject(two.info.delivery_tag)
    three = take(inbox)
    equal "body", "three", three.body
    channel.ack(three.info.delivery_tag)

    consumer.cancel
    equal "the queue", { message_count: 0, consumer_count: 0 }, queue.status
  end

  def get
    channel = @connection.create_channel
    queue = channel.queue(unique("get"))
    equal "nothing", [nil, nil, nil], queue.pop
    queue.publish("one")
    queue.publish("two")

    one = Message.new(*queue.pop(manual_ack: true))
    equal "body", "one", one.body
    # Bunny does not show the count that comes with the message, so ask for it.
    equal "message count", 1, queue.message_count
    equal "routing key", queue.name, one.info.routing_key
    channel.ack(one.info.delivery_tag)
    two = Message.new(*queue.pop)
    equal "body", "two", two.body
    equal "nothing", [nil, nil, nil], queue.pop
  end

  def returns
    channel = @connection.create_channel
    channel.confirm_select
    exchange = channel.default_exchange
    returned = []
    exchange.on_return { |*message| returned << Message.new(*message) }
    nowhere = unique("nowhere")
    exchange.publish("lost", routing_key: nowhere, mandatory: true, message_id: "m-1")
    # A message that cannot be routed is confirmed too. By then it has been returned.
    equal "confirmed", true, channel.wait_for_confirms
    equal "returns", 1, returned.size
    info = returned[0].info
    equal "return", [312, "NO_ROUTE", "", nowhere], [info.reply_code, info.reply_text, info.exchange, info.routing_key]
    equal "message id", "m-1", returned[0].properties.message_id
    equal "body", "lost", returned[0].body
  end

  # A retry loop: messages wait in one queue until they expire into the other, whose consumer may send them back.
  def ttl_dead_letter
    channel = @connection.create_channel
    wait_name = unique("wait")
    work_name = unique("work")
    wait = channel.queue(wait_name, durable: true, arguments: {
      "x-message-ttl" => 100, "x-dead-letter-exchange" => "", "x-dead-letter-routing-key" => work_name,
    })
    work = channel.queue(work_name, durable: true, arguments: {
      "x-dead-letter-exchange" => "", "x-dead-letter-routing-key" => wait_name,
    })
    inbox = Queue.new
    work.subscribe(manual_ack: true) { |*message| inbox << Message.new(*message) }
    wait.publish("try me", expiration: "50", headers: { "attempt" => "first" })

    expired = take(inbox)
    equal "body", "try me", expired.body
    equal "exchange and key", ["", work_name], [expired.info.exchange, expired.info.routing_key]
    equal "expiration", nil, expired.properties.expiration
    headers = expired.properties.headers
    equal "attempt", "first", headers["attempt"]
    equal "x-first-death-queue", wait_name, headers["x-first-death-queue"]
    equal "x-first-death-reason", "expired", headers["x-first-death-reason"]
    equal "x-first-death-exchange", "", headers["x-first-death-exchange"]
    equal "deaths", 1, headers["x-death"].size
    died headers["x-death"][0], wait_name, "expired", 1
    equal "original-expiration", "50", headers["x-death"][0]["original-expiration"]

    channel.reject(expired.info.delivery_tag)
    retried = take(inbox)
    deaths = retried.properties.headers["x-death"]
    equal "deaths", 2, deaths.size
    # The latest death is the first in the list.
    died deaths[0], wait_name, "expired", 2
    died deaths[1], work_name, "rejected", 1
    channel.ack(retried.info.delivery_tag)
  end

  def priorities
    channel = @connection.create_channel
    queue = channel.queue(unique("priorities"), durable: true, arguments: { "x-max-priority" => 5 })
    [1, 0, 5, 3, 9].each { |priority| queue.publish(priority.to_s, priority: priority) }
    order = Array.new(5) do
      _info, properties, body = queue.pop
      equal "priority", body, properties.priority.to_s
      body
    end
    # What is above the queue's highest priority counts as the highest.
    equal "order", %w[5 9 3 1 0], order
  end

  # Direct reply-to: the answer comes without a queue of the client's own.
  def rpc
    server = @connection.create_channel
    requests = server.queue("", exclusive: true)
    requests.subscribe do |_info, request, body|
      answer = "#{body} #{request.reply_to.start_with?("amq.rabbitmq.reply-to.")}"
      server.default_exchange.publish(answer, routing_key: request.reply_to, correlation_id: request.correlation_id)
    end

    client = @connection.create_channel
    inbox = Queue.new
    client.basic_consume("amq.rabbitmq.reply-to", "", true) { |*message| inbox << Message.new(*message) }
    %w[r-1 r-2].each do |id|
      client.default_exchange.publish("ping", routing_key: requests.name, correlation_id: id,
                                              reply_to: "amq.rabbitmq.reply-to")
      answer = take(inbox)
      equal "answer", "ping true", answer.body
      equal "correlation id", id, answer.properties.correlation_id
    end
  end

  # Bunny has an exception of its own for each reply code.
  def topology_errors
    missing = unique("missing")
    refused Bunny::NotFound, 404, "NOT_FOUND - no queue '#{missing}' in vhost '/'" do |channel|
      channel.queue_declare(missing, passive: true)
    end
    queue = @connection.create_channel.queue(unique("durable"), durable: true)
    text = "PRECONDITION_FAILED - inequivalent arg 'durable' for queue '#{queue.name}' in vhost '/': " \
           "received 'false' but current is 'true'"
    refused(Bunny::PreconditionFailed, 406, text) { |channel| channel.queue(queue.name, durable: false) }
    # The connection is still in order.
    equal "messages", 0, queue.message_count
  end

  # Bunny's own recovery restores channels and consumers, and even a queue that went with the broker.
  def recovery
    channel = @connection.create_channel
    channel.confirm_select
    queue = channel.queue(unique("recovery"), durable: true)
    kept = channel.queue(unique("kept"), durable: true)
    temporary = channel.queue("", exclusive: true).bind("amq.fanout")
    inbox = Queue.new
    queue.subscribe { |*message| inbox << Message.new(*message) }
    all = Queue.new
    temporary.subscribe { |*message| all << Message.new(*message) }
    queue.publish("before", persistent: true)
    kept.publish("kept", persistent: true)
    equal "confirmed", true, channel.wait_for_confirms
    equal "body", "before", take(inbox).body

    equal "restart", true, system(ENV.fetch("BROKER_RESTART"), out: :err)
    take(@recovered, RECOVERY_SECONDS_MAX)

    # One by one: after a recovery this Bunny miscounts confirms for several messages at once.
    queue.publish("after", persistent: true)
    equal "confirmed", true, channel.wait_for_confirms
    equal "body", "after", take(inbox).body
    channel.fanout("amq.fanout", durable: true).publish("after, to all")
    equal "confirmed", true, channel.wait_for_confirms
    equal "body", "after, to all", take(all).body
    equal "body", "kept", kept.pop.last
  end

  private

  def unique(what)
    "interop-bunny-#{what}-#{SecureRandom.uuid}".tap { |name| GIVEN << name }
  end

  def equal(what, expected, actual)
    raise "#{what}: expected #{expected.inspect}, not #{actual.inspect}" unless expected == actual
  end

  def take(inbox, seconds = ARRIVAL_SECONDS_MAX)
    Timeout.timeout(seconds, nil, "nothing arrives") { inbox.pop }
  end

  def refused(kind, code, text)
    yield @connection.create_channel
    raise "the broker had to refuse this with #{code}"
  rescue kind => error
    equal "refusal", [code, text], [error.channel_close.reply_code, error.channel_close.reply_text]
  end

  # An entry of x-death. Every queue here is published to through the default exchange, under its own name.
  def died(death, queue, reason, count)
    equal "x-death", [queue, reason, count, "", [queue]],
          death.values_at("queue", "reason", "count", "exchange", "routing-keys")
    raise "x-death's time is #{death["time"]}" if (Time.now - death["time"]).abs > CLOCK_SKEW_SECONDS_MAX
  end
end
