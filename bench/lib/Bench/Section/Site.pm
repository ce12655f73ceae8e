# SPDX-License-Identifier: Apache-2.0
#
# Section 5: a site whose every request starts a program, or makes a call of a Perl
# function in a process of its own, at a fixed rate that does not wait for answers:
# how long its clients wait, and up to which rate 99 of 100 wait less than 10 ms. A
# quick run has children of 20 MB only. Runs in bench/run.

package Bench::Section::Site;

use strict;
use warnings;

use Bench::Beside qw(program output load starter forker end_peers);
use Bench::Callers ();
use Bench::Cpu ();
use Bench::Httpd ();
use Bench::Stat qw(quantile);
use Bench::Ways ();
use SpawnTest ();
use SpawnTest::Process ();

use constant CLIENTS => 8;
use constant TOO_LONG_NS => 10_000_000;

# Of the calls' site.
use constant { CHILD_MB => 60, TEMPLATE_MB => 20 };
use constant { FIRST_RATE => 200, LEAST_RATE => 25, LAST_RATE => 3200 };

# Room for all that can be submitted.
my $conf = "SpawnMaxQueued 1000000\nSpawnSubmitTimeout 20s\n";

sub run {
    my ($class, $bench) = @_;
    _programs($bench, $_) for @{ $bench->either([ 20, 200, 1000 ], [20]) };
    _calls($bench);
    return;
}

# ---- each request starts a program ----

sub _programs {
    my ($bench, $size) = @_;
    $bench->tell("site: programs, children of $size MB");
    return if !_room($bench, $size);
    my $at = $bench->temp . "/starter.$size";
    my $httpd = Bench::Httpd->new(children => CLIENTS, megabytes => $size, conf => $conf, starter => $at)->start;
    starter($at, $httpd);
    $httpd->wait_for_children;
    my $rate = $bench->{site_rate} ||= _half($bench, $httpd);
    my @cases;
    for my $name (qw(bare_start accepted posted fastspawn fork_exec double_fork)) {
        my $way = Bench::Ways::load(SpawnTest::root_dir() . '/bench/ways', $name);
        my $missing = Bench::Ways::missing($way);
        if ($missing) {
            $bench->skip("site: $way->{name}", $missing);
            next;
        }
        $bench->note("way $name", $way->{name});
        push @cases, sub {
            my $got = load($httpd, $httpd->action('once', way => $name, argv => '/bin/true'),
                connections => CLIENTS, rate => $rate, seconds => $bench->either(1, 0.4));
            $httpd->drained;
            _quiet($httpd);
            $bench->times("programs/$size/$name", @{ $got->{latency} });
            $bench->times("programs/$size/$name/held", @{ $got->{body} }) if @{ $got->{body} };
            $bench->figure("programs/$size/$name/rate", '/s', $got->{rate});
        };
    }
    push @cases, sub {
        my $got = load($httpd, $httpd->action('nothing'), connections => CLIENTS, rate => $rate, seconds => $bench->either(1, 0.4));
        $bench->times("programs/$size/nothing", @{ $got->{latency} });
        $bench->figure("programs/$size/nothing/rate", '/s', $got->{rate});
    };
    $bench->note('way nothing', 'limit: a handler that does nothing');
    $bench->rounds($bench->either(3, 1), @cases);
    $httpd->clean;
    end_peers();
    return;
}

# Waits for children that are still busy with the last requests, and until what they
# started has ended: the next case shall not pay for it.
sub _quiet {
    my ($httpd) = @_;
    $httpd->wait_for_children;
    SpawnTest::wait_until(
        sub {
            return !grep { SpawnTest::Process::alive($_) } map { SpawnTest::Process::descendants_of($_) } $httpd->children;
        },
        30
    ) or die "what httpd's children started does not end\n";
    return;
}

