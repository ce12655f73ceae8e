#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# An error that a Perl function throws comes to the caller: the same text, the
# same data, or an error with the object's class, text and data. A call without
# a result is told with its reason.

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
        my $preload = $kind eq 'exec' ? 'preload its module' : qr/load its module in httpd\.conf \(PerlModule My::No\)/;
        my $httpd = SpawnTest::Calls->httpd(mpm => $mpm, kind => $kind)->start;
        my $ask = sub { return SpawnTest::Calls->ask($httpd, @_) };
        my $call = sub {
            my ($function, $args, %options) = @_;
            return $ask->('my ($f, $a, $o) = @_; my $value = Apache2::Spawn->call($f, $a, %{$o}); $value',
                $function =~ /::/ ? $function : "SpawnTest::Functions::$function", $args || [], \%options);
        };
        my $error = sub {
            my ($code, $text, $name, @call) = @_;
            my $answer = $call->(@call);
            is $answer->{error}{code}, $code, "$name: code" or diag explain $answer;
            like $answer->{error}{text}, $text, "$name: text";
            return $answer->{error};
        };

        # exceptions
        is $call->('dies', ["no such customer\n"])->{string}, "no such customer\n", 'a string';
        is $call->('dies', ["caf\x{e9} \x{2603}\n"])->{string}, "caf\x{e9} \x{2603}\n", 'a wide string';
        like $call->('dies_here')->{string}, qr{\Ano such customer at \S+/SpawnTest/Functions\.pm line \d+\.\n\z},
            'with its place';
        is_deeply $call->('dies', [ { code => 404, list => [1] } ])->{thrown}, { code => 404, list => [1] }, 'data';
        my $object = $error->('call_failed',
            qr/\ASpawnTest::Functions::dies_with_object died with an object of class SpawnTest::Functions::TooHot: too hot: 451\z/,
            'an object', 'dies_with_object');
        is_deeply $object->{exception},
            { class => 'SpawnTest::Functions::TooHot', text => 'too hot: 451', data => { degrees => 451 } }, 'exception';
        my $status = $ask->('Apache2::Spawn->job($_[0])->wait(30)', $object->{id})->{values}[0];
        is $status->{result_kind}, 'died', 'result_kind';
        is $status->{exit_code}, 255, 'exit code';

        # functions that are not there
        my $from = length $httpd->error_log;
        $error->('invalid', qr/no function My::No::where in template app; $preload or use load => 'My::No'/,
            'an unknown function', 'My::No::where');
        $error->('invalid', qr/no function ModPerl::ROOT::x::f in template app; a script's own functions exist in no other/,
            'a function of a script', 'ModPerl::ROOT::x::f');
        ok $httpd->wait_for_log(qr/no function My::No::where/, 20, $from), 'it is in the error log too';

        # load
        is $call->('Text::ParseWords::shellwords', [q{a "b c"}])->{error}{code}, 'invalid', 'a module not loaded';
        is_deeply $ask->('Apache2::Spawn->call(@_)', 'Text::ParseWords::shellwords', [q{a "b c"}],
            load => 'Text::ParseWords')->{values}, [ 'a', 'b c' ], 'loaded for the call';
        my $missing = $ask->('Apache2::Spawn->call(@_)', 'My::No::where', [], load => 'My::No')->{error};
        is $missing->{code}, 'invalid', 'a module that is not there';
        like $missing->{text}, qr{\Aload: module My::No cannot be loaded in template app: Can't locate My/No\.pm .*; install it, or name},
            'which, where, why, and what to do';

        # templates
        my $unknown = $error->('invalid', qr/template 'report'.*app/s, 'an unknown template', 'sum', [1],
            template => 'report');
        is $unknown->{step}, 'check', 'step';

        # results that cannot travel
        $error->('not_sendable', qr/return value \[0\]\{log\} is a handle/, 'a handle', 'returns_handle');
        $error->('not_sendable', qr/return value \[0\] is an object of class SpawnTest::Functions::TooHot/, 'an object',
            'returns_object');
        is_deeply $call->('returns_object', [], objects => 1)->{values}, [ { n => 1 } ], 'unless objects may';
        $error->('too_big', qr/the return value has \d+ bytes.* at most 4194304/, 'much', 'returns_much', [ 5 << 20 ]);
        is length $call->('returns_much', [ 3 << 20 ])->{values}[0], 3 << 20, 'three megabytes travel';
        is $ask->('length +(Apache2::Spawn->call("SpawnTest::Functions::echo", ["x" x (3 << 20)]))[0]')->{values}[0],
            3 << 20, 'both ways';
        is_deeply $ask->('Apache2::Spawn->call("SpawnTest::Functions::returns_handle"); 1')->{values}, [1],
            'nothing has to travel in void context';

        # no result
        $error->('call_failed', qr/exits ended its process, exit code 3, before it returned/, 'exit', 'exits', [3]);
        $error->('call_failed', qr/exits ended its process, exit code 0, before it returned/, 'exit 0', 'exits', [0]);
        $error->('call_failed', qr/exits_by_core ended its process, exit code 4, before/, 'CORE::exit', 'exits_by_core', [4]);
        $error->('call_failed', qr/exits_by_posix ended its process, exit code 5, before/, '_exit', 'exits_by_posix', [5]);
        $error->('call_failed', qr/kills_itself was ended by signal 9 \(KILL\)/, 'a signal', 'kills_itself', ['KILL']);
    }
);
done_testing;
