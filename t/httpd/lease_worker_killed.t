#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A worker that is lent is killed in a call: that call fails, and is told as one of
# any worker; it does not run again, and the next calls have another worker.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Leases ();

each_mpm(
    sub {
        my ($mpm) = @_;
        my $t = SpawnTest::Leases->new(mpm => $mpm);
        my $httpd = $t->httpd;
        # warm: called until it is lent
        my $asked = $t->begin(<<'CODE', $t->ran, "$t->{httpd}{dir}/work/gate");
my ($file, $gate) = @_;
my @first = My::Stream::calls($file, 0, 100);
my $error = eval { Apache2::Spawn->call('My::Count::ran_at', [ $file, $gate, 101 ], queue => 'rpc'); 1 } ? undef : $@;
my @then = My::Stream::calls($file, 1000, 100);
return (\@first, $error && $error->code, $error && $error->message, $error && $error->job->status->outcome, \@then);
CODE
        ok wait_until(sub { $t->lines == 101 }, 20), 'a call runs';
        my ($worker) = $t->workers;
        kill KILL => $worker or die "kill $worker: $!\n";
        my ($first, $code, $text, $outcome, $then) = @{ $t->answer($asked) };
        is_deeply $first, [100], 'calls before it';
        is $code, 'call_failed', 'its caller is told';
        like $text, qr/was ended by signal 9/, 'how it ended';
        is $outcome, 'signalled', 'and so says the history';
        is_deeply $then, [100], 'the next ones are served';
        is_deeply [ $t->twice ], [], 'none ran twice';
        ok !grep({ $_ == $worker } $t->workers), 'by another worker';

        # in a stream, wherever that is
        $asked = $t->begin('My::Stream::calls(@_)', $t->ran, 10_000, 1e9, $t->go);
        for (1 .. 3) {
            $t->wait_for_calls(100);
            my ($pid) = $t->workers or next;
            kill KILL => $pid;
            wait_until(sub { my ($now) = $t->workers; $now && $now != $pid }, 20);
        }
        $t->wait_for_calls(100);
        $t->touch($t->go);
        my ($n, @wrong) = @{ $t->answer($asked) };
        ok @wrong <= 3, 'a death costs one call at most' or diag explain \@wrong;
        is scalar(grep { !/was ended by signal 9/ } @wrong), 0, 'which is told' or diag explain \@wrong;
        is_deeply [ $t->twice ], [], 'none ran twice';
        $httpd->clean;
    }
);
done_testing;
