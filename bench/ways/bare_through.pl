# SPDX-License-Identifier: Apache-2.0
#
# The limit of all that goes through another process: a bare message and its answer,
# which a C program passes on to the peer and back. Runs in httpd's children, in the
# sections that name it.

use strict;
use warnings;

use Socket qw(AF_UNIX SOCK_SEQPACKET pack_sockaddr_un);

my $socket;
my $message = 'a' . "\0" x 511;

+{
    order => 21,
    name => 'limit: a bare message, passed on, and its answer',
    limit => 1,
    by_name => 1,
    prepare => sub {
        my ($with) = @_;
        socket $socket, AF_UNIX, SOCK_SEQPACKET, 0 or die "socket: $!\n";
        connect $socket, pack_sockaddr_un($with->{through}) or die "$with->{through}: $!\n";
    },
    start => sub {
        send $socket, $message, 0 or die "send: $!\n";
        defined recv $socket, my $answer, 16, 0 or die "recv: $!\n";
    },
};
