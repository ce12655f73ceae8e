# SPDX-License-Identifier: Apache-2.0
#
# The bounds that must be reached: each line is a ratio of two figures of one
# run (or a figure) and its bound. Says whether it is held; asserts nothing.
# Runs in bench/report.

package Bench::Reach;

use strict;
use warnings;

use Bench::Results ();

my @sizes = (10, 100, 500);
my @places = ([ free => 'free' ], [ apart => 'two CPUs' ], [ together => 'one CPU' ]);

# [ { figure, reach, measured, held: yes, no or not measured, limit } ]
sub lines {
    my ($results) = @_;
    return [ map { _line($_) } map { $_->($results) } \&_calls, \&_jobs, \&_workers, \&_held, \&_site, \&_after, \&_start,
        \&_cost, \&_growth ];
}

# A line before it is judged: what, figure or ratio, at most or at least, bound, unit,
# and what a program that does no more than it has to makes of it.
sub _line {
    my ($line) = @_;
    my ($what, $got, $sense, $bound, $unit, $limit) = @{$line};
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
        limit => $limit ? Bench::Results::shown($limit->{median}) : '',
    };
}

sub _ratio {
    my ($results, $section, $one, $other) = @_;
    return $results->ratio($results->get($section, $one), $results->get($section, $other));
}

# ---- Perl calls with a process of their own ----

sub _calls {
    my ($results) = @_;
    my $of = sub { return _ratio($results, 'calls', @_) };
    # of a fork that copies page tables only where these are few
    my $limit = sub {
        my ($size, $form, $other, $what) = @_;
        return (grep { defined } map { $of->(map { "fork/$size/$form/$_/$what" } $_, $other) } 'fork_frozen',
            $size == 10 ? 'fork_handed' : ())[0];
    };
    my %anyevent = (10 => 1.3, 100 => 4, 500 => 15);
    my %fork = (10 => { 1 => 1, 4 => 0.85 }, 100 => { 1 => 4, 4 => 4 }, 500 => { 1 => 15, 4 => 15 });
    my @lines;
    for my $size (@sizes) {
        my $at = "fork/$size";
        for my $n (1, 4) {
            push @lines, [ "calls/s, $size MB, $n in flight / AnyEvent::Fork",
                $of->(map { "$at/$n/$_/rate" } qw(call anyevent_fork)), 'at least', $anyevent{$size}, undef,
                $limit->($size, $n, 'anyevent_fork', 'rate') ];
        }
        push @lines, [ "call, $size MB, spaced, p50 / AnyEvent::Fork",
            $of->(map { "$at/spaced/$_/p50" } qw(call anyevent_fork)), 'at most', 0.6, undef,
            $limit->($size, 'spaced', 'anyevent_fork', 'p50') ];
    }
    for my $size (@sizes) {
        for my $n (1, 4) {
            push @lines, [ "calls/s, $size MB, $n in flight / a bare fork",
                $of->(map { "fork/$size/$n/$_/rate" } qw(call fork)), 'at least', $fork{$size}{$n}, undef,
                $limit->($size, $n, 'fork', 'rate') ];
        }
    }
    for my $size (@sizes) {
        for my $form ([ 1 => '1 in flight' ], [ 4 => '4 in flight' ], [ spaced => 'spaced' ]) {
            push @lines, [ "CPU time of a call, $size MB, $form->[1] / AnyEvent::Fork",
                $of->(map { "fork/$size/$form->[0]/$_/cpu" } qw(call anyevent_fork)), 'at most', 1, undef,
                $limit->($size, $form->[0], 'anyevent_fork', 'cpu') ];
        }
    }
    push @lines, map { [ "memory of one more call (PSS), $_ MB", $results->get('calls', "memory/$_/pss"), 'at most', 1024, 'kB' ] }
        @sizes;
    return @lines;
}

# ---- jobs ----

