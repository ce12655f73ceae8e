# SPDX-License-Identifier: Apache-2.0
#
# The tables of each section: which figures stand where. A table is { title, head,
# rows }, all text. Runs in bench/report.

package Bench::Tables;

use strict;
use warnings;

use Bench::Results ();

my %tables = (
    held => \&_held, jobs => \&_jobs, calls => \&_calls, after => \&_after, cost => \&_cost, growth => \&_growth,
);

sub sections { return qw(held jobs calls after cost growth) }

# The tables of a section that was measured.
sub of {
    my ($results, $section) = @_;
    return if !$results->section($section);
    return grep { @{ $_->{rows} } } $tables{$section}->($results);
}

# A table with a row for each [ label, name part ], a column for each, and in
# each cell what the code gives for the two parts. Rows with nothing are left out.
sub _table {
    my ($title, $corner, $rows, $columns, $cell) = @_;
    my @rows;
    for my $row (@{$rows}) {
        my @cells = map { $cell->($row->[1], $_->[1]) } @{$columns};
        push @rows, [ $row->[0], @cells ] if grep { $_ ne '-' } @cells;
    }
    return { title => $title, head => [ $corner, map { $_->[0] } @{$columns} ], rows => \@rows };
}

# p50 (least and biggest of the rounds) / p99
sub _times {
    my ($results, $section, $name) = @_;
    my $p50 = $results->get($section, "$name/p50") or return '-';
    return Bench::Results::range($p50) . ' / ' . Bench::Results::shown($results->get($section, "$name/p99")->{median});
}

sub _range { my ($results, $section, $name) = @_; return Bench::Results::range($results->get($section, $name)) }

# The ways of a section, as [ shown, name ], in their order.
sub _ways {
    my ($results, $section) = @_;
    my $notes = $results->section($section)->{notes};
    my %order;
    my $n = 0;
    for my $figure (@{ $results->section($section)->{figures} }) {
        $order{$_} ||= ++$n for split m{/}, $figure->{name};
    }
    my $rank = sub { my ($shown) = @_; return $shown =~ /^limit/ ? 0 : $shown =~ /^(?:spawn|call)/ ? 1 : 2 };
    my @ways = map { [ $notes->{$_}, substr $_, 4 ] } grep { /^way / } keys %{$notes};
    @ways = sort { $rank->($a->[0]) <=> $rank->($b->[0]) || $a->[0] cmp $b->[0] } @ways;
    return \@ways;
}

my @sizes = map { [ "$_ MB", $_ ] } 20, 200, 1000;
my @places = ([ 'free', 'free' ], [ 'two CPUs', 'apart' ], [ 'one CPU', 'together' ]);

sub _held {
    my ($results) = @_;
    my $ways = _ways($results, 'held');
    my $times = sub { return _times($results, 'held', @_) };
    my @from_c = (['from C: a bare message', 'c/bare_one_way'], [ 'from C: a bare message and its answer', 'c/bare_answered' ]);
    return (
        _table('Alone, one call every 3 ms: us held, p50 (min-max) / p99', 'child of', $ways, \@sizes,
            sub { $times->("alone/free/spaced/$_[1]/$_[0]") }),
        _table('Alone, 8 calls in a row every 30 ms: us held, p50 (min-max) / p99', 'child of', $ways, \@sizes,
            sub { $times->("alone/free/burst/$_[1]/$_[0]") }),
        _table('Alone, one call every 3 ms, 20 MB, by where processes may run: us held, p50 (min-max) / p99',
            'handler and the rest on', [ (map { [ $_->[0], "20/$_->[1]" ] } @{$ways}), @from_c ], \@places,
            sub { $times->("alone/$_[1]/spaced/$_[0]") }),
        _table('Under full load, 8 clients: us held, p50 (min-max) / p99', 'children of', $ways, \@sizes,
            sub { $times->("load/$_[1]/$_[0]") }),
        _table('Under full load, 8 clients: requests per second, of which each starts one', 'children of', $ways, \@sizes,
            sub { _range($results, 'held', "load/$_[1]/$_[0]/rate") }),
    );
}

sub _jobs {
    my ($results) = @_;
    my @what = ([ '/bin/true', 'true' ], [ 'static program', 'static' ]);
    my @columns = map { my $w = $_; map { [ "$w->[0], $_ caller" . ($_ > 1 ? 's' : ''), "$w->[1]/$_" ] } 1, 16 } @what;
    my @limits = map { my $how = $_; map { [ "C loop, $how, " . _form($_), "$how/$_" ] } qw(1x1 4x1 16x1 1x2 4x2 8x2) }
        qw(fork vfork);
    return (
        _table('Jobs per second, to the end of the job', 'way', _ways($results, 'jobs'), \@columns,
            sub { _range($results, 'jobs', "$_[1]/$_[0]") }),
        _table('The limit: starts per second', 'loop', \@limits, \@what,
            sub { _range($results, 'jobs', "$_[1]/limit/$_[0]") }),
    );
}

