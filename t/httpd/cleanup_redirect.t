#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# An internal redirect is one request for its client, and a subrequest is part of
# one: their jobs are posted once, at its end, with its context.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::AfterHttpd;

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::AfterHttpd->new(mpm => $mpm)->start;

        my $id = $httpd->after(jobs => [ [ $httpd->note('redirected') ] ],
            redirect => '/target')->{ids}[0];
        ok $httpd->wait_for_ran(1), 'of a redirected request';
        my $context = $httpd->wait($id)->{context};
        is $context->{uri}, '/after', 'context: what the client asked for';
        is $context->{status}, 200, 'context: the status that it got';
        cmp_ok $context->{bytes_sent}, '>', 40, 'context: the bytes that it got';

        my $ran = $httpd->work . '/ran';
        my $client = $httpd->client(buffer => 4096);
        print {$client} $httpd->request_text(
            { jobs => [ [ $httpd->note('main') ] ], include => "/part?$ran", size => 20_000_000 });
        my $answer = $httpd->read_answer($client, head_only => 1);
        is scalar @{ [ $httpd->ran ] }, 1, 'a subrequest that has ended leaves nothing yet';
        $httpd->read_body($client, $answer->{length});
        ok $httpd->wait_for_ran(3), 'but with the end of its main request';
        is_deeply [ sort map { (split)[-1] } $httpd->ran ], [qw(main part redirected)], 'each once';
    }
);
done_testing;
