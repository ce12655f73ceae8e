#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The calls of a queue with SpawnWorkers are served one after another by
# processes that stay: with arguments, results, exceptions, progress and
# context as in a process of their own, and each stands in the history.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(wait_until);
use SpawnTest::Calls qw(each_template);
use SpawnTest::Ctl ();
use SpawnTest::Process qw(alive);

each_template(
    sub {
        my ($mpm, $kind) = @_;
        my $httpd = SpawnTest::Calls->httpd(
            mpm => $mpm, kind => $kind,
            conf => "<SpawnQueue rpc>\n SpawnWorkers 1 1\n</SpawnQueue>\n")->start;
        my $ask = sub { return SpawnTest::Calls->ask($httpd, @_) };
        my $values = sub {
            my $answer = $ask->(@_);
            diag explain $answer if !$answer->{values};
            return $answer->{values};
        };
        my $f = 'SpawnTest::Functions';
        my $rpc = q{queue => 'rpc'};

        my ($pid) = @{ $values->("Apache2::Spawn->call('${f}::pid', [], $rpc)") };
        ok alive($pid), 'the process is there when the call has ended';
        my %pids = map { $values->("Apache2::Spawn->call('${f}::pid', [], $rpc)")->[0] => 1 } 1 .. 5;
        is_deeply \%pids, { $pid => 1 }, 'and serves the next ones';

        is_deeply $values->("Apache2::Spawn->call('${f}::echo', \\\@_, $rpc)", 'a', undef, [ 1, { b => "\x{2603}" } ], ''),
            [ 'a', undef, [ 1, { b => "\x{2603}" } ], '' ], 'data both ways';
        is_deeply $values->("Apache2::Spawn->call('${f}::context', [], $rpc)"), ['list'], 'list context';
        is_deeply $values->("scalar Apache2::Spawn->call('${f}::context', [], $rpc)"), ['scalar'], 'scalar context';
        is_deeply $values->("length((Apache2::Spawn->call('${f}::echo', ['x' x 1_000_000], $rpc))[0])"), [1_000_000],
            'more than a packet both ways';
        like $ask->("Apache2::Spawn->call('${f}::dies_here', [], $rpc)")->{string}, qr/no such customer/, 'an exception';
        is_deeply $ask->("Apache2::Spawn->call('${f}::dies', [{ code => 7 }], $rpc)")->{thrown}, { code => 7 },
            'with data';
        is $ask->("Apache2::Spawn->call('${f}::returns_handle', [], $rpc)")->{error}{code}, 'not_sendable',
            'what cannot travel back';
        is $ask->("Apache2::Spawn->call('${f}::not_there', [], $rpc)")->{error}{code}, 'invalid', 'an unknown function';
        is_deeply $values->("Apache2::Spawn->call('${f}::pid', [], $rpc)"), [$pid], 'none of it ends the worker';

        # jobs that are accepted first
        my ($id) = @{ $values->("Apache2::Spawn->spawn_call('${f}::echo', [7], $rpc, label => 'seven')->id") };
        is_deeply $values->('Apache2::Spawn->job($_[0])->result(30)', $id), [7], 'a job and its result';
        my ($status) = @{ $values->('Apache2::Spawn->job($_[0])->wait(30)', $id) };
        is_deeply [ @{$status}{qw(outcome exit_code function queue label pid result_kind)} ],
            [ 'exited', 0, "${f}::echo", 'rpc', 'seven', $pid, 'returned' ], 'its status';
        ok defined $status->{elapsed} && $status->{rusage}, 'time and resources';
        is_deeply $values->("\$r->spawn_call('${f}::about_itself', [], $rpc)->result(30)->{context}{uri}"), ['/perl'],
            'context of the request';

        # progress of a call that is running, and of one that nobody knows by its id
        my $gate = SpawnTest::Gate->new($httpd, 'a');
        ($id) = @{ $values->("Apache2::Spawn->spawn_call('${f}::waits_at', \\\@_, $rpc)->id", $gate->path, 'over') };
        ok wait_until(
            sub { my ($p) = @{ $values->('Apache2::Spawn->job($_[0])->progress', $id) }; return $p && $p->{done} == 3 }, 20),
            'progress';
        ($status) = @{ $values->('Apache2::Spawn->job($_[0])->status', $id) };
        is_deeply [ @{$status}{qw(state pid)} ], [ 'running', $pid ], 'it runs in the worker';
        $gate->let(1);
        is_deeply $values->('Apache2::Spawn->job($_[0])->result(30)', $id), ['over'], 'and returns';
        is $values->("Apache2::Spawn->spawn_call('${f}::pid', [], $rpc)->wait(30)->progress")->[0], undef,
            'the next one begins without progress';

        my ($list) = SpawnTest::Ctl->new($httpd)->json(qw(ps --all --queue rpc -n 100));
        my @rows = @{$list};
        my %named;
        $named{ $_->{function} }++ for @rows;
        is $named{"${f}::pid"}, 8, 'all calls are in the history';
        is_deeply [ grep { $_->{state} ne 'done' } @rows ], [], 'as done';
    }
);
done_testing;
