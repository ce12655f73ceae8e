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

use Digest::SHA qw(sha1_base64);
use MIME::Base64 qw(encode_base64);
use Test::More;

use SpawnTest qw(one_mpm);

use lib SpawnTest::build_dir() . '/perl';
use Apache2::Spawn ();

chomp(my $modules = `apxs -q LIBEXECDIR`);
my @auth = qw(authn_core authn_file auth_basic authz_user);
plan skip_all => 'httpd has no mod_auth_basic' if grep { !-e "$modules/mod_$_.so" } @auth;

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm(), handlers => 0);
my $passwords = $httpd->file('passwords', join '', map {"$_:{SHA}" . sha1_base64('x') . "=\n"} qw(anna otto));
my $load = join '', map {"<IfModule !${_}_module>\nLoadModule ${_}_module $modules/mod_$_.so\n</IfModule>\n"} @auth;
$httpd->{conf} = <<"END";
$load
SpawnSubmitTimeout 30s
<Location /shows>
    SetHandler spawn-status
</Location>
<Location /acts>
    SetHandler spawn-status
    SpawnStatusControl on
    AuthType Basic
    AuthName x
    AuthBasicProvider file
    AuthUserFile $passwords
    Require valid-user
</Location>
<Location /acts/not-here>
    SpawnStatusControl off
</Location>
END
$httpd->start;
my $spawn = Apache2::Spawn->connect($httpd->socket);
my $gate = SpawnTest::Gate->new($httpd, 'gate');
my ($job, $other) = map { $spawn->spawn($gate->job(''), stdout => 'null', reply => 'started') } 1, 2;
my $id = $job->id;

my $client = HTTP::Tiny->new(timeout => 120, keep_alive => 0, max_redirect => 0);
my $as = sub { my ($user) = @_; return (Authorization => 'Basic ' . encode_base64("$user:x", '')) };
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
is $client->request('DELETE', $httpd->url("/acts?$kill"), { headers => { $as->('anna') } })->{status}, 405, 'another method';
is $job->status->state, 'running', 'after all that the job runs';
unlike $httpd->error_log, qr/MS0960/, 'and nothing was done';

is $post->("/acts?$kill", {@good}, Origin => $own)->{status}, 303, 'the right form';
is $job->wait(60)->signal, 9, '... kills';
like $httpd->error_log, qr/MS0960: status page: job $id: kill KILL, by user 'anna', client 127\.0\.0\.1/, '... and the log has the user';
$gate->let(1);
done_testing;
