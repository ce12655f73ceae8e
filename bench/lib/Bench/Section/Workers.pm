# SPDX-License-Identifier: Apache-2.0
#
# Section 4: calls of a Perl function by processes that stay, from handlers: our
# workers, AnyEvent::Fork::RPC, Gearman, and a bare message with its answer; how long
# they take, how many four callers get, and their CPU time. Every process may run
# everywhere. Runs in bench/run.

package Bench::Section::Workers;

use strict;
use warnings;

use Bench::Beside qw(peer end_peers);
use Bench::Callers ();
use Bench::Cpu ();
use Bench::Gearman ();
use Bench::Httpd ();
use Bench::Section::Calls ();

use constant CALLERS => (1, 4);

sub run {
    my ($class, $bench) = @_;
    $bench->tell('workers');
    my $all = join ',', Bench::Cpu::all();
    my $peer = peer($bench->temp . '/workers', $all);
    my $through = peer($bench->temp . '/through', $all, $peer);
    my $httpd = Bench::Httpd->new(children => 4, peer => $peer, through => $through, usage => $bench->usage);
    my $inc = $httpd->dir . '/perl';
    $httpd->{conf} .= <<"END";
SpawnTemplate app exec inc=$inc preload=Bench::Work
<SpawnQueue rpc>
    SpawnWorkers 1 4
</SpawnQueue>
END
    $httpd->start;
    $httpd->wait_for_children;
    # name => what it takes, and the groups that it uses
    my %case = (spawn => [ { queue => 'rpc' }, $httpd->{usage} ], rpc => [ {}, $httpd->{usage} ]);
    if (my $why = Bench::Gearman::missing()) {
        $bench->skip(Bench::Callers::shown('gearman'), $why);
    } else {
        my $beside = $bench->beside;
        my $server = $beside ? $beside->within(\&Bench::Gearman::start) : Bench::Gearman::start();
        $case{gearman} = [ { server => $server }, $httpd->{usage}, $beside ];
    }
    my @cases;
    for my $by (sort keys %case) {
        my ($takes, @usages) = @{ $case{$by} };
        if (my $why = Bench::Callers::missing($by)) {
            $bench->skip(Bench::Callers::shown($by), $why);
            next;
        }
        $bench->note("way $by", $by eq 'spawn' ? 'call of a worker' : Bench::Callers::shown($by));
        for my $callers (CALLERS) {
            push @cases, sub { _calls($bench, $httpd, $by, $callers, $takes, @usages) };
        }
    }
    my %limit = (bare_answered => 'limit: a bare message and its answer', bare_through => 'limit: the same, passed on by a C program');
    for my $way (sort keys %limit) {
        $bench->note("way $way", $limit{$way});
        push @cases, sub {
            my $ns = $httpd->ask('held', way => $way, argv => 'x', burst => 100, gap => 0.001,
                seconds => $bench->either(0.25, 0.1), most => 10_000);
            $bench->times("1/$way", @{$ns});
        };
    }
    $bench->rounds($bench->either(7, 2), @cases);
    $httpd->clean;
    end_peers();
    return;
}

sub _calls {
    my ($bench, $httpd, $by, $callers, $takes, @usages) = @_;
    my %how = (by => $by, warm_up => 0, %{$takes}, seconds => $bench->either(0.5, 0.25));
    my $ask = sub {
        my ($seconds) = @_;
        my @asked = map { $httpd->begin('calls', %how, seconds => $seconds) } 1 .. $callers;
        return [ map { $httpd->answer($_) } @asked ];
    };
    # children that have what they need, and as many workers as callers
    $ask->(0.02);
    my ($told, $us) = $bench->counted(\@usages, sub { $ask->($how{seconds}) });
    Bench::Section::Calls::tell_calls($bench, "$callers/$by", $us, 0, @{$told});
    return;
}

1;
