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

use Bench::Calls qw(now told);

my (undef, $in_flight, $seconds, $gap) = @ARGV;
my (@callers, @told);

# A caller is a small process: it is forked before this one grows. It starts when
# it is told to, and says at its end how long each call took.
sub caller_of {
    my ($socket, $out) = @_;
    sysread $socket, my $go, 1;
    my $end = now() + $seconds;
    while ((my $from = now()) < $end) {
        syswrite $socket, 'x';
        sysread $socket, my $answer, 100;
        die "a call gave another value\n" if $answer ne 'x';
        print {$out} now() - $from, "\n";
        select undef, undef, undef, $gap if $gap;    ## no critic (ProhibitSleepViaSelect)
    }
    close $out;
    POSIX::_exit(0);
}

for (1 .. $in_flight) {
    socketpair my $ours, my $theirs, AF_UNIX, SOCK_SEQPACKET, PF_UNSPEC or die "socketpair: $!\n";
    pipe my $in, my $out or die "pipe: $!\n";
    my $pid = fork;
    defined $pid or die "fork: $!\n";
    if ($pid == 0) {
        close $_ for $ours, @callers;
        caller_of($theirs, $out);
    }
    close $_ for $theirs, $out;
    push @callers, $ours;
    push @told, $in;
}

Bench::Calls::begin();
open my $record, '>', '/dev/null' or die "/dev/null: $!\n";
my ($there, $running) = ('', 0);
vec($there, fileno $_, 1) = 1 for @callers;
syswrite $_, 'g' for @callers;
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
told(map { my $in = $_; map { chomp; $_ } <$in> } @told);
