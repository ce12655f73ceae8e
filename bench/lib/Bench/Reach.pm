# SPDX-License-Identifier: Apache-2.0
#
# What must be reached: each line is a ratio of two figures of one run (or a
# figure) and its bound. Says whether it is held; asserts nothing. Runs in
# bench/report.

package Bench::Reach;

use strict;
use warnings;

use Bench::Results ();

my %place = (free => 'free', apart => 'two CPUs', together => 'one CPU');

# [ { figure, reach, measured, held: yes, no or not measured } ]
sub lines {
    my ($results) = @_;
    return [ map { _line($_) } _held($results), _jobs($results), _calls($results), _after($results), _cost($results),
        _memory($results), _growth($results) ];
}

# A line before it is judged: what, figure or ratio, at_most or at_least, bound.
sub _line {
    my ($line) = @_;
    my ($what, $got, $sense, $bound, $unit) = @{$line};
    my $held = !$got ? 'not measured'
        : ($sense eq 'at most' ? $got->{median} <= $bound : $got->{median} >= $bound) ? 'yes' : 'no';
    my $times = $unit ? " $unit" : ' x';
    return {
        figure => $what,
        reach => "$sense " . Bench::Results::shown($bound) . $times,
        measured => $got ? Bench::Results::range($got) : '-',
        $got ? (map { $_ => $got->{$_} } qw(median min max)) : (),
        bound => $bound,
        held => $held,
    };
}

sub _ratio {
    my ($results, $section, $one, $other) = @_;
    return $results->ratio($results->get($section, $one), $results->get($section, $other));
}

sub _held {
    my ($results) = @_;
    my $of = sub { return _ratio($results, 'held', map { "$_/p50" } @_) };
    my @lines;
    for my $way ([ posted => 0.4, 'bare_one_way', 'a bare message' ],
        [ accepted => 0.9, 'bare_answered', 'a bare message and its answer' ]) {
        my ($name, $bound, $bare, $bare_shown) = @{$way};
        for my $place (qw(free apart together)) {
            my $at = "alone/$place/spaced/20";
            push @lines, [ "held, $name, alone ($place{$place}) / Proc::FastSpawn",
                $of->("$at/$name", "$at/fastspawn"), 'at most', $bound ];
        }
        for my $place (qw(free apart together)) {
            my $at = "alone/$place/spaced/20";
            push @lines, [ "held, $name, alone ($place{$place}) / $bare_shown",
                $of->("$at/$name", "$at/$bare"), 'at most', 2 ];
        }
        for my $size (20, 200, 1000) {
            push @lines, [ "held, $name, full load, $size MB / Proc::FastSpawn",
                $of->("load/$size/$name", "load/$size/fastspawn"), 'at most', $name eq 'posted' ? 0.02 : 1 ];
        }
    }
    push @lines, [ 'held, accepted, alone: 1000 MB / 20 MB',
        $of->(map { "alone/free/spaced/$_/accepted" } 1000, 20), 'at most', 1.1 ];
    for my $bound ([ 20, 1 / 20 ], [ 1000, 1 / 500 ]) {
        my $at = "alone/free/spaced/$bound->[0]";
        push @lines, [ "held, accepted, alone, $bound->[0] MB / fork, setsid, fork, exec",
            $of->("$at/accepted", "$at/double_fork"), 'at most', $bound->[1] ];
    }
    return @lines;
}

sub _jobs {
    my ($results) = @_;
    my @same = map { "true/limit/$_/16x1" } qw(fork vfork);
    my @any = map { my $how = $_; map { "static/limit/$how/$_" } qw(1x1 4x1 16x1 1x2 4x2 8x2) } qw(fork vfork);
    return (
        [ 'jobs/s, /bin/true, 16 callers / C loop, 16 in flight',
            $results->ratio($results->get('jobs', 'true/16/accepted'), $results->best('jobs', @same)), 'at least', 0.9 ],
        [ 'jobs/s, static program, 16 callers / best C loop',
            $results->ratio($results->get('jobs', 'static/16/accepted'), $results->best('jobs', @any)), 'at least', 0.6 ],
    );
}

