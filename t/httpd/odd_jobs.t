#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Programs that do odd things with what they are given: their ends are told as they were,
# and the next job of their queue runs. One closes all that is open, one leaves its session
# and a child there, one is stopped by SIGSTOP, one writes to a full disk, one reads or
# writes a device.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Process qw(state_of);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, conf => <<'END')->start;
<SpawnQueue one>
    SpawnMaxJobs 1
    SpawnGrace 200ms
</SpawnQueue>
END
        my $gate = SpawnTest::Gate->new($httpd, 'odd');
        my $run = sub { my ($argv, %options) = @_; return $httpd->run($argv, queue => 'one', timeout => 60, %options) };
        my $goes_on = sub {
            my ($name) = @_;
            is $run->([ '/bin/echo', 'next' ])->{stdout}, "next\n", "$name: the next one runs";
        };

        my $closes = 'use POSIX (); print "said\n"; $| = 1; print ""; POSIX::close($_) for 0 .. 255; POSIX::_exit(3)';
        my $end = $run->([ 'perl', '-e', $closes ]);
        is $end->{exit_code}, 3, 'it closes all';
        is $end->{stdout}, "said\n", '... and what it wrote before is there';
        $goes_on->('it closes all');

        # its child lives in another session, and holds its streams
        my $leaves = 'use POSIX (); if (fork) { print "gone\n"; exit 5 } POSIX::setsid(); open my $in, "<", $ARGV[0]; <$in>; exit';
        $end = $run->([ 'perl', '-e', $leaves, $gate->path ]);
        is $end->{exit_code}, 5, 'it leaves a child in another session';
        is $end->{stdout}, "gone\n", '... which is not waited for';
        $goes_on->('it leaves a child');
        $gate->let(1);

        my $job = $httpd->spawn([ '/bin/sh', '-c', 'kill -STOP $$; exit 6' ], queue => 'one', timeout => 1, reply => 'started');
        is $httpd->wait($job->{id})->{outcome}, 'timed_out', 'it is stopped by SIGSTOP: its time-out ends it';
        $goes_on->('it is stopped');
        $job = $httpd->spawn([ '/bin/sh', '-c', 'kill -STOP $$; exit 6' ], queue => 'one', reply => 'started');
        ok wait_until(sub { state_of($job->{pid}) eq 'T' }, 30), 'one without a time-out is stopped';
        $httpd->do('kill', id => $job->{id}, signal => 'CONT');
        is $httpd->wait($job->{id})->{exit_code}, 6, '... and goes on when it is told so';
        $job = $httpd->spawn([ '/bin/sh', '-c', 'kill -STOP $$; exit 6' ], queue => 'one', reply => 'started');
        $httpd->do('kill', id => $job->{id}, signal => 'KILL');
        is $httpd->wait($job->{id})->{outcome}, 'cancelled', '... or is killed';
        $goes_on->('it is killed');

        my $says = [ '/bin/sh', '-c', '(echo out) || exit 7; (echo err >&2) || exit 8; exit 0' ];
        is $run->($says, stdout => '/dev/full')->{exit_code}, 7, 'stdout is full: the program knows';
        is $run->($says, stderr => '/dev/full')->{exit_code}, 8, 'stderr is full: the program knows';
        is $run->($says, stdout => '>>/dev/null', stderr => '/dev/null')->{exit_code}, 0, 'both are devices that take it';
        is length $run->([qw(head -c 10)], stdin => '/dev/zero')->{stdout}, 10, 'stdin is a device';
        is $httpd->status($job->{id})->{outcome}, 'cancelled', 'nothing of it is lost';
    }
);
done_testing;
