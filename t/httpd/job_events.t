#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A client that accepts text/event-stream is sent an event for each change of its job, as it
# comes, with an id; one that comes again and says which event it had last is not told it
# twice, and after the end there is nothing more. In between there are comments.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use HTTP::Tiny ();
use Test::More;

use SpawnTest qw(each_mpm);
use SpawnTest::Visitor ();

my $json = JSON::PP->new->utf8;

# The events of a stream: [ id, data ].
sub events {
    my ($text) = @_;
    return [] if !defined $text;
    return [ map { [ $_->[0], $json->decode($_->[1]) ] } map { [ /^id: (\S+)\ndata: (.*)$/m ] } grep {/^data:/m} split /\n\n/, $text ];
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $v = SpawnTest::Visitor->new(mpm => $mpm, wait => '300s 4');
        my ($id, $token, $gate) = $v->job("one \xff\x{1F}<b>\x{e9}", 'two');
        my $sock = $v->begin($id, "token=$token", Accept => 'text/event-stream');
        my $text = $v->until_it_says($sock, qr/"text":"one.*\n/, 60);
        ok $text, 'the first step' or return;
        like $text, qr{^content-type: text/event-stream; charset=utf-8\r$}mi, 'a stream';
        like $text, qr/^retry: \d+$/m, 'when to come again';
        ok $v->until_it_says($sock, qr/^:$/m, 60), 'a comment while nothing changes';
        $gate->let(1);
        ok $v->until_it_says($sock, qr/"text":"two"/, 60), 'the next step comes while it is open';
        $gate->let(1);
        $text = $v->rest($sock, 60);
        my $events = events($text);
        my $last = $events->[-1];
        is "$last->[1]{state} $last->[1]{outcome}", 'done exited', 'the last one is the end' or diag $text;
        is_deeply [ map { $_->[0] } @{$events} ], [ map { $_->[1]{seen} } @{$events} ], 'their ids';
        my %ids = map { $_->[0] => 1 } @{$events};
        is scalar keys %ids, scalar @{$events}, 'each is told once';

        # one that comes again
        my $again = $v->get($id, "token=$token", Accept => 'text/event-stream', 'Last-Event-ID' => $last->[0]);
        is $again->{status}, 204, 'after the end there is nothing more';
        $again = $v->get($id, "token=$token", Accept => 'text/event-stream', 'Last-Event-ID' => $events->[0][0]);
        is_deeply [ map { $_->[0] } @{ events($again->{content}) } ], [ $last->[0] ], 'who has not seen the end is told of it';

        ($id, $token, $gate) = $v->job('alone');
        my $is = $v->says($id, $token, 'alone');
        $sock = $v->begin($id, "token=$token", Accept => 'text/event-stream', 'Last-Event-ID' => $is->{seen});
        ok $v->until_it_says($sock, qr/^retry/m, 60), 'a stream of who has seen it';
        ok !defined $v->until_it_says($sock, qr/^data/m, 0.5), '... does not tell it twice';
        close $sock;

        # no stream
        my $http = HTTP::Tiny->new(timeout => 60, default_headers => { Accept => 'text/event-stream' });
        my $head = $http->head($v->httpd->url("/jobs/$id?token=$token"));
        is_deeply [ $head->{status}, $head->{content} || '' ], [ 200, '' ], 'HEAD does not wait';
        is $v->get($id, 'token=x', Accept => 'text/event-stream')->{status}, 403, 'without a token there is none';
        $gate->let(1);
    }
);

subtest 'a stream has an end' => sub {
    my $v = SpawnTest::Visitor->new(mpm => SpawnTest::one_mpm(), wait => '1s');
    my ($id, $token, $gate) = $v->job('alone');
    ok $v->says($id, $token, 'alone'), 'it runs';
    my $sock = $v->begin($id, "token=$token", Accept => 'text/event-stream');
    like $v->rest($sock, 60), qr/"text":"alone"/, 'after the time that a request may wait';
    $gate->let(1);
};
done_testing;
