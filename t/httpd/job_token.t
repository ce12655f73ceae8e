#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# SetHandler spawn-job tells a visitor of the job that he has a token for, and of no other: a
# token that is missing, wrong, of another job, of another purpose or too old is refused, and
# so is one for a job that never was, all alike. The token is as good in other children, and
# after a graceful restart and a restart. The answer has no command line, user or output.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use HTTP::Tiny ();
use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Visitor ();

each_mpm(
    sub {
        my ($mpm) = @_;
        my $v = SpawnTest::Visitor->new(mpm => $mpm, conf => <<'END');
<Location /shut>
    SetHandler spawn-job
    Require all denied
</Location>
END
        my ($mine, $token, $gate) = $v->job('on it');
        my ($other, $others) = @{ $v->ask('my $job = $r->spawn([ "/bin/sh", "-c", "echo secret-word; exit 3" ],
            label => "secret-label", stdout => "capture"); $job->wait(60); return [ $job->id, $job->token ]') };
        like $token, qr/\A[0-9a-f]{8}-[0-9a-f]{40}\z/, 'a token';

        ok $v->says($mine, $token, 'on it'), 'the visitor sees his job' or return;
        my $is = $v->get($mine, "token=$token");
        is $is->{status}, 200, 'found';
        is $is->{headers}{'content-type'}, 'application/json', '... as JSON';
        is $is->{headers}{'cache-control'}, 'no-store', '... that nobody keeps';
        is $is->{headers}{'referrer-policy'}, 'no-referrer', '... and that hands nothing on';
        is_deeply [ sort keys %{ $is->{json} } ],
            [ sort qw(version now now_ms id state attempt progress submitted_at submitted_at_ms started_at started_at_ms seen) ],
            '... with what is told, and no more' or diag explain $is->{json};
        is "$is->{json}{version} $is->{json}{id} $is->{json}{state}", "1 $mine running", '... of this job';
        is_deeply $is->{json}{progress}, { done => 1, of => 1, text => 'on it' }, '... with its progress';
        is $v->get($mine, undef, Authorization => "Bearer $token")->{status}, 200, 'by a header';
        is $v->get("deep/er/$mine", "token=$token")->{status}, 200, 'at any depth';

        $is = $v->get($other, "token=$others");
        is $is->{status}, 200, 'another job';
        is_deeply [ @{ $is->{json} }{qw(state outcome)}, !!$is->{json}{ok} ], [ 'done', 'exited', !!0 ], '... and how it ended';
        unlike $is->{content}, qr/secret|bin|echo|exit_code|user/, '... without what it ran, or wrote';

        # a job may say anything: <b>", half of a character, a byte that is none, a control character
        my $its = SpawnTest::Gate->new($v->httpd, 'odd');
        my ($odd, $odds) = @{ $v->ask('my $job = $r->spawn_call(@_); return [ $job->id, $job->token ]',
            'SpawnTest::Functions::says_bytes', [ $its->path, '3c623e22c3ff1b' ]) };
        ok wait_until(sub { $is = $v->get($odd, "token=$odds"); $is->{json}{progress} }, 60), 'one that says something odd';
        is $is->{json}{progress}{text}, qq{<b>"\x{fffd}\x{fffd} }, '... is told as JSON, and UTF-8' or diag $is->{content};
        $its->let(1);

        # ---- who has no token for it ----

        my $short = $v->ask('return Apache2::Spawn->job($_[0])->token(life => "1s")', $mine);
        ok wait_until(sub { $v->get($mine, "token=$short")->{status} == 403 }, 30), 'one that is too old';
        my $never = '01890000-0000-7000-8000-000000000000';
        my ($until, $proof) = split /-/, $token;
        (my $flipped = $proof) =~ s/(.)\z/$1 eq '0' ? '1' : '0'/e;
        my @wrong = (
            [ 'none', $mine, '' ],
            [ 'an empty one', $mine, 'token=' ],
            [ 'of another job', $mine, "token=$others" ],
            [ 'one digit', $mine, "token=$until-$flipped" ],
            [ 'a later end', $mine, sprintf 'token=%08x-%s', hex($until) + 1, $proof ],
            [ 'a negative end', $mine, "token=-0000001-$proof" ],
            [ 'no end', $mine, "token=$proof" ],
            [ 'no proof', $mine, "token=$until-" ],
            [ 'longer', $mine, "token=${token}0" ],
            [ 'too old', $mine, "token=$short" ],
            [ 'a job that never was', $never, "token=$token" ],
            [ 'no job', 'x', "token=$token" ],
            [ 'nothing', '', "token=$token" ],
        );
        my %told;
        for my $wrong (@wrong) {
            my ($name, $id, $query) = @{$wrong};
            my $no = $v->get($id, $query);
            is $no->{status}, 403, "refused: $name" or diag $no->{content};
            is $no->{json}{error}{code}, 'not_permitted', '... which is told' or diag $no->{content};
            delete @{ $no->{json} }{qw(now now_ms)};
            $told{ JSON::PP->new->canonical->encode($no->{json}) }++;
        }
        is scalar keys %told, 1, 'all alike' or diag explain \%told;
        is $v->get($mine, undef, Authorization => 'Basic ' . $token)->{status}, 403, 'another kind of header';
        is $v->httpd->get("/shut/$mine?token=$token")->{status}, 403, 'Require counts, too';

        # ---- with which methods ----

        my $http = HTTP::Tiny->new(timeout => 60);
        my $url = $v->httpd->url("/jobs/$mine?token=$token");
        my $head = $http->head($url);
        is_deeply [ $head->{status}, $head->{content} || '' ], [ 200, '' ], 'HEAD has no body';
        is $head->{headers}{'content-type'}, 'application/json', '... and a type';
        is $http->head("$url&wait=20")->{status}, 200, '... and does not wait';
        is $http->head($v->httpd->url("/jobs/$mine"))->{status}, 403, '... and needs the token';
        for my $method (qw(POST PUT DELETE PATCH)) {
            my $no = $http->request($method, $url, { content => 'x=y' });
            is $no->{status}, 405, "$method is refused";
            like $no->{headers}{allow}, qr/\bGET\b/, '... and told what is not';
        }
        is $v->get($mine, "token=$token&wait=soon")->{status}, 400, 'a wait that is no time';

        # ---- one that is good but of nothing ----

        my $good = $v->ask('return Apache2::Spawn->job($_[0])->token', $never);
        is $v->get($never, "token=$good")->{status}, 404, 'the handler may have made one for a job that is gone';

        # ---- restarts ----

        $v->httpd->graceful;
        is $v->get($mine, "token=$token")->{status}, 200, 'after a graceful restart';
        is $v->get($other, "token=$token")->{status}, 403, '... still of no other job';
        $v->httpd->restart;
        is $v->get($mine, "token=$token")->{status}, 200, 'after a restart';
        $gate->let(1);
        is_deeply [ $v->faults ], [], 'all answers are as their schema says';
    }
);
done_testing;
