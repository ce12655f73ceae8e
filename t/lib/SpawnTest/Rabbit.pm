# SPDX-License-Identifier: Apache-2.0
#
# One private RabbitMQ node for a test file: on 127.0.0.1, with its own directory under
# /tmp, cookie and epmd, as an account without a name when the test runs as root. It
# takes some seconds to start. Ends what it has started, by the pids that it holds: the
# start script, the Erlang VM, and epmd. No system service is touched.

package SpawnTest::Rabbit;

use strict;
use warnings;

use File::Path qw(make_path remove_tree);
use File::Temp ();
use IO::Socket::INET ();
use POSIX ();

use SpawnTest::Process qw(alive all_pids cmdline descendants_of);
use SpawnTest::Wait qw(wait_until);

use constant UID => 9650;
use constant START_SECONDS => 180;
use constant BIN => '/usr/lib/rabbitmq/bin';

# What a test of it needs.
sub is_there       { return -x BIN . '/rabbitmq-server' }
sub relay_is_there { return -x SpawnTest::build_dir() . '/mod_spawn/relay' }

# new(); nothing runs yet.
sub new {
    my ($class) = @_;
    my $dir = File::Temp::tempdir('spawn-rabbit-XXXXXXXX', DIR => '/tmp', CLEANUP => 0);
    my $self = bless { dir => $dir, owner => $$, map { $_ => _free_port() } qw(port epmd dist) }, $class;
    make_path(map {"$dir/$_"} qw(home mnesia log));
    _write("$dir/home/.erlang.cookie", join('', map { ('A' .. 'Z')[ rand 26 ] } 1 .. 20), 0400);
    _write("$dir/node.conf", "listeners.tcp.1 = 127.0.0.1:$self->{port}\ndisk_free_limit.absolute = 50MB\n", 0644);
    _write("$dir/plugins", "[].\n", 0644);
    if ($< == 0) {
        for my $path ($dir, map { ("$dir/$_") } qw(home mnesia log home/.erlang.cookie node.conf plugins)) {
            chown UID, UID, $path or die "$path: $!\n";
        }
    }
    return $self;
}

sub _free_port {
    my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die "a port: $!\n";
    return $socket->sockport;
}

sub _write {
    my ($path, $text, $mode) = @_;
    open my $out, '>', $path or die "$path: $!\n";
    print {$out} $text or die "$path: $!\n";
    close $out or die "$path: $!\n";
    chmod $mode, $path or die "$path: $!\n";
    return;
}

# What SpawnRelay wants.
sub url { return "amqp://guest:guest\@127.0.0.1:$_[0]{port}" }

sub _command {
    my ($self, @command) = @_;
    my $dir = $self->{dir};
    my @as = $< == 0 ? ('setpriv', '--reuid=' . UID, '--regid=' . UID, '--clear-groups') : ();
    return (
        @as, 'env', '-i', 'PATH=/usr/bin:/bin', 'LANG=C.UTF-8', "HOME=$dir/home",
        "ERL_EPMD_PORT=$self->{epmd}", 'ERL_EPMD_ADDRESS=127.0.0.1', 'RABBITMQ_NODENAME=spawn@localhost',
        "RABBITMQ_DIST_PORT=$self->{dist}", "RABBITMQ_MNESIA_BASE=$dir/mnesia", "RABBITMQ_LOG_BASE=$dir/log",
        "RABBITMQ_PLUGINS_EXPAND_DIR=$dir/expand", "RABBITMQ_PID_FILE=$dir/pid",
        "RABBITMQ_ENABLED_PLUGINS_FILE=$dir/plugins", "RABBITMQ_CONFIG_FILE=$dir/node.conf",
        'RABBITMQ_CONF_ENV_FILE=/dev/null',
        'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1} +S 1:1', @command
    );
}

sub _run {
    my ($self, $out, @command) = @_;
    my $pid = fork;
    defined $pid or die "fork: $!\n";
    if ($pid == 0) {
        POSIX::setsid();
        open STDIN, '<', '/dev/null' or POSIX::_exit(127);
        open STDOUT, '>', $out or POSIX::_exit(127);
        open STDERR, '>&', \*STDOUT or POSIX::_exit(127);
        exec $self->_command(@command) or POSIX::_exit(127);
    }
    return $pid;
}

# Starts the node, and waits until it takes connections.
sub start {
    my ($self) = @_;
    my $out = "$self->{dir}/out";
    unlink $out;
    $self->{pid} = $self->_run($out, BIN . '/rabbitmq-server');
    my $up = wait_until(
        sub {
            return -1 if waitpid($self->{pid}, POSIX::WNOHANG()) == $self->{pid};
            return _slurp($out) =~ /completed with/;
        },
        START_SECONDS
    );
    die "RabbitMQ did not start:\n" . _slurp($out) if !$up || $up < 0;
    return $self;
}

sub _slurp {
    my ($path) = @_;
    open my $in, '<', $path or return '';
    local $/ = undef;
    my $text = <$in>;
    return defined $text ? $text : '';
}

# The processes of the node: of the script that was started, and epmd, which the VM has
# started and left. All name our directory, or our port.
sub _pids {
    my ($self) = @_;
    my %ours = map { $_ => 1 } $self->{pid} ? ($self->{pid}, descendants_of($self->{pid})) : ();
    for my $pid (all_pids()) {
        my $line = join ' ', cmdline($pid);
        $ours{$pid} = 1 if index($line, $self->{dir}) >= 0 && $line =~ /beam|erl|inet_gethost|rabbitmq/;
        $ours{$pid} = 1 if $line =~ /\bepmd\b/ && _env($pid, "ERL_EPMD_PORT=$self->{epmd}");
    }
    delete $ours{$$};
    return keys %ours;
}

sub _env {
    my ($pid, $word) = @_;
    my $text = _slurp("/proc/$pid/environ");
    return scalar grep { $_ eq $word } split /\0/, $text;
}

# As an administrator does: it writes what it has. A node of this release that is killed
# within a second of a queue's declaration may never find a leader for that queue again.
sub stop {
    my ($self) = @_;
    kill TERM => grep { (cmdline($_))[0] =~ /beam/ } $self->_pids;
    wait_until(sub { waitpid($self->{pid}, POSIX::WNOHANG()) == $self->{pid} }, 120)
        or die "RabbitMQ does not stop\n";
    delete $self->{pid};
    $self->kill9;    # epmd
    return;
}

# kill -9 of all of it; what was confirmed stays in its directory.
sub kill9 {
    my ($self) = @_;
    my @pids = $self->_pids;
    kill KILL => @pids;
    waitpid $self->{pid}, 0 if $self->{pid};
    delete $self->{pid};
    wait_until(sub { !grep { alive($_) } @pids }, 60) or die "RabbitMQ does not end: @pids\n";
    return;
}

sub DESTROY {
    my ($self) = @_;
    return if $$ != $self->{owner};
    local ($?, $!, $@);
    $self->kill9;
    remove_tree($self->{dir});
    return;
}

1;
