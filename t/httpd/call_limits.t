#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A Perl function is under the limits of every job: a loop that ignores signals is
# killed after its grace, kill ends it, memory is limited.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;
use Time::HiRes qw(time);

use SpawnTest qw(each_mpm sanitized wait_until);
use SpawnTest::Calls ();

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Calls->httpd(mpm => $mpm)->start;
        my $ask = sub { return SpawnTest::Calls->ask($httpd, @_) };
        my $begin = sub {
            my ($function, @options) = @_;
            return $ask->('my $job = Apache2::Spawn->spawn_call(@_); $job->id', "SpawnTest::Functions::$function",
                @options)->{values}[0];
        };
        my $deaf = sub {
            my ($id) = @_;
            return wait_until(
                sub { $ask->('Apache2::Spawn->job($_[0])->progress', $id)->{values}[0] }, 30);
        };

        # a loop that no signal of perl's ends
        my $error = $ask->('Apache2::Spawn->call(@_)', 'SpawnTest::Functions::deaf_loop', [],
            timeout => 5, grace => 0.5)->{error};
        is $error->{code}, 'timed_out', 'timed out' or diag explain $error;
        like $error->{text}, qr/deaf_loop did not return within its timeout and was ended: signal 9 \(KILL\)/, 'text';
        my $status = $ask->('Apache2::Spawn->job($_[0])->status', $error->{id})->{values}[0];
        is $status->{outcome}, 'timed_out', 'outcome';
        is $status->{signal}, 9, 'by KILL';
        ok $status->{elapsed} >= 5.4 && $status->{elapsed} < 9.9, 'after timeout and grace' or diag $status->{elapsed};

        # kill
        my $id = $begin->('deaf_loop', []);
        is_deeply $deaf->($id), { done => 1, of => undef, text => 'deaf' }, 'it runs';
        my $pid = $ask->('Apache2::Spawn->job($_[0])->pid', $id)->{values}[0];
        is_deeply $ask->('Apache2::Spawn->job($_[0])->kill("KILL") ? 1 : 0', $id)->{values}, [1], 'kill';
        $error = $ask->('Apache2::Spawn->job($_[0])->result(30)', $id)->{error};
        is $error->{code}, 'call_failed', 'code';
        like $error->{text}, qr/deaf_loop was (?:ended by|cancelled:) signal 9 \(KILL\)/, 'text';
        ok !kill(0, $pid), 'the process is gone';

        # memory
        SKIP: {
            skip 'with sanitizers: a process has terabytes of address space', 3 if sanitized();
            my $answer = $ask->('Apache2::Spawn->call(@_)', 'SpawnTest::Functions::eats_memory', [ 2000 ],
                limits => { memory => '300M' });
            $error = $answer->{error};
            is $error->{code}, 'call_failed', 'memory: code' or diag explain $answer;
            like $error->{text}, qr/eats_memory (?:ended its process, exit code [1-9]\d*|was ended by signal)/,
                'memory: text';
            is_deeply $ask->('Apache2::Spawn->call(@_)', 'SpawnTest::Functions::eats_memory', [20],
                limits => { memory => '300M' })->{values}, [20], 'below the limit';
        }

        # a queue's own limit
        is_deeply $ask->('Apache2::Spawn->call(@_)', 'SpawnTest::Functions::sum', [ 1, 2 ], nice => 19)->{values}, [3],
            'and the template is as it was';
    }
);
done_testing;
