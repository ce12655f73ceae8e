#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# An error in the process reaches the caller with its text: at the next call
# that waits, at run at the latest; and the error log has it too.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest ();
use SpawnTest::Processes qw(httpd process module failure);

httpd(conf => 'SpawnTemplate broken exec preload=No::Such::Module inc=' . SpawnTest::build_dir() . "/perl\n");
module('My::Broken', "package My::Broken;\ndie \"not today\\n\";\n");
module('My::Object', "package My::Object; sub new { bless {}, shift } 1;\n");
my $httpd = httpd();

for my $exec (0, 1) {
    my $what = $exec ? 'new_exec' : 'new';
    my $from = length $httpd->error_log;
    my $process = process(exec => $exec)->require('My::Broken')->send_arg('x')->send_fh(\*STDIN)->eval('die "later"');
    my $fork = $process->fork->eval('1');
    failure(sub { $fork->run('main::f') }, 'call_failed', qr/\Arequire at \S+ line \d+: not today/, "$what: require, of a fork");
    failure(sub { $process->run('main::f') }, 'call_failed', qr/\Arequire at \S+ line \d+: not today/, "$what: require");
    failure(sub { $process->eval('1') }, 'call_failed', qr/not today/, "$what: and again");
    ok $process->wait(30), "$what: the process ends";
    is $process->exit_status, 255 << 8, "$what: with exit code 255";
    ok $httpd->wait_for_log(qr/stderr: require at \S+ line \d+: not today/, 20, $from), "$what: the error log has it";

    failure(sub { process(exec => $exec)->eval('this is no Perl')->pid }, 'call_failed', qr/\Aeval at \S+ line \d+: .*\(eval \d+\) line 1/s, "$what: eval, at pid");
    failure(sub { process(exec => $exec)->eval('sub {')->to_fh }, 'call_failed', qr/syntax error|Missing right/, "$what: eval, at to_fh");
    my $object = process(exec => $exec)->eval('die bless [], "My::Thing"');
    failure(sub { $object->run('f') }, 'call_failed', qr/My::Thing=ARRAY/, "$what: an object");
    is eval { $object->pid; 1 } || $@->exception->{class}, 'My::Thing', "$what: its class";

    failure(sub { process(exec => $exec)->run('No::Such::f') }, 'invalid', qr/no function No::Such::f in the process/, "$what: no such function");
    failure(sub { process(exec => $exec)->run('f') }, 'invalid', qr/no function main::f /, "$what: none in main");
    failure(sub { process(exec => $exec)->eval('exit 9')->run('f') }, 'call_failed', qr/ended while it was set up: exit code 9/, "$what: exit");
    failure(sub { process(exec => $exec)->eval('kill KILL => $$')->run('f') }, 'call_failed', qr/set up: signal KILL/, "$what: killed");
    failure(sub { process(exec => $exec)->fork->eval('exit 9')->run('f') }, 'call_failed', qr/set up: exit code 9/, "$what: exit of a fork");
    failure(sub { process(exec => $exec)->fork->eval('kill KILL => $$')->run('f') }, 'call_failed', qr/set up: signal KILL/, "$what: a fork is killed");
    failure(sub { process(exec => $exec)->eval('exit 9')->fork->run('f') }, 'call_failed', qr/the one that it was to be forked from ended .*: exit code 9/, "$what: nobody to be forked from");

    # in time
    my $slow = process(exec => $exec, deadline => 0.5)->eval('select undef, undef, undef, 30');
    failure(sub { $slow->pid }, 'deadline', qr/has not done what was sent within 0\.5 s/, "$what: too slow");
    my $full = process(exec => $exec, deadline => 0.5)->eval('select undef, undef, undef, 30');
    failure(sub { $full->send_arg('x' x 10_000_000) }, 'deadline', qr/did not take what was sent within 0\.5 s/, "$what: nobody reads");
    ok $_->kill('KILL'), "$what: it can be killed" for $slow, $full;

    # after run
    my $done = process(exec => $exec);
    $done->run('CORE::exit');
    failure(sub { $done->eval('1') }, 'invalid', qr/cannot be set up any more: run was called/, "$what: after run");
    failure(sub { $done->fork }, 'invalid', qr/run was called/, "$what: fork after run");
    ok $done->wait(30), "$what: CORE::exit";
    is $done->exit_status, 0, "$what: is what it says";

    # a function that dies
    my $dies = process(exec => $exec)->eval('sub f { die "in the function\n" }');
    my $copy = $dies->fork;
    $_->run('f') for $dies, $copy;
    for ($dies, $copy) {
        ok $_->wait(30), "$what: a function that dies ends its process";
        is $_->exit_status, 255 << 8, "$what: with 255";
    }
}
failure(sub { process(template => 'none')->pid }, 'invalid', qr/template 'none' is not configured/, 'no such template');
failure(sub { process(queue => 'none')->pid }, 'unknown_queue', qr/none/, 'no such queue');
failure(sub { process(template => 'broken')->run('f') }, 'start_failed', qr/No::Such::Module|No\/Such\/Module/, 'a template that cannot be made');
failure(sub { process(exec => 1, cwd => '/no/such/directory')->run('f') }, 'call_failed', qr/set up: .*directory/, 'a program that cannot be started');
done_testing;
