#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# With SpawnStatusControl on, the status page kills and cancels jobs, tries dead ones again,
# starts delayed ones, pauses, drains, resumes and scales queues: after a page that asks, by POST, whichever child made that
# page; the browser is sent on, and the error log says who did what.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Login qw(login_missing login_modules login_of login_wanted);

use lib SpawnTest::build_dir() . '/perl';
use Apache2::Spawn ();

plan skip_all => login_missing() if login_missing();

my $conf = <<'END';
SpawnSubmitTimeout 30s
<Location /spawn-status>
    SetHandler spawn-status
    SpawnStatusControl on
    LOGIN
</Location>
<SpawnQueue q>
    SpawnMaxJobs 1
</SpawnQueue>
END
my %anna = login_of('anna');

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, handlers => 0);
        $httpd->{conf} = login_modules() . $conf =~ s/LOGIN/login_wanted($httpd, 'anna')/er;
        $httpd->start;
        my $spawn = $httpd->connection;
        my $ctl = SpawnTest::Ctl->new($httpd);
        my $client = HTTP::Tiny->new(timeout => 120, keep_alive => 0, max_redirect => 0);
        my $get = sub { my ($path) = @_; return $client->get($httpd->url($path), { headers => {%anna} }) };
        my $act = sub {
            my ($query, %fields) = @_;
            my $page = $get->("/spawn-status?$query");
            is $page->{status}, 200, "$query: is asked" or diag $page->{content};
            my ($token) = $page->{content} =~ /name="token" value="([^"]+)"/;
            like $page->{content}, qr/<form method="post" action="\?\Q@{[ $query =~ s{&}{&amp;}gr ]}\E">/, '... with a form';
            is $page->{headers}{'referrer-policy'}, 'same-origin', '... that has an Origin';
            my $origin = $httpd->url('') =~ s{/\z}{}r;
            return $client->post_form($httpd->url("/spawn-status?$query"), { token => $token, %fields },
                { headers => { %anna, Origin => $origin, 'Sec-Fetch-Site' => 'same-origin' } });
        };
        my $done = sub {
            my ($answer, $where, $log) = @_;
            is $answer->{status}, 303, '... done, and sent on' or diag $answer->{content};
            is $answer->{headers}{location}, $where, '... to where that is seen';
            like $get->("/spawn-status$where")->{content}, qr/class="notice good" role="status"/, '... which says so';
            ok $httpd->wait_for_log(qr/:notice\].* MS0960: status page: $log, by user 'anna', client 127\.0\.0\.1/, 30), '... and the log who it was';
        };
        my $state = sub { my ($rows) = $ctl->json('queues', 'q'); return $rows->[0]{state} };

        my $gate = SpawnTest::Gate->new($httpd, 'gate');
        my $runs = $spawn->spawn($gate->job(''), queue => 'q', stdout => 'null', reply => 'started');
        my $waits = $spawn->spawn([ '/bin/true' ], queue => 'q');
        my ($r, $w) = ($runs->id, $waits->id);
        like $get->("/spawn-status?job=$r")->{content}, qr/\?act=kill&amp;job=$r">/, 'a job has its acts';

        $done->($act->("act=cancel&job=$w"), "?job=$w&done=cancel", "job $w: cancel TERM");
        is $waits->wait(60)->outcome, 'cancelled', 'it is cancelled';
        $done->($act->("act=kill&job=$r", signal => 'KILL'), "?job=$r&done=kill", "job $r: kill KILL");
        is $runs->wait(60)->signal, 9, 'it is killed';
        my $again = $act->("act=kill&job=$r", signal => 'TERM');
        is $again->{status}, 409, 'one that has ended';
        like $again->{content}, qr/the job has ended/, '... which is told';
        ok $httpd->wait_for_log(qr/MS0962: status page: job $r: kill TERM, by user 'anna', client \S+, failed: not_running/, 30), '... and logged';
        is $act->("act=kill&job=$r", signal => 'NO<b>')->{status}, 400, 'no signal';

        my $dead = $spawn->spawn([ '/bin/false' ], retry => 1, backoff => [0.1]);
        is $dead->wait(60)->exit_code, 1, 'a job has failed';
        my $d = $dead->id;
        ok wait_until(sub { $get->("/spawn-status?job=$d")->{content} =~ /act=retry/ }, 60), 'it is dead';
        $done->($act->("act=retry&job=$d"), "?job=$d&done=retry", "job $d: retry");

        my $later = $spawn->spawn([ '/bin/true' ], delay => 3600);
        my $l = $later->id;
        like $get->("/spawn-status?job=$l")->{content}, qr/\?act=start&amp;job=$l">/, 'one that waits for its time can be started';
        $done->($act->("act=start&job=$l"), "?job=$l&done=start", "job $l: start");
        is $later->wait(60)->exit_code, 0, 'it has run';
        is $act->("act=start&job=$l")->{status}, 409, 'one that has ended is not started';

        $done->($act->('act=pause&queue=q'), '?done=pause', 'queue q: pause');
        is $state->(), 'paused', 'the queue is paused';
        $done->($act->('act=drain&queue=q'), '?done=drain', 'queue q: drain');
        is $state->(), 'paused,draining', '... and drained';
        $done->($act->('act=resume&queue=q'), '?done=resume', 'queue q: resume');
        is $state->(), 'open', '... and open again';
        is $act->('act=pause&queue=no-such')->{status}, 404, 'an unknown queue';

        my $scaled = sub { my ($rows) = $ctl->json('queues', 'q'); return $rows->[0]{max_jobs} };
        like $get->('/spawn-status')->{content}, qr/\?act=scale&amp;queue=q">/, 'a queue can be scaled';
        $done->($act->('act=scale&queue=q', most => 3), '?done=scale', 'queue q: scale 3');
        is $scaled->(), 3, '... to 3';
        like $get->('/spawn-status?act=scale&queue=q')->{content}, qr/SpawnMaxJobs, 1\).*name="most"[^>]* value="3"/, '... which the form has then';
        is $act->('act=scale&queue=q', most => $_)->{status}, 400, "scale to '$_'" for qw(0 -1 3x 99999999999);
        is $scaled->(), 3, '... changes nothing';
        $done->($act->('act=scale&queue=q', most => ''), '?done=scale', 'queue q: scale');
        like $get->('/spawn-status?act=scale&queue=q')->{content}, qr/name="most"[^>]* value=""/, '... so the form is empty again';
        is $scaled->(), 1, 'a form without a number undoes it';
    }
);
done_testing;