sub _form {
    my ($in_flight, $loops) = split /x/, $_[0];
    return "$in_flight in flight" . ($loops > 1 ? ", $loops loops" : '');
}

sub _calls {
    my ($results) = @_;
    my $ways = _ways($results, 'calls');
    my @columns = map { my $size = $_; map { [ "$size MB, $_ in flight", "$size/$_" ] } 1, 4 } 10, 100, 500;
    my @workers = ((map { [ "call of a worker, $_ caller" . ($_ > 1 ? 's' : ''), $_ ] } 1, 4),
        [ 'limit: a bare message and its answer', 'bare_answered' ]);
    return (
        _table('A process for each call, calls per second', 'template of', $ways, \@columns,
            sub { _range($results, 'calls', "fork/$_[1]/$_[0]/rate") }),
        _table('A process for each call, us until the answer, p50 (min-max) / p99', 'template of', $ways, \@columns,
            sub { _times($results, 'calls', "fork/$_[1]/$_[0]") }),
        _table('Workers, us until the answer, p50 (min-max) / p99', 'handler and the rest on', \@workers, \@places,
            sub { _times($results, 'calls', "worker/$_[1]/$_[0]") }),
        _table('Workers, calls per second', 'handler and the rest on', \@workers, \@places,
            sub { _range($results, 'calls', "worker/$_[1]/$_[0]/rate") }),
    );
}

sub _after {
    my ($results) = @_;
    my @ways = ([ 'no work', 'none' ], [ 'PerlCleanupHandler', 'cleanup_handler' ],
        [ 'spawn_cleanup, a fork for each', 'spawn_cleanup' ], [ 'spawn_cleanup, workers', 'workers' ]);
    my $offered = $results->get('after', 'offered/none/rate');
    my $rate = $offered ? Bench::Results::shown($offered->{median}) : '-';
    return _table('50 ms of waiting after the answer, 8 children', 'way', \@ways,
        [ [ 'requests/s, closed loop', 'closed' ], [ "us at $rate requests/s, p50 (min-max) / p99", 'offered' ] ],
        sub {
            return $_[1] eq 'closed'
                ? _range($results, 'after', "closed/$_[0]/rate") : _times($results, 'after', "offered/$_[0]");
        });
}

sub _cost {
    my ($results) = @_;
    my @rows = ([ 'with mod_spawn', 'with' ], [ 'without', 'without' ], [ 'without, another', 'without_too' ]);
    return _table('A handler that does not use it', 'httpd', \@rows,
        [ [ 'requests/s', 'rate' ], [ 'us, p50 (min-max) / p99', 'times' ], [ 'ms to start', 'start' ] ],
        sub {
            my ($who, $what) = @_;
            return $what eq 'rate' ? _range($results, 'cost', "requests/$who/rate")
                : $what eq 'start' ? _range($results, 'cost', "start/$who")
                : _times($results, 'cost', "requests/$who");
        });
}

sub _growth {
    my ($results) = @_;
    my $range = sub { return _range($results, 'growth', @_) };
    my $times = sub { return _times($results, 'growth', @_) };
    my @running = map { [ Bench::Results::shown($_), "running/$_" ] } 0, 1, 10, 100, 1000, 10_000;
    my @queued = map { [ Bench::Results::shown($_), "queued/$_" ] } 0, 1000, 10_000, 100_000;
    my $notes = $results->section('growth')->{notes};
    my @compared = ([ 'nothing', 'compared/empty' ],
        [ Bench::Results::shown($notes->{queued}) . ' waiting', 'compared/queued' ],
        [ Bench::Results::shown($notes->{ended}) . ' ended', 'compared/history' ]);
    my @costs = ([ 'spawn, posted, us', 'posted' ], [ 'spawn, accepted, us', 'accepted' ],
        [ 'spawnctl ps -n 20, ms', 'ps_20' ], [ 'spawnctl ps, ms', 'ps' ],
        [ 'graceful restart, ms', 'graceful' ], [ 'stop and start, ms', 'stop_start' ]);
    my @memory = map { my $who = $_; map { [ "$who, \U$_\E kB", "$who/$_" ] } qw(rss pss) } qw(spawner broker);
    my $cost = sub {
        my ($row, $column) = @_;
        return $column =~ /^(?:posted|accepted)$/ ? $times->("$row/$column") : $range->("$row/$column");
    };
    my @next = ([ 'mod_spawn, SpawnMaxJobs 1', 'next/spawn' ], [ 'limit: C loop', 'next/limit' ]);
    return (
        _table('So many jobs run', 'running', \@running, [ @costs[ 0 .. 4 ] ], $cost),
        _table('So many jobs are there', 'there', \@compared, \@costs, $cost),
        _table('Memory by running jobs', 'running', \@running, \@memory, sub { $range->("$_[0]/$_[1]") }),
        _table('Memory by waiting jobs', 'waiting', \@queued, \@memory, sub { $range->("$_[0]/$_[1]") }),
        _table('From the end of a job to the begin of the next, us', 'queue', \@next, [ [ 'p50 (min-max) / p99', '' ] ],
            sub { $times->($_[0]) }),
    );
}

1;
