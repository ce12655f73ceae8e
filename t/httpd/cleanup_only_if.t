#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# only_if: a job that is wanted for one kind of end runs at that and at no other.

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
        my @kinds = qw(success error aborted);
        my $jobs = sub {
            my ($end) = @_;
            return [
                (map { [ $httpd->note("$end $_"), { only_if => $_ } ] }
                    grep { "$end $_" ne 'gone error' } @kinds),
                [ $httpd->note("$end always") ],
            ];
        };
        my @expected;

        $httpd->after(jobs => $jobs->('ok'));
        push @expected, 'ok success', 'ok always';
        is $httpd->after(jobs => $jobs->('404'), status => 404)->{status}, 404, 'an error';
        push @expected, '404 error', '404 always';

        # a client that goes away in the middle of a big answer; that its
        # handler may fail then, and make an error of it, is not looked at
        my $client = $httpd->client(buffer => 4096);
        print {$client} $httpd->request_text({ jobs => $jobs->('gone'), size => 20_000_000 });
        my $begin;
        read $client, $begin, 1000;
        my @ids = @{ _ids($begin) };
        close $client;
        push @expected, 'gone aborted', 'gone always';

        ok $httpd->wait_for_ran(scalar @expected), 'all have run';
        is_deeply [ sort map { s/^\S+ //r } $httpd->ran ], [ sort @expected ],
            'those that were wanted, and no others';
        is $httpd->wait($ids[2])->{context}{aborted}, 1, 'context: aborted';
        ok !$httpd->known($ids[0]), 'what is not wanted is never known';
    }
);

sub _ids {
    my ($text) = @_;
    my ($list) = $text =~ /"ids":\[([^\]]+)\]/;
    return [ $list =~ /"([^"]+)"/g ];
}
done_testing;
