# SPDX-License-Identifier: Apache-2.0
#
# Section 6: a handler that has 50 ms of waiting to do after the answer: how many
# requests a second in a closed loop, and how long they take when they come at a
# fixed rate, half of what the machine can do with the work. All ways take turns in
# one httpd, in slices: 10,000 requests of each in a full run. Runs in bench/run.

package Bench::Section::After;

use strict;
use warnings;

use Bench::Beside qw(load starter end_peers);
use Bench::Httpd ();
use Bench::Stat qw(median);
use SpawnTest::Wait qw(now);

use constant { CHILDREN => 8, REQUESTS => 10_000, ROUNDS => 5, SLICES => 4 };

sub run {
    my ($class, $bench) = @_;
    my $at = $bench->temp . '/starter.after';
    my $httpd = Bench::Httpd->new(children => CHILDREN, starter => $at);
    my $inc = $httpd->dir . '/perl';
    my $plain = $httpd->{conf} . <<"END";
SpawnTemplate app exec inc=$inc preload=Bench::Work
SpawnMaxQueued 1000000
<SpawnQueue after>
    SpawnMaxJobs 1000
</SpawnQueue>
END
    my @ways = qw(none limit cleanup_handler spawn_cleanup);
    $httpd->{conf} = $plain . "<SpawnQueue workers>\n    SpawnWorkers 1 64\n</SpawnQueue>\n";
    my ($bad, $said) = $httpd->check_conf;
    if ($bad) {
        $said =~ s/\s+/ /g;
        $bench->skip('spawn_cleanup by workers', "not there: $said");
        $httpd->{conf} = $plain;
    } else {
        push @ways, 'workers';
    }
    $httpd->start;
    starter($at, $httpd);
    $httpd->wait_for_children;

    my $rate = _capacity($bench, $httpd, 'spawn_cleanup') / 2;
    $bench->tell(sprintf 'after the answer: %.0f requests a second', $rate);
    my $rounds = $bench->either(ROUNDS, 1);
    $bench->note('requests', $bench->either(REQUESTS, 500));
    for (1 .. $rounds) {
        $bench->rounds(1, map { my $way = $_; sub { _closed($bench, $httpd, $way) } } @ways);
        _offered($bench, $httpd, $rate, @ways);
    }
    $httpd->clean;
    end_peers();
    return;
}

sub _path { my ($httpd, $way) = @_; return $httpd->action('after', way => $way) }

# Requests with their work that the machine does in a second: a burst, and the
# time until the last of it is done.
sub _capacity {
    my ($bench, $httpd, $way) = @_;
    my @rates;
    for (1 .. 2) {      # the first time warms up
        my $from = now();
        my $got = load($httpd, _path($httpd, $way), connections => CHILDREN, seconds => 0.15);
        $httpd->drained;
        push @rates, $got->{rate} * 0.15 / (now() - $from);
    }
    $bench->figure("capacity/$way", '/s', $rates[1]);
    return $rates[1];
}

sub _closed {
    my ($bench, $httpd, $way) = @_;
    my $got = load($httpd, _path($httpd, $way), connections => CHILDREN, seconds => $bench->either(0.3, 0.1));
    $httpd->drained;
    $bench->times("closed/$way", @{ $got->{latency} });
    $bench->figure("closed/$way/rate", '/s', $got->{rate});
    return;
}

# A round: each way in slices, another first each time. The one that has a process
# busy for all of that time cannot keep the rate: it gets one slice, after the others.
sub _offered {
    my ($bench, $httpd, $rate, @ways) = @_;
    my $slices = $bench->either(SLICES, 2);
    my $each = $bench->either(REQUESTS / ROUNDS, 500) / $slices;
    my %got = map { $_ => { latency => [], rate => [] } } @ways;
    my @turn = grep { $_ ne 'cleanup_handler' } @ways;
    for my $slice (1 .. $slices) {
        push @turn, shift @turn;
        for my $way (@turn, $slice == $slices ? 'cleanup_handler' : ()) {
            # a tenth is warm-up
            my $got = load($httpd, _path($httpd, $way), connections => CHILDREN, rate => $rate,
                seconds => $way eq 'cleanup_handler' ? $bench->either(1, 0.5) : $each / $rate / 0.9);
            $httpd->drained;
            # children that are still busy with the work of the last answers
            $httpd->wait_for_children;
            push @{ $got{$way}{latency} }, @{ $got->{latency} };
            push @{ $got{$way}{rate} }, $got->{rate};
        }
    }
    for my $way (@ways) {
        $bench->times("offered/$way", @{ $got{$way}{latency} });
        $bench->figure("offered/$way/rate", '/s', median(@{ $got{$way}{rate} }));
    }
    return;
}

1;
