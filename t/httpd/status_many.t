#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# With SpawnStatusControl on, the status page kills, cancels and retries all jobs that are
# chosen: after a page that counts them and does nothing, so many at a time, only those that
# were there then, and the error log says who it was. A form for another choice does nothing.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm wait_until);
use SpawnTest::Login qw(login_missing login_modules login_of login_wanted);

use lib SpawnTest::build_dir() . '/perl';
use Apache2::Spawn ();

plan skip_all => login_missing() if login_missing();

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm(), handlers => 0);
my ($load, $login) = (login_modules(), login_wanted($httpd, 'anna'));
$httpd->{conf} = <<"END";
$load
SpawnSubmitTimeout 30s
<Location /shows>
    SetHandler spawn-status
    $login
</Location>
<Location /spawn-status>
    SetHandler spawn-status
    SpawnStatusControl on
    $login
</Location>
<SpawnQueue q>
    SpawnMaxJobs 3
    SpawnMaxQueued 2000
</SpawnQueue>
END
$httpd->start;
my $spawn = $httpd->connection;
my $ctl = SpawnTest::Ctl->new($httpd);
my %anna = login_of('anna');
my $client = HTTP::Tiny->new(timeout => 120, keep_alive => 0, max_redirect => 0);
my $get = sub { my ($query, $path) = @_; return $client->get($httpd->url(($path || '/spawn-status') . $query), { headers => {%anna} }) };
my $post = sub {
    my ($query, %fields) = @_;
    my $origin = $httpd->url('') =~ s{/\z}{}r;
    return $client->post_form($httpd->url("/spawn-status$query"), \%fields, { headers => { %anna, Origin => $origin, 'Sec-Fetch-Site' => 'same-origin' } });
};
my $fields = sub { my ($page) = @_; return map { $_ => $page->{content} =~ /name="$_" value="([^"]+)"/ } qw(token before) };
my $count = sub { my ($rows) = $ctl->json('ps', '--queue', 'q', @_); return scalar @{$rows} };

my $gate = SpawnTest::Gate->new($httpd, 'gate');
my @run = map { $spawn->spawn($gate->job(''), queue => 'q', stdout => 'null', reply => 'started', label => "runs $_") } 1 .. 3;
my @wait = map { $spawn->spawn([ '/bin/true' ], queue => 'q', label => $_ % 2 ? 'odd' : 'even') } 1 .. 1100;
ok wait_until(sub { $count->('--state', 'queued') == 1100 }, 120), 'jobs wait';

# links are where something can be done, and nothing is done by them
like $get->('?view=jobs&label=odd')->{content}, qr/<a class="button" href="\?act=cancel&amp;all=1&amp;label=odd">Cancel all that wait</, 'the list has links';
unlike $get->('?view=jobs&label=odd', '/shows')->{content}, qr/all=1/, '... not where the page only shows';
is $get->('?act=cancel&all=1&label=odd', '/shows')->{status}, 403, '... and no question';
unlike $get->('?view=jobs&state=running')->{content}, qr/act=cancel/, 'what runs cannot be cancelled';

my $ask = $get->('?act=cancel&all=1&label=odd&queue=q');
is $ask->{status}, 200, 'it is asked';
like $ask->{content}, qr/<h1>Cancel 550 jobs\?</, '... with a count';
like $ask->{content}, qr/Chosen by: <code>queue=q label=odd</, '... and of which';
is $count->('--state', 'queued'), 1100, '... and nothing is done';
my %form = $fields->($ask);

# a form is good for that choice alone
is $post->('?act=cancel&all=1&queue=q', %form)->{status}, 403, 'the form of another choice';
is $post->('?act=kill&all=1&label=odd&queue=q', %form, signal => 'KILL')->{status}, 403, '... of another act';
is $post->('?act=cancel&all=1&label=odd&queue=q', %form, before => $form{before} + 100)->{status}, 403, '... of later jobs';
is $post->('?act=cancel&all=1&label=odd&queue=q', token => 'x', before => 1)->{status}, 403, '... a forged one';
is $count->('--state', 'queued'), 1100, 'nothing was done';

