# Each is given a connection and dies when something is not as it should be.
package Capabilities;

use strict;
use warnings;

use AnyEvent;
use AnyEvent::Util 'run_cmd';
use Client;

*call = \&Client::call;
*equal = \&Client::equal;

# How long the program waits between two attempts to connect again.
use constant RETRY_INTERVAL_SECONDS => 0.2;

sub declare_topology {
    my ($connection) = @_;
    my ($channel, $closed) = Client::channel($connection);
    my ($exchange, $queue) = (Client::unique('exchange'), Client::unique('queue'));
    call($channel, declare_exchange => exchange => $exchange, type => 'topic', durable => 1);
    for (1, 2) {    # the same twice is no error
        my $declared = call(
            $channel, declare_queue => queue => $queue, durable => 1, arguments => { 'x-max-length' => 10 },
        )->method_frame;
        equal('declare-ok', [$queue, 0, 0], [$declared->queue, $declared->message_count, $declared->consumer_count]);
    }

    call($channel, bind_queue => queue => $queue, exchange => $exchange, routing_key => 'hare.*');
    $channel->publish(exchange => $exchange, routing_key => 'hare.brown', body => 'bound');
    $channel->publish(exchange => $exchange, routing_key => 'rabbit.brown', body => 'not bound');
    call($channel, unbind_queue => queue => $queue, exchange => $exchange, routing_key => 'hare.*');
    $channel->publish(exchange => $exchange, routing_key => 'hare.white', body => 'no longer bound');
    # One of the three has arrived.
    equal('purged', 1, call($channel, purge_queue => queue => $queue)->method_frame->message_count);

    # A queue without a name gets one from the broker.
    my $temporary = call($channel, declare_queue => exclusive => 1)->method_frame->queue;
    equal('the beginning of the name', 'amq.gen-', substr $temporary, 0, 8);
    call($channel, delete_exchange => exchange => $exchange);
    eval { call($channel, declare_exchange => exchange => $exchange, passive => 1) };
    Client::expect_closed($closed, 404, "NOT_FOUND - no exchange '$exchange' in vhost '/'");
    return;
}

sub publish_confirms {
    my ($connection) = @_;
    my $channel = Client::channel($connection);
    my $queue = Client::durable_queue($channel, 'confirms');
    call($channel, 'confirm');
    my $all = AnyEvent->condvar;
    $all->begin;
    for my $number (1 .. 100) {
        $all->begin;
        $channel->publish(
            routing_key => $queue,
            body        => "message $number",
            header      => { delivery_mode => 2 },
            on_ack      => sub { $all->end },
            on_nack     => sub { $all->croak("message $number was refused\n") },
        );
    }
    $all->end;
    Client::wait_for($all, 'confirms');
    equal('messages', 100, count($channel, $queue));
    return;
}

sub consume_acks {
    my ($connection) = @_;
    my $channel = Client::channel($connection);
    my $queue = Client::durable_queue($channel, 'acks');
    my %headers = (colour => 'brown', list => [1, 'two']);
    my %header = (content_type => 'text/plain', correlation_id => 'c-1', headers => \%headers);
    $channel->publish(routing_key => $queue, body => $_, header => {%header}) for qw(one two three);

    call($channel, qos => prefetch_count => 1);
    my $next = Client::consumer($channel, $queue, consumer_tag => 'tag');
    my $one = $next->();
    equal('body', 'one', $one->{body}->payload);
    equal('redelivered', 0, $one->{deliver}->method_frame->redelivered);
    equal('properties', \%header, { map { $_ => $one->{header}->$_ } keys %header });
    # With a prefetch of one nothing else comes before an acknowledgement.
    equal('messages in the queue', 2, count($channel, $queue));

    # This client has no basic.nack; basic.reject does the same for one message.
    $channel->reject(delivery_tag => tag_of($one), requeue => 1);
    my $again = $next->();
    equal('body', 'one', $again->{body}->payload);
    equal('redelivered', 1, $again->{deliver}->method_frame->redelivered);
    $channel->ack(delivery_tag => tag_of($again));
    my $two = $next->();
    equal('body', 'two', $two->{body}->payload);
    $channel->reject(delivery_tag => tag_of($two));
    my $three = $next->();
    equal('body', 'three', $three->{body}->payload);
    $channel->ack(delivery_tag => tag_of($three));

    call($channel, cancel => consumer_tag => 'tag');
    my $left = call($channel, declare_queue => queue => $queue, passive => 1)->method_frame;
    equal('the queue', [0, 0], [$left->message_count, $left->consumer_count]);
    return;
}

