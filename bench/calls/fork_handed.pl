#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The limit for calls that other processes make: a Perl of this size takes each call
# from a socket, forks, and the child answers the caller; the end is waited for and
# written down. One process between, where mod_spawn has three; no set-up, no queue, no
# checks, nothing that outlives a crash. A program of the suite, beside httpd.
#
#   fork_handed.pl MEGABYTES IN_FLIGHT SECONDS [GAP]

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/../../t/lib";

use POSIX ();
use Socket qw(AF_UNIX PF_UNSPEC SOCK_SEQPACKET);

use Bench::Calls qw(now);
use Bench::CallsHanded ();

my $all = Bench::CallsHanded->new;
my @callers;
for (1 .. $all->in_flight) {
    socketpair my $ours, my $theirs, AF_UNIX, SOCK_SEQPACKET, PF_UNSPEC or die "socketpair: $!\n";
    push @callers, $ours;
    $all->add(sub { close $_ for @callers; return $theirs });
}

Bench::Calls::begin();
open my $record, '>', '/dev/null' or die "/dev/null: $!\n";
my ($there, $running) = ('', 0);
vec($there, fileno $_, 1) = 1 for @callers;
$all->start;
while (@callers) {
    my $found = $there;
    select $found, undef, undef, $running ? 0.001 : undef;
    while ($running && (my $pid = waitpid -1, POSIX::WNOHANG()) > 0) {
        $running--;
        print {$record} "$pid ", now(), " $?\n";
    }
    for my $caller (my @asking = grep { vec $found, fileno $_, 1 } @callers) {
        if (!sysread $caller, my $asked, 100) {
            vec($there, fileno $caller, 1) = 0;
            @callers = grep { $_ != $caller } @callers;
            next;
        }
        my $pid = fork;
        defined $pid or die "fork: $!\n";
        if ($pid == 0) {
            syswrite $caller, Bench::Work::echo('x');
            POSIX::_exit(0);
        }
        $running++;
    }
}
1 while waitpid(-1, 0) > 0;
$all->told_by_all;
