#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# With ErrorLog syslog, what spawner, broker, templates and jobs say goes to the
# system's log, as httpd's own lines do. Nobody waits for it, and while it is away
# nothing is lost.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::SystemLog;

my $why = SpawnTest::SystemLog->missing;
plan skip_all => $why if $why;

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, conf => "ErrorLog syslog:local3:web-server\n",
            perl => 'BEGIN { *My::Loaded::says = sub { warn "of a function\n"; exit 9 } }');
        my $log = SpawnTest::SystemLog->new($httpd->dir . '/dev');
        $httpd->{wrapper} = $log->wrapper;
        $httpd->{log} = sub { $log->text };
        $httpd->start;

        my $id = $httpd->spawn([ '/bin/sh', '-c', 'echo of a program >&2; exit 3' ], stderr => 'log')->{id};
        my $head = qr/^<%d>\w{3} [ \d]\d \d\d:\d\d:\d\d web-server\[\d+\]: \[spawn:%s\] \[pid \d+\] /m;
        my $line = sub { my ($level, $name) = @_; (my $re = "$head") =~ s/%d/19 * 8 + $level/e; $re =~ s/%s/$name/; return qr/$re/m };
        my ($error, $warn) = ($line->(3, 'error'), $line->(4, 'warn'));
        ok $httpd->wait_for_log(qr/${error}job \Q$id\E stderr: of a program$/m), 'a line of a job';
        ok $httpd->wait_for_log(qr/${warn}MS0682: job \Q$id\E exited with code 3 /m), 'one of the broker';
        like $log->text, qr/^<\d+>.* web-server\[\d+\]: \[mpm_\w+:notice\]/m, 'beside those of httpd';

        my $broker = $httpd->kill_pair('broker');
        ok $httpd->wait_for_log(qr/${error}MS0306: the broker was killed by signal 9/m), 'one of the spawner';
        ok $httpd->new_pid(broker => $broker), 'another broker is there';

        # More at once than its socket takes.
        $id = $httpd->spawn([ '/bin/sh', '-c', 'seq 500 >&2' ], stderr => 'log')->{id};
        is $httpd->run([qw(/bin/echo on)])->{stdout}, "on\n", 'nobody waits for a log that is full';
        ok $httpd->wait_for_log(qr/\Q$id\E stderr: 500$/m), 'all lines of a burst come';
        is_deeply [ $log->text =~ /\Q$id\E stderr: (\d+)$/mg ], [ 1 .. 500 ], 'each, and in order';

        # The log is started anew: lines of the time between are there then.
        $log->end;
        $id = $httpd->spawn([ '/bin/sh', '-c', 'echo in between >&2' ], stderr => 'log')->{id};
        is $httpd->wait($id)->{exit_code}, 0, 'jobs run without a log';
        $log->begin;
        ok $httpd->wait_for_log(qr/${error}job \Q$id\E stderr: in between$/m), 'what was said then is there later';

        unlike $log->text, qr/MS0301|MS0376/, 'nothing was lost or had to be kept';
        $httpd->stop;
        ok $httpd->pair_gone, 'the pair leaves';
    }
);
done_testing;
