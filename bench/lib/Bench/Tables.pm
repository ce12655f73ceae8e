# SPDX-License-Identifier: Apache-2.0
#
# The tables of each section: which figures stand where. A table is { title, head,
# rows }, all text. Runs in bench/report.

package Bench::Tables;

use strict;
use warnings;

use Bench::Results ();

my %tables = (
    held => \&_held, jobs => \&_jobs, calls => \&_calls, workers => \&_workers, processes => \&_processes, site => \&_site, after => \&_after,
    cost => \&_cost, start => \&_start, growth => \&_growth,
);

sub sections { return qw(held jobs calls workers processes site after cost start growth) }

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
    my @from_c = (['from C: a bare message', 'c/bare_one_way'], [ 'from C: a bare message and its answer', 'c/bare_answered' ],
        [ 'from C: a job, checked and kept, and its answer', 'c/bare_job' ]);
    return (
        _table('Alone, one call every 3 ms: us held, p50 (min-max) / p99', 'child of', $ways, \@sizes,
            sub { $times->("alone/free/spaced/$_[1]/$_[0]") }),
        _table('Alone, 8 calls in a row every 30 ms: us held, p50 (min-max) / p99', 'child of', $ways, \@sizes,
            sub { $times->("alone/free/burst/$_[1]/$_[0]") }),
        _table('Alone, one call every 3 ms, 20 MB, by where processes may run: us held, p50 (min-max) / p99',
            'handler and the rest on', [ (map { [ $_->[0], "20/$_->[1]" ] } @{$ways}), @from_c ], \@places,
            sub { $times->("alone/$_[1]/spaced/$_[0]") }),
    );
}