sub get {
    my ($connection) = @_;
    my $channel = Client::channel($connection);
    my $queue = Client::durable_queue($channel, 'get');
    equal('empty', 1, exists call($channel, get => queue => $queue)->{empty});
    $channel->publish(routing_key => $queue, body => $_) for qw(one two);

    my $one = call($channel, get => queue => $queue, no_ack => 0);
    equal('body', 'one', $one->{body}->payload);
    my $got = $one->{ok}->method_frame;
    equal('message count and routing key', [1, $queue], [$got->message_count, $got->routing_key]);
    $channel->ack(delivery_tag => $got->delivery_tag);
    my $two = call($channel, get => queue => $queue);
    equal('body', 'two', $two->{body}->payload);
    equal('message count', 0, $two->{ok}->method_frame->message_count);
    equal('empty', 1, exists call($channel, get => queue => $queue)->{empty});
    return;
}

sub returns {
    my ($connection) = @_;
    my $channel = Client::channel($connection);
    call($channel, 'confirm');
    my $nowhere = Client::unique('nowhere');
    my ($returned, $confirmed) = (undef, AnyEvent->condvar);
    $channel->publish(
        routing_key => $nowhere,
        body        => 'lost',
        mandatory   => 1,
        on_return   => sub { $returned = $_[0]->method_frame },
        on_ack      => sub { $confirmed->send },
    );
    Client::wait_for($confirmed, 'the confirm');
    # A message that cannot be routed is confirmed too. By then it has been returned.
    die "the message was confirmed before it was returned\n" if !$returned;
    my @parts = map { $returned->$_ } qw(reply_code reply_text exchange routing_key);
    equal('return', [312, 'NO_ROUTE', '', $nowhere], \@parts);
    return;
}

# A retry loop: messages wait in one queue until they expire into the other, whose consumer may send them back.
sub ttl_dead_letter {
    my ($connection) = @_;
    my $channel = Client::channel($connection);
    my ($wait, $work) = (Client::unique('wait'), Client::unique('work'));
    call(
        $channel, declare_queue => queue => $wait, durable => 1,
        arguments => { 'x-message-ttl' => 100, 'x-dead-letter-exchange' => '', 'x-dead-letter-routing-key' => $work },
    );
    call(
        $channel, declare_queue => queue => $work, durable => 1,
        arguments => { 'x-dead-letter-exchange' => '', 'x-dead-letter-routing-key' => $wait },
    );
    my $next = Client::consumer($channel, $work);
    $channel->publish(
        routing_key => $wait, body => 'try me', header => { expiration => '50', headers => { attempt => 'first' } },
    );

    my $expired = eval { $next->() } or skip_unreadable($@);
    equal('body', 'try me', $expired->{body}->payload);
    my $deliver = $expired->{deliver}->method_frame;
    equal('exchange and key', ['', $work], [$deliver->exchange, $deliver->routing_key]);
    equal('expiration', undef, $expired->{header}->expiration);
    my $headers = $expired->{header}->headers;
    equal('attempt', 'first', $headers->{attempt});
    equal('first death', [$wait, 'expired', ''], [map { $headers->{"x-first-death-$_"} } qw(queue reason exchange)]);
    equal('deaths', 1, scalar @{ $headers->{'x-death'} });
    Client::expect_death($headers->{'x-death'}[0], $wait, 'expired', 1);
    equal('original-expiration', '50', $headers->{'x-death'}[0]{'original-expiration'});

    $channel->reject(delivery_tag => tag_of($expired));
    my $retried = $next->();
    my $deaths = $retried->{header}->headers->{'x-death'};
    equal('deaths', 2, scalar @$deaths);
    # The latest death is the first in the list.
    Client::expect_death($deaths->[0], $wait, 'expired', 2);
    Client::expect_death($deaths->[1], $work, 'rejected', 1);
    $channel->ack(delivery_tag => tag_of($retried));
    return;
}

# The message has arrived, but the client's decoder may stop at the count, which is a 64-bit integer.
sub skip_unreadable {
    my ($error) = @_;
    die $error if $error !~ /No way to unpack field 'count' type 'l'/;
    die Client::Skip->new("Net::AMQP $Net::AMQP::VERSION cannot decode the count in x-death");
}