# 500 at a time, or as many as five seconds are enough for; one that came meanwhile is left
# alone
my $later = $spawn->spawn([ '/bin/true' ], queue => 'q', label => 'odd');
my $done = $post->('?act=cancel&all=1&label=odd&queue=q', %form);
is $done->{status}, 303, 'some are cancelled' or diag $done->{content};
my $all = 0;
while ($done->{headers}{location} =~ /^\?act=cancel&before=\d+&queue=q&label=odd&all=1&done=cancel&n=(\d+)&changed=0$/) {
    my $n = $1;
    $all += $n;
    last if !$n;
    cmp_ok $n, '<=', 500, "$n of them, and it is asked for the others";
    ok $httpd->wait_for_log(qr/:notice\].* MS0970: status page: cancel of all jobs with 'queue=q label=odd': $n done, 0 had changed, by user 'anna', client 127\.0\.0\.1/, 30),
        '... and logged';
    $ask = $get->($done->{headers}{location});
    like $ask->{content}, qr/role="status">$n jobs? (?:is|are) cancelled, or ha(?:s|ve) got TERM\./, '... which is said';
    my $left = 550 - $all;
    like $ask->{content}, qr/<h1>Cancel $left jobs?\?</, '... and how many are left';
    $done = $post->('?act=cancel&all=1&label=odd&queue=q', $fields->($ask));
}
cmp_ok $all, '>', 0, 'not all in one go';
my ($last) = $done->{headers}{location} =~ /^\?view=jobs&queue=q&label=odd&all=1&done=cancel&n=(\d+)&changed=0$/;
is $all + ($last || 0), 550, 'all of them at last';
like $get->($done->{headers}{location})->{content}, qr/role="status">$last jobs? (?:is|are) cancelled/, '... which is said';
is $wait[0]->wait(60)->outcome, 'cancelled', 'the first one';
ok wait_until(sub { $count->('--state', 'queued') == 551 }, 60), 'those of another label wait on, and the one that came later';
my ($kept) = $ctl->json('show', $later->id);
is $kept->{state}, 'queued', '... which is this one';

# a signal
$ask = $get->('?act=kill&all=1&q=runs');
like $ask->{content}, qr/<h1>Send a signal to 3 jobs\?/, 'it is asked';
is $post->('?act=kill&all=1&q=runs', $fields->($ask))->{status}, 400, 'a signal is needed';
$done = $post->('?act=kill&all=1&q=runs', $fields->($ask), signal => 'KILL');
is $done->{status}, 303, 'it is sent';
is $_->wait(60)->signal, 9, '... to each' for @run;
ok $httpd->wait_for_log(qr/MS0970: status page: kill KILL of all jobs with 'q=runs': 3 done/, 30), '... and logged';

# a dead job is tried again
my @dead = map { $spawn->spawn([ '/bin/false' ], retry => 1, backoff => [0.1], label => 'dead') } 1 .. 2;
is $_->wait(60)->exit_code, 1, 'one has failed' for @dead;
ok wait_until(sub { $get->('?act=retry&all=1&outcome=failed&label=dead')->{content} =~ /<h1>Retry 2 jobs\?/ }, 60), 'it is asked';
$done = $post->('?act=retry&all=1&outcome=failed&label=dead', $fields->($get->('?act=retry&all=1&outcome=failed&label=dead')));
is $done->{headers}{location}, '?view=jobs&outcome=failed&label=dead&all=1&done=retry&n=2&changed=0', 'they are tried again';
# those that wait for their time are started, and no others
my @later = map { $spawn->spawn([ '/bin/true' ], delay => 3600, label => 'later') } 1 .. 2;
$done = $post->('?act=start&all=1&label=later', $fields->($get->('?act=start&all=1&label=later')));
is $done->{headers}{location}, '?view=jobs&label=later&all=1&done=start&n=2&changed=0', 'those that wait for their time are started';
is $_->wait(60)->exit_code, 0, '... and run' for @later;
like $get->('?act=start&all=1&label=later')->{content}, qr/<h1>Start 0 jobs\?/, 'what has ended is not started';
like $get->('?act=retry&all=1&label=nowhere')->{content}, qr/<h1>Retry 0 jobs\?.*There is no such job/s, 'of none';
like $get->('?act=cancel&all=1&outcome=failed')->{content}, qr/<h1>Cancel 0 jobs\?/, 'what has ended is not cancelled';
is $get->('?act=pause&all=1')->{status}, 404, 'a queue is none of these';
is $get->('?act=kill&all=1&since=x')->{status}, 400, 'a choice that makes no sense';
ok wait_until(sub { $count->('--state', 'queued') == 0 }, 120), 'all end';
done_testing;
