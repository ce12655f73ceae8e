#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A call of a worker that is lent, and takes longer, is a job like others: it is
# listed while it runs, can be killed, and has its time-out.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Ctl ();
use SpawnTest::Leases ();

each_mpm(
    sub {
        my ($mpm) = @_;
        my $t = SpawnTest::Leases->new(mpm => $mpm);
        my $httpd = $t->httpd;
        my $ctl = SpawnTest::Ctl->new($httpd);
        my $gate = $httpd->work . '/gate';
        my $code = <<'CODE';
my ($file, $gate, $n, %options) = @_;
my @first = My::Stream::calls($file, $n, 50);
my @r = eval { Apache2::Spawn->call('My::Count::ran_at', [ $file, $gate, $n + 51 ], queue => 'rpc', %options) };
my $error = $@;
return (\@first, @r ? "returned @r" : $error->code, @r ? '' : $error->message, @r ? '' : $error->job->status->outcome);
CODE
        my $running = sub {
            my ($id) = $ctl->run('ps', '--queue', 'rpc')->{out} =~ /^([0-9a-f-]+)\s.*ran_at/m;
            return $id;
        };
        my $id;

        my $asked = $t->begin($code, $t->ran, $gate, 0);
        ok wait_until(sub { $id = $running->() }, 20), 'one that runs is listed';
        $t->touch($gate);
        is_deeply $t->answer($asked), [ [50], 'returned 51', '', '' ], 'and has its result';
        unlink $gate or die "$gate: $!\n";

        $asked = $t->begin($code, $t->ran, $gate, 1000);
        ok wait_until(sub { $id = $running->() }, 20), 'another one';
        is $ctl->run('kill', $id)->{code}, 0, 'is killed';
        my $answer = $t->answer($asked);
        is $answer->[3], 'cancelled', 'so says its outcome' or diag explain $answer;

        $asked = $t->begin($code, $t->ran, $gate, 2000, timeout => 1);
        $answer = $t->answer($asked);
        is $answer->[1], 'timed_out', 'a third one has its time-out' or diag explain $answer;
        is $answer->[3], 'timed_out', 'as its outcome';
        is_deeply [ $t->twice ], [], 'none ran twice';
        $httpd->clean;
    }
);
done_testing;
