#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Nothing that a caller, a visitor or a job has written is markup on the status page: not
# a label, an argument, a context, an output, a reason, nor what the query says; control
# characters, what turns the direction of writing, and bytes that are not UTF-8 are shown
# as such. The headers forbid what would be left: scripts and styles in a page, frames.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm wait_until);

use lib SpawnTest::build_dir() . '/perl';
use Apache2::Spawn ();

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm(), handlers => 0, conf => <<'END')->start;
SpawnSubmitTimeout 30s
<Location /spawn-status>
    SetHandler spawn-status
</Location>
END
my $spawn = $httpd->connection;

my $evil = qq{<script>alert("1")</script>'&amp;};
my $odd = "\x1b[31m\x01 \xff\xfe \xc3\xa9 \xe2\x80\xae";
my $out = $httpd->file('out', "$evil$odd\n");
my $job = $spawn->spawn([ '/bin/cat', $out, "$evil$odd" ], label => $evil, stdout => 'capture', stderr => 'capture',
    context => { user => $evil, client => "<b>", '<i>' => '<u>' });
is $job->wait(60)->outcome, 'exited', 'a job has run';
my $nul = $spawn->spawn([ '/usr/bin/head', '-c', '600', '/dev/zero' ], stdout => 'capture', label => 'nul');
is $nul->wait(60)->outcome, 'exited', 'and one that prints bytes';
my $missing = $spawn->spawn([ '/bin/<img>', 'x' ], label => 'missing');
is $missing->wait(60)->outcome, 'start_failed', 'and one that cannot start';

my $get = sub { my ($query) = @_; return $httpd->get("/spawn-status?$query") };
my ($answer, $tags);
my $id = $job->id;
ok wait_until(sub { $get->('view=jobs')->{content} =~ /\Q$id\E/ }, 60), 'it is in the history';
my %page = (
    'the overview' => '', 'the list' => 'view=jobs', 'its page' => "job=$id", 'the other page' => 'job=' . $missing->id,
    'a query' => 'view=jobs&user=%22%3E%3Cscript%3E&vhost=%3Cb%3E&request=%27&refresh=%22%3E',
    'a fault' => 'view=jobs&state=%3Cscript%3E', 'an id' => 'job=%3Cscript%3E', 'a file' => 'file=%3Cscript%3E',
    'a format' => 'format=%3Cscript%3E',
);
for my $name (sort keys %page) {
    $answer = $get->($page{$name});
    my $text = $answer->{content};
    unlike $text, qr/<script>|<b><|<i>|<u>|<img|"><script/, "$name: no markup of others";
    unlike $text, qr/[\x00-\x08\x0b-\x1f\x7f]/, '... no control character';
    ok utf8::decode(my $copy = $text), '... UTF-8';
    unlike $text, qr/\xe2\x80\xae/, '... written from left to right';
    unlike $text, qr/\sstyle=|\son\w+=|<style|javascript:/, '... no style, no script in it';
    next if $name =~ /^a f/;    # httpd's own page
    my $policy = $answer->{headers}{'content-security-policy'} || '';
    like $policy, qr/(?:\A|; )\Q$_\E(?:;|\z)/, "... its policy has $_"
        for q{default-src 'none'}, q{script-src 'self'}, q{style-src 'self'}, q{form-action 'self'}, q{frame-ancestors 'none'},
        q{base-uri 'none'};
    is $answer->{headers}{'x-content-type-options'}, 'nosniff', '... nosniff';
    is $answer->{headers}{'cache-control'}, 'no-store', '... is not kept';
    is $answer->{headers}{'referrer-policy'}, 'no-referrer', '... no referrer';
}
my $text = $get->("job=$id")->{content};
like $text, qr/&lt;script&gt;alert\(&quot;1&quot;\)&lt;\/script&gt;&#39;&amp;amp;/, 'markup is shown as text';
like $text, qr{<span class="odd">\\x1b</span>\[31m<span class="odd">\\x01</span> }, 'control characters as such';
like $text, qr{<span class="odd">\\xff\\xfe</span> \xc3\xa9 }, 'bytes that are no text as such, with one mark for a run of them';
like $get->('job=' . $nul->id)->{content}, qr/Binary: not text.*<pre tabindex="0">00000000  00 00 .*344 bytes more are not shown/s, 'and bytes as bytes';
like $get->('job=' . $missing->id)->{content}, qr/start_failed: exec.*No such file/s, 'step and errno in words';
done_testing;
