# SPDX-License-Identifier: Apache-2.0
#
# The limit: 512 bytes to a process that answers at once with 16. Runs in
# httpd's children; starts no program.

use strict;
use warnings;

use Socket qw(AF_UNIX SOCK_SEQPACKET pack_sockaddr_un);

my $socket;
my $message = 'a' . "\0" x 511;

+{
    order => 20,
    name => 'limit: a bare message and its answer',
    limit => 1,
    prepare => sub {
        my ($with) = @_;
        socket $socket, AF_UNIX, SOCK_SEQPACKET, 0 or die "socket: $!\n";
        connect $socket, pack_sockaddr_un($with->{peer}) or die "$with->{peer}: $!\n";
    },
    start => sub {
        send $socket, $message, 0 or die "send: $!\n";
        defined recv $socket, my $answer, 16, 0 or die "recv: $!\n";
    },
};
