# SPDX-License-Identifier: Apache-2.0
#
# Section 1: the time that a handler is held by starting a program, in children
# of several sizes, alone (spaced and in bursts, by where processes may run) and
# under full load. A quick run leaves out 200 MB. Runs in bench/run.

package Bench::Section::Held;

use strict;
use warnings;

use Bench::Beside qw(program output peer end_peers load);
use Bench::Cpu ();
use Bench::Httpd ();
use Bench::Ways ();
use SpawnTest ();

use constant CLIENTS => 8;

# Room for all that a round of load can submit.
my $conf = "SpawnMaxQueued 1000000\nSpawnSubmitTimeout 20s\n";

# Loaded only in httpd.
my %only_in_httpd = map { $_ => 1 } qw(subprocess);

sub run {
    my ($class, $bench) = @_;
    my $dir = SpawnTest::root_dir() . '/bench/ways';
    my @ways;
    for my $name (Bench::Ways::names($dir)) {
        my $way = Bench::Ways::load($dir, $name);
        next if !$way->{start};
        my $missing = $only_in_httpd{$name} ? undef : Bench::Ways::missing($way);
        if ($missing) {
            $bench->skip($way->{name}, $missing);
        } else {
            push @ways, $name;
            $bench->note("way $name", $way->{name});
        }
    }
    _alone($bench, @ways);
    _load($bench, $_, @ways) for _sizes($bench);
    return;
}

# Megabytes of the children.
sub _sizes { return @{ $_[0]->either([ 20, 200, 1000 ], [ 20, 1000 ]) } }

# name => [ CPUs of the handler, CPUs of all that it talks to ]
sub _places {
    my ($one, $two) = (Bench::Cpu::one(), Bench::Cpu::two());
    my $all = join ',', Bench::Cpu::all();
    return (apart => [ $one, $two ], together => [ $one, $one ], free => [ $all, $all ]);
}

# A child of each size, nothing else to do.
sub _alone {
    my ($bench, @ways) = @_;
    my %places = _places();
    my (@cases, @httpds);
    for my $place (sort keys %places) {
        my $peer = peer($bench->temp . "/peer-$place", $places{$place}[1]);
        push @cases, map { _from_c($bench, $place, $places{$place}[0], $peer, $_) } qw(one_way answered);
        for my $size ($place eq 'free' ? _sizes($bench) : 20) {
            my $httpd = Bench::Httpd->new(megabytes => $size, peer => $peer, conf => $conf)->start;
            push @httpds, $httpd;
            $bench->note("child $size", sprintf '%.0f MB', $httpd->wait_for_children);
            $httpd->place(@{ $places{$place} });
            for my $way (@ways) {
                push @cases, _from_handler($bench, $httpd, "alone/$place/spaced/$size/$way", $way, 1, 0.003);
                next if $place ne 'free' || $size == 200;
                push @cases, _from_handler($bench, $httpd, "alone/$place/burst/$size/$way", $way, 8, 0.03);
            }
        }
    }
    $bench->tell('held: alone');
    $bench->rounds($bench->either(5, 2), @cases);
    $_->clean for @httpds;
    end_peers();
    return;
}

sub _from_handler {
    my ($bench, $httpd, $name, $way, $burst, $gap) = @_;
    return sub {
        my $ns = $httpd->ask('held', way => $way, argv => '/bin/true', burst => $burst, gap => $gap,
            seconds => $bench->either(0.25, 0.03), most => 200);
        $bench->times($name, @{$ns});
        return;
    };
}

sub _from_c {
    my ($bench, $place, $cpus, $peer, $what) = @_;
    return sub {
        my $text = output($cpus, program('message'), $peer, $what, $bench->either(100, 20), 3000, 1);
        $bench->times("alone/$place/spaced/c/bare_$what", split /\n/, $text);
        return;
    };
}

# Keep-alive clients that ask as fast as they are answered, each request one
# start; every process may run everywhere.
sub _load {
    my ($bench, $size, @ways) = @_;
    $bench->tell("held: under load, children of $size MB");
    return if !_room($bench, $size);
    my $peer = peer($bench->temp . "/peer-load-$size", join ',', Bench::Cpu::all());
    my $httpd = Bench::Httpd->new(children => CLIENTS, megabytes => $size, peer => $peer, conf => $conf)->start;
    $httpd->wait_for_children;
    my $run = sub {
        my ($way) = @_;
        my $got;
        # longer where a start takes longer than that
        for (my $seconds = $bench->either(0.5, 0.25); !$got || !@{ $got->{body} }; $seconds *= 2) {
            $got = load($httpd, $httpd->action('once', way => $way, argv => '/bin/true'),
                connections => CLIENTS, seconds => $seconds);
        }
        $httpd->drained;
        $bench->times("load/$size/$way", @{ $got->{body} });
        $bench->times("load/$size/$way/latency", @{ $got->{latency} });
        $bench->figure("load/$size/$way/rate", '/s', $got->{rate});
        return;
    };
    $bench->rounds($bench->either(3, 1), map { my $way = $_; sub { $run->($way) } } @ways);
    $httpd->clean;
    end_peers();
    return;
}

# Children that do not fit into memory would measure the swap.
sub _room {
    my ($bench, $size) = @_;
    open my $in, '<', '/proc/meminfo' or die "meminfo: $!\n";
    my ($free) = do { local $/ = undef; <$in> } =~ /^MemAvailable:\s*([0-9]+)/m;
    close $in;
    my $needed = 1.3 * CLIENTS * $size;
    return 1 if $free / 1024 > $needed;
    $bench->skip("under load, $size MB", sprintf '%d children need %d MB of free memory', CLIENTS, $needed);
    return 0;
}

1;
