# Runs every capability with Bunny and prints one line for each. capabilities.rb is where to read how things are done.

require "bunny"
require "logger"
require "timeout"
require_relative "capabilities"

CAPABILITY_SECONDS_MAX = 90
# The broker's own stop and start come on top.
RECOVERY_SECONDS_MAX = 300
RECOVERY_INTERVAL_SECONDS = 0.2

CAPABILITIES = %w[
  declare publish-confirms consume-acks get returns ttl-dead-letter priorities rpc topology-errors recovery
]

# Each capability has a connection of its own, so that one that breaks it does no harm to the next. Bunny connects again
# by itself.
def on_connection(seconds)
  recovered = Queue.new
  connection = Bunny.new(
    ENV.fetch("AMQP_URL"),
    logger: Logger.new($stderr, level: Logger::ERROR),
    network_recovery_interval: RECOVERY_INTERVAL_SECONDS,
    recovery_completed: -> { recovered << true },
  )
  Timeout.timeout(seconds) do
    connection.start
    yield connection, recovered
  end
ensure
  begin
    Timeout.timeout(CAPABILITY_SECONDS_MAX) { connection.close }
  rescue StandardError => error
    warn "closing: #{error.message}"
  end
end

def passed?(capability)
  seconds = capability == "recovery" ? RECOVERY_SECONDS_MAX : CAPABILITY_SECONDS_MAX
  on_connection(seconds) do |connection, recovered|
    Capabilities.new(connection, recovered).public_send(capability.tr("-", "_"))
  end
  puts "ok #{capability}"
  true
rescue StandardError => error
  warn error.full_message(highlight: false)
  puts "not ok #{capability}: #{error.message.split.join(" ")}"
  false
end

# To delete what does not exist is no error.
def clean_up
  on_connection(CAPABILITY_SECONDS_MAX) do |connection, _recovered|
    channel = connection.create_channel
    Capabilities::GIVEN.each do |name|
      channel.queue_delete(name)
      channel.exchange_delete(name)
    end
  end
end

$stdout.sync = true
puts "client bunny #{Bunny::VERSION}"
results = CAPABILITIES.map { |capability| passed?(capability) }
clean_up
exit(results.all? ? 0 : 1)