sub _jobs {
    my ($results) = @_;
    my @what = ([ '/bin/true', 'true' ], [ 'static program', 'static' ]);
    my @columns = map { my $w = $_; map { [ "$w->[0], $_ caller" . ($_ > 1 ? 's' : ''), "$w->[1]/$_" ] } 1, 16 } @what;
    my @limits = map { my $how = $_; map { [ "C loop, $how, " . _form($_), "$how/$_" ] } qw(1x1 16x1 4x2) } qw(fork vfork vm);
    push @limits, [ '16 callers, queued, stored, started', 'recorded' ];
    my @minion = ([ 'spawn, accepted; spawn_call', [ 'true/16/accepted', 'call/16/perl_call' ] ],
        [ 'Minion, PostgreSQL', [ 'true/minion', 'call/minion' ] ]);
    my @parts = (
        [ '/bin/true', [ 0, '' ] ], [ '/bin/true, CPU us', [ 0, '/cpu' ] ], [ 'a Perl function', [ 1, '' ] ],
        [ 'a Perl function, CPU us', [ 1, '/cpu' ] ]);
    my $range = sub { return _range($results, 'jobs', @_) };
    return (
        _table('Jobs per second, to the end of the job', 'way', _ways($results, 'jobs'), \@columns, sub { $range->("$_[1]/$_[0]") }),
        _table('CPU time of all processes for a job, us', 'way', _ways($results, 'jobs'), \@columns,
            sub { $range->("$_[1]/$_[0]/cpu") }),
        _table('The limit: starts per second, and CPU time of each, us', 'loop', \@limits,
            [ map { ([ $_->[0], $_->[1] ], [ "$_->[0], CPU us", "cpu $_->[1]" ]) } @what ],
            sub {
                my ($what, $cpu) = ($_[1] =~ s/^cpu //r, $_[1] =~ /^cpu / ? '/cpu' : '');
                return $range->("$what/limit/$_[0]$cpu");
            }),
        _table('Jobs per second, to the end that is recorded', 'way', \@minion, \@parts,
            sub { $range->($_[0][ $_[1][0] ] . $_[1][1]) }),
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
    my @spaced = map { [ "$_ MB", "$_/spaced" ] } 10, 100, 500;
    my @memory = ([ 'PSS, kB', 'pss' ], [ 'page tables, kB', 'page_tables' ]);
    return (
        _table('A process for each call, calls per second', 'template of', $ways, \@columns,
            sub { _range($results, 'calls', "fork/$_[1]/$_[0]/rate") }),
        _table('A process for each call, us until the answer, p50 (min-max) / p99', 'template of', $ways, \@columns,
            sub { _times($results, 'calls', "fork/$_[1]/$_[0]") }),
        _table('One every 5 ms, us until the answer, p50 (min-max) / p99', 'template of', $ways, \@spaced,
            sub { _times($results, 'calls', "fork/$_[1]/$_[0]") }),
        _table('CPU time of all processes for a call, us', 'template of', $ways, [ @columns, map { [ "$_->[0], spaced", $_->[1] ] } @spaced ],
            sub { _range($results, 'calls', "fork/$_[1]/$_[0]/cpu") }),
        _table('One more call: by how much the memory of all processes grows', 'memory', \@memory,
            [ map { [ "template of $_ MB", $_ ] } 10, 100, 500 ], sub { _range($results, 'calls', "memory/$_[1]/$_[0]") }),
    );
}

sub _workers {
    my ($results) = @_;
    my @columns = ([ '1 caller: us until the answer, p50 (min-max) / p99', '1' ], [ '1 caller: calls/s', '1/rate' ],
        [ '4 callers: us', '4' ], [ '4 callers: calls/s', '4/rate' ], [ '1 caller: CPU us', '1/cpu' ], [ '4 callers: CPU us', '4/cpu' ]);
    return _table('A function that returns its argument, called from handlers', 'way', _ways($results, 'workers'), \@columns, sub {
        my ($n, $what) = split m{/}, $_[1];
        return $what ? _range($results, 'workers', "$n/$_[0]/$what") : _times($results, 'workers', "$n/$_[0]");
    });
}

sub _processes {
    my ($results) = @_;
    my @cases = grep { $_ ne 'limit' } map { m{^(.+)/ours/held/p50\z} ? $1 : () } map { $_->{name} } @{ $results->section('processes')->{figures} };
    my @columns = map { my $what = $_; ([ "$what, ours", "ours/$what" ], [ "$what, AnyEvent::Fork's", "theirs/$what" ], [ "$what, ratio", "ratio/$what" ]) }
        qw(held there);
    return _table('us, p50 (min-max) / p99', 'case', [ (map { [ $_, $_ ] } @cases), [ 'limit: handed over by three C programs', 'limit' ] ],
        \@columns, sub {
            my ($case, $column) = @_;
            my ($who, $what) = split m{/}, $column;
            return _times($results, 'processes', "$case/$column") if $who ne 'ratio';
            my $ratio = $results->ratio(map { $results->get('processes', "$case/$_/$what/p50") } qw(ours theirs));
            return $ratio ? Bench::Results::range($ratio) : '-';
        });
}

sub _site {
    my ($results) = @_;
    my @all = @{ _ways($results, 'site') };
    my %call = map { $_ => 1 } qw(none frozen spawn anyevent_fork);
    my @programs = grep { !$call{ $_->[1] } } @all;
    my @calls = grep { $call{ $_->[1] } } @all;
    my $rate = Bench::Results::shown($results->section('site')->{notes}{rate});
    my @rates = map { [ Bench::Results::shown($_) . '/s', $_ ] } $results->rates;
    return (
        _table("Each request starts a program, $rate requests/s, 8 clients: us until the answer, p50 (min-max) / p99", 'children of',
            \@programs, \@sizes, sub { _times($results, 'site', "programs/$_[1]/$_[0]") }),
        _table('The same: us that the handler is held', 'children of', \@programs, \@sizes,
            sub { _times($results, 'site', "programs/$_[1]/$_[0]/held") }),
        _table('The same: requests/s that were answered', 'children of', \@programs, \@sizes,
            sub { _range($results, 'site', "programs/$_[1]/$_[0]/rate") }),
        _table('Each request makes a Perl call: us until the answer, p50 (min-max) / p99', 'requests at', \@calls, \@rates,
            sub { _times($results, 'site', "calls/$_[1]/$_[0]") }),
        _table('Each request makes a Perl call: largest rate with a p99 below 10 ms', 'way', \@calls, [ [ 'requests/s', 'largest' ] ],
            sub { _range($results, 'site', "calls/$_[1]/$_[0]") }),
    );
}

sub _after {
    my ($results) = @_;
    my @ways = ([ 'no work', 'none' ], [ 'limit: a bare message to a C program, which starts sleep', 'limit' ],
        [ 'PerlCleanupHandler', 'cleanup_handler' ],
        [ 'spawn_cleanup, a process for each', 'spawn_cleanup' ], [ 'spawn_cleanup, workers', 'workers' ]);
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
    my @rows = ([ 'with mod_spawn', 'requests/with' ], [ 'without', 'requests/without' ], [ 'without, another', 'requests/without_too' ],
        [ 'one httpd: a virtual host that uses it elsewhere', 'hosts/with' ], [ 'one httpd: one that does not', 'hosts/without' ]);
    my @niced = ([ 'nothing else', 'idle' ], [ '16 jobs, nice 19', 'niced' ],
        [ 'limit: the same programs, started by hand', 'limit' ]);
    return (
        _table('A handler that does not use it', 'httpd', \@rows,
            [ [ 'CPU us a request', 'cpu' ], [ 'requests/s', 'rate' ], [ 'us, p50 (min-max) / p99', 'times' ], [ 'ms to start', 'start' ] ],
            sub {
                my ($who, $what) = @_;
                return $what eq 'times' ? _times($results, 'cost', $who)
                    : $what eq 'start' ? _range($results, 'cost', $who =~ s/^requests/start/r)
                    : _range($results, 'cost', "$who/$what");
            }),
        _table('A static page, 500 requests/s', 'beside', \@niced, [ [ 'us, p50 (min-max) / p99', '' ] ],
            sub { _times($results, 'cost', "static/$_[0]") }),
        _table('A handler, 10,000 jobs in the history', 'status pages', [ [ 'none', 'none' ], [ '50, of which each asks every 5 s', 'open' ] ],
            [ [ 'requests/s', 'rate' ], [ 'CPU us a request', 'cpu' ], [ 'us, p50 (min-max) / p99', 'times' ] ],
            sub { $_[1] eq 'times' ? _times($results, 'cost', "pages/$_[0]") : _range($results, 'cost', "pages/$_[0]/$_[1]") }),
    );
}

sub _start {
    my ($results) = @_;
    my @next = ([ 'mod_spawn, SpawnMaxJobs 1', 'next/spawn' ], [ 'limit: C loop', 'next/limit' ]);
    my @broker = ([ 'from kill -9 to the next accepted', 'broker_dies' ]);
    return (
        _table("From the call to the program's first instruction, us", 'way', _ways($results, 'start'), [ [ 'p50 (min-max) / p99', '' ] ],
            sub { _times($results, 'start', "first/$_[0]") }),
        _table('From the end of a job to the begin of the next, us', 'queue', \@next, [ [ 'p50 (min-max) / p99', '' ] ],
            sub { _times($results, 'start', $_[0]) }),
        _table('The broker dies, ms', 'broker', \@broker, [ [ 'median (min-max)', '' ] ], sub { _range($results, 'start', $_[0]) }),
    );
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
    return (
        _table('So many jobs run', 'running', \@running, [ @costs[ 0 .. 4 ] ], $cost),
        _table('So many jobs are there', 'there', \@compared, \@costs, $cost),
        _table('Memory by running jobs', 'running', \@running, \@memory, sub { $range->("$_[0]/$_[1]") }),
        _table('Memory by waiting jobs', 'waiting', \@queued, \@memory, sub { $range->("$_[0]/$_[1]") }),
    );
}

1;
