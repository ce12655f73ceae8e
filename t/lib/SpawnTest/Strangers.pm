# SPDX-License-Identifier: Apache-2.0
#
# Callers that pass what does not close (t/probe/stranger.c), and a file system
# that stops answering (t/probe/hangfs.c). Runs in test scripts; ends what it
# started, by the pids that it holds, with the object.

package SpawnTest::Strangers;

use strict;
use warnings;

use File::Copy qw(copy);
use IO::Handle ();
use POSIX ();

use SpawnTest ();
use SpawnTest::Wait qw(wait_until);

# new($httpd): its programs, where every account can execute them.
sub new {
    my ($class, $httpd) = @_;
    for my $name (qw(stranger hangfs)) {
        my ($from, $to) = (SpawnTest::build_dir() . "/t/$name", $httpd->dir . "/bin/$name");
        copy($from, $to) or die "$from (make probe): $!\n";
        chmod 0755, $to or die "$to: $!\n";
    }
    return bless { dir => $httpd->dir, socket => $httpd->socket }, $class;
}

# Runs a stranger as this uid: what it said, as lines. It keeps its connections
# until the end.
sub comes {
    my ($self, $uid, @arguments) = @_;
    return $self->_run($uid, "$self->{dir}/bin/stranger", $self->{socket}, @arguments);
}

# A file that never closes once hang was called: its path, or undef and why.
sub hanging_file {
    my ($self) = @_;
    my $dir = "$self->{dir}/hang";
    return (undef, 'only root can mount') if $< != 0;
    return (undef, '/dev/fuse cannot be opened') if !open my $fuse, '+<', '/dev/fuse';
    mkdir $dir or die "$dir: $!\n";
    my @said = $self->_run(0, "$self->{dir}/bin/hangfs", $dir);
    return (undef, 'FUSE cannot be mounted here') if !@said || $said[0] ne 'ready';
    $self->{hangfs} = $self->{last};
    $self->{mount} = $dir;
    return "$dir/file";
}

# From now on.
sub hang {
    my ($self) = @_;
    kill USR1 => $self->{hangfs} or die "hangfs has gone: $!\n";
    return;
}

sub _run {
    my ($self, $uid, @command) = @_;
    unshift @command, 'setpriv', "--reuid=$uid", "--regid=$uid", '--clear-groups' if $< == 0 && $uid;
    pipe my $theirs, my $in or die "pipe: $!\n";
    pipe my $out, my $said or die "pipe: $!\n";
    my $pid = fork;
    defined $pid or die "fork: $!\n";
    if ($pid == 0) {
        open STDIN, '<&', $theirs or POSIX::_exit(1);
        open STDOUT, '>&', $said or POSIX::_exit(1);
        exec @command or POSIX::_exit(1);
    }
    close $theirs;
    close $said;
    $self->{running}{$pid} = $in;    # the pipe that is its stdin
    $self->{last} = $pid;
    return _lines($out);
}

# All that it says, until it says that it is done, or is ready, or ends.
sub _lines {
    my ($out) = @_;
    my $text = '';
    $out->blocking(0);
    wait_until(
        sub {
            my $n = sysread $out, $text, 4096, length $text;
            return (defined $n && $n == 0) || $text =~ /^(?:done|ready)$/m;
        },
        20
    );
    return grep { $_ ne 'done' } split /\n/, $text;
}

# Ends them all: before its httpd goes, whose directory they may have mounted.
sub DESTROY {
    my ($self) = @_;
    local $?;
    my %running = %{ delete $self->{running} || {} };
    # hangfs lets go of those that hang in it
    close $_ for values %running;
    for my $pid (keys %running) {
        wait_until(sub { waitpid($pid, POSIX::WNOHANG()) != 0 }, 10) or kill KILL => $pid;
    }
    # one that had to be killed has left it
    system 'umount', '-l', $self->{mount} if $self->{mount} && (stat $self->{mount})[0] != (stat $self->{dir})[0];
    return;
}

1;
