#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# kill -9 of spawner, broker and httpd, and no other comes: templates, workers without a
# call and spares end, also those that somebody has stopped (kill -STOP), but for httpd's
# own template, which nobody is the parent of any more (docs/reliability.md): it ends
# when it goes on. A call that runs, runs to its end.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Process qw(alive cmdline descendants_of state_of);
use SpawnTest::Spares qw(ends);

my $conf = SpawnTest::Httpd->rounds_are_short;
my %queue = (parent => 'of_parent', exec => 'of_exec');
$conf .= "<SpawnQueue $queue{$_}>\nSpawnTemplate $_\nSpawnWorkers 2 2\n</SpawnQueue>\n" for sort keys %queue;

sub named {
    my ($t, $what) = @_;
    my %seen;
    return grep { !$seen{$_}++ && join(q{ }, cmdline($_)) =~ /\Amod_spawn $what\s*\z/ }
        map { descendants_of($_) } $t->httpd->pid, $t->httpd->spawner_pids;
}

sub stops {
    my (@pids) = @_;
    kill STOP => @pids;
    return wait_until(sub { !grep { !/\A[TZX]?\z/ } map { state_of($_) } @pids }, 20);
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $t = SpawnTest::Spares->new(mpm => $mpm, conf => $conf)->start;
        my $httpd = $t->httpd;
        my $gate = SpawnTest::Gate->new($httpd, 'gate');
        my (%workers, %busy);
        for my $kind (sort keys %queue) {
            ok wait_until(sub { @{ $workers{$kind} = [ named($t, "worker $queue{$kind}") ] } == 2 }, 30), "$kind: there are two workers";
            my $job = $t->spawn->spawn_call('My::Spare::at_gate', [ $gate->path ], queue => $queue{$kind});
            $busy{$kind} = wait_until(sub { my $p = $job->progress; return $p && $p->{text} }, 20);
            ok $busy{$kind}, '... one of which has a call';
            ok scalar($t->have_spares($kind, 2)), '... and spares';
        }
        my ($own) = named($t, 'template parent');
        my @templates = (named($t, 'template exec'), $own);
        my @idle = grep { my $pid = $_; !grep { $_ == $pid } values %busy } map { @{$_} } values %workers;
        is scalar(@idle), 2, 'each has one without a call';
        my ($spawner, $broker) = ($httpd->spawner_pid, $httpd->broker_pid);

        # some spares leave meanwhile, since nobody needs them
        my @spares;
        my $stop_spares = sub {
            @spares = map { $t->have_spares($_, 2) } sort keys %queue;
            return stops(@spares) && 2 <= grep { state_of($_) eq 'T' } @spares;
        };
        ok wait_until($stop_spares, 60), 'spares are stopped';
        ok stops(@idle, $templates[0]), '... and workers without a call, and a template';
        kill KILL => $httpd->pid, $broker, $spawner;
        $httpd->kill9;
        ok ends(@idle, @spares, @templates), 'all are killed: they end, and the templates'
            or diag map { "$_: " . state_of($_) . q{ } . join(q{ }, cmdline($_)) . "\n" } grep { alive($_) } @idle, @spares, @templates;
        ok alive($_), 'a call runs on' for values %busy;
        $gate->let(2);
        ok ends(values %busy), '... to its end, and its worker leaves';
    }
);
done_testing;
