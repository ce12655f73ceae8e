#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# No more visitors' requests wait at once than SpawnJobWait says, and by itself no more than
# a quarter of what httpd can serve: those beyond are answered at once and told to come again
# later, so that others find a free worker. A visitor who leaves makes room.

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
        my $v = SpawnTest::Visitor->new(mpm => $mpm, wait => '300s 2', children => 8);
        my ($id, $token, $gate) = $v->job('on it', 'more');
        my $is = $v->says($id, $token, 'on it');
        ok $is, 'it runs' or return;
        my $query = "token=$token&wait=300&seen=$is->{seen}";

        # a question of ours may take a place just when one of them comes
        my (@waiting, $third);
        my $waits = sub { return !defined $v->until_it_says($_[0], qr/\S/, 0.05) };
        ok wait_until(
            sub {
                @waiting = grep { $waits->($_) } @waiting;
                push @waiting, $v->begin($id, $query) while @waiting < 2;
                $third = $v->get($id, "token=$token&wait=0.2&seen=$is->{seen}");
                return $third->{headers}{'retry-after'} && 2 == grep { $waits->($_) } @waiting;
            },
            60
            ),
            'two wait, a third one is sent away';
        is "$third->{status} $third->{json}{progress}{text}", '200 on it', '... with an answer';
        for (1 .. 12) {
            is $v->get($id, $query)->{headers}{'retry-after'}, 2, 'so are others';
        }
        is $v->httpd->get("/perl")->{status} && $v->get($id, "token=$token")->{status}, 200, 'and httpd serves';
        my $stream = $v->begin($id, "token=$token&seen=$is->{seen}", Accept => 'text/event-stream');
        like $v->rest($stream, 60), qr/^retry: 5000$/m, 'a stream ends, and is told to come later';
        ok !defined $v->until_it_says($_, qr/\S/, 0.01), 'those that came first wait still' for @waiting;

        close shift @waiting;
        ok wait_until(sub { !$v->get($id, "token=$token&wait=0.2&seen=$is->{seen}")->{headers}{'retry-after'} }, 60),
            'one that leaves makes room';
        $gate->let(1);
        is $v->json_of($v->rest($waiting[0], 60))->{progress}{text}, 'more', 'the other one is told of the change';
        $gate->let(1);
    }
);

subtest 'a quarter by itself' => sub {
    my $v = SpawnTest::Visitor->new(mpm => 'prefork', children => 8);
    my ($id, $token, $gate) = $v->job('on it');
    my $is = $v->says($id, $token, 'on it');
    my @waiting;
    ok wait_until(
        sub {
            @waiting = grep { !defined $v->until_it_says($_, qr/\S/, 0.05) } @waiting;
            push @waiting, $v->begin($id, "token=$token&wait=20&seen=$is->{seen}") while @waiting < 2;
            return $v->get($id, "token=$token&wait=0.2&seen=$is->{seen}")->{headers}{'retry-after'};
        },
        60
        ),
        'two of eight wait';
    $gate->let(1);
};
done_testing;
