#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Under HTTP/2 each stream leaves its jobs when the session has its answer.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use JSON::PP ();

use SpawnTest qw(mpms wait_until);
use SpawnTest::AfterHttpd;

# without libraries that are loaded into all that tests start
my @curl = qw(env -u LD_PRELOAD curl);
my $curl = `@curl --version 2>/dev/null` || '';
plan skip_all => 'curl with HTTP/2 is not here' if $curl !~ /\bHTTP2\b/;
plan skip_all => 'no mod_http2 here' if !SpawnTest::Httpd->has_module('http2');
my ($mpm) = grep { $_ ne 'prefork' } reverse mpms() or plan skip_all => 'only prefork here';

chomp(my $dir = `apxs -q LIBEXECDIR`);
my $httpd = SpawnTest::AfterHttpd->new(mpm => $mpm, conf => <<"CONF")->start;
LoadModule http2_module $dir/mod_http2.so
Protocols h2c http/1.1
CONF

sub ask {
    my ($count, $arguments, @more) = @_;
    my $body = JSON::PP->new->utf8->encode($arguments);
    my $file = $httpd->file('body', $body);
    open my $out, '-|', @curl, '--silent', '--no-progress-meter', '--http2-prior-knowledge', '--parallel',
        '--parallel-immediate', @more, '--write-out', "\nversion %{http_version}\n",
        '--data-binary', "\@$file", ($httpd->url('/after')) x $count
        or die "curl: $!\n";
    my $text = do { local $/ = undef; <$out> };
    close $out;
    return $text;
}

for my $round (1 .. 10) {
    ask(20, { jobs => [ [ $httpd->note('whole'), { only_if => 'aborted' } ] ] });
}
is_deeply [ $httpd->ran ], [], 'a client that has its answer has aborted nothing';

my $said = ask(50, { jobs => [ [ $httpd->note('stream') ] ] });
is scalar(my @two = $said =~ /^version 2$/mg), 50, '50 answers by HTTP/2';
my @ids = map { /"([^"]+)"/ } $said =~ /"ids":\[([^\]]*)\]/g;
is scalar @ids, 50, 'with 50 ids';
ok $httpd->wait_for_ran(50), '50 jobs run';
is_deeply [ sort $httpd->ran ], [ sort map { "$_ stream" } @ids ], 'each once';
my $context = $httpd->wait($ids[0])->{context};
is $context->{status}, 200, 'context: status';
is $context->{aborted}, 0, 'context: aborted';
cmp_ok $context->{bytes_sent}, '>', 40, 'context: bytes_sent';

# a client that goes away: curl gives up after a moment, which on a busy machine can
# be before its request was heard
for my $seconds (1, 5, 20) {
    ask(1, { jobs => [ [ $httpd->note('gone') ] ], size => 50_000_000 },
        '--limit-rate', '10k', '--max-time', $seconds, '--output', '/dev/null');
    last if $httpd->wait_for_ran(51, 10);
}
is scalar(grep { /gone/ } $httpd->ran), 1, 'the job of a stream that was given up runs';
my ($gone) = map { (split)[0] } grep { /gone/ } $httpd->ran;
is $httpd->wait($gone)->{context}{aborted}, 1, 'context: aborted';
done_testing;
