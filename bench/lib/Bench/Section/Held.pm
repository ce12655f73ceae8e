# SPDX-License-Identifier: Apache-2.0
#
# Section 1: the time that a handler is held by starting a program, in children
# of several sizes, alone, spaced; and, for those that do not fork, in bursts and by
# where processes may run. A quick run leaves out 200 MB. Runs in bench/run.

package Bench::Section::Held;

use strict;
use warnings;

use Bench::Beside qw(program output peer end_peers);
use Bench::Cpu ();
use Bench::Httpd ();
use Bench::Ways ();
use SpawnTest ();

# Room for all that a round can submit.
my $conf = "SpawnMaxQueued 1000000\nSpawnSubmitTimeout 20s\n";

# Those whose time the place decides, and not the child's size.
my %by_place = map { $_ => 1 } qw(accepted posted started bare_answered bare_one_way fastspawn);

# Loaded only in httpd.
my %only_in_httpd = map { $_ => 1 } qw(subprocess);

sub run {
    my ($class, $bench) = @_;
    my $dir = SpawnTest::root_dir() . '/bench/ways';
    my @ways;
    for my $name (Bench::Ways::names($dir)) {
        my $way = Bench::Ways::load($dir, $name);
        next if !$way->{start} || $way->{perl} || $way->{by_name};
        my $missing = $only_in_httpd{$name} ? undef : Bench::Ways::missing($way);
        if ($missing) {
            $bench->skip($way->{name}, $missing);
        } else {
            push @ways, $name;
            $bench->note("way $name", $way->{name});
        }
    }
    _alone($bench, @ways);
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
        push @cases, map { _from_c($bench, $place, $places{$place}[0], $peer, $_) } qw(one_way answered job);
        for my $size ($place eq 'free' ? _sizes($bench) : 20) {
            my $httpd = Bench::Httpd->new(megabytes => $size, peer => $peer, conf => $conf)->start;
            push @httpds, $httpd;
            $bench->note("child $size", sprintf '%.0f MB', $httpd->wait_for_children);
            $httpd->place(@{ $places{$place} });
            for my $way (@ways) {
                next if $place ne 'free' && !$by_place{$way};
                push @cases, _from_handler($bench, $httpd, "alone/$place/spaced/$size/$way", $way, 1, 0.003);
                next if $place ne 'free' || $size != 20 || !$by_place{$way};
                push @cases, _from_handler($bench, $httpd, "alone/$place/burst/$size/$way", $way, 8, 0.03);
            }
        }
    }
    $bench->tell('held: alone');
    $bench->rounds($bench->either(4, 1), @cases);
    $_->clean for @httpds;
    end_peers();
    return;
}

sub _from_handler {
    my ($bench, $httpd, $name, $way, $burst, $gap) = @_;
    return sub {
        my $ns = $httpd->ask('held', way => $way, argv => '/bin/true', burst => $burst, gap => $gap,
            seconds => $bench->either(0.2, 0.03), most => 200);
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

1;