# Half of the programs that the machine can start in a second, by the loop in C.
sub _half {
    my ($bench, $httpd) = @_;
    my ($rate) = split / /, output(join(',', Bench::Cpu::all()), program('start'), 'fork', 16, 1,
        $bench->either(0.5, 0.2), $httpd->uid, $httpd->gid, '/bin/true');
    $bench->note('rate', int $rate / 2);
    return int $rate / 2;
}

# Children that do not fit into memory would measure the swap.
sub _room {
    my ($bench, $size) = @_;
    open my $in, '<', '/proc/meminfo' or die "meminfo: $!\n";
    my ($free) = do { local $/ = undef; <$in> } =~ /^MemAvailable:\s*([0-9]+)/m;
    close $in;
    my $needed = 1.3 * CLIENTS * $size;
    return 1 if $free / 1024 > $needed;
    $bench->skip("site, $size MB", sprintf '%d children need %d MB of free memory', CLIENTS, $needed);
    return 0;
}

# ---- each request makes a call ----

sub _calls {
    my ($bench) = @_;
    $bench->tell('site: calls');
    my $httpd = Bench::Httpd->new(children => CLIENTS, megabytes => CHILD_MB, conf => $conf);
    my $inc = $httpd->dir . '/perl';
    my $file = $httpd->file('grow.pl', 'use Bench::Work; Bench::Work::grow(' . TEMPLATE_MB . ");\n");
    $httpd->{conf} .= "SpawnTemplate site exec inc=$inc require=$file\n";
    $httpd->start;
    $httpd->wait_for_children;
    my $server = forker($bench->temp . '/site-calls', TEMPLATE_MB);
    my %takes = (none => {}, frozen => { server => $server }, spawn => { template => 'site' }, anyevent_fork => { megabytes => TEMPLATE_MB });
    my @cases;
    for my $by (sort keys %takes) {
        if (my $why = Bench::Callers::missing($by)) {
            $bench->skip('site: ' . Bench::Callers::shown($by), $why);
            next;
        }
        $bench->note("way $by", Bench::Callers::shown($by));
        my $path = $httpd->action('call', by => $by, %{ $takes{$by} });
        # a child that has just come makes what it needs
        load($httpd, $path, connections => CLIENTS, seconds => $bench->either(1, 0.5));
        push @cases, sub { _largest($bench, $httpd, $by, $path) };
    }
    $bench->rounds($bench->either(3, 1), @cases);
    $httpd->clean;
    end_peers();
    return;
}

# Goes up until it takes too long (or down until it does not), then looks for the
# place between the two.
sub _largest {
    my ($bench, $httpd, $by, $path) = @_;
    my ($good, $bad) = (0, undef);
    my $rate = FIRST_RATE;
    while ($rate >= LEAST_RATE && $rate <= LAST_RATE) {
        if (_in_time($bench, $httpd, $by, $path, $rate, 1)) {
            $good = $rate;
            last if $bad;
            $rate *= 2;
        } else {
            $bad = $rate;
            last if $good;
            $rate /= 2;
        }
    }
    return if $by eq 'none';
    my $times = $good && $bad ? $bench->either(3, 0) : 0;
    for (1 .. $times) {
        my $between = int sqrt $good * $bad;
        my $in_time = _in_time($bench, $httpd, $by, $path, $between, 0);
        ($in_time ? $good : $bad) = $between;
    }
    $bench->figure("calls/largest/$by", '/s', $good);
    return;
}

sub _in_time {
    my ($bench, $httpd, $by, $path, $rate, $tell) = @_;
    my ($enough, $least, $most) = ($bench->either(300, 60) / $rate, @{ $bench->either([ 0.8, 2 ], [ 0.3, 0.6 ]) });
    my $got = load($httpd, $path, connections => CLIENTS, rate => $rate,
        seconds => $enough < $least ? $least : $enough > $most ? $most : $enough);
    $bench->times("calls/$rate/$by", @{ $got->{latency} }) if $tell;
    return quantile(0.99, @{ $got->{latency} }) < TOO_LONG_NS;
}

1;
