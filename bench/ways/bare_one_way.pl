# SPDX-License-Identifier: Apache-2.0
#
# The limit: 512 bytes to a process that takes them and does nothing. Runs in
# httpd's children; starts no program.

use strict;
use warnings;

use Socket qw(AF_UNIX SOCK_SEQPACKET pack_sockaddr_un);

my $socket;
my $message = "\0" x 512;

+{
    order => 10,
    name => 'limit: a bare message',
    limit => 1,
    prepare => sub {
        my ($with) = @_;
        socket $socket, AF_UNIX, SOCK_SEQPACKET, 0 or die "socket: $!\n";
        connect $socket, pack_sockaddr_un($with->{peer}) or die "$with->{peer}: $!\n";
    },
    start => sub { send $socket, $message, 0 or die "send: $!\n" },
};
