#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# nice counts against processes of other sessions, too: where the kernel gives each
# session a value of its own, a job's has what the job asked for. Of a program,
# of a Perl function, of a job that did not ask for anything.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Calls ();

plan skip_all => 'sessions have no value of their own on this kernel' if !-e '/proc/self/autogroup';

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Calls->httpd(mpm => $mpm)->start;
        my $of_program = sub {
            # an ordinary account's has it a moment after its beginning
            my $out = $httpd->run([ '/bin/sh', '-c', 'sleep 0.2; cat /proc/self/autogroup' ], @_)->{stdout};
            return $out =~ /nice (-?\d+)/ ? $1 : $out;
        };
        my $of_function = sub {
            my $out = SpawnTest::Calls->ask($httpd, 'Apache2::Spawn->call(@_)',
                'SpawnTest::Functions::line_of', ['/proc/self/autogroup'], @_)->{values}[0];
            return $out =~ /nice (-?\d+)/ ? $1 : $out;
        };

        # The kernel takes some ten a second of all sessions of the machine.
        ok wait_until(sub { $of_program->(nice => 9) == 9 }, 30), 'a program';
        ok wait_until(sub { $of_function->(nice => 19) == 19 }, 30), 'a function';
        is $of_program->(), 0, 'a program that asked for nothing';
        is $of_function->(), 0, 'a function that asked for nothing';
    }
);
done_testing;
