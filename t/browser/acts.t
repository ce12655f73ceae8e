#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The status page in a browser, of somebody who has logged in: a click on Kill, and a click on the
# page that asks, kills a job; Pause pauses a queue, Resume resumes it, and Scale scales it; No
# does nothing. With JavaScript and without, by mouse and by keyboard.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm wait_until);
use SpawnTest::Browser ();
use SpawnTest::Login qw(login_missing login_of login_page);

use lib SpawnTest::build_dir() . '/perl';
use Apache2::Spawn ();

my $missing = SpawnTest::Browser::missing() || login_missing();
plan skip_all => $missing if $missing;

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm(), handlers => 0);
$httpd->{conf} = login_page($httpd, 'anna') . <<'END';
<SpawnQueue images>
</SpawnQueue>
END
$httpd->start;
my $spawn = $httpd->connection;
my $ctl = SpawnTest::Ctl->new($httpd);
my $gate = SpawnTest::Gate->new($httpd, 'gate');
my $browser = SpawnTest::Browser->new->headers(login_of('anna'));
my $state = sub { my ($rows) = $ctl->json('queues', 'images'); return $rows->[0]{state} };
my $becomes = sub {
    my ($want, $name) = @_;
    wait_until(sub { $state->() eq $want }, 90);
    return is $state->(), $want, $name;
};

my $most = sub { my ($rows) = $ctl->json('queues', 'images'); return $rows->[0]{max_jobs} };

for my $with (1, 0) {
    my $how = $with ? 'with JavaScript' : 'without JavaScript';
    $browser->javascript($with);
    my $job = $spawn->spawn($gate->job(''), queue => 'images', label => "picture $with", stdout => 'null', reply => 'started');
    my $id = $job->id;

    # from the list to the job, to the page that asks, and back
    $browser->go($httpd->url('/spawn-status?view=jobs&state=running'));
    $browser->click(qq{a[href="?job=$id"]});
    $browser->shows(qr/picture $with/, "$how: the job's page");
    $browser->click(qq{a[href="?act=kill&job=$id"]});
    $browser->shows(qr/Send the signal/, '... asks');
    $browser->click_link('No');
    $browser->arrives($httpd->url("/spawn-status?job=$id"), '... No leads back');
    is $job->status->state, 'running', '... and does nothing';
    $browser->click(qq{a[href="?act=kill&job=$id"]});
    $browser->choose(signal => 'KILL');
    $browser->click('.confirm button');
    $browser->arrives($httpd->url("/spawn-status?job=$id&done=kill"), '... and a click on the button leads to the job');
    is $job->wait(60)->signal, 9, '... which is killed';
    $browser->go($httpd->url("/spawn-status?job=$id"));
    $browser->shows(qr/signalled 9 \(KILL\)/, '... as the page says');

    # a queue
    $browser->go($httpd->url('/spawn-status'));
    $browser->click('a[href="?act=pause&queue=images"]');
    is $state->(), 'open', "$how: a link alone pauses no queue";
    $browser->click('.confirm button');
    $becomes->('paused', '... the button does');
    $browser->shows(qr/paused/, '... as the page says');
    $browser->click('a[href="?act=resume&queue=images"]');
    $browser->type('.confirm button', "\x{e007}");    # the key Enter
    $becomes->('open', '... and Enter on the button resumes it');

    # how many of its jobs run at once
    $browser->click('a[href="?act=scale&queue=images"]');
    $browser->type('input[name=most]', "\x{e009}a\x{e000}7");    # Ctrl+A: instead of what stands there
    $browser->click('.confirm button');
    $browser->arrives(qr/[?&]done=scale\b/, '... Scale leads back');
    is $most->(), 7, '... and as many run as were typed';
    is $ctl->run('scale', '--undo', 'images')->{code}, 0, 'that is undone';
}
done_testing;
