# SPDX-License-Identifier: Apache-2.0
#
# The limit: a message to a process in C that answers at once, starts the program that
# is named in it, and does nothing else. Runs in httpd's children, in the sections that
# name it.

use strict;
use warnings;

use Socket qw(AF_UNIX SOCK_SEQPACKET pack_sockaddr_un);

my $socket;

+{
    order => 22,
    name => 'limit: a bare message to a C program that starts it',
    limit => 1,
    by_name => 1,
    prepare => sub {
        my ($with) = @_;
        socket $socket, AF_UNIX, SOCK_SEQPACKET, 0 or die "socket: $!\n";
        connect $socket, pack_sockaddr_un($with->{starter}) or die "$with->{starter}: $!\n";
    },
    start => sub {
        my ($r, $argv) = @_;
        send $socket, pack('a512', join "\0", 'a' . $argv->[0], @{$argv}[ 1 .. $#{$argv} ]), 0 or die "send: $!\n";
        defined recv $socket, my $answer, 16, 0 or die "recv: $!\n";
    },
};
