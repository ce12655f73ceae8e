#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Apache2::Spawn::Test 'inline': programs and functions run at their submit, and what the
# library tells of their ends is right.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl';

use Test::More;
use File::Temp ();
use Apache2::Spawn::Test 'inline';

my $changed = 0;

package My::Shop {    ## no critic
    sub add { return $_[0] + $_[1] }
    sub same { return $_[0] }
    sub list { $changed = 1; return (1, 2, 3) }
    sub context { return wantarray ? 'list' : defined wantarray ? 'scalar' : 'void' }
    sub dies { die "no such item\n" }
    sub dies_of_data { die { code => 7 } }
    sub dies_of_object { die bless { n => 1 }, 'My::Problem' }
    sub leaves { exit 3 }
    sub is_ended { kill 'KILL', $$; sleep 60; return }
    sub returns_code { return sub { } }
    sub returns_much { return 'x' x 100_000 }
    sub prints { print "said\n"; return }
    sub writes { my ($path) = @_; open my $out, '>>', $path or die $!; print {$out} "x\n"; return close $out }
    sub environment { return { %ENV } }
    sub own { return Apache2::Spawn->job->id }
    sub progresses { Apache2::Spawn->job->progress(1, 2, 'half'); return 'done' }
    sub further { return Apache2::Spawn->call('My::Shop::add', [ 3, 4 ]) }
}

sub thrown {
    my ($code, $wrong, $what) = @_;
    ok !eval { my @got = $wrong->(); 1 }, "$what: it throws";
    my $error = $@;
    isa_ok $error, 'Apache2::Spawn::Error';
    is ref $error ? $error->code : $error, $code, "$what: $code" or diag $error;
    return $error;
}

# programs
my $result = Apache2::Spawn->run([ '/bin/sh', '-c', 'echo out; echo err >&2; pwd; exit 2' ]);
is $result->exit_code, 2, 'run: the exit code';
is $result->stdout, "out\n/\n", 'stdout, in the directory /';
is $result->stderr, "err\n", 'stderr';
is $result->status, 2 << 8, 'status as wait(2) has it';
is(Apache2::Spawn->run(['/bin/cat'], stdin => \"data\0x")->stdout, "data\0x", 'data');
is(Apache2::Spawn->run(['/bin/cat'])->stdout, '', 'no stdin');
is(Apache2::Spawn->run([ '/bin/sh', '-c', 'echo e >&2' ], stderr => 'stdout')->stdout, "e\n", 'stderr to stdout');
is(Apache2::Spawn->run(['/usr/bin/env'], env => { A => 'b', HOME => undef })->stdout =~ /^(?:A=b|HOME=.*)$/mg, 1,
    'a variable more, and one less');
is(Apache2::Spawn->run([ '/bin/sh', '-c', 'kill -9 $$' ])->signal, 9, 'a signal');
$result = Apache2::Spawn->run([ '/bin/sh', '-c', 'head -c 200000 /dev/zero' ]);
is $result->stdout_lost + length $result->stdout, 200_000, 'much output is cut, and the rest counted';
is(Apache2::Spawn->run([ '/bin/sh', '-c', 'yes & sleep 0.2; exit 3' ])->exit_code, 3,
    'one that leaves a writer behind');
my $error = thrown(start_failed => sub { Apache2::Spawn->run(['/no/such/program']) }, 'no program');
is $error->step, 'exec', 'its step';
like "$error", qr/No such file/, 'its errno';
thrown(start_failed => sub { Apache2::Spawn->run([ '/bin/true' ], cwd => '/no/such/directory') }, 'no directory');
is(Apache2::Spawn->run([ '/bin/sleep', 600 ], timeout => '100ms')->outcome, 'timed_out', 'a timeout');
my $dir = File::Temp->newdir;
my $job = Apache2::Spawn->spawn([ '/bin/sh', '-c', 'echo to a file' ], stdout => "$dir/file", reply => 'started');
open my $in, '<', "$dir/file" or die $!;
is scalar <$in>, "to a file\n", 'a path';

