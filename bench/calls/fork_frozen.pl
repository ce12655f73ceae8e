#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The limit for calls that other processes make, from a template whose fork does not
# cost what it weighs: bench/c/fork_frozen.c forks for each, and nothing is between it
# and the callers. A program of the suite, beside httpd.
#
#   fork_frozen.pl MEGABYTES IN_FLIGHT SECONDS [GAP]

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/../../t/lib";

use File::Temp ();
use Socket qw(AF_UNIX SOCK_SEQPACKET pack_sockaddr_un);

use Bench::Beside qw(forker end_peers);
use Bench::Calls ();
use Bench::CallsHanded ();

my $temp = File::Temp->newdir('spawn-bench-XXXXXXXX', DIR => '/tmp');
my $path = "$temp/calls";
my $all = Bench::CallsHanded->new;
forker($path, $ARGV[0]);
$all->add(sub {
    socket my $socket, AF_UNIX, SOCK_SEQPACKET, 0 or die "socket: $!\n";
    connect $socket, pack_sockaddr_un($path) or die "$path: $!\n";
    return $socket;
}) for 1 .. $all->in_flight;
Bench::Calls::begin('template');
$all->start;
$all->told_by_all;
end_peers();
