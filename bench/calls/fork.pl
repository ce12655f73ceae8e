#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The limit for Perl calls: a bare fork of a Perl of this size, whose child
# answers through a pipe and is reaped; no set-up, no queue, no record. A program
# of the suite, beside httpd.
#
#   fork.pl MEGABYTES IN_FLIGHT SECONDS [GAP]

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/../../t/lib";

use POSIX ();

use Bench::Calls qw(now told rest);

my ($in_flight, $end) = Bench::Calls::begin();
my (%running, @took);

# one at least, however busy the machine is
while (now() < $end || %running || !@took) {
    while (keys %running < $in_flight && (now() < $end || !@took && !%running)) {
        my $from = now();
        pipe my $in, my $out or die "pipe: $!\n";
        my $pid = fork;
        defined $pid or die "fork: $!\n";
        if ($pid == 0) {
            syswrite $out, Bench::Work::echo('x');
            POSIX::_exit(0);
        }
        close $out;
        $running{$pid} = [ $from, $in ];
    }
    my $pid = waitpid -1, 0;
    my ($from, $in) = @{ delete $running{$pid} };
    sysread $in, my $answer, 100;
    die "a call gave another value\n" if $answer ne 'x';
    push @took, now() - $from;
    rest();
}
told(@took);
