# SPDX-License-Identifier: Apache-2.0
#
# An httpd of the tests' library with the suite's handlers in it: prefork, with
# keep-alive, little logging, the suite's programs where jobs can reach them.
# Runs in the suite.

## no critic (ProhibitLeadingZeros)
package Bench::Httpd;

use strict;
use warnings;

use parent -norequire, 'SpawnTest::Httpd';

use File::Copy qw(copy);
use IO::Socket::INET ();
use JSON::PP ();

use Apache2::Spawn ();
use Bench::Cpu ();
use SpawnTest ();
use SpawnTest::Process ();

# new(%options) as of SpawnTest::Httpd, and
#   megabytes  that each child shall have
#   peer       the path of the bare peer's socket
#   through    of the peer's that passes on; starter: of the starter's
#   usage      the group that all its processes shall belong to (Bench::Usage)
sub new {
    my ($class, %options) = @_;
    my $conf = delete $options{conf} || '';
    my $megabytes = delete $options{megabytes} || 0;
    my %at = map { $_ => delete $options{$_} || '' } qw(peer through starter);
    my $self = $class->SUPER::new(mpm => 'prefork', children => 1, %options);
    my $ways = $self->dir . '/ways';
    $self->{perl} .= "\$Bench::Handler::megabytes = $megabytes;\n"
        . "%Bench::Handler::with = (ways => '$ways', " . join(', ', map {"$_ => '$at{$_}'"} sort keys %at) . ");\n";
    my $n = $self->{children};
    $self->{conf} = <<"END";
LogLevel notice
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 600
StartServers $n
MinSpareServers $n
MaxSpareServers $n
MaxConnectionsPerChild 0
PerlModule Bench::Handler
PerlChildInitHandler Bench::Handler::grow
<Location /bench>
    SetHandler modperl
    PerlResponseHandler Bench::Handler
</Location>
$conf
END
    $self->_copy_suite($ways);
    return $self;
}

sub start {
    my ($self) = @_;
    my $usage = $self->{usage};
    return $usage ? $usage->within(sub { $self->SUPER::start }) : $self->SUPER::start;
}

sub clean {
    my ($self) = @_;
    $self->SUPER::clean;
    $self->{usage}->remove if $self->{usage};
    return;
}

sub _copy_suite {
    my ($self, $ways) = @_;
    my $root = SpawnTest::root_dir();
    my $build = SpawnTest::build_dir();
    for my $dir ("$self->{dir}/perl/Bench", $ways) {
        mkdir $dir or die "$dir: $!\n";
        chmod 0755, $dir or die "$dir: $!\n";
    }
    _put($_, "$self->{dir}/perl/Bench", 0644) for map { "$root/bench/lib/Bench/$_.pm" } qw(Handler Callers Ways Work);
    _put($_, $ways, 0644) for glob "$root/bench/ways/*.pl";
    _put("$build/bench/$_", "$self->{dir}/bin", 0755) for qw(tiny sleeper stamp spin);
    return;
}

sub _put {
    my ($from, $dir, $mode) = @_;
    (my $to = $from) =~ s{.*/}{$dir/};
    copy($from, $to) or die "$from: $!\n";
    chmod $mode, $to or die "$to: $!\n";
    return;
}

# A program of the suite, where jobs can reach it.
sub program { return "$_[0]{dir}/bin/$_[1]" }

# The path of an action of Bench::Handler.
sub action {
    my ($self, $name, %in) = @_;
    return "/bench/$name?" . join '&', map { "$_=$in{$_}" } sort keys %in;
}

# Asks for an action and gives its answer: data if it is JSON.
sub ask {
    my ($self, $name, %in) = @_;
    return $self->answer($self->begin($name, %in));
}

# Asks and does not wait: for answer. So many can be asked at once.
sub begin {
    my ($self, $name, %in) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->port, Timeout => 20)
        or die "httpd cannot be reached: $@\n" . $self->tail;
    my $path = $self->action($name, %in);
    print {$socket} "GET $path HTTP/1.0\r\n\r\n";
    $socket->flush;
    return $socket;
}

sub answer {
    my ($self, $socket) = @_;
    my $text = do { local $/ = undef; <$socket> };
    close $socket;      # the child waits for that, up to 2 s
    my ($head, $body) = split /\r\n\r\n/, defined $text ? $text : '', 2;
    die 'httpd answers: ' . ($head || 'nothing') . "\n" . $self->tail if !$head || $head !~ m{\A\S+ 200 };
    return $body =~ /\A\[/ ? JSON::PP::decode_json($body) : $body;
}

# Those that serve requests: a template of httpd's own is a child, too.
sub children {
    my ($self) = @_;
    return grep { my ($name) = SpawnTest::Process::cmdline($_); defined $name && $name !~ /\Amod_spawn/ }
        $self->SUPER::children;
}

# Waits until every child is there and has its size; the sizes.
sub wait_for_children {
    my ($self) = @_;
    SpawnTest::wait_until(sub { my @c = $self->children; return @c >= $self->{children} }, 60)
        or die "httpd's children did not come\n" . $self->tail;
    my @asked = map { $self->begin('size') } 1 .. $self->{children};
    return map { 0 + $self->answer($_) } @asked;
}

# httpd and its children to one list of CPUs, spawner and broker (and so all
# jobs) to another.
sub place {
    my ($self, $children, $pair) = @_;
    Bench::Cpu::place($children, $self->{pid}, $self->children);
    Bench::Cpu::place($pair, $self->pair_and_jobs);
    return;
}

# Spawner, broker, and all below them.
sub pair_and_jobs {
    my ($self) = @_;
    return map { ($_, SpawnTest::Process::descendants_of($_)) } $self->spawner_pids;
}

# Waits until no job runs or waits.
sub drained {
    my ($self) = @_;
    $self->ask('fence');
    my $spawn = Apache2::Spawn->connect($self->socket);
    SpawnTest::wait_until(
        sub {
            my @spool = glob "$self->{runtime}/spawn/store/spool/*";
            return 0 if @spool;
            for my $state (qw(queued starting running)) {
                my @some = $spawn->list(state => $state, rows => 1);
                return 0 if @some;
            }
            return 1;
        },
        300
    ) or die "jobs do not end\n";
    return;
}

1;