sub _calls {
    my ($results) = @_;
    my @lines;
    for my $other ([ 'fork', 'a bare fork' ], [ 'anyevent_fork', 'AnyEvent::Fork' ]) {
        for my $size (10, 100, 500) {
            for my $callers (1, 4) {
                my $at = "fork/$size/$callers";
                push @lines, [ "calls/s, $size MB, $callers in flight / $other->[1]",
                    _ratio($results, 'calls', "$at/call/rate", "$at/$other->[0]/rate"), 'at least',
                    $other->[0] ne 'fork' ? 1.3 : $size > 10 ? 0.8 : 0.65 ];
            }
        }
    }
    for my $place (qw(free apart together)) {
        push @lines, [ "worker call ($place{$place}), p50 / a bare message and its answer",
            _ratio($results, 'calls', "worker/$place/1/p50", "worker/$place/bare_answered/p50"), 'at most', 3 ];
    }
    return @lines;
}

sub _after {
    my ($results) = @_;
    my %shown = (spawn_cleanup => 'a fork for each', workers => 'workers');
    my @lines;
    for my $way (qw(spawn_cleanup workers)) {
        for my $part (qw(p50 p99)) {
            push @lines, [ "50 ms after the answer, $shown{$way}, at a fixed rate, $part / no work",
                _ratio($results, 'after', "offered/$way/$part", "offered/none/$part"), 'at most', 1.1 ];
        }
    }
    return @lines;
}

# Within noise: not below the least that an httpd without it was, in a round,
# compared with another one without it.
sub _cost {
    my ($results) = @_;
    my $noise = _ratio($results, 'cost', 'requests/without_too/rate', 'requests/without/rate');
    return [ 'requests/s with mod_spawn / without, against two without',
        _ratio($results, 'cost', 'requests/with/rate', 'requests/without/rate'), 'at least',
        $noise ? ($noise->{min} < 1 ? $noise->{min} : 1) : 1 ];
}

sub _memory {
    my ($results) = @_;
    my $of = sub { return $results->get('growth', $_[0]) };
    my $mb = 1024;
    return (
        [ 'spawner, RSS', $of->('running/0/spawner/rss'), 'at most', 1.5 * $mb, 'kB' ],
        [ 'spawner, RSS, 10,000 running', $of->('running/10000/spawner/rss'), 'at most',
            1.5 * $mb + 10_000 * 200 / 1024, 'kB' ],
        [ 'broker, PSS', $of->('running/0/broker/pss'), 'at most', 6 * $mb, 'kB' ],
        [ 'broker, PSS, 10,000 running', $of->('running/10000/broker/pss'), 'at most', 6 * $mb + 10_000, 'kB' ],
        [ 'broker, PSS, 100,000 waiting', $of->('queued/100000/broker/pss'), 'at most', 6 * $mb + 100_000, 'kB' ],
    );
}

sub _growth {
    my ($results) = @_;
    my @lines;
    for my $there ([ queued => 'waiting' ], [ ended => 'ended', 'history' ]) {
        my ($note, $shown, $name) = @{$there};
        my $section = $results->section('growth');
        my $n = Bench::Results::shown($section ? $section->{notes}{$note} : undef);
        for my $reply (qw(posted accepted)) {
            push @lines, [ "submit, $reply, $n $shown / nothing there",
                _ratio($results, 'growth', 'compared/' . ($name || $note) . "/$reply/p50",
                    "compared/empty/$reply/p50"), 'at most', 1.2 ];
        }
    }
    for my $reply (qw(posted accepted)) {
        push @lines, [ "submit, $reply, 10,000 running / none", _ratio($results, 'growth',
            "running/10000/$reply/p50", "running/0/$reply/p50"), 'at most', 1.2 ];
    }
    # n log n from 1,000 to 10,000: 13.3 times
    for my $what ([ ps => 'spawnctl ps' ], [ graceful => 'graceful restart' ], [ started_in => 'to start them' ]) {
        push @lines, [ "$what->[1], 10,000 running / 1,000", _ratio($results, 'growth',
            map { "running/$_/$what->[0]" } 10_000, 1000), 'at most', 10 * log(10_000) / log 1000 ];
    }
    push @lines, [ 'from the end of a job to the begin of the next, p50',
        $results->get('growth', 'next/spawn/p50'), 'at most', 1000, 'us' ];
    return @lines;
}

1;
