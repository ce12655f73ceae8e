#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A job that $r->spawn submits says which request it belongs to; what the
# handler gives as context adds to that and overrides it.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, conf => "ServerName spawn.example\n")->start;

        my $job = $httpd->do('request_spawn', argv => ['/bin/true']);
        my $context = $httpd->wait($job->{id})->{context};
        is $context->{client}, '127.0.0.1', 'client';
        is $context->{method}, 'POST', 'method';
        like $context->{uri}, qr{/request_spawn\z}, 'uri';
        ok $context->{vhost}, 'vhost';
        ok !exists $context->{user}, 'no user where nobody was asked';

        $job = $httpd->do('request_spawn', argv => ['/bin/true'],
            options => { context => { client => 'somebody', order => '4711', uri => '' } });
        $context = $httpd->wait($job->{id})->{context};
        is $context->{client}, 'somebody', 'overridden';
        is $context->{order}, '4711', 'added';
        is $context->{uri}, '', 'kept out';
        is $context->{method}, 'POST', 'the rest as before';

        $job = $httpd->spawn(['/bin/true']);
        ok !$httpd->wait($job->{id})->{context}, 'none without the request';
    }
);
done_testing;
