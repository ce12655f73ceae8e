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
#
# A job records its own end. If it left that to the worker, the last ones would be
# recorded when the worker has waited for other work, five seconds later. Each says
# through a pipe that it has done so: questions to the database would take CPU that
# Minion does not take.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/../../t/lib";

use Minion ();
use POSIX ();
use Time::HiRes qw(CLOCK_MONOTONIC clock_gettime);

use Bench::Usage ();
use Bench::Work ();

use constant SETTLE => 0.1;     # until the processes of the last jobs have gone

die "usage: minion.pl BACKEND URL program|call COUNT AT_ONCE\n" if @ARGV != 5;
my ($backend, $url, $what, $count, $at_once) = @ARGV;

pipe my $ends, my $ended or die "pipe: $!\n";

sub finish {
    my ($job, @value) = @_;
    $job->finish(@value) or die "the end was not recorded\n";
    syswrite $ended, 'e';
    return;
}

sub minion {
    my $minion = Minion->new($backend => $url);
    $minion->app->log->level('error');
    $minion->add_task(program => sub { system('/bin/true') == 0 or die "true: $?\n"; finish($_[0]) });
    $minion->add_task(call => sub { finish($_[0], Bench::Work::echo($_[1])) });
    return $minion;
}

my $minion = minion();
$minion->reset({ all => 1 });
my $self = $$;
my $worker = fork;
defined $worker or die "fork: $!\n";
if ($worker == 0) {
    my $run = minion()->worker;
    @{ $run->status }{qw(jobs spare)} = ($at_once, 0);
    $run->run;
    POSIX::_exit(0);
}
END { kill KILL => $worker if $worker && $$ == $self }
# Waits until so many have recorded their ends.
my $finished = sub {
    my ($n) = @_;
    local $SIG{ALRM} = sub { die "Minion's jobs do not end\n" };
    alarm 60;
    while ($n > 0) {
        my $some = sysread($ends, my $bytes, $n);
        die "pipe: $!\n" if !$some;
        $n -= $some;
    }
    alarm 0;
    return;
};
# one that shows that the worker is there
$minion->enqueue($what => ['x']);
$finished->(1);
my $used = sub { return $ENV{BENCH_USAGE} ? Bench::Usage::us($ENV{BENCH_USAGE}) : 0 };
my $before = $used->();
my $from = clock_gettime(CLOCK_MONOTONIC);
$minion->enqueue($what => ['x']) for 1 .. $count;
$finished->($count);
my $took = clock_gettime(CLOCK_MONOTONIC) - $from;
select undef, undef, undef, SETTLE;    ## no critic (ProhibitSleepViaSelect)
my $us = $used->() - $before;
my $stats = $minion->stats;
kill TERM => $worker;
waitpid $worker, 0;
$worker = 0;
die "Minion has not recorded $count ends\n" if $stats->{finished_jobs} != $count + 1 || $stats->{failed_jobs};
printf '%.6f', $took;
printf ' %.0f', $us if $ENV{BENCH_USAGE};
print "\n";
