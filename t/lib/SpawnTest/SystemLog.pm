# SPDX-License-Identifier: Apache-2.0
#
# A system's log of the test's own, for one httpd: a datagram socket that is
# /dev/log in a mount namespace that only this httpd and what it starts are in.
# Runs in test scripts, as root; /dev of the machine is not touched.

package SpawnTest::SystemLog;

use strict;
use warnings;

use Socket qw(AF_UNIX SOCK_DGRAM MSG_DONTWAIT pack_sockaddr_un);

my $surround = <<'END';
dev=$1; shift
for name in null zero full random urandom tty; do
    test -c /dev/$name || continue
    : >$dev/$name && mount --bind /dev/$name $dev/$name || exit 1
done
for name in shm pts mqueue; do
    test -d /dev/$name || continue
    mkdir $dev/$name && mount --rbind /dev/$name $dev/$name || exit 1
done
ln -s /proc/self/fd $dev/fd
mount --rbind $dev /dev || exit 1
exec "$@"
END

# Why there can be none here; undef: there can.
sub missing {
    return 'needs root' if $< != 0;
    return 'needs a mount namespace (unshare -m) of its own'
        if system q(unshare -m sh -c 'mount --bind /dev/null /dev/zero' >/dev/null 2>&1);
    return;
}

# new($dir): in this directory, which is made.
sub new {
    my ($class, $dir) = @_;
    mkdir $dir or die "$dir: $!\n";
    chmod 0755, $dir or die "$dir: $!\n";
    my $self = bless { dir => $dir, text => '' }, $class;
    return $self->begin;
}

# Words of a command that runs another one where this is /dev/log.
sub wrapper { return ['unshare', '-m', 'sh', '-c', $surround, 'sh', $_[0]{dir}] }

# It listens, again when it had ended.
sub begin {
    my ($self) = @_;
    socket $self->{socket}, AF_UNIX, SOCK_DGRAM, 0 or die "socket: $!\n";
    bind $self->{socket}, pack_sockaddr_un("$self->{dir}/log") or die "$self->{dir}/log: $!\n";
    chmod 0666, "$self->{dir}/log" or die "$self->{dir}/log: $!\n";
    return $self;
}

sub end {
    my ($self) = @_;
    $self->text;
    close delete $self->{socket};
    unlink "$self->{dir}/log";
    return;
}

# All that has come, a line for each message.
sub text {
    my ($self) = @_;
    return $self->{text} if !$self->{socket};
    while (defined recv $self->{socket}, my $line, 65536, MSG_DONTWAIT) {
        $self->{text} .= "$line\n";
    }
    return $self->{text};
}

1;