sub _jobs {
    my ($results) = @_;
    my $of = sub { return _ratio($results, 'jobs', @_) };
    my @any = map { my $how = $_; map { "static/limit/$how/$_" } qw(1x1 16x1 4x2) } qw(fork vfork vm);
    my %shown = (true => '/bin/true', static => 'static program');
    return (
        [ 'jobs/s, /bin/true, 16 callers / C loop, fork, 16 in flight', $of->('true/16/accepted', 'true/limit/fork/16x1'),
            'at least', 0.95, undef, $of->('true/limit/recorded', 'true/limit/fork/16x1') ],
        [ 'jobs/s, static program, 16 callers / best C loop of any kind',
            $results->ratio($results->get('jobs', 'static/16/accepted'), $results->best('jobs', @any)), 'at least', 0.7 ],
        (map { [ "jobs/s, $shown{$_}, 16 callers / Proc::FastSpawn in handlers", $of->("$_/16/accepted", "$_/16/fastspawn"),
            'at least', 0.85 ] } qw(true static)),
        (map { [ "CPU time of a job, $shown{$_} / C loop, fork, 16 in flight",
            $of->("$_/16/accepted/cpu", "$_/limit/fork/16x1/cpu"), 'at most', 1.35, undef,
            $of->("$_/limit/recorded/cpu", "$_/limit/fork/16x1/cpu") ] } qw(true static)),
        (map { [ "CPU time of a job, $shown{$_} / AnyEvent::Fork, passed on",
            $of->("$_/16/accepted/cpu", "$_/16/anyevent_fork/cpu"), 'at most', 1 ] } qw(true static)),
        [ 'jobs/s, /bin/true, 16 callers / Minion', $of->('true/16/accepted', 'true/minion'), 'at least', 8 ],
        [ 'jobs/s, a Perl function, 16 callers / Minion', $of->('call/16/perl_call', 'call/minion'), 'at least', 8 ],
    );
}

# ---- workers ----

sub _workers {
    my ($results) = @_;
    my $get = sub { return $results->get('workers', $_[0]) };
    my $of = sub { return _ratio($results, 'workers', @_) };
    return (
        [ 'worker call from a handler, p50', $get->('1/spawn/p50'), 'at most', 40, 'us', $get->('1/bare_through/p50') ],
        [ 'worker calls/s, 4 callers', $get->('4/spawn/rate'), 'at least', 25_000, '/s' ],
        [ 'CPU time of a worker call', $get->('1/spawn/cpu'), 'at most', 50, 'us' ],
        [ 'worker call, p50 / AnyEvent::Fork::RPC', $of->('1/spawn/p50', '1/rpc/p50'), 'at most', 0.5 ],
        [ 'worker call, p50 / Gearman', $of->('1/spawn/p50', '1/gearman/p50'), 'at most', 0.15 ],
    );
}

# ---- held ----

sub _held {
    my ($results) = @_;
    my $of = sub { return _ratio($results, 'held', map { "$_/p50" } @_) };
    my @lines;
    for my $place (@places) {
        my $at = "alone/$place->[0]/spaced/20";
        push @lines, [ "held, accepted ($place->[1]) / a bare message and its answer", $of->("$at/accepted", "$at/bare_answered"),
            'at most', $place->[0] eq 'together' ? 3 : 1.6, undef,
            $of->(map { "alone/$place->[0]/spaced/c/$_" } qw(bare_job bare_answered)) ];
    }
    for my $place (@places) {
        my $at = "alone/$place->[0]/spaced/20";
        push @lines, [ "held, posted, spaced ($place->[1]) / a bare message and 15 us",
            $results->ratio($results->get('held', "$at/posted/p50"), _more($results->get('held', "$at/bare_one_way/p50"), 15)),
            'at most', 2 ];
    }
    my $at = 'alone/free/burst/20';
    push @lines, [ 'held, posted, in a row / a bare message', $of->("$at/posted", "$at/bare_one_way"), 'at most', 2 ];
    return @lines;
}

# The figure and so much.
sub _more {
    my ($figure, $more) = @_;
    return if !$figure;
    return { median => $figure->{median} + $more, rounds => [ map { $_ + $more } @{ $figure->{rounds} } ] };
}

# ---- a site ----

sub _site {
    my ($results) = @_;
    my @lines;
    for my $other ([ fastspawn => 0.3, 'Proc::FastSpawn' ], [ fork_exec => 0.1, 'fork, exec' ],
        [ double_fork => 0.05, 'fork, setsid, fork, exec' ]) {
        my ($way, $bound, $shown) = @{$other};
        for my $size (20, 200, 1000) {
            for my $part (qw(p50 p99)) {
                push @lines, [ "a site, each request a program, $size MB, $part / $shown",
                    _ratio($results, 'site', map { "programs/$size/$_/$part" } 'accepted', $way), 'at most', $bound, undef,
                    _ratio($results, 'site', map { "programs/$size/$_/$part" } 'bare_start', $way) ];
            }
        }
    }
    push @lines, [ 'a site, each request a Perl call, largest rate with p99 < 10 ms / AnyEvent::Fork',
        _ratio($results, 'site', map { "calls/largest/$_" } qw(spawn anyevent_fork)), 'at least', 2, undef,
        _ratio($results, 'site', map { "calls/largest/$_" } qw(frozen anyevent_fork)) ];
    return @lines;
}

