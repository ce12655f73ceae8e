#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A call went to a worker directly, and its caller had no answer, since worker, broker and
# spawner hang; then all of them are killed. Nobody knows the call any more. When its caller
# submits it again, with the same id, it does not run twice: it is told as lost.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Leases ();
use SpawnTest::Process qw(alive state_of);

# A lease ends and begins again on a busy machine: so it is looked at when the pair is stopped.
sub worker_that_is_lent {
    my ($t, @pair) = @_;
    for my $try (1 .. 30) {
        wait_until(sub { grep { $t->is_lent($_) } $t->workers }, 30) or return;
        my ($worker) = $t->workers;
        kill STOP => @pair;
        wait_until(sub { !grep { state_of($_) ne 'T' } @pair }, 30) or return;
        my $before = $t->lines;
        return $worker if wait_until(sub { $t->lines > $before + 10 }, 3);
        kill CONT => @pair;
    }
    return;
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $t = SpawnTest::Leases->new(mpm => $mpm, after => "SpawnSubmitTimeout 4\n");
        my $httpd = $t->httpd;
        my ($told, $again) = map { $httpd->work . "/$_" } qw(told again);
        my $asked = $t->begin(<<'CODE', $t->ran, $t->go, $httpd->work . '/gate', $told, $again);
my ($file, $go, $gate, $told, $again) = @_;
# A slate has room for 256 calls that no broker reads.
local $My::Stream::apart = 0.03;
my ($n, @wrong) = My::Stream::calls($file, 0, 1e9, $go);    # directly, also without a broker
eval { Apache2::Spawn->call('My::Count::ran_at', [ $file, $gate, $n + 1 ], queue => 'rpc', timeout => 1, grace => 0.2) };
my $error = $@;
open my $out, '>', $told or die "$told: $!\n";
close $out;
select undef, undef, undef, 0.01 until -e $again;
my ($end, @why);
for (1 .. 60) {
    $end = eval { $error->job->resubmit->wait(60) } and last;
    push @why, "$@";
    sleep 1;
}
return ($n, $error->code, $end && $end->outcome, $end && $end->message, \@wrong, \@why);
CODE
        $t->wait_for_calls(30);
        my ($spawner, $broker) = ($httpd->spawner_pid, $httpd->broker_pid);
        my $worker = worker_that_is_lent($t, $spawner, $broker);
        ok $worker, 'spawner and broker hang, and a worker that is lent goes on with its calls';
        $t->touch($t->go);
        ok wait_until(sub { -e $told }, 60), 'one is not answered';
        kill KILL => $worker, $spawner, $broker;
        ok wait_until(sub { !grep { alive($_) } $worker, $spawner, $broker }, 30), 'worker, broker and spawner are killed';
        $t->touch($again);
        my ($n, $code, $outcome, $text, $wrong, $why) = @{ $t->answer($asked) };
        is_deeply $wrong, [], 'calls before it had their results';
        is $code, 'unconfirmed', 'its caller is told that nobody knows';
        is $outcome, 'lost', 'and, when it is submitted again, that it may have run' or diag explain $why;
        like $text, qr/whether it has run is not known/, '... in words';
        is_deeply [ $t->lines ], [ 1 .. $n + 1 ], 'each ran once';
        $httpd->clean;
    }
);
done_testing;
