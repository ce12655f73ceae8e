#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A Perl function runs in a process of its own, and the handler gets what it
# returned: scalars, lists, nested data, undef, in its own context.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest ();
use SpawnTest::Calls qw(each_template);

each_template(
    sub {
        my ($mpm, $kind) = @_;
        my $httpd = SpawnTest::Calls->httpd(mpm => $mpm, kind => $kind)->start;
        my $ask = sub { return SpawnTest::Calls->ask($httpd, @_) };
        my $values = sub {
            my $answer = $ask->(@_);
            diag explain $answer if !$answer->{values};
            return $answer->{values};
        };
        my $f = 'SpawnTest::Functions';

        is_deeply $values->("scalar Apache2::Spawn->call('${f}::sum', [1, 2, 3])"), [6], 'a scalar';
        is_deeply $values->("Apache2::Spawn->call('${f}::echo', \\\@_)", 'a', undef, [ 1, { b => "\x{2603}" } ], ''),
            [ 'a', undef, [ 1, { b => "\x{2603}" } ], '' ], 'a list, nested, both ways';
        is_deeply $values->("Apache2::Spawn->call('${f}::nothing')"), [], 'nothing';
        is_deeply $values->("scalar Apache2::Spawn->call('${f}::nothing')"), [undef], 'undef';

        is_deeply $values->("Apache2::Spawn->call('${f}::context')"), ['list'], 'list context';
        is_deeply $values->("scalar Apache2::Spawn->call('${f}::context')"), ['scalar'], 'scalar context';
        is_deeply $values->("scalar Apache2::Spawn->call('${f}::array')"), [3], 'an array in scalar context';

        my $job = 'my $job = Apache2::Spawn->spawn_call';
        is_deeply $values->("$job('${f}::array'); \$job->result(30)"), [ 4, 5, 6 ], 'the result of a job';
        is_deeply $values->("$job('${f}::array'); scalar \$job->result(30)"), [6], 'the last of its list';
        is_deeply $values->("$job('${f}::array', [], want => 'scalar'); scalar \$job->result(30)"), [3],
            'or what it returns in scalar context';
        my ($id) = @{ $values->("$job('${f}::echo', [ 7 ]); \$job->id") };
        is_deeply $values->('Apache2::Spawn->job($_[0])->result(30)', $id), [7], 'in another request, by its id';
        is_deeply $values->('Apache2::Spawn->job($_[0])->result(0)', $id), [7], 'and once more';

        # each in a process of its own, and none of httpd's
        my @pids = map { $values->("Apache2::Spawn->call('${f}::pid')")->[0] } 1 .. 3;
        my %pids = map { $_ => 1 } @pids, $httpd->pid, $httpd->children, $httpd->spawner_pid, $httpd->broker_pid;
        ok keys %pids >= 6, 'processes of their own';

        # the status says the same
        my ($status) = @{ $values->('Apache2::Spawn->job($_[0])->wait(30)', $id) };
        is $status->{function}, "${f}::echo", 'function';
        is $status->{result_kind}, 'returned', 'result_kind';
        is $status->{exit_code}, 0, 'exit code';
        ok !exists $status->{argv}, 'no argv';
        is_deeply $values->('Apache2::Spawn->job($_[0])->status->ok', $id), [1], 'ok';

        # with the request's context
        ($id) = @{ $values->("my \$job = \$r->spawn_call('${f}::about_itself', [], label => 'mine'); \$job->id") };
        my ($about) = @{ $values->('Apache2::Spawn->job($_[0])->result(30)', $id) };
        is $about->{id}, $id, 'the job knows its id';
        is $about->{queue}, 'default', 'its queue';
        is $about->{function}, "${f}::about_itself", 'its function';
        is $about->{context}{uri}, '/perl', 'and its context';
        like $about->{name}, qr/\Q${f}::about_itself\E .*\Q$id\E/, 'its name in ps';
    }
);
done_testing;
