#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Jobs after others: chains and fan-in, of programs and functions; what becomes of them when
# one fails; over a stop and start, and a killed broker.

use strict;
use warnings;

use FindBin ();
use lib (($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib");

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Calls ();
use SpawnTest::Patience qw(patiently);

use Apache2::Spawn ();

sub slurp {
    my ($path) = @_;
    open my $in, '<', $path or return "$path: $!";
    local $/ = undef;
    return scalar <$in>;
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Calls->httpd(mpm => $mpm)->start;
        my $spawn = $httpd->connection;
        my $ctl   = SpawnTest::Ctl->new($httpd);
        my $gate  = SpawnTest::Gate->new($httpd, 'a');
        my $out   = $httpd->work . '/out';
        my $f     = 'SpawnTest::Functions';
        my $write = sub {
            my ($text, @options) = @_;
            return $spawn->spawn([ '/bin/sh', '-c', "printf '$text ' >>$out" ], @options);
        };

        my $first = $spawn->spawn($gate->job('exit 0'));
        my @parts = map { $write->('part', after => $first) } 1 .. 5;
        my $join  = $write->('join', after => \@parts);
        my $last  = $write->('last', after => [ $join->id, $first ]);
        is_deeply $last->status->after, [ $join->id, $first->id ], 'status has them';
        like $ctl->run('show', $last->id)->{out}, qr/^ +after +\Q@{[ $join->id ]}\E\n +\Q@{[ $first->id ]}\E$/m,
            'and show';
        ok $httpd->new_pid('broker', $httpd->kill_pair('broker')), 'the broker is killed, and another one comes';
        for my $job (@parts, $join, $last) {
            is scalar patiently(sub { $job->status->state }), 'queued', 'they wait';
        }
        $httpd->stop;
        $gate->let(1);
        $httpd->start;
        is $_->wait(30)->exit_code, 0, 'it ran' for @parts, $join, $last;
        is slurp($out), 'part part part part part join last ', 'in the right order';

        # one that fails
        my $bad     = $spawn->spawn([ '/bin/sh', '-c', 'exit 7' ]);
        my $follows = $write->('never', after => $bad);
        my $too     = $write->('never', after => $follows);
        my $anyway  = $write->('anyway', after => [ $bad, $too ], after_failed => 'run');
        my $end     = $follows->wait(30);
        is $end->outcome, 'cancelled', 'it is cancelled';
        is $end->message, 'job ' . $bad->id . ', which it comes after, ended with exit code 7', 'and says why';
        is $too->wait(30)->outcome, 'cancelled', 'the next one, too';
        is $anyway->wait(30)->exit_code, 0, 'one that wants to runs';
        my $late = $write->('never', after => $bad);
        is $late->wait(30)->outcome, 'cancelled', 'it counts also when it has ended before';

        # functions
        my $dies = $spawn->spawn_call("${f}::dies", ['x']);
        is $write->('never', after => $dies)->wait(30)->outcome, 'cancelled', 'an exception counts as failed';
        my $returns = $spawn->spawn_call("${f}::echo", [1]);
        my $call    = $spawn->spawn_call("${f}::echo", [2], after => $returns);
        is_deeply [ $call->result(30) ], [2], 'a function after another one';

        # spawnctl
        my $id = $ctl->run(qw(run --detach -- /bin/true))->{out};
        chomp $id;
        is $ctl->run('run', '--after', $id, '--', '/bin/sh', '-c', 'exit 4')->{code}, 4, 'spawnctl run --after';
        my $unknown = $id =~ s/^......../01a20000/r;
        my $ran = $ctl->run('run', '--after', $unknown, '--', '/bin/true');
        like $ran->{err}, qr/after: .*\Q$unknown\E/, 'one that is not known is refused';
        is slurp($out), 'part part part part part join last anyway ', 'nothing else ran';
    }
);
done_testing;
