#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A job that a request leaves with spawn_cleanup is nothing before its client
# has the whole answer (is it in the handler, or is the client slow to read),
# and runs then; its context says how the request ended.

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

        # a client that does not read: httpd cannot hand on the whole answer
        my $client = $httpd->client(buffer => 4096);
        print {$client} $httpd->request_text(
            { jobs => [ [ $httpd->note('slow') ] ], size => 20_000_000 });
        my $answer = $httpd->read_answer($client, head_only => 1);
        is $answer->{status}, 200, 'an answer begins';
        my $begin;
        read $client, $begin, 200;
        my ($id) = $begin =~ /"ids":\["([^"]+)"/;
        ok $id, 'with the id of the job';
        ok !$httpd->known($id), 'the broker does not know it while the client reads';
        $httpd->read_body($client, $answer->{length} - 200);
        ok $httpd->wait_for_ran(1), 'when the client has it all, it runs';
        is_deeply [ $httpd->ran ], ["$id slow"], 'with that id';
        my $context = $httpd->wait($id)->{context};
        is $context->{status}, 200, 'context: status';
        is $context->{bytes_sent}, $answer->{length}, 'context: bytes_sent';
        is $context->{aborted}, 0, 'context: aborted';
        is $context->{method}, 'POST', 'context: method';
        is $context->{uri}, '/after', 'context: uri';
        is $context->{client}, '127.0.0.1', 'context: client';

        # a handler that goes on
        my $gate = SpawnTest::Gate->new($httpd, 'handler');
        $id = $httpd->new_id;
        $client = $httpd->client;
        print {$client} $httpd->request_text(
            { jobs => [ [ $httpd->note('gate'), { id => $id } ] ], gate => $gate->path });
        ok !$httpd->known($id), 'nor while the handler runs';
        $gate->let;
        is $httpd->read_answer($client)->{data}{ids}[0], $id, 'the handler ends';
        ok $httpd->wait_for_ran(2), 'and the job runs';
    }
);
done_testing;
