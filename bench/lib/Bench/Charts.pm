# SPDX-License-Identifier: Apache-2.0
#
# The charts of docs/performance.md: which figures they show. Runs in
# bench/report.

package Bench::Charts;

use strict;
use warnings;

use Bench::Svg ();

# Those that the page begins with, and what they say.
sub leading {
    return (
        [ held => 'The time that a handler is held by starting a program, by the size of its httpd child' ],
        [ calls => 'Perl calls per second, each in a process of its own, by the size of the template (of the kind `exec`, but where another is named)' ],
        [ site => 'A site whose every request makes such a call: what 99 of 100 clients wait at most, by rate' ],
    );
}

# file name => SVG text, of what was measured
sub all {
    my ($results) = @_;
    my %chart = (
        held => scalar _over($results, 'held', 'us that the handler is held, p50', 'MB of the child',
            'alone/free/spaced/%s/%s/p50', 20, 200, 1000),
        site => scalar _over($results, 'site', 'Each request makes a Perl call: us until the answer, p99', 'requests per second',
            'calls/%s/%s/p99', $results->rates),
        site_programs => scalar _over($results, 'site', 'Each request starts a program: us until the answer, p99', 'MB of the child',
            'programs/%s/%s/p99', 20, 200, 1000),
        jobs => scalar _jobs($results),
        calls => scalar _over($results, 'calls', 'Perl calls per second, a process for each, 4 in flight', 'MB of the template',
            'fork/%s/4/%s/rate', 10, 100, 500),
        after => scalar _after($results),
        growth => scalar _growth($results),
    );
    return map { defined $chart{$_} ? ($_ => $chart{$_}) : () } keys %chart;
}

sub _over {
    my ($results, $section, $title, $axis, $name, @x) = @_;
    my $data = $results->section($section) or return;
    my @lines;
    for my $way (sort map { /^way (.*)/ ? $1 : () } keys %{ $data->{notes} }) {
        my @points = map { my $figure = $results->get($section, sprintf $name, $_, $way); $figure ? [ $_, $figure->{median} ] : () } @x;
        push @lines, [ $data->{notes}{"way $way"}, @points ] if @points > 1;
    }
    return Bench::Svg::lines($title, $axis, @lines);
}

sub _jobs {
    my ($results) = @_;
    my @best = map { my $what = $_; [ $what, $results->best('jobs',
        map { my $how = $_; map { "$what/limit/$how/$_" } qw(1x1 16x1 4x2) } qw(fork vfork vm)) ] } qw(true static);
    my %shown = (true => '/bin/true', static => 'static program');
    return Bench::Svg::bars('Jobs per second, 16 callers',
        map {
            my ($what, $best) = @{$_};
            ([ "limit: best C loop, $shown{$what}", $best ],
                [ "spawn, accepted, $shown{$what}", $results->get('jobs', "$what/16/accepted") ],
                [ "Proc::FastSpawn, $shown{$what}", $results->get('jobs', "$what/16/fastspawn") ],
                [ "fork, exec, $shown{$what}", $results->get('jobs', "$what/16/fork_exec") ]);
        } @best);
}

sub _after {
    my ($results) = @_;
    return Bench::Svg::bars('50 ms of work after the answer, fixed rate: us for the answer, p99',
        map { [ $_->[0], $results->get('after', "offered/$_->[1]/p99") ] } [ 'no work', 'none' ],
        [ 'spawn_cleanup, workers', 'workers' ], [ 'spawn_cleanup, a process for each', 'spawn_cleanup' ],
        [ 'PerlCleanupHandler', 'cleanup_handler' ]);
}

sub _growth {
    my ($results) = @_;
    my $over = sub {
        my ($label, $name, @x) = @_;
        return [ $label, map { my $figure = $results->get('growth', sprintf $name, $_); $figure ? [ $_, $figure->{median} ] : () } @x ];
    };
    my @n = (0, 1, 10, 100, 1000, 10_000);
    return Bench::Svg::lines('Growth with running jobs', 'jobs that run',
        $over->('spawn, posted, us', 'running/%s/posted/p50', @n),
        $over->('spawn, accepted, us', 'running/%s/accepted/p50', @n),
        $over->('spawnctl ps, ms', 'running/%s/ps', @n),
        $over->('graceful restart, ms', 'running/%s/graceful', @n),
        $over->('spawner, RSS, kB', 'running/%s/spawner/rss', @n),
        $over->('broker, PSS, kB', 'running/%s/broker/pss', @n));
}

1;
