#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The page of another site, seen by somebody who is logged in at the status page, can kill no
# job: neither by a form of its own, nor by one with a token that is good, nor by fetch, and it
# can have no frame of the page. Somebody who is not logged in, or not allowed, sees nothing of
# it.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm);
use SpawnTest::Browser ();
use SpawnTest::Login qw(login_missing login_of login_page);

use lib SpawnTest::build_dir() . '/perl';
use Apache2::Spawn ();

my $missing = SpawnTest::Browser::missing() || login_missing();
plan skip_all => $missing if $missing;

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm(), handlers => 0);
$httpd->{conf} = login_page($httpd, 'anna') . <<'END';
<Location /denied>
    SetHandler spawn-status
    Require all denied
</Location>
END
$httpd->start;
my $spawn = $httpd->connection;
my $gate = SpawnTest::Gate->new($httpd, 'gate');
my $job = $spawn->spawn($gate->job(''), label => 'precious', stdout => 'null', reply => 'started');
my ($id, $url) = ($job->id, $httpd->url('/spawn-status'));
my $elsewhere = $httpd->url('/') =~ s/127[.]0[.]0[.]1/elsewhere.test/r;

my $browser = SpawnTest::Browser->new(hosts => ['elsewhere.test'])->headers(login_of('anna'));
my $page = sub {
    my ($name, $html) = @_;
    open my $out, '>', $httpd->dir . "/htdocs/$name" or die "$name: $!\n";
    print {$out} "<!DOCTYPE html><title>elsewhere</title>$html";
    close $out or die "$name: $!\n";
    chmod 0644, $httpd->dir . "/htdocs/$name";
    return "$elsewhere$name";
};
my $lives = sub {
    my ($name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is $job->status->state, 'running', "$name: the job runs on";
};

# a good token, as who can read the page of anna has it
$browser->go("$url?act=kill&job=$id");
my $token = $browser->script('return document.querySelector("input[name=token]").value');
ok $token, 'a token';
for my $case ([ 'a form' => '' ], [ 'a form with a token' => $token ]) {
    my ($name, $value) = @{$case};
    my $address = $page->('form.html', qq{<form method="post" action="$url?act=kill&amp;job=$id">}
            . qq{<input name="token" value="$value"><input name="signal" value="KILL"><button>Win</button></form>});
    $browser->go($address)->click('button');
    $browser->shows(qr/Not allowed/, "$name of another site is refused");
    $lives->($name);
}
ok $httpd->wait_for_log(qr/MS0961/, 60), '... which is in the error log';
$browser->go($page->('fetch.html', ''));
my $fetched = $browser->script_that_waits(
    'const asked = fetch(arguments[0], {method: "POST", mode: "no-cors", credentials: "include", body: new URLSearchParams(arguments[1])});'
        . 'return asked.then(r => r.text(), e => e.name)',
    "$url?act=kill&job=$id", { token => $token, signal => 'KILL' });
is $fetched, 'TypeError', 'fetch of another site gets nothing';
$lives->('fetch');
$browser->go($page->('frame.html', qq{<iframe src="$url?act=kill&amp;job=$id"></iframe>}));
is $browser->script('try { return frames[0].document.title } catch (e) { return e.name }'), 'SecurityError', 'a frame of another site';
my $within = $browser->script_that_waits('return frames[0].length + "/" + document.querySelector("iframe").clientWidth');
like $within, qr{\A0/}, '... is there';
$lives->('a frame');

# and the same click at home kills it
$browser->go("$url?act=kill&job=$id")->choose(signal => 'KILL')->click('.confirm button');
is $job->wait(60)->signal, 9, 'from the page itself it is killed';

for my $case ([ 'nobody' => $url, () ], [ 'a wrong password' => $url, Authorization => 'Basic eDp4' ],
    [ 'who is denied' => $httpd->url('/denied'), login_of('anna') ]) {
    my ($name, $address, %headers) = @{$case};
    $browser->headers(%headers)->go($address);
    unlike $browser->text, qr/precious|Overview|Queues/, "$name sees nothing of it";
}
done_testing;
