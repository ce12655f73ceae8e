#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Jobs of queues with accounts of their own (SpawnUser) have nothing of each other: none
# can signal another one's, stop it, or read its memory, environment, descriptors or
# files; nor can any of them touch broker, spawner, the store, the spool, or an httpd child.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm);
use SpawnTest::Httpd ();
use SpawnTest::Reach ();

plan skip_all => 'only root can give jobs other accounts' if $< != 0;

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, conf => <<'END')->start;
SpawnBrokerUser #61000 #61000
<SpawnQueue one>
    SpawnUser #61001
    SpawnGroup #61001
</SpawnQueue>
<SpawnQueue other>
    SpawnUser #61002
    SpawnGroup #61002
</SpawnQueue>
END

        my $reach = SpawnTest::Reach->new($httpd);

        my $can = sub {
            my ($queue, $pid, @paths) = @_;
            return $reach->can($queue, $pid, signals => '0,TERM,STOP,KILL', paths => \@paths);
        };

        my %job = map { $_ => $httpd->spawn([ '/bin/sleep', 600 ], queue => $_, reply => 'started', env => { SECRET => 'x' }) }
            qw(one other default);
        for my $queue (qw(one other)) {
            for my $of (grep { $_ ne $queue } qw(one other default)) {
                is_deeply $can->($queue, $job{$of}{pid}), [], "a job of $queue can do nothing to one of $of";
            }
        }
        is_deeply $can->('default', $job{one}{pid}), [], 'nor can one of httpd\'s User';
        my $own = $httpd->spawn([ '/bin/sleep', 600 ], queue => 'one', reply => 'started');
        is_deeply $can->('one', $own->{pid}), [ sort $reach->of_its_own, map {"signal $_"} qw(0 TERM STOP KILL) ],
            'of its own account it can do all of it';
        is $httpd->status($job{$_}{id})->{state}, 'running', "the job of $_ runs on" for sort keys %job;

        my $run = $httpd->dir . '/run/spawn';
        my @paths = map { "$run/$_" } '', qw(store store/jobs.db store/spool store/control store/lock socket);
        ok -e $_, "$_ is there" for @paths;
        for my $queue (qw(one other)) {
            is_deeply $can->($queue, $httpd->broker_pid, @paths), [], "a job of $queue can do nothing to the broker, and nothing with its files";
            is_deeply $can->($queue, $httpd->spawner_pid), [], '... to the spawner';
            is_deeply $can->($queue, ($httpd->children)[0]), [], '... to an httpd child';
        }
        # httpd's User may list the directory of the socket, and connect
        is_deeply $can->('default', $httpd->broker_pid, map { "$run/$_" } qw(store store/jobs.db store/spool store/control)), [],
            'httpd\'s User itself can do nothing to the broker, or to the store';
        $httpd->stop;
    }
);
done_testing;
