# SPDX-License-Identifier: Apache-2.0
#
# Section 9: what grows with the number of jobs: the time to submit one, that of
# spawnctl ps and of a restart, and the memory of spawner and broker, with many
# jobs running, waiting, and ended. Runs in bench/run.

package Bench::Section::Growth;

use strict;
use warnings;

use POSIX ();

use Bench::Beside qw(output);
use Bench::Cpu ();
use Bench::History ();
use Bench::Httpd ();
use Bench::Stat qw(quantile);
use SpawnTest ();
use SpawnTest::Wait qw(now wait_until);

# One queue holds the many, those that are measured go through another.
my $conf = <<'END';
SpawnMaxQueued 1000000
SpawnSubmitTimeout 20s
SpawnHistory 2000000
<SpawnQueue many>
    SpawnMaxJobs 20000
</SpawnQueue>
<SpawnQueue one>
    SpawnMaxJobs 1
</SpawnQueue>
END

sub run {
    my ($class, $bench) = @_;
    $bench->tell('growth: running');
    _running($bench) for 1 .. $bench->either(2, 1);
    $bench->tell('growth: waiting and ended');
    _waiting_and_ended($bench);
    return;
}

# ---- what is measured each time ----

sub _submit {
    my ($bench, $httpd, $name) = @_;
    for my $reply (qw(posted accepted)) {
        $bench->times("$name/$reply", @{ $httpd->ask('submit', argv => $httpd->program('tiny'), reply => $reply,
            count => $bench->either(150, 40), gap => 0.002) });
    }
    return;
}

sub _ps {
    my ($bench, $httpd, $name) = @_;
    my $all = join ',', Bench::Cpu::all();
    for my $rows (20, 0) {
        my @argv = (SpawnTest::build_dir() . '/spawnctl', '-s', $httpd->socket, 'ps');
        my $from = now();
        output($all, @argv, $rows ? ('-n', $rows) : ());
        $bench->figure("$name/ps" . ($rows ? "_$rows" : ''), 'ms', 1000 * (now() - $from));
    }
    return;
}

sub _graceful {
    my ($bench, $httpd, $name) = @_;
    my $from = now();
    $httpd->graceful;
    $httpd->wait_for_children;
    $bench->figure("$name/graceful", 'ms', 1000 * (now() - $from));
    return;
}

sub _restart {
    my ($bench, $httpd, $name) = @_;
    my $from = now();
    $httpd->stop;
    $httpd->start;
    $httpd->ask('submit', argv => $httpd->program('tiny'), reply => 'accepted', count => 1);
    $bench->figure("$name/stop_start", 'ms', 1000 * (now() - $from));
    return;
}

# RSS and PSS in kB.
sub _memory {
    my ($bench, $httpd, $name) = @_;
    my %pid = (spawner => $httpd->spawner_pid, broker => $httpd->broker_pid);
    for my $who (sort keys %pid) {
        my $file = "/proc/$pid{$who}/smaps_rollup";
        open my $in, '<', $file or do {
            $bench->skip("memory of the $who", "$file: $!");
            next;
        };
        my $text = do { local $/ = undef; <$in> };
        close $in;
        my %kb = $text =~ /^(Rss|Pss):\s*([0-9]+)/mg;
        $bench->figure("$name/$who/\L$_", 'kB', $kb{$_}) for sort keys %kb;
    }
    return;
}

# ---- running ----

# So many sleepers; a named pipe lets all go.
sub _running {
    my ($bench) = @_;
    my $httpd = Bench::Httpd->new(conf => $conf)->start;
    $httpd->wait_for_children;
    _submit($bench, $httpd, 'warm-up');
    my $gate = $httpd->work . '/gate';
    POSIX::mkfifo($gate, oct 666) or die "$gate: $!\n";
    chmod oct 666, $gate or die "$gate: $!\n";

    my $running = 0;
    for my $n (@{ $bench->either([ 0, 1, 10, 100, 1000, 10_000 ], [ 0, 1, 100, 1000 ]) }) {
        my $from = now();
        if ($n > $running) {
            $httpd->ask('submit', argv => join(',', $httpd->program('sleeper'), $gate), reply => 'posted',
                queue => 'many', count => $n - $running);
            $running = $n;
        }
        _all_started($httpd, $n);
        $bench->figure("running/$n/started_in", 'ms', 1000 * (now() - $from));
        _submit($bench, $httpd, "running/$n");
        _ps($bench, $httpd, "running/$n");
        _memory($bench, $httpd, "running/$n");
        _graceful($bench, $httpd, "running/$n");
    }
    my $from = now();
    open my $out, '>', $gate or die "$gate: $!\n";
    $httpd->drained;
    close $out;
    $bench->figure("running/$running/ended_in", 'ms', 1000 * (now() - $from));
    $httpd->clean;
    return;
}

