#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A daemon that another module forks from the httpd parent, as mod_wsgi and
# mod_cgid do, cannot use what it inherits: it has none of our descriptors and
# no secret. One that was forked past the C library and has them all is not
# obeyed: what it sends changes nothing and runs nothing. One with httpd's own
# User may submit, as each process of that account.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Calls ();
use SpawnTest::Foreign ();
use SpawnTest::Process qw(alive);

plan skip_all => 'only root can start httpd with daemons of other accounts' if $< != 0;

each_mpm(
    sub {
        my ($mpm) = @_;
        my $user = SpawnTest::Httpd->user;
        my $site = SpawnTest::Foreign->new(
            mpm => $mpm,
            daemons => [ 'nobody', $user, 'nobody-raw' ],
            conf => "SpawnSocketMode 0666\n"    # the broker's decision is looked at
        );
        my $httpd = $site->httpd;
        $httpd->start;
        my $spawner = $httpd->spawner_pid;
        my $broker = $httpd->broker_pid;
        my $program = readlink "/proc/$spawner/exe";

        for my $round ('at the start', 'after a graceful restart') {
            my $said = $site->attack('nobody');
            unlike $said, qr/^socket|^file/m, "$round: it has none of our descriptors" or diag $said;
            like $said, qr/^secret wiped/m, "$round: nor the secret" or diag $said;
            like $said, qr/heard refused/, "$round: it is not let in";
            $said = $site->attack($user);
            unlike $said, qr/^socket|^file/m, "$round: the daemon of httpd's User has none either" or diag $said;
            like $said, qr/heard welcome.*heard accepted/, "$round: but may connect and submit" or diag $said;
            $said = $site->attack('nobody-raw');
            cmp_ok scalar(my @sockets = $said =~ /^socket/mg), '>=', 4, "$round: one forked past the C library has all sockets"
                or diag $said;
            like $said, qr/configure:0.*^socket[^\n]*post:0/ms, "$round: it can send" or diag $said;
            like $said, qr/^secret there.*heard refused/m, "$round: it is not let in with the secret" or diag $said;
            $httpd->graceful if $round eq 'at the start';
        }

        is $httpd->run([qw(/bin/echo alive)])->{stdout}, "alive\n", 'jobs run';
        is_deeply(
            SpawnTest::Calls->ask($httpd, q{Apache2::Spawn->call('SpawnTest::Functions::echo', ['a'])})->{values},
            ['a'], 'calls of the default template too'
        );
        is $httpd->spawner_pid, $spawner, 'the spawner is the same';
        is readlink("/proc/$spawner/exe"), $program, 'and its program';
        is $httpd->broker_pid, $broker, 'the broker too';
        wait_until(sub { my @marks = $site->marks; return @marks >= 2 }, 30);
        is_deeply [ $site->marks ], [ ('submitted as ' . $httpd->uid) x 2 ],
            'what ran is what httpd\'s User submitted';
        ok $httpd->wait_for_log(qr/MS0320: [^\n]* of uid 65534/), 'what came on httpd\'s link is in the log';
        ok $httpd->wait_for_log(qr/MS0620: [^\n]* of uid 65534/), 'what came on the post socket too';
        cmp_ok scalar(my @told = $httpd->error_log =~ /MS0[36]20:/g), '<=', 10, 'in few lines';
    }
);
done_testing;
