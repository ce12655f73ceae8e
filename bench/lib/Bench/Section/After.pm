# SPDX-License-Identifier: Apache-2.0
#
# Section 4: a handler that has 50 ms of waiting to do after the answer: how many
# requests a second in a closed loop, and how long they take when they come at a
# fixed rate, half of what the machine can do with the work. Runs in bench/run.

package Bench::Section::After;

use strict;
use warnings;

use Bench::Beside qw(load);
use Bench::Httpd ();
use SpawnTest::Wait qw(now);

use constant CHILDREN => 8;

sub run {
    my ($class, $bench) = @_;
    my $httpd = Bench::Httpd->new(children => CHILDREN);
    my $inc = $httpd->dir . '/perl';
    my $plain = $httpd->{conf} . <<"END";
SpawnTemplate app exec inc=$inc preload=Bench::Work
SpawnMaxQueued 1000000
<SpawnQueue after>
    SpawnMaxJobs 1000
</SpawnQueue>
END
    my @ways = qw(none cleanup_handler spawn_cleanup);
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
    $httpd->wait_for_children;

    my $rate = _capacity($bench, $httpd, 'spawn_cleanup') / 2;
    $bench->tell(sprintf 'after the answer: %.0f requests a second', $rate);
    my @cases;
    for my $way (@ways) {
        push @cases, sub { _closed($bench, $httpd, $way) };
        push @cases, sub { _offered($bench, $httpd, $way, $rate) };
    }
    $bench->rounds($bench->either(5, 1), @cases);
    $httpd->clean;
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

sub _offered {
    my ($bench, $httpd, $way, $rate) = @_;
    my $got = load($httpd, _path($httpd, $way), connections => CHILDREN, rate => $rate,
        seconds => $bench->either(3, 1));
    $httpd->drained;
    # children that are still busy with the work of the last answers
    $httpd->wait_for_children;
    $bench->times("offered/$way", @{ $got->{latency} });
    $bench->figure("offered/$way/rate", '/s', $got->{rate});
    return;
}

1;
