# SPDX-License-Identifier: Apache-2.0
#
# Section 2: jobs per second, to the end of the job, from one caller and from
# 16, against loops in C that start the same program with the same set-up, and
# against Minion; and the CPU time of all processes for each job. All processes
# may run everywhere. A quick run leaves out the one caller and some loops. Runs
# in bench/run.

package Bench::Section::Jobs;

use strict;
use warnings;

use Bench::Beside qw(program output end_peers);
use Bench::Cpu ();
use Bench::Httpd ();
use Bench::Minion ();
use Bench::Ways ();
use SpawnTest ();

sub run {
    my ($class, $bench) = @_;
    my $httpd = Bench::Httpd->new(children => 16, usage => $bench->usage, conf => <<'END');
SpawnMaxQueued 1000000
SpawnSubmitTimeout 20s
SpawnMaxJobs 16
END
    my $inc = $httpd->dir . '/perl';
    $httpd->{conf} .= "SpawnTemplate app exec inc=$inc preload=Bench::Work\n";
    $httpd->start;
    $httpd->wait_for_children;
    my %program = (true => '/bin/true', static => $httpd->program('tiny'));
    my @ways = _ways($bench);
    my @cases;
    for my $what (sort keys %program) {
        my $argv = $program{$what};
        for my $callers (@{ $bench->either([ 1, 16 ], [16]) }) {
            for my $way (grep { !$_->[2] } @ways) {
                my @case = ($bench, $httpd, $what, $argv, @{$way}[ 0, 1 ], $callers);
                push @cases, sub { _jobs(@case) };
            }
        }
        for my $how (qw(fork vfork vm)) {
            for my $form ([ 16, 1 ], [ 4, 2 ], @{ $bench->either([ [ 1, 1 ] ], []) }) {
                my @case = ($bench, $httpd, $what, $argv, $how, @{$form});
                push @cases, sub { _limit(@case) };
            }
        }
    }
    for my $what (sort keys %program) {
        push @cases, sub { _recorded($bench, $httpd, $what, $program{$what}) };
    }
    push @cases, _passed_on($bench, $httpd, %program);
    push @cases, map { my $way = $_->[0]; sub { _jobs($bench, $httpd, 'call', 'x', $way, 1, 16) } } grep { $_->[2] } @ways;
    push @cases, _minion($bench);
    $bench->tell('jobs');
    $bench->rounds($bench->either(3, 1), @cases);
    $httpd->clean;
    end_peers();
    return;
}

# [ name, submit, perl ]: those that know of a job's end, by waiting for each or, ours,
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
        push @ways, [ $name, $submit ? 1 : 0, $way->{perl} ];
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
    my ($told, $us) = $bench->counted([ $httpd->{usage} ], sub {
        my @asked = map { $httpd->begin('jobs', way => $way, argv => $argv, count => $each, submit => $submit) }
            1 .. $callers;
        return [ map { $httpd->answer($_) } @asked ];
    });
    my ($from, $to);
    for my $times (@{$told}) {
        $from = $times->[0] if !defined $from || $times->[0] < $from;
        $to = $times->[1] if !defined $to || $times->[1] > $to;
    }
    $httpd->drained;
    my $rate = $callers * $each / ($to - $from);
    if (!$guess{$name}) {
        $guess{$name} = int($rate * $bench->either(0.4, 0.15)) || 1;
        return _jobs($bench, $httpd, $what, $argv, $way, $submit, $callers);
    }
    $bench->figure($name, '/s', $rate);
    $bench->cpu($name, $us, $callers * $each);
    return;
}

sub _limit {
    my ($bench, $httpd, $what, $argv, $how, $in_flight, $loops) = @_;
    my $beside = $bench->beside;
    my $run = sub {
        return output(join(',', Bench::Cpu::all()), program('start'), $how, $in_flight, $loops,
            $bench->either(0.3, 0.1), $httpd->uid, $httpd->gid, $argv);
    };
    my ($text, $us) = $bench->counted([$beside], sub { return $beside ? $beside->within($run) : $run->() });
    my ($rate, $count) = split / /, $text;
    my $name = "$what/limit/$how/${in_flight}x$loops";
    $bench->figure($name, '/s', $rate);
    $bench->cpu($name, $us, $count);
    return;
}

# 16 callers, a process that answers, queues and stores a row, one that starts and
# reaps: what a recorded start takes at least.
sub _recorded {
    my ($bench, $httpd, $what, $argv) = @_;
    my $beside = $bench->beside;
    my $run = sub {
        return output(join(',', Bench::Cpu::all()), program('recorded'), 16, $bench->either(50, 20), 16, $httpd->uid, $httpd->gid, $argv);
    };
    my ($text, $us) = $bench->counted([$beside], sub { return $beside ? $beside->within($run) : $run->() });
    my ($rate, $count) = split / /, $text;
    $bench->figure("$what/limit/recorded", '/s', $rate);
    $bench->cpu("$what/limit/recorded", $us, $count);
    return;
}

# AnyEvent::Fork's programs: nobody is told their ends, so only their CPU time counts.
sub _passed_on {
    my ($bench, $httpd, %program) = @_;
    my $way = Bench::Ways::load(SpawnTest::root_dir() . '/bench/ways', 'anyevent_fork');
    return if Bench::Ways::missing($way);
    $bench->note('way anyevent_fork', $way->{name});
    return map {
        my $what = $_;
        sub {
            my %how = (way => 'anyevent_fork', argv => $program{$what}, burst => 1, gap => 0, seconds => 30);
            # its templates come first
            my @first = map { $httpd->begin('held', %how, most => 2) } 1 .. 16;
            $httpd->answer($_) for @first;
            my ($told, $us) = $bench->counted([ $httpd->{usage} ], sub {
                my @asked = map { $httpd->begin('held', %how, most => $bench->either(12, 4)) } 1 .. 16;
                return [ map { $httpd->answer($_) } @asked ];
            });
            # the first of each is not told
            my $count = 16 + map { @{$_} } @{$told};
            $bench->cpu("$what/16/anyevent_fork", $us, $count);
        };
    } sort keys %program;
}

# Minion's jobs, to the end that it records.
sub _minion {
    my ($bench) = @_;
    my $name = 'Minion, PostgreSQL';
    if (my $why = Bench::Minion::missing()) {
        $bench->skip($name, $why);
        return;
    }
    $bench->note('way minion', $name);
    my $beside = $bench->beside;
    my $url = $beside ? $beside->within(sub { Bench::Minion::start($bench->temp) }) : Bench::Minion::start($bench->temp);
    my $count = $bench->either(400, 40);
    return map {
        my ($what, $task) = @{$_};
        sub {
            my ($seconds, $us) = Bench::Minion::took($url, $task, $count, $beside);
            $bench->figure("$what/minion", '/s', $count / $seconds);
            $bench->cpu("$what/minion", $us, $count);
        };
    } [ true => 'program' ], [ call => 'call' ];
}

1;
