#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The status page acts nowhere but where SpawnStatusControl is on, and never by a link, by a
# form that another site has the browser send, or with a token that is forged, another
# act's, another target's or another user's. Nothing is done then, and the log says so.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm);
use SpawnTest::Login qw(login_missing login_modules login_of login_wanted);

use lib SpawnTest::build_dir() . '/perl';
use Apache2::Spawn ();

plan skip_all => login_missing() if login_missing();

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm(), handlers => 0);
my ($load, $login) = (login_modules(), login_wanted($httpd, qw(anna otto)));
$httpd->{conf} = <<"END";
$load
SpawnSubmitTimeout 30s
<Location /shows>
    SetHandler spawn-status
</Location>
<Location /acts>
    SetHandler spawn-status
    SpawnStatusControl on
    $login
</Location>
<Location /for-all>
    SetHandler spawn-status
    SpawnStatusControl on
</Location>
<Location /acts/not-here>
    SpawnStatusControl off
</Location>
END
$httpd->start;
my $spawn = $httpd->connection;
my $gate = SpawnTest::Gate->new($httpd, 'gate');
my ($job, $other) = map { $spawn->spawn($gate->job(''), stdout => 'null', reply => 'started') } 1, 2;
my $id = $job->id;

my $client = HTTP::Tiny->new(timeout => 120, keep_alive => 0, max_redirect => 0);
my $as = \&login_of;
my $get = sub {
    my ($path, $user) = @_;
    return $client->get($httpd->url($path), { headers => { $as->($user || 'anna') } });
};
my $token_of = sub {
    my ($query, $user) = @_;
    my $page = $get->("/acts?$query", $user);
    my ($token) = $page->{content} =~ /name="token" value="([^"]+)"/;
    ok $token, "a token: $query" or diag $page->{content};
    return $token;
};
my $post = sub {
    my ($path, $fields, %headers) = @_;
    return $client->post_form($httpd->url($path), $fields, { headers => { $as->(delete $headers{user} || 'anna'), %headers } });
};
my $kill = "act=kill&job=$id";
my $token = $token_of->($kill);
my @good = (signal => 'KILL', token => $token);
my $refused = sub {
    my ($name, $answer) = @_;
    is $answer->{status}, 403, "$name: 403" or diag $answer->{content};
    is $job->status->state, 'running', '... and the job runs on';
    return;
};

# where it only shows
for my $path ('/shows', '/acts/not-here') {
    $refused->("POST to $path", $post->("$path?$kill", {@good}));
    $refused->("the question at $path", $get->("$path?$kill"));
    unlike $get->("$path?job=$id")->{content}, qr/act=|<form/, '... and the page offers none';
}
like $post->("/shows?$kill", {@good})->{content}, qr/SpawnStatusControl is off/, 'which is told';

# without a login each job could
$refused->('POST by nobody', $post->("/for-all?$kill", {@good}));
my $asked = $get->("/for-all?$kill");
$refused->('the question of nobody', $asked);
like $asked->{content}, qr/Require valid-user/, '... told what to do';
unlike $get->("/for-all?job=$id")->{content}, qr/act=|<form/, '... and the page offers none';

# by a link
is $get->("/acts?$kill&signal=KILL&token=$token")->{status}, 200, 'a link asks';
is $job->status->state, 'running', '... and does nothing';

# tokens
(my $forged = $token) =~ s/(.)\z/$1 eq '0' ? '1' : '0'/e;
my ($expiry, $rest) = $token =~ /\A(\w+)-(\w+)\z/;
my $later = sprintf '%x', hex($expiry) - 1;
my %wrong = (
    'no token' => undef, 'an empty one' => '', 'a forged one' => $forged, 'another time' => "$later-$rest", 'a cut one' => substr($token, 0, -1),
    'a long one' => "${token}0", 'the time alone' => "$expiry-", 'none of ours' => 'x' x 300, 'an old one' => "1-$rest", 'one of no end' => "7fffffffffffffff-$rest",
    q{another act's} => $token_of->("act=cancel&job=$id"), q{another job's} => $token_of->('act=kill&job=' . $other->id),
    q{another user's} => $token_of->($kill, 'otto'),
);
for my $name (sort keys %wrong) {
    $refused->($name, $post->("/acts?$kill", { signal => 'KILL', defined $wrong{$name} ? (token => $wrong{$name}) : () }));
}
is $post->('/acts?act=scale&queue=default', { most => 2, token => $token_of->('act=pause&queue=default') })->{status}, 403, 'of a queue: another act\'s: 403';
ok $httpd->wait_for_log(qr/:warn\].* MS0961: status page: an act is refused: The form is too old.*\(user 'anna', client 127\.0\.0\.1\)/, 30), 'the log says so';

# other sites
my $own = $httpd->url('') =~ s{/\z}{}r;
for my $site ('http://evil.example', 'null', "$own.evil.example", 'http://127.0.0.1', '127.0.0.1') {
    $refused->("a form of $site", $post->("/acts?$kill", {@good}, Origin => $site));
}
$refused->("a form of a $_ page", $post->("/acts?$kill", {@good}, Origin => $own, 'Sec-Fetch-Site' => $_)) for qw(cross-site same-site none);
ok $httpd->wait_for_log(qr/MS0961: status page: an act is refused: The form came from another site/, 30), 'the log says so';

# no form
is $client->post($httpd->url("/acts?$kill"), { content => '{}', headers => { $as->('anna'), 'Content-Type' => 'application/json' } })->{status} =~ /\A40[03]\z/,
    1, 'no form: refused';
is $post->("/acts?$kill", { @good, x => 'x' x 10_000 })->{status}, 400, 'a big one: refused';
is $post->('/acts?act=no-such&job=' . $id, {@good})->{status}, 404, 'no such act';
is $post->("/acts?act=kill&job=x", {@good})->{status}, 404, 'no job';
my $other = $client->request('DELETE', $httpd->url("/acts?$kill"), { headers => { $as->('anna') } });
is $other->{status}, 405, 'another method';
like $other->{headers}{allow}, qr/\b$_\b/, "... the answer names $_" for qw(GET POST);
is $job->status->state, 'running', 'after all that the job runs';
unlike $httpd->error_log, qr/MS0960/, 'and nothing was done';

is $post->("/acts?$kill", {@good}, Origin => $own)->{status}, 303, 'the right form';
is $job->wait(60)->signal, 9, '... kills';
like $httpd->error_log, qr/MS0960: status page: job $id: kill KILL, by user 'anna', client 127\.0\.0\.1/, '... and the log has the user';
$gate->let(1);
done_testing;
