# SPDX-License-Identifier: Apache-2.0
#
# The part of systemd for an external spawner, without systemd: listens at a control socket,
# starts the spawner when somebody connects, starts it again when it has died, and hears what
# it says of itself. Runs in test scripts, in a process of its own, which ends with the
# test's end of a pipe.

package SpawnTest::Supervisor;

use strict;
use warnings;

use Fcntl qw(F_SETFD);
use IO::Select ();
use POSIX qw(WNOHANG);
use Socket qw(AF_UNIX SOCK_DGRAM SOCK_SEQPACKET pack_sockaddr_un);

use SpawnTest ();
use SpawnTest::Wait qw(wait_until);

# new($httpd): for SpawnSpawner external with its path.
sub new {
    my ($class, $httpd) = @_;
    my $dir = $httpd->dir;
    my $self = bless { path => "$dir/control", ends => "$dir/spawner-ends", said => "$dir/spawner-said", heard => 0 }, $class;
    socket my $listen, AF_UNIX, SOCK_SEQPACKET, 0 or die "socket: $!\n";
    my $before = umask 0177;
    unlink $self->{path}, "$self->{path}-notify";    # of one that has ended
    bind $listen, pack_sockaddr_un($self->{path}) or die "$self->{path}: $!\n";
    umask $before;
    listen $listen, 10 or die "listen: $!\n";
    socket my $notify, AF_UNIX, SOCK_DGRAM, 0 or die "socket: $!\n";
    bind $notify, pack_sockaddr_un("$self->{path}-notify") or die "notify: $!\n";
    pipe my $life, $self->{life} or die "pipe: $!\n";
    my $pid = fork;
    defined $pid or die "fork: $!\n";
    if ($pid == 0) {
        delete @SIG{qw(INT TERM HUP PIPE)};
        close $self->{life};
        eval { $self->_serve($listen, $notify, $life, $httpd->socket) } or warn $@;
        POSIX::_exit(0);
    }
    $self->{pid} = $pid;
    return $self;
}

sub path { return $_[0]{path} }

# The codes and signals that spawners have ended with: "0", "signal 9".
sub ends {
    my ($self) = @_;
    open my $in, '<', $self->{ends} or return;
    return map { chomp; $_ } <$in>;
}

# The next that a spawner says of itself and that matches, or undef.
sub hear {
    my ($self, $pattern, $seconds) = @_;
    return wait_until(
        sub {
            open my $in, '<', $self->{said} or return;
            local $/ = "\0";
            my @said = <$in>;
            while ($self->{heard} < @said) {
                my $one = $said[ $self->{heard} ];
                return if $one !~ s/\0\z//;    # half of it
                $self->{heard}++;
                return $one if $one =~ $pattern;
            }
            return;
        },
        $seconds
    );
}

# No more spawners are started.
sub end {
    my ($self) = @_;
    my $pid = delete $self->{pid} or return;
    close $self->{life};
    waitpid $pid, 0;
    return;
}

sub DESTROY { local $?; $_[0]->end; return }

sub _serve {
    my ($self, $listen, $notify, $life, $socket) = @_;
    my $running = 0;
    while (1) {
        my %ready = map { $_ => 1 } IO::Select->new($life, $notify, $running ? () : $listen)->can_read(0.05);
        return 1 if $ready{$life};
        if ($ready{$notify} && defined recv $notify, my $said, 4096, 0) {
            _add($self->{said}, "$said\0");
        }
        if (!$running) {
            $running = $self->_start($listen, $socket) if $ready{$listen};
        } elsif (waitpid($running, WNOHANG) == $running) {
            my $status = $?;
            _add($self->{ends}, ($status & 127 ? 'signal ' . ($status & 127) : $status >> 8) . "\n");
            $running = $status == 0 ? 0 : $self->_start($listen, $socket);
        }
    }
    return;
}

sub _add {
    my ($file, $text) = @_;
    open my $out, '>>', $file or die "$file: $!\n";
    syswrite $out, $text;
    close $out or die "$file: $!\n";
    return;
}

sub _start {
    my ($self, $listen, $socket) = @_;
    my $pid = fork;
    defined $pid or die "fork: $!\n";
    return $pid if $pid;
    POSIX::setsid();
    # The second word is for who looks for the httpd's spawner.
    my @words = ('mod_spawn spawner', $socket);
    my $program = SpawnTest::build_dir() . '/mod_spawn/spawner';    # as the environment says, which goes
    open STDIN, '<', '/dev/null' or POSIX::_exit(126);
    open STDOUT, '>', '/dev/null' or POSIX::_exit(126);
    POSIX::dup2(fileno $listen, 3) if fileno $listen != 3;
    fcntl $listen, F_SETFD, 0 if fileno $listen == 3;
    %ENV = (LISTEN_PID => $$, LISTEN_FDS => 1, NOTIFY_SOCKET => "$self->{path}-notify", WATCHDOG_USEC => 2_000_000);    ## no critic (RequireLocalizedPunctuationVars)
    exec {$program} @words or POSIX::_exit(127);
}

1;
