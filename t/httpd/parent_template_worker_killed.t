#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# kill -9 of a worker whose template httpd has forked fails the call that it had, which is
# told and does not run again; another call runs on, one that waits and the next ones have
# other workers.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::ParentTemplate qw(httpd_with_functions connection held);
use SpawnTest::Process qw(alive cmdline);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = httpd_with_functions(mpm => $mpm, conf => "<SpawnQueue rpc>\nSpawnWorkers 1 2\nSpawnMaxJobs 2\n</SpawnQueue>\n")->start;
        my ($gate, $other_gate) = map { SpawnTest::Gate->new($httpd, $_) } qw(a b);
        my @rpc = (queue => 'rpc');

        my ($call, $worker) = held($httpd, 'at_gate', $gate, ['a'], @rpc);
        my ($other, $other_worker) = held($httpd, 'at_gate', $other_gate, ['b'], @rpc, want => 'list');
        like join(q{ }, cmdline($worker)), qr/\Amod_spawn worker rpc\s*\z/, 'a worker has a call';
        isnt $worker, $other_worker, 'another one has another';
        my $waits = connection($httpd)->spawn_call('My::Loaded::add', [ 1, 2 ], @rpc);
        is $waits->status->state, 'queued', 'a third one waits';

        kill KILL => $worker or die "kill $worker: $!\n";
        my $end = $call->wait(30);
        is_deeply [ $end->outcome, $end->signal ], [ 'signalled', 9 ], 'the call of one that is killed is told to have ended so';
        ok !eval { $call->result(0); 1 }, 'it has no result';
        like "$@", qr/My::Loaded::at_gate was ended by signal 9/, '... and says why';
        is $waits->result(30), 3, 'the one that waited is served';
        is connection($httpd)->call('My::Loaded::add', [ 2, 2 ], @rpc), 4, '... and the next one';
        ok alive($other_worker), 'the other call runs on';
        $other_gate->let;
        is_deeply [ $other->result(30) ], ['b'], '... and returns';
        ok $httpd->wait_for_log(qr/MS0613: a worker of queue rpc \(pid $worker\) has gone: it was killed by signal 9/), 'the log tells of it';
        $httpd->clean;
    }
);
done_testing;
