#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Unique keys as handlers, functions and spawnctl use them, over graceful, stop and a killed
# broker: never two at once, and never one too few.

use strict;
use warnings;

use FindBin ();
use lib (($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib");

use Test::More;

use SpawnTest qw(each_mpm is_error wait_until);

use Apache2::Spawn ();

sub slurp {
    my ($path) = @_;
    open my $in, '<', $path or return "$path: $!";
    local $/ = undef;
    return scalar <$in>;
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm)->start;
        my $ctl   = SpawnTest::Ctl->new($httpd);
        my $gate  = SpawnTest::Gate->new($httpd, 'a');
        my @key;
        my $state = sub { return $httpd->status($_[0]{id})->{state} };

        # reject, keep: it has its key also when it has ended, so that no answer depends on when
        # spawnctl comes
        @key = (unique => 'for an hour', unique_for => '1h');
        my $first = $httpd->spawn($gate->job('exit 3'), @key, reply => 'started');
        ok $first->{pid}, 'one runs' or diag explain $first;
        my $refused = $httpd->spawn(['/bin/true'], @key);
        is_error($refused, 'not_unique', 'queue', undef, 'another one is refused');
        like $refused->{error}{text}, qr/\Q$first->{id}\E, which runs/, 'with the id of the first';
        my $kept = $httpd->spawn(['/bin/true'], @key, on_conflict => 'keep');
        is $kept->{id}, $first->{id}, 'keep: the first is returned';
        my @keep = ('--unique', 'for an hour', qw(--on-conflict keep -- /bin/true));
        my $ran  = $ctl->run(qw(run --detach), @keep);
        is $ran->{out}, "$first->{id}\n", 'spawnctl, too';
        is $httpd->status($first->{id})->{unique}, 'for an hour', 'status has the key';
        like $ctl->run('show', $first->{id})->{out}, qr/^ +unique +for an hour$/m, 'and show';

        my $waits = $ctl->start('run', @keep);
        $gate->let(1);
        is $ctl->finish($waits)->{code}, 3, 'who waits for the end has the end of the first';

        # after, replace
        @key = (unique => 'k');
        $first = $httpd->spawn($gate->job('echo 1'), @key, reply => 'started', stdout => $httpd->work . '/out');
        my @next = map {
            $httpd->spawn([ '/bin/sh', '-c', "echo $_ >>" . $httpd->work . '/out' ], @key,
                on_conflict => $_ == 4 ? 'replace' : 'after')
        } 2 .. 4;
        is $_->{error}, undef, 'it is taken' or diag explain $_ for @next;
        my $both = sub { return 2 == grep { $state->($_) eq 'done' } @next[ 0, 1 ] };
        is wait_until($both, 20), 1, 'replace ends those that wait';
        like $httpd->status($_->{id})->{message}, qr/job \Q$next[2]{id}\E, which has the same/, 'it says why'
            for @next[ 0, 1 ];
        is $state->($next[2]), 'queued', 'and waits for the one that runs';
        $httpd->graceful;
        ok $httpd->new_pid('broker', $httpd->kill_pair('broker')), 'the broker is killed, and another one comes';
        is_error($httpd->spawn(['/bin/true'], @key), 'not_unique', 'queue', undef, 'the next one knows');
        is $state->($next[2]), 'queued', 'which has nothing started';
        $httpd->stop;
        $gate->let(1);
        $httpd->start;
        is $httpd->wait($next[2]{id})->{exit_code}, 0, 'it runs after the first';
        is slurp($httpd->work . '/out'), "1\n4\n", 'and it alone';

        # for a time
        my $spawn = $httpd->connection;
        is $spawn->run(['/bin/true'], unique => 't', unique_for => '1h')->exit_code, 0, 'it runs once in an hour';
        ok !eval { $spawn->run(['/bin/true'], unique => 't', unique_for => '1h'); 1 }, 'and not twice';
        is $@->code, 'not_unique', 'not unique';
        is $spawn->job($@->other)->status->ok, 1, 'the other one is named';
        is $spawn->run([ '/bin/sh', '-c', "exit $_" ], unique => 'u')->exit_code, $_, 'one after the other'
            for 1 .. 3;
    }
);
done_testing;