sub _all_started {
    my ($httpd, $n) = @_;
    my $spawn = Apache2::Spawn->connect($httpd->socket);
    my $started = wait_until(
        sub {
            # the store knows of those that were started, so look there first
            for my $state (qw(queued starting)) {
                my @some = $spawn->list(state => $state, rows => 1, queue => 'many');
                return 0 if @some;
            }
            my $known = () = $spawn->list(state => 'running', queue => 'many');
            return $known >= $n;
        },
        120
    );
    die "$n jobs do not start\n" . $httpd->tail if !$started;
    return;
}

# ---- waiting, ended ----

# Three httpds at once, so that rounds can go through them in turn: nothing
# waits, many wait, many have ended.
sub _waiting_and_ended {
    my ($bench) = @_;
    my @waiting = @{ $bench->either([ 1000, 10_000, 100_000 ], [ 1000, 10_000 ]) };
    my $ended = $bench->either(1_000_000, 20_000);

    my $queued = Bench::Httpd->new(children => 4, conf => $conf)->start;
    $queued->wait_for_children;
    _submit($bench, $queued, 'warm-up');
    my $gate = $queued->work . '/gate';
    POSIX::mkfifo($gate, oct 666) or die "$gate: $!\n";
    chmod oct 666, $gate or die "$gate: $!\n";
    my $sleeper = join ',', $queued->program('sleeper'), $gate;
    $queued->ask('submit', argv => $sleeper, reply => 'started', queue => 'one', count => 1);
    _memory($bench, $queued, 'queued/0');
    my $there = 0;
    for my $n (@waiting) {
        my $each = int(($n - $there) / 4);
        my $from = now();
        $queued->answer($_) for map {
            $queued->begin('submit', argv => $queued->program('tiny'), reply => 'posted', queue => 'one', count => $each)
        } 1 .. 4;
        # an answer comes after all that was posted before
        $queued->ask('submit', argv => $queued->program('tiny'), reply => 'accepted', queue => 'one', count => 1);
        $bench->figure("queued/$n/taken_in", 'ms', 1000 * (now() - $from));
        $there = $n;
        _memory($bench, $queued, "queued/$n");
    }
    $bench->tell("growth: $ended ended jobs");
    my $empty = Bench::Httpd->new(children => 4, conf => $conf)->start;
    my $history = Bench::Httpd->new(children => 4, conf => $conf)->start;
    my $from = now();
    Bench::History::fill($history, $ended);
    $bench->note('history', sprintf '%d ended jobs, put into the store by SQL in %.1f s', $ended, now() - $from);
    $bench->note('queued', $there);
    $bench->note('ended', $ended);
    $_->wait_for_children for $empty, $history;
    my %httpd = (empty => $empty, queued => $queued, history => $history);
    my @cases = map { my $name = $_; sub { _submit($bench, $httpd{$name}, "compared/$name") } } sort keys %httpd;
    $bench->rounds($bench->either(7, 3), @cases);
    for my $name (sort keys %httpd) {
        for (1 .. $bench->either(3, 1)) {
            _ps($bench, $httpd{$name}, "compared/$name") if $name ne 'queued';
            _graceful($bench, $httpd{$name}, "compared/$name");
            _restart($bench, $httpd{$name}, "compared/$name") if $name ne 'queued';
        }
    }
    _ps($bench, $queued, 'compared/queued');
    _memory($bench, $history, 'history');
    $_->clean for values %httpd;
    return;
}

1;