# ---- after the answer ----

sub _after {
    my ($results) = @_;
    my %shown = (spawn_cleanup => 'a process for each', workers => 'workers');
    my @lines;
    for my $way (qw(spawn_cleanup workers)) {
        for my $part ([ p50 => 1.1 ], [ p99 => 1.5 ]) {
            push @lines, [ "50 ms after the answer, $shown{$way}, $part->[0] / no work",
                _ratio($results, 'after', map { "offered/$_/$part->[0]" } $way, 'none'), 'at most', $part->[1], undef,
                _ratio($results, 'after', map { "offered/$_/$part->[0]" } 'limit', 'none') ];
        }
    }
    return @lines;
}

# ---- moments ----

sub _start {
    my ($results) = @_;
    my @lines;
    for my $way (qw(accepted posted)) {
        for my $part (qw(p50 p99)) {
            push @lines, [ "from submit ($way) to the first instruction, $part / Proc::FastSpawn",
                _ratio($results, 'start', map { "first/$_/$part" } $way, 'fastspawn'), 'at most', 1.5, undef,
                _ratio($results, 'start', map { "first/$_/$part" } 'bare_start', 'fastspawn') ];
        }
    }
    return (
        @lines,
        [ 'from the end of a job to the begin of the next, p50 / C loop', _ratio($results, 'start', 'next/spawn/p50', 'next/limit/p50'),
            'at most', 1.15 ],
        [ 'from kill -9 of the broker to the next accepted', $results->get('start', 'broker_dies'), 'at most', 20, 'ms' ],
    );
}

# ---- the cost of being there ----

sub _cost {
    my ($results) = @_;
    return (
        [ 'CPU time of a request that does not use it, with / without, two virtual hosts',
            _ratio($results, 'cost', 'hosts/with/cpu', 'hosts/without/cpu'), 'at most', 1.01 ],
        [ 'static page beside 16 CPU-bound jobs with nice 19, p99 / idle',
            _ratio($results, 'cost', 'static/niced/p99', 'static/idle/p99'), 'at most', 2, undef,
            _ratio($results, 'cost', 'static/limit/p99', 'static/idle/p99') ],
        [ 'requests/s of a handler, with 50 open status pages / without',
            _ratio($results, 'cost', 'pages/open/rate', 'pages/none/rate'), 'at least', 0.97 ],
    );
}

# ---- growth ----

sub _growth {
    my ($results) = @_;
    my $get = sub { return $results->get('growth', $_[0]) };
    my $section = $results->section('growth');
    my $n = sub { return $section ? $section->{notes}{ $_[0] } : undef };
    my $mb = 1024;
    my ($running) = grep { $get->("running/$_/graceful") } 10_000, 1000;
    $running ||= 10_000;
    my ($many, $waiting) = map { Bench::Results::shown($_) } $running, $n->('queued') || 100_000;
    my @lines = (
        [ "graceful restart, $many running", $get->("running/$running/graceful"), 'at most', 500, 'ms' ],
        [ 'spawner, RSS', $get->('running/0/spawner/rss'), 'at most', 1.5 * $mb, 'kB' ],
        [ "spawner, RSS, $many running", $get->("running/$running/spawner/rss"), 'at most', 1.5 * $mb + $running * 200 / 1024,
            'kB' ],
        [ 'broker, PSS', $get->('running/0/broker/pss'), 'at most', 6 * $mb, 'kB' ],
        [ "broker, PSS, $many running", $get->("running/$running/broker/pss"), 'at most', 6 * $mb + $running, 'kB' ],
        [ "broker, PSS, $waiting waiting", $get->('queued/' . ($n->('queued') || 100_000) . '/broker/pss'), 'at most',
            6 * $mb + ($n->('queued') || 100_000), 'kB' ],
    );
    for my $there ([ queued => 'waiting', 'queued', 100_000 ], [ ended => 'ended', 'history', 1_000_000 ]) {
        my ($note, $shown, $name, $usual) = @{$there};
        my $count = Bench::Results::shown($n->($note) || $usual);
        for my $reply (qw(posted accepted)) {
            push @lines, [ "submit, $reply, $count $shown / nothing there",
                _ratio($results, 'growth', map { "compared/$_/$reply/p50" } $name, 'empty'), 'at most', 1.2 ];
        }
    }
    return @lines;
}

1;
