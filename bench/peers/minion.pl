#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Minion: puts so many jobs into its queue while its worker runs them, each in a
# process of its own, as many at once as it is told, none kept for others (its option
# -s 0). A program of the suite, beside httpd.
#
#   minion.pl BACKEND URL program|call COUNT AT_ONCE
#
# Prints the seconds from the first job's submit until all are recorded as finished
# and, when BENCH_USAGE names the file of a group, the us of CPU that it used then.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/../../t/lib";

use Minion ();
use POSIX ();
use Time::HiRes qw(CLOCK_MONOTONIC clock_gettime sleep);

use Bench::Usage ();
use Bench::Work ();

die "usage: minion.pl BACKEND URL program|call COUNT AT_ONCE\n" if @ARGV != 5;
my ($backend, $url, $what, $count, $at_once) = @ARGV;

sub minion {
    my $minion = Minion->new($backend => $url);
    $minion->app->log->level('error');
    $minion->add_task(program => sub { system('/bin/true') == 0 or die "true: $?\n" });
    $minion->add_task(call => sub { $_[0]->finish(Bench::Work::echo($_[1])) });
    return $minion;
}

my $minion = minion();
$minion->reset({ all => 1 });
my $worker = fork;
defined $worker or die "fork: $!\n";
if ($worker == 0) {
    my $run = minion()->worker;
    @{ $run->status }{qw(jobs spare)} = ($at_once, 0);
    $run->run;
    POSIX::_exit(0);
}
my $finished = sub {
    my ($n) = @_;
    my $end = clock_gettime(CLOCK_MONOTONIC) + 60;
    while (clock_gettime(CLOCK_MONOTONIC) < $end) {
        my $stats = $minion->stats;
        die "jobs of Minion failed\n" if $stats->{failed_jobs};
        return if $stats->{finished_jobs} >= $n;
        sleep 0.01;
    }
    kill KILL => $worker;
    die "Minion's jobs do not end\n";
};
# one that shows that the worker is there
$minion->enqueue($what => ['x']);
$finished->(1);
my $used = sub { return $ENV{BENCH_USAGE} ? Bench::Usage::us($ENV{BENCH_USAGE}) : 0 };
my $before = $used->();
my $from = clock_gettime(CLOCK_MONOTONIC);
$minion->enqueue($what => ['x']) for 1 .. $count;
$finished->($count + 1);
printf '%.6f', clock_gettime(CLOCK_MONOTONIC) - $from;
printf ' %.0f', $used->() - $before if $ENV{BENCH_USAGE};
print "\n";
kill TERM => $worker;
waitpid $worker, 0;