# functions
is(Apache2::Spawn->call('My::Shop::add', [ 1, 2 ]), 3, 'call: a value');
is length(Apache2::Spawn->call('My::Shop::same', [ 'y' x 20_000 ])), 20_000, 'a long one, of a long argument';
is(Apache2::Spawn->run([ '/bin/echo', 'z' x 20_000 ])->stdout, 'z' x 20_000 . "\n", 'and of a program');
is_deeply [ Apache2::Spawn->call('My::Shop::list') ], [ 1, 2, 3 ], 'a list';
is $changed, 0, 'a job changes nothing in the script';
is scalar(Apache2::Spawn->call('My::Shop::context')), 'scalar', 'scalar context';
is_deeply [ Apache2::Spawn->call('My::Shop::context') ], ['list'], 'list context';
ok !eval { Apache2::Spawn->call('My::Shop::dies'); 1 }, 'it dies';
is $@, "no such item\n", 'of text';
ok !eval { Apache2::Spawn->call('My::Shop::dies_of_data'); 1 }, 'it dies';
is_deeply $@, { code => 7 }, 'of data';
$error = thrown(call_failed => sub { Apache2::Spawn->call('My::Shop::dies_of_object') }, 'an object');
is $error->exception->{class}, 'My::Problem', 'its class';
is $error->line, __LINE__ - 2, 'the line of the caller';
like thrown(call_failed => sub { Apache2::Spawn->call('My::Shop::leaves') }, 'exit'), qr/exit code 3/, 'its code';
like thrown(call_failed => sub { Apache2::Spawn->call('My::Shop::is_ended') }, 'KILL'), qr/signal 9/, 'its signal';
thrown(invalid => sub { Apache2::Spawn->call('My::Shop::nothing') }, 'no function');
thrown(not_sendable => sub { Apache2::Spawn->call('My::Shop::returns_code') }, 'code');
thrown(too_big => sub { Apache2::Spawn->call('My::Shop::returns_much') }, 'much');
my $environment = Apache2::Spawn->call('My::Shop::environment');
is $environment->{LANG}, 'C.UTF-8', 'a clean environment';
is $environment->{SPAWN_QUEUE}, 'default', 'its queue';
is(Apache2::Spawn->call('My::Shop::progresses'), 'done', 'progress can be told');
is(Apache2::Spawn->call('My::Shop::further'), 7, 'a job can call');

# without context
my $before = jobs();
Apache2::Spawn->spawn_call('My::Shop::writes', ["$dir/void"]);
Apache2::Spawn->call('My::Shop::writes', ["$dir/void"]);
is -s "$dir/void", 4, 'without context both have run';
is scalar(jobs()), $before + 2, 'and are recorded';

# jobs
$job = Apache2::Spawn->spawn_call('My::Shop::own');
is scalar($job->result), $job->id, 'result; a job knows its id';
is $job->wait(5)->outcome, 'exited', 'wait';
is $job->status->state, 'done', 'status';
is $job->status->stdout, undef, 'without output';
ok $job->status->started_at <= $job->status->ended_at, 'times';
ok !$job->kill, 'kill finds nothing that runs';
is((jobs())[-1]{id}, $job->id, 'the record has its id');
$job = Apache2::Spawn->spawn_call('My::Shop::prints', stdout => 'capture');
is $job->wait->stdout, "said\n", 'what a function prints';
$job = Apache2::Spawn->spawn(['/bin/false']);
is $job->wait->exit_code, 1, 'the exit code of a job';

# refused
$before = jobs();
thrown(unknown_option => sub { Apache2::Spawn->run([ '/bin/true' ], colour => 1) }, 'an option that there is not');
thrown(invalid => sub { Apache2::Spawn->spawn([ '/bin/cat' ], stdin => $in) }, 'a handle');
fail_nth(2, 'queue_full');
is(Apache2::Spawn->call('My::Shop::add', [ 1, 1 ]), 2, 'the first one runs');
thrown(queue_full => sub { Apache2::Spawn->call('My::Shop::add', [ 1, 1 ]) }, 'the second');
is(Apache2::Spawn->call('My::Shop::add', [ 1, 1 ]), 2, 'the third one runs');
is scalar(jobs()), $before + 2, 'what is refused is not recorded';

# later
$job = Apache2::Spawn->spawn([ '/bin/true' ], delay => '1h');
is $job->status->state, 'delayed', 'delayed';
is drain(), 0, 'not due';
advance_clock(3600);
is drain(), 1, 'due';
is $job->wait->exit_code, 0, 'it has run';

$! = 5;
$? = 7;
Apache2::Spawn->run(['/bin/false']);
is $? . q{ } . ($! + 0), '7 5', 'the status and the errno of the script are left alone';

done_testing;
