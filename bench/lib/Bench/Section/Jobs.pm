# SPDX-License-Identifier: Apache-2.0
#
# Section 2: jobs per second, to the end of the job, from one caller and from
# 16, against loops in C that start the same program with the same set-up. All
# processes may run everywhere. A quick run leaves out the one caller and some
# loops. Runs in bench/run.

package Bench::Section::Jobs;

use strict;
use warnings;

use Bench::Beside qw(program output);
use Bench::Cpu ();
use Bench::Httpd ();
use Bench::Ways ();
use SpawnTest ();

sub run {
    my ($class, $bench) = @_;
    my $httpd = Bench::Httpd->new(children => 16, conf => <<'END')->start;
SpawnMaxQueued 1000000
SpawnSubmitTimeout 20s
SpawnMaxJobs 16
END
    $httpd->wait_for_children;
    my %program = (true => '/bin/true', static => $httpd->program('tiny'));
    my @ways = _ways($bench);
    my @cases;
    for my $what (sort keys %program) {
        my $argv = $program{$what};
        for my $callers (@{ $bench->either([ 1, 16 ], [16]) }) {
            for my $way (@ways) {
                my @case = ($bench, $httpd, $what, $argv, @{$way}, $callers);
                push @cases, sub { _jobs(@case) };
            }
        }
        for my $how (qw(fork vfork)) {
            for my $form ([ 16, 1 ], [ 4, 2 ], @{ $bench->either([ [ 1, 1 ], [ 4, 1 ], [ 1, 2 ], [ 8, 2 ] ], []) }) {
                my @case = ($bench, $httpd, $what, $argv, $how, @{$form});
                push @cases, sub { _limit(@case) };
            }
        }
    }
    $bench->tell('jobs');
    $bench->rounds($bench->either(5, 1), @cases);
    $httpd->clean;
    return;
}

# [ name, submit ]: those that know of a job's end, by waiting for each or, ours,
# by waiting for the last that was submitted.
sub _ways {
    my ($bench) = @_;
    my $dir = SpawnTest::root_dir() . '/bench/ways';
    my @ways;
    for my $name (Bench::Ways::names($dir)) {
        my $way = Bench::Ways::load($dir, $name);
        my $submit = $way->{ours} && $name ne 'started' && $way->{start};
        next if !$submit && !$way->{to_the_end};
        if (my $missing = Bench::Ways::missing($way)) {
            $bench->skip($way->{name}, $missing);
            next;
        }
        push @ways, [ $name, $submit ? 1 : 0 ];
        $bench->note("way $name", $way->{name});
    }
    return @ways;
}

my %guess;

# Jobs of all callers together, as many as take most of a second (a first try
# tells how many). With $submit a caller submits all of its jobs and waits for the
# last; else it waits for each.
sub _jobs {
    my ($bench, $httpd, $what, $argv, $way, $submit, $callers) = @_;
    my $name = "$what/$callers/$way";
    my $count = $guess{$name} || 64;
    my $each = int($count / $callers) || 1;
    my @asked = map { $httpd->begin('jobs', way => $way, argv => $argv, count => $each, submit => $submit) }
        1 .. $callers;
    my ($from, $to);
    for my $times (map { $httpd->answer($_) } @asked) {
        $from = $times->[0] if !defined $from || $times->[0] < $from;
        $to = $times->[1] if !defined $to || $times->[1] > $to;
    }
    $httpd->drained;
    my $rate = $callers * $each / ($to - $from);
    if (!$guess{$name}) {
        $guess{$name} = int($rate * $bench->either(0.6, 0.15)) || 1;
        return _jobs($bench, $httpd, $what, $argv, $way, $submit, $callers);
    }
    $bench->figure($name, '/s', $rate);
    return;
}

sub _limit {
    my ($bench, $httpd, $what, $argv, $how, $in_flight, $loops) = @_;
    $bench->figure("$what/limit/$how/${in_flight}x$loops", '/s', output(
            join(',', Bench::Cpu::all()), program('start'), $how, $in_flight, $loops, $bench->either(0.3, 0.1),
            $httpd->uid, $httpd->gid, $argv));
    return;
}

1;
