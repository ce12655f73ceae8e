#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Jobs that are tried again when they ended badly: programs, functions in processes
# of their own, and calls of workers; each attempt has its record, and a caller
# that waits has the last one. A job that has failed for good is listed, and can be
# tried again.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Patience qw(patiently);
use SpawnTest::Templates ();

sub lines {
    my ($file) = @_;
    open my $in, '<', $file or return 0;
    return scalar(() = <$in>);
}

# A program that writes a line each time, and is good from the nth time on.
sub good_from {
    my ($file, $n) = @_;
    return [ '/bin/sh', '-c',
        'echo "$SPAWN_ATTEMPT" >>"$1"; n=$(wc -l <"$1"); echo "time $n"; [ "$n" -ge "$2" ] || exit 7',
        'sh', $file, $n ];
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $t = SpawnTest::Templates->new(
            mpm   => $mpm,
            conf  => "<SpawnQueue rpc>\nSpawnWorkers 1 2\n</SpawnQueue>\n<SpawnQueue other>\n</SpawnQueue>\n",
            files => { 'My/Tried.pm' => <<'END' },
package My::Tried;
use strict;
use warnings;
use Apache2::Spawn ();
# Dies until this attempt.
sub dies_until {
    my ($n, $ran) = @_;
    my $attempt = Apache2::Spawn->job->attempt;
    if ($ran) {
        open my $out, '>>', $ran or die "$ran: $!\n";
        syswrite $out, "$attempt\n";
    }
    die "attempt $attempt failed\n" if $attempt < $n;
    return "good at $attempt";
}
1;
END
            templates => 'SpawnTemplate app exec inc=@INC@ preload=My::Work,My::Tried')->start;
        my $spawn = $t->spawn;
        my $httpd = $t->httpd;
        my $ctl   = SpawnTest::Ctl->new($httpd);
        my $work  = $httpd->work;

        # programs
        my $res = $spawn->run(good_from("$work/a", 3), retry => 4, backoff => '50ms');
        ok $res->ok, 'a run that is good at last' or diag explain $res;
        is $res->attempt, 3, 'at the third attempt';
        is $res->stdout, "time 3\n", 'has what that wrote';
        is lines("$work/a"), 3, 'it ran three times';
        my @before = $res->attempts;
        is_deeply [ map { [ $_->attempt, $_->outcome, $_->exit_code, $_->stdout ] } @before ],
            [ [ 1, 'exited', 7, "time 1\n" ], [ 2, 'exited', 7, "time 2\n" ] ], 'the records of the others';
        ok !$before[0]->ok, 'which were not good';
        cmp_ok $before[1]->started_at, '>=', $before[0]->ended_at + 0.04, 'one after the other, with a pause';
        cmp_ok $res->started_at, '>=', $before[1]->ended_at + 0.04, 'and so the last';
        open my $in, '<', "$work/a" or die "$work/a: $!\n";
        is join(q{}, <$in>), "\n2\n3\n", 'SPAWN_ATTEMPT';

        $res = $spawn->run(good_from("$work/b", 1), retry => 4, backoff => '50ms');
        is_deeply [ $res->attempt, lines("$work/b"), scalar $res->attempts ], [ 1, 1, 0 ], 'none after a good end';
        $res = $spawn->run([ '/bin/sh', '-c', 'exit 9' ], retry => 4, retry_on => [ 7, 'lost' ], backoff => [0]);
        is_deeply [ $res->attempt, $res->exit_code, $res->dead ], [ 1, 9, 1 ], 'nor after one that retry_on does not name';
        is $httpd->run(good_from("$work/c", 2), retry => 1, backoff => 0)->{ok}, 1, 'from a handler';

        # functions and calls
        is $spawn->call('My::Tried::dies_until', [3], retry => 2, backoff => '0.05'), 'good at 3', 'a function';
        is $spawn->call('My::Tried::dies_until', [3], queue => 'rpc', retry => 2, backoff => '0.05'), 'good at 3',
            'a call of a worker';
        ok !eval { $spawn->call('My::Tried::dies_until', [9], queue => 'rpc', retry => 2, backoff => 0); 1 }, 'one that fails';
        is $@, "attempt 3 failed\n", 'dies as it died last';
        is $spawn->spawn_call('My::Tried::dies_until', [2], retry => 1, backoff => 0)->result(20), 'good at 2', 'one that was accepted';

        # killed in its pause
        my $job = $spawn->spawn(good_from("$work/d", 9), retry => 9, backoff => 600);
        ok wait_until(sub { my $s = $job->status; $s->attempt == 2 && $s->state eq 'delayed' }, 20), 'a job in its pause';
        cmp_ok $job->status->due_at, '>', time + 500, 'tells until when';
        ok $job->kill, 'it can be killed';
        is $job->wait(10)->outcome, 'cancelled', 'and is cancelled';
        is lines("$work/d"), 1, 'having run once';
        ok !$job->status->dead, 'it is not dead';

        # the dead
        my @dead = map { $spawn->spawn(good_from("$work/dead$_", 3), retry => 1, backoff => 0, queue => 'other', stdout => 'capture') } 1 .. 3;
        is $_->wait(20)->exit_code, 7, 'one that fails for good' for @dead;
        is_deeply [ sort map { $_->id } $spawn->list(state => 'dead', queue => 'other') ], [ sort map { $_->id } @dead ], 'are listed';
        like $ctl->run('ps')->{err}, qr/\A5 dead; 'spawnctl ps --state dead'\n\z/, 'and counted';
        my $ran = $ctl->run(qw(ps --state dead -q other));
        like $ran->{out}, qr/^\Q$_\E  exited 7 /m, 'spawnctl lists them' for map { $_->id } @dead;
        my ($shown) = $ctl->json(qw(show -o), $dead[0]->id);
        is_deeply [ map { $_->{exit_code} } @{ $shown->{attempts} } ], [7], 'show: the attempts as JSON';
        is $shown->{attempt}, 2, 'show: the last one';
        like $ctl->run(qw(show -o), $dead[0]->id)->{out},
            qr/^  state +dead: exited 7.*^  attempt +2.*^attempt 1\n  ended as +exited 7.*^--- stdout: 7 bytes ---\ntime 1$/ms,
            'show: the attempts as text';
        ok $dead[0]->retry, 'one is tried again';
        ok $dead[0]->wait(20)->ok, 'and is good now';
        is $dead[0]->status->attempt, 3, 'at its third attempt';
        ok !$dead[0]->retry, 'so it is not dead any more';
        is $ctl->run('retry', $dead[0]->id)->{code}, 1, 'spawnctl says so, too';
        is_deeply $ctl->run(qw(retry --all -q other)), { code => 0, out => q{}, err => q{} }, 'the others of the queue';
        ok $_->wait(20)->ok, 'are good now' for @dead;
        is scalar $spawn->list(state => 'dead', queue => 'other'), 0, 'none is dead';

        # restarts and kills
        $job = $spawn->spawn(good_from("$work/e", 4), retry => 9, backoff => 2);
        ok wait_until(sub { $job->status->attempt >= 2 }, 20), 'a job that has failed once';
        my $broker = $httpd->broker_pid;
        $httpd->kill_pair('broker');
        ok $httpd->new_pid('broker', $broker), 'a new broker';
        ok wait_until(sub { patiently(sub { $job->status->attempt }) >= 3 }, 60), 'goes on with the next attempt';
        $httpd->stop;
        $httpd->start;
        $spawn = $t->spawn;
        $job = $spawn->job($job->id);
        ok $job->wait(20)->ok, 'and so does a new pair';
        is $job->status->attempt, 4, 'with the next';
        is lines("$work/e"), 4, 'it ran four times';

        # lost with both
        $job = $spawn->spawn([ '/bin/sh', '-c', 'echo x >>"$1"; [ "$SPAWN_ATTEMPT" ] || sleep 1000', 'sh', "$work/f" ],
            retry => 2, backoff => 0, reply => 'started');
        my $pid = $job->pid;
        my $spawner = $httpd->spawner_pid;
        ok wait_until(sub { lines("$work/f") == 1 }, 20), 'a job that runs';
        $httpd->kill_pair('spawner');
        kill KILL => -$pid;
        ok $httpd->new_pid('spawner', $spawner), 'a new spawner';
        ok wait_until(sub { my $s = eval { $job->status }; $s && $s eq 'done' }, 30), 'a job that died without its spawner';
        my $end = $job->status;
        ok $end->ok, 'was tried again' or diag explain $end;
        is lines("$work/f"), 2, 'once';
    }
);
done_testing;
