#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A visitor's request with ?wait= is answered when something changes: the progress of his job,
# its state, its end; else when its time is over, which SpawnJobWait bounds. One that says
# what it has seen already is answered at once when there is something else.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm);
use SpawnTest::Visitor ();

each_mpm(
    sub {
        my ($mpm) = @_;
        my $v = SpawnTest::Visitor->new(mpm => $mpm, wait => '300s 8', conf => <<'END');
<Location /jobs/off>
    SpawnJobWait off
</Location>
<Location /jobs/short>
    SpawnJobWait 1s
</Location>
END
        my ($id, $token, $gate) = $v->job(qw(one two three));
        my $is = $v->says($id, $token, 'one');
        ok $is, 'it runs' or return;
        my $seen = $is->{seen};
        like $seen, qr/\A[0-9a-f]{16}\z/, 'what is seen';

        for my $text (qw(two three)) {
            my $sock = $v->begin($id, "token=$token&wait=300&seen=$seen");
            $gate->let(1);
            my $now = $v->json_of($v->rest($sock, 120));
            is $now->{progress}{text}, $text, "it waits for '$text'";
            isnt $now->{seen}, $seen, '... which is something else';
            my $again = $v->get($id, "token=$token&wait=300&seen=$seen");
            is $again->{json}{progress}{text}, $text, '... and is told at once to who has not seen it';
            $seen = $now->{seen};
        }
        my $sock = $v->begin($id, "token=$token&wait=300");
        ok !defined $v->until_it_says($sock, qr/\S/, 0.5), 'it waits when nothing was seen, too';
        $gate->let(1);
        my $end = $v->json_of($v->rest($sock, 120));
        ok $end->{state} ne 'running' || $end->{seen} ne $seen, 'until it changes' or diag explain $end;
        while ($end->{state} ne 'done') {
            $end = $v->get($id, "token=$token&wait=300&seen=$end->{seen}")->{json};
        }
        is_deeply [ @{$end}{qw(outcome result_kind)}, !!$end->{ok} ], [ 'exited', 'returned', !!1 ], 'and to its end';
        is $v->get($id, "token=$token&wait=300&seen=$end->{seen}")->{json}{state}, 'done', 'nobody waits for what is over';

        # ---- whose time is over ----

        ($id, $token, $gate) = $v->job('alone');
        $is = $v->says($id, $token, 'alone');
        for my $case ([ 'its own', '', '1' ], [ 'a longer one than may be', 'short/', '300' ]) {
            my ($name, $where, $wait) = @{$case};
            my $late = $v->get($where . $id, "token=$token&wait=$wait&seen=$is->{seen}");
            is "$late->{status} $late->{json}{seen}", "200 $is->{seen}", "time: $name";
            cmp_ok $late->{took}, '>=', 0.95, '... is waited';
        }
        is $v->get("off/$id", "token=$token&wait=300&seen=$is->{seen}")->{status}, 200, 'where nobody waits';
        is $v->get($id, "token=$token&seen=$is->{seen}")->{status}, 200, 'nor who does not say so';

        # a program has no progress, and its states are changes as well
        my $stop = SpawnTest::Gate->new($v->httpd, 'stop');
        my ($program, $its) = @{ $v->ask('my $job = $r->spawn($_[0]); return [ $job->id, $job->token ]', $stop->job('exit 4')) };
        $is = $v->get($program, "token=$its")->{json};
        $is = $v->get($program, "token=$its&wait=300&seen=$is->{seen}")->{json} while $is->{state} ne 'running';
        $sock = $v->begin($program, "token=$its&wait=300&seen=$is->{seen}");
        $stop->let(1);
        is $v->json_of($v->rest($sock, 120))->{state}, 'done', 'the end of a program';
        $gate->let(1);
        is_deeply [ $v->faults ], [], 'all answers are as their schema says';
    }
);
done_testing;
