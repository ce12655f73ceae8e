#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# spawnctl queues shows each queue with its rules, what runs and waits. pause starts no
# jobs, drain takes none, scale has another number of them run at once: at once, for
# programs, functions and calls of workers, over a killed broker, a graceful restart, a
# stop and a start, until it is undone. The log says who did it.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Templates ();

each_mpm(
    sub {
        my ($mpm) = @_;
        my $t = SpawnTest::Templates->new(mpm => $mpm, conf => <<'END');
SpawnEnv OUTSIDE 1
<SpawnQueue a>
    SpawnMaxJobs 2
    SpawnMaxQueued 5
    SpawnTimeout 90
    SpawnGrace 3
    SpawnNice 4
    SpawnIONice best-effort:6
    SpawnDirectory /usr
    SpawnEnv SECRET hidden
    SpawnEnv !LANG
    SpawnOutput log
    SpawnLeftovers kill
    SpawnLimit memory=8G cpu=60
    SpawnHistory 50 1d
</SpawnQueue>
<SpawnQueue workers>
    SpawnWorkers 1 2
</SpawnQueue>
SpawnCron "0 0 1 1 *" name=yearly queue=a /bin/true
END
        my $httpd = $t->start->httpd;
        my $spawn = $t->spawn;
        my $ctl = SpawnTest::Ctl->new($httpd);

        my $queue = sub {
            my ($name) = @_;
            my ($rows, $ran) = $ctl->json('queues', $name);
            return $rows && $rows->[0] || { error => $ran->{err} };
        };
        my $does = sub {
            my (@words) = @_;
            my $ran = $ctl->run(@words);
            is "$ran->{code}$ran->{err}", '0', "spawnctl @words";
            return;
        };

        # the list
        my ($rows) = $ctl->json('queues');
        is_deeply [ map { $_->{queue} } @{$rows} ], [qw(default a workers)], 'each queue, in the order of httpd.conf';
        is_deeply $queue->('a'), {
            queue => 'a', state => 'open', configured => JSON::PP::true(), running => 0, waiting => 0, delayed => 0,
            oldest_at => undef, max_jobs => 2, configured_max_jobs => 2, max_queued => 5, max_delayed => 100_000,
            changed_at => undef, changed_by => undef, template => 'app', workers_min => undef, workers_max => undef,
            rules => {
                timeout => '1m30s', grace => '3.00s', nice => '4', ionice => 'best-effort:6', cwd => '/usr', output => 'log',
                leftovers => 'kill', limits => 'memory=8G,cpu=60',
                history => '50,1d00h', env => [qw(OUTSIDE SECRET !LANG)],
            },
        }, 'with its rules';
        my $table = $ctl->run('queues')->{out};
        like $table, qr/^QUEUE +STATE +RUNNING/, 'a table';
        like $table, qr{^a +open +0/2 +0/5 +0/100000 +- +app +- +timeout=1m30s}m, 'with a row';
        unlike $table, qr/hidden/, 'and no value of a variable';
        is $ctl->run('queues', 'no-such')->{code}, 125, 'an unknown queue';
        like $ctl->run('pause', 'no-such')->{err}, qr/queue 'no-such' is not configured/, 'which is told';

        # pause: what runs goes on, nothing starts
        my $gate = SpawnTest::Gate->new($httpd, 'gate');
        my $runs = $spawn->spawn($gate->job(''), queue => 'a', reply => 'started', stdout => 'null');
        $does->('pause', 'a', 'workers');
        ok $httpd->wait_for_log(qr/MS0517: queue a is paused: it starts no jobs; by uid $<, pid \d+/), 'the log says who';
        my @waits = map { $spawn->spawn([ '/bin/true' ], queue => 'a') } 1 .. 3;
        my $call = $spawn->spawn_call('My::Work::echo', ['x'], queue => 'workers');
        is_deeply [ @{ $queue->('a') }{qw(state running waiting changed_by)} ], [ 'paused', 1, 3, $< ], 'it takes jobs, and starts none';
        my $oldest = $queue->('a')->{oldest_at};
        is $oldest, $ctl->json('show', $waits[0]->id) && ($ctl->json('show', $waits[0]->id))[0]{submitted_at}, 'the oldest one';
        is $queue->('workers')->{waiting}, 1, 'neither does a queue of workers';
        ok !eval { $spawn->call('My::Work::echo', ['y'], queue => 'workers', timeout => 0.1, grace => 0); 1 }, 'who waits for a call';
        my $error = $@;
        is $error->code, 'timed_out', '... is told in time';
        $error->job->kill;
        $gate->let(1);
        is $runs->wait(30)->outcome, 'exited', 'what ran has ended';
        is $spawn->spawn([ '/bin/true' ])->wait(30)->outcome, 'exited', 'another queue does not notice';
        is $waits[0]->status->state, 'queued', 'they wait';

        # Each start and restart says it again.
        my $told = sub {
            my ($what) = @_;
            return scalar grep { /MS0516: queue a \Q$what\E/ } split /\n/, $httpd->error_log;
        };
        my $restarted = sub {
            my ($what, $code) = @_;
            my $before = $told->($what);
            $code->();
            ok wait_until(sub { $told->($what) > $before }, 60), 'which the log says again';
            return;
        };

        # it outlives all
        my $still = sub {
            my ($when) = @_;
            ok wait_until(sub { ($queue->('a')->{state} || '') eq 'paused' && $queue->('a')->{waiting} == 3 }, 60), "$when: paused";
            is_deeply [ map { $spawn->job($_->id)->status->state } @waits ], [ ('queued') x 3 ], '... and they wait';
            return;
        };
        my $broker = $httpd->broker_pid;
        kill 'KILL', $broker;
        ok wait_until(sub { my $pid = $httpd->broker_pid; $pid && $pid != $broker }, 60), 'another broker';
        $still->('a killed broker');
        $restarted->("is paused and starts no jobs, since uid $< has changed it", sub { $httpd->graceful });
        $still->('a graceful restart');
        $httpd->stop;
        ok wait_until(sub { $httpd->pair_gone }, 60), 'the pair has gone';
        $restarted->('is paused', sub { $httpd->start });
        $still->('a stop and a start');

        $does->('resume', 'a', 'workers');
        is_deeply [ map { $spawn->job($_->id)->wait(30)->outcome } @waits ], [ ('exited') x 3 ], 'resumed: all run';
        is_deeply [ $spawn->job($call->id)->result(30) ], ['x'], 'and the call';
        is_deeply [ @{ $queue->('a') }{qw(state changed_by)} ], [ 'open', undef ], 'nothing of it is left';

        # drain: what waits starts, nothing new comes
        $runs = $spawn->spawn($gate->job(''), queue => 'a', reply => 'started', stdout => 'null');
        $does->('scale', 'a', '1');
        my $last = $spawn->spawn([ '/bin/true' ], queue => 'a');
        $does->('drain', 'a');
        for my $what ([ spawn => [ '/bin/true' ] ], [ call => 'My::Work::pid' ]) {
            my ($verb, @what) = @{$what};
            ok !eval { $spawn->$verb(@what, queue => 'a'); 1 }, "drained: $verb";
            is $@->code, 'queue_full', '... is refused';
            like $@->message, qr/queue 'a' is drained and takes no jobs until somebody calls 'spawnctl resume a'/, '... with the reason';
        }
        is $last->status->state, 'queued', 'scaled: one at once';
        my $by_hand = $ctl->run('cron', 'run', 'yearly');
        is $by_hand->{code}, 125, 'drained: a recurring job';
        like $by_hand->{err}, qr/queue 'a' is drained/, '... is refused when it is run by hand';
        $gate->let(1);
        is $last->wait(30)->outcome, 'exited', 'what waits starts';

        # both: it takes nothing, and starts nothing
        $does->('drain', '--undo', 'a');
        is $queue->('a')->{state}, 'open', 'undone';
        $does->('pause', 'a');
        chomp(my $yearly = $ctl->run('cron', 'run', 'yearly')->{out});
        $last = $spawn->spawn([ '/bin/true' ], queue => 'a');
        $does->('drain', 'a');
        is $queue->('a')->{state}, 'paused,draining', 'both';
        ok !eval { $spawn->spawn([ '/bin/true' ], queue => 'a'); 1 }, 'it takes nothing';
        is $last->status->state, 'queued', 'and starts nothing';
        $does->('pause', '-u', 'a');
        is $queue->('a')->{state}, 'draining', 'the pause is undone alone';
        is $_->wait(30)->outcome, 'exited', 'what waits starts' for $last, $spawn->job($yearly);
        ok !eval { $spawn->spawn([ '/bin/true' ], queue => 'a'); 1 }, 'it still takes nothing';
        $does->('pause', 'a');
        $does->('resume', 'a');

        # scale
        is_deeply [ @{ $queue->('a') }{qw(max_jobs configured_max_jobs state)} ], [ 1, 2, 'open' ], 'scaled down';
        $restarted->('runs 1 jobs at once in the place of SpawnMaxJobs', sub { $httpd->graceful });
        is $queue->('a')->{max_jobs}, 1, 'also after a graceful restart';
        $does->('scale', 'a', '3');
        my @three = map { $spawn->spawn($gate->job(''), queue => 'a', stdout => 'null') } 1 .. 4;
        ok wait_until(sub { my $q = $queue->('a'); $q->{running} == 3 && $q->{waiting} == 1 }, 30), 'three at once';
        like $ctl->run('queues', 'a')->{out}, qr{^a +open +3/3 +1/5.*\n +changed by \S+ \(uid $<\), .*; SpawnMaxJobs is 2$}m, 'shown with who did it';
        $does->('scale', '--undo', 'a');
        ok $httpd->wait_for_log(qr/MS0517: queue a runs 2 jobs at once, as SpawnMaxJobs says; by uid $</), 'undone';
        $gate->let(4);
        is_deeply [ map { $_->wait(30)->outcome } @three ], [ ('exited') x 4 ], 'all run';
        is $queue->('a')->{changed_at}, undef, 'and nothing of it is left';
        for my $wrong ([ '0', qr/'spawnctl pause' starts none/ ], [ '100001', qr/100000 are possible/ ], [ 'x', qr/'x' is not a number/ ], [ '-1', qr/not an option|'-1' is not|invalid|unknown/i ]) {
            my $ran = $ctl->run('scale', 'a', $wrong->[0]);
            is $ran->{code}, 125, "scale a $wrong->[0]: refused";
            like $ran->{err}, $wrong->[1], '... with the reason';
        }
    }
);
done_testing;
