#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# 10,000 jobs for after the answer in one burst: none is lost, none runs twice,
# neither of those that the post socket takes nor of those that wait as files
# since the broker does not come after.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::AfterHttpd;

my $requests = 100;
my $each = 100;

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::AfterHttpd->new(mpm => $mpm,
            conf => "SpawnMaxQueued 20000\nSpawnHistory 20000\nSpawnMaxJobs 20\n")->start;
        my @clients = map { $httpd->client } 1 .. 4;
        my @ids;
        my $spool = "$httpd->{runtime}/spawn/store/spool";
        my $rounds = $requests / @clients;
        my $most = 0;    # files at once: on a busy machine another broker comes after ten seconds
        for my $round (1 .. $rounds) {
            kill STOP => $httpd->broker_pid if $round == int $rounds / 2;
            my %big = $round > $rounds / 2 ? (stdin_data => 'x' x 6000) : ();
            for my $n (0 .. $#clients) {
                my $client = $clients[$n] = $httpd->client;
                print {$client} $httpd->request_text(
                    { jobs => [ [ $httpd->note('burst'), {%big} ] ], count => $each });
            }
            push @ids, map { @{ $httpd->read_answer($_)->{data}{ids} } } @clients;
            my @files = glob "$spool/*";
            $most = @files if @files > $most;
        }
        is scalar @ids, $requests * $each, 'registered';
        cmp_ok $most, '>', 200, 'many of them as files';
        kill CONT => $httpd->broker_pid;
        ok $httpd->wait_for_ran($requests * $each, 240), 'all run';
        my %times;
        $times{ (split)[0] }++ for $httpd->ran;
        is_deeply [ sort keys %times ], [ sort @ids ], 'those that were registered';
        is_deeply [ grep { $_ != 1 } values %times ], [], 'each once';
        unlike $httpd->error_log, qr/MS0211|MS0560|MS0592/, 'and nobody complains';
    }
);
done_testing;
