#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A setting that stays until somebody undoes it is not changed by jobs: a program, a
# function and a call of a worker cannot pause a queue, nor a recurring job. They may look.
# That is no wall: one that has left its session can, and the log names the process.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use File::Copy qw(copy);
use Test::More;

use SpawnTest qw(build_dir each_mpm);
use SpawnTest::Templates ();

each_mpm(
    sub {
        my ($mpm) = @_;
        my $t = SpawnTest::Templates->new(
            mpm => $mpm,
            templates => 'SpawnTemplate app exec inc=@INC@ preload=My::Ctl',
            files => { 'My/Ctl.pm' => <<'END' },
package My::Ctl;
use strict;
use warnings;
sub says {
    open my $out, '-|', '/bin/sh', '-c', 'exec "$@" 2>&1', 'sh', @_ or die "$!\n";
    local $/ = undef;
    return scalar <$out>;
}
1;
END
            conf => <<'END'
<SpawnQueue workers>
    SpawnWorkers 1 1
</SpawnQueue>
SpawnCron "0 0 1 1 *" name=yearly /bin/true
END
        );
        my $httpd = $t->start->httpd;
        my $spawn = $t->spawn;
        my $ctl = SpawnTest::Ctl->new($httpd);
        my $spawnctl = $httpd->work . '/spawnctl'; # where jobs may read it
        copy(build_dir() . '/spawnctl', $spawnctl) or die "$spawnctl: $!\n";
        chmod 0755, $spawnctl or die "$spawnctl: $!\n";

        my $state = sub {
            my ($queues) = $ctl->json('queues', 'default');
            my ($crons) = $ctl->json('cron');
            return join ' ', $queues->[0]{state}, $crons->[0]{paused_at} ? 'paused' : 'runs';
        };
        is $state->(), 'open runs', 'nothing is changed';
        for my $what ([ 'pause', 'default' ], [ 'drain', 'default' ], [ 'scale', 'default', 1 ], [ 'cron', 'pause', 'yearly' ]) {
            my @command = ($spawnctl, '--socket', $httpd->socket, @{$what});
            my $ran = $spawn->run(\@command);
            is $ran->exit_code, 125, "a program: @{$what}";
            like $ran->stderr, qr/a job may not change/, '... is refused';
        }
        for my $queue (qw(default workers)) {
            my @said = $spawn->call('My::Ctl::says', [ $spawnctl, '--socket', $httpd->socket, 'pause', 'default' ], queue => $queue);
            like "@said", qr/a job may not change/, "a function in queue $queue is refused";
        }
        is $state->(), 'open runs', 'nothing is changed by that';
        is $spawn->run([ $spawnctl, '--socket', $httpd->socket, 'queues' ])->exit_code, 0, 'a job may look';
        my $left = $spawn->run([ 'setsid', '-w', '/bin/sh', '-c', 'echo $$; exec "$@"', 'sh', $spawnctl, '--socket', $httpd->socket, 'pause', 'default' ]);
        is $left->exit_code, 0, 'one that has left its session can';
        my ($pid) = $left->stdout =~ /\A(\d+)$/m;
        is $state->(), 'paused runs', '... so it is changed';
        ok $httpd->wait_for_log(qr/MS0517: queue default is paused: it starts no jobs; by uid @{[ $httpd->uid ]}, pid $pid$/m), '... and the log names the process';
        is $ctl->run(qw(resume default))->{code}, 0, 'it is undone';
        is $ctl->run(@{$_})->{code}, 0, "who is no job may: @{$_}" for [ 'pause', 'default' ], [ 'cron', 'pause', 'yearly' ];
        is $state->(), 'paused paused', 'and it is changed';
    }
);
done_testing;
