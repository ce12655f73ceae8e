#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A visitor's request that waits outlives the broker, and a graceful restart: it is answered
# when the job changes, by the next broker. One of a broker that does not answer is told so,
# and not what is wrong.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Visitor ();

each_mpm(
    sub {
        my ($mpm) = @_;
        my $v = SpawnTest::Visitor->new(mpm => $mpm, wait => '300s 4', conf => <<'END');
<VirtualHost *>
    ServerName main
</VirtualHost>
<VirtualHost *>
    ServerName impatient
    SpawnSubmitTimeout 300ms
    <Location /jobs>
        SetHandler spawn-job
    </Location>
</VirtualHost>
END
        my $httpd = $v->httpd;
        my ($id, $token, $gate) = $v->job(qw(one two three));
        my $is = $v->says($id, $token, 'one');
        ok $is, 'it runs' or return;

        my $sock = $v->begin($id, "token=$token&wait=300&seen=$is->{seen}");
        my $stream = $v->begin($id, "token=$token&seen=$is->{seen}", Accept => 'text/event-stream');
        ok !defined $v->until_it_says($sock, qr/\S/, 0.5), 'a request waits';
        ok $v->until_it_says($stream, qr/retry/, 60), '... and a stream';
        my $broker = $httpd->broker_pid;
        kill 'KILL', $broker;
        ok wait_until(sub { my $new = $httpd->broker_pid; $new && $new != $broker }, 60), 'another broker';
        ok !defined $v->until_it_says($sock, qr/\S/, 0.5), 'it still waits';
        $gate->let(1);
        is $v->json_of($v->rest($sock, 120))->{progress}{text}, 'two', 'until there is something new';
        ok $v->until_it_says($stream, qr/"text":"two"/, 120), 'which the stream has, too';

        $is = $v->says($id, $token, 'two');
        $sock = $v->begin($id, "token=$token&wait=300&seen=$is->{seen}");
        ok !defined $v->until_it_says($sock, qr/\S/, 0.5), 'a request waits';
        $httpd->graceful;
        $gate->let(1);
        ok $v->json_of($v->rest($sock, 120)), 'a graceful restart leaves it its answer';
        ok $v->says($id, $token, 'three'), 'the job goes on';
        close $stream;

        my ($spawner) = $httpd->spawner_pids;
        $broker = $httpd->broker_pid;
        kill 'STOP', $spawner, $broker;
        my $no = $v->rest($v->begin($id, "token=$token&wait=300", Host => 'impatient'), 120);
        like $no, qr/\AHTTP\S+ 503 /, 'a broker that does not answer';
        is $v->json_of($no)->{error}{code}, 'unreachable', '... which is told';
        like $no, qr/^Retry-After: 5\r$/m, '... is to be asked later';
        unlike $no, qr{\Q$httpd->{dir}\E|SpawnSocket}, '... and it is not told where it is';
        ok $httpd->wait_for_log(qr/MS0980/), 'which the log has';
        kill 'CONT', $broker, $spawner;
        $gate->let(1);
    }
);
done_testing;
