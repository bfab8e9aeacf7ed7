# AnyEvent::RabbitMQ answers by callbacks. Here a program waits for them, one after the other, and says what it expects.
package Client;

use strict;
use warnings;

use AnyEvent;
use AnyEvent::RabbitMQ;
use JSON::PP;

use constant ARRIVAL_SECONDS_MAX => 30;
use constant CLOCK_SKEW_SECONDS_MAX => 60;

# Every name that was given out, so that the program can delete what was declared under it.
our @given;

sub unique {
    my ($what) = @_;
    push @given, sprintf 'interop-anyevent-%s-%d-%06x', $what, $$, int rand 0x1000000;
    return $given[-1];
}

# Calls a method and waits for its answer.
sub call {
    my ($object, $method, %arguments) = @_;
    my $answer = AnyEvent->condvar;
    $object->$method(
        %arguments,
        on_success => sub { $answer->send(@_) },
        on_failure => sub { $answer->croak(join ' ', $method, 'fails:', @_) },
    );
    return wait_for($answer, $method);
}

sub wait_for {
    my ($answer, $what) = @_;
    my $timer = AnyEvent->timer(after => ARRIVAL_SECONDS_MAX, cb => sub { $answer->croak("$what: nothing arrives") });
    my ($first) = $answer->recv;
    return $first;
}

sub connect_to_broker {
    my %broker;
    @broker{qw(user pass host port vhost)} = $ENV{AMQP_URL} =~ m{^amqp://([^:]+):([^@]+)@([^:]+):(\d+)/(.*)$}
        or die "AMQP_URL is no address of a broker\n";
    $broker{vhost} =~ s/%([0-9a-fA-F]{2})/chr hex $1/ge;
    return call(AnyEvent::RabbitMQ->new, 'connect', %broker, timeout => ARRIVAL_SECONDS_MAX);
}

# A channel, and a condition variable that gets the broker's reason when the channel ends.
sub channel {
    my ($connection) = @_;
    my $closed = AnyEvent->condvar;
    my $channel = call($connection, 'open_channel', on_close => sub { $closed->send($_[0]->method_frame) });
    return wantarray ? ($channel, $closed) : $channel;
}

sub durable_queue {
    my ($channel, $what, $arguments) = @_;
    my $frame = call($channel, declare_queue => queue => unique($what), durable => 1, arguments => $arguments // {});
    return $frame->method_frame->queue;
}

# Subscribes, and gives a function that waits for the next delivery, which has the parts `deliver`, `header`, `body`.
sub consumer {
    my ($channel, $queue, %options) = @_;
    my (@messages, $waiting);
    call(
        $channel, 'consume', queue => $queue, no_ack => 0, %options,
        on_consume => sub {
            push @messages, $_[0];
            $waiting->send if $waiting;
        },
    );
    return sub {
        if (!@messages) {
            $waiting = AnyEvent->condvar;
            wait_for($waiting, "a message of $queue");
        }
        return shift @messages;
    };
}

sub equal {
    my ($what, $expected, $actual) = @_;
    my $json = JSON::PP->new->canonical->allow_nonref->allow_blessed;
    my ($wanted, $got) = map { $json->encode(stringified($_)) } $expected, $actual;
    die "$what: expected $wanted, not $got\n" if $wanted ne $got;
    return;
}

# Perl's numbers and texts are the same to us.
sub stringified {
    my ($value) = @_;
    return $value if !defined $value;
    return [map { stringified($_) } @$value] if ref $value eq 'ARRAY';
    return { map { $_ => stringified($value->{$_}) } keys %$value } if ref $value eq 'HASH';
    return "$value";
}

# The broker closes the channel with this code and text.
sub expect_closed {
    my ($closed, $code, $text) = @_;
    my $reason = wait_for($closed, 'the end of the channel');
    equal('refusal', [$code, $text], [$reason->reply_code, $reason->reply_text]);
    return;
}

# An entry of x-death. Every queue here is published to through the default exchange, under its own name.
sub expect_death {
    my ($death, $queue, $reason, $count) = @_;
    equal('x-death', [$queue, $reason, $count, '', [$queue]], [@$death{qw(queue reason count exchange routing-keys)}]);
    die "x-death's time is $death->{time}\n" if abs(time - $death->{time}) > CLOCK_SKEW_SECONDS_MAX;
    return;
}

# What the client itself cannot do.
package Client::Skip;

sub new { my ($class, $why) = @_; return bless { why => $why }, $class }
sub why { return $_[0]{why} }

1;