sub priorities {
    my ($connection) = @_;
    my $channel = Client::channel($connection);
    my $queue = Client::durable_queue($channel, 'priorities', { 'x-max-priority' => 5 });
    # Where nothing is said, this client publishes with priority 1.
    for my $priority (1, undef, 5, 3, 9) {
        $channel->publish(routing_key => $queue, body => $priority // 'none', header => { priority => $priority });
    }
    my @order;
    for (1 .. 5) {
        my $message = call($channel, get => queue => $queue);
        equal('priority', $message->{body}->payload, $message->{header}->priority // 'none');
        push @order, $message->{body}->payload;
    }
    # What is above the queue's highest priority counts as the highest, no priority as the lowest.
    equal('order', [5, 9, 3, 1, 'none'], \@order);
    return;
}

# Direct reply-to: the answer comes without a queue of the client's own.
sub rpc {
    my ($connection) = @_;
    my $server = Client::channel($connection);
    my $queue = call($server, declare_queue => exclusive => 1)->method_frame->queue;
    call(
        $server, 'consume', queue => $queue, no_ack => 0,
        on_consume => sub {
            my ($request) = @_;
            my $header = $request->{header};
            my $is_direct = $header->reply_to =~ /^amq\.rabbitmq\.reply-to\./ ? 'true' : 'false';
            $server->publish(
                routing_key => $header->reply_to,
                body        => $request->{body}->payload . " $is_direct",
                header      => { correlation_id => $header->correlation_id },
            );
            $server->ack(delivery_tag => tag_of($request));
        },
    );

    my $client = Client::channel($connection);
    my $next = Client::consumer($client, 'amq.rabbitmq.reply-to', no_ack => 1);
    for my $id ('r-1', 'r-2') {
        my %header = (correlation_id => $id, reply_to => 'amq.rabbitmq.reply-to');
        $client->publish(routing_key => $queue, body => 'ping', header => \%header);
        my $answer = $next->();
        equal('answer', ['ping true', $id], [$answer->{body}->payload, $answer->{header}->correlation_id]);
    }
    return;
}

sub topology_errors {
    my ($connection) = @_;
    my $missing = Client::unique('missing');
    my ($channel, $closed) = Client::channel($connection);
    eval { call($channel, declare_queue => queue => $missing, passive => 1) };
    Client::expect_closed($closed, 404, "NOT_FOUND - no queue '$missing' in vhost '/'");

    ($channel, $closed) = Client::channel($connection);
    my $queue = Client::durable_queue($channel, 'durable');
    eval { call($channel, declare_queue => queue => $queue, durable => 0) };
    my $text = "PRECONDITION_FAILED - inequivalent arg 'durable' for queue '$queue' in vhost '/': "
        . "received 'false' but current is 'true'";
    Client::expect_closed($closed, 406, $text);

    # A publish has no answer of its own: its error comes as the end of the channel.
    ($channel, $closed) = Client::channel($connection);
    $channel->publish(exchange => $missing, routing_key => 'key', body => 'nowhere to go');
    Client::expect_closed($closed, 404, "NOT_FOUND - no exchange '$missing' in vhost '/'");

    # The connection is still in order.
    equal('messages', 0, count(scalar Client::channel($connection), $queue));
    return;
}

# The library leaves recovery to its user: when the channel ends, the program connects and subscribes anew.
sub recovery {
    my ($connection) = @_;
    my ($channel, $closed) = Client::channel($connection);
    my $queue = Client::durable_queue($channel, 'recovery');
    my $kept = Client::durable_queue($channel, 'kept');
    my $next = Client::consumer($channel, $queue, no_ack => 1);
    publish_confirmed($connection, $queue, 'before');
    publish_confirmed($connection, $kept, 'kept');
    equal('body', 'before', $next->()->{body}->payload);

    # Not with `system`: the events of this program have to go on.
    my $status = run_cmd([$ENV{BROKER_RESTART}], '>' => \*STDERR)->recv;
    equal('exit status of BROKER_RESTART', 0, $status);
    Client::wait_for($closed, 'the end of the connection');
    my $again;
    until ($again = eval { Client::connect_to_broker() }) {
        Client::wait_for(pause(), 'a pause');
    }

    $channel = Client::channel($again);
    $next = Client::consumer($channel, $queue, no_ack => 1);
    publish_confirmed($again, $queue, 'after');
    equal('body', 'after', $next->()->{body}->payload);
    equal('body', 'kept', call($channel, get => queue => $kept)->{body}->payload);
    call($again, 'close');
    return;
}

sub pause {
    my $over = AnyEvent->condvar;
    my $timer;
    $timer = AnyEvent->timer(after => RETRY_INTERVAL_SECONDS, cb => sub { undef $timer; $over->send });
    return $over;
}

sub publish_confirmed {
    my ($connection, $queue, $text) = @_;
    my $channel = Client::channel($connection);
    call($channel, 'confirm');
    my $confirmed = AnyEvent->condvar;
    $channel->publish(
        routing_key => $queue, body => $text, header => { delivery_mode => 2 },
        on_ack => sub { $confirmed->send }, on_nack => sub { $confirmed->croak("$text was refused\n") },
    );
    Client::wait_for($confirmed, 'the confirm');
    call($channel, 'close');
    return;
}

sub count {
    my ($channel, $queue) = @_;
    return call($channel, declare_queue => queue => $queue, passive => 1)->method_frame->message_count;
}

sub tag_of {
    my ($message) = @_;
    return $message->{deliver}->method_frame->delivery_tag;
}

1;
