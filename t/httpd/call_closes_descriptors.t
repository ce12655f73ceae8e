#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A Perl function that closes every descriptor: what comes of it is told all the
# same, and its template does not notice.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm);
use SpawnTest::Calls ();

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Calls->httpd(mpm => $mpm, conf => "PerlModule SpawnTest::Functions\nSpawnTemplate own parent\n")->start;
        for my $template (qw(app own)) {
            my $call = sub {
                my ($function, @args) = @_;
                return SpawnTest::Calls->ask($httpd, 'my ($t, $f, @a) = @_; scalar Apache2::Spawn->call($f, \@a, template => $t)',
                    $template, "SpawnTest::Functions::$function", @args);
            };
            is_deeply $call->('closes_all', 'return')->{values}, ['still here'], "$template: its value";
            is $call->('closes_all', 'die')->{string}, "closed and died\n", 'its exception';
            like $call->('closes_all', 'exit')->{error}{text}, qr/exit code 6, before it returned/, 'its exit code';
            is_deeply $call->('sum', 1, 2)->{values}, [3], 'the next one runs';
        }
        unlike $httpd->error_log, qr/MS0(?:230|602)/, 'from the same templates';
    }
);
done_testing;
