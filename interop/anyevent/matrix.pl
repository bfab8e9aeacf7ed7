# Runs every capability with AnyEvent::RabbitMQ and prints one line for each. Capabilities.pm is where to read how
# things are done.
use strict;
use warnings;
use feature 'say';

# The loop in which an error in a callback ends the wait for it; others only print a warning.
BEGIN { $ENV{PERL_ANYEVENT_MODEL} = 'Perl' }

use AnyEvent;
use AnyEvent::RabbitMQ;
use FindBin;
use lib $FindBin::Bin;
use Capabilities;
use Client;

use constant CAPABILITY_SECONDS_MAX => 90;
# The broker's own stop and start come on top.
use constant RECOVERY_SECONDS_MAX => 300;

my @capabilities = (
    ['declare', \&Capabilities::declare_topology],
    ['publish-confirms', \&Capabilities::publish_confirms],
    ['consume-acks', \&Capabilities::consume_acks],
    ['get', \&Capabilities::get],
    ['returns', \&Capabilities::returns],
    ['ttl-dead-letter', \&Capabilities::ttl_dead_letter],
    ['priorities', \&Capabilities::priorities],
    ['rpc', \&Capabilities::rpc],
    ['topology-errors', \&Capabilities::topology_errors],
    ['recovery', \&Capabilities::recovery],
);

# Each capability has a connection of its own, so that one that breaks it does no harm to the next.
sub on_connection {
    my ($work) = @_;
    my $connection = Client::connect_to_broker();
    my $passed = eval { $work->($connection); 1 };
    my $error = $@;
    eval { Client::call($connection, 'close') };
    die $error if !$passed;
    return;
}

# To delete what does not exist is no error.
sub clean_up {
    my ($connection) = @_;
    my $channel = Client::channel($connection);
    for my $name (@Client::given) {
        Client::call($channel, delete_queue => queue => $name);
        Client::call($channel, delete_exchange => exchange => $name);
    }
    return;
}

$| = 1;
AnyEvent::RabbitMQ->load_xml_spec;
# Without an own handler the alarm would end the program; from here it ends the wait that it falls into.
local $SIG{ALRM} = sub { die "not over in time\n" };

say "client anyevent $AnyEvent::RabbitMQ::VERSION";
my $failed = 0;
for (@capabilities) {
    my ($name, $proof) = @$_;
    alarm($name eq 'recovery' ? RECOVERY_SECONDS_MAX : CAPABILITY_SECONDS_MAX);
    if (eval { on_connection($proof); 1 }) {
        say "ok $name";
    } elsif (ref $@ eq 'Client::Skip') {
        say "skip $name: ", $@->why;
    } else {
        $failed = 1;
        say "not ok $name: ", join ' ', split ' ', $@ =~ s/ at \S+ line \d+\.$//r;
    }
}
alarm(CAPABILITY_SECONDS_MAX);
on_connection(\&clean_up);
exit $failed;
