#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Calls that run go on, and their results arrive, whatever happens meanwhile: a
# graceful restart, a killed broker, a restart.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Calls ();

use constant CALLS => 20;

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Calls->httpd(mpm => $mpm)->start;
        my $gate = SpawnTest::Gate->new($httpd, 'event');
        my $ask = sub { return SpawnTest::Calls->ask($httpd, @_) };

        # Calls that wait at the gate while something happens.
        my $meanwhile = sub {
            my ($name, $event) = @_;
            my $ids = $ask->(<<'END', $gate->path, CALLS)->{values};
                my ($gate, $calls) = @_;
                return map { Apache2::Spawn->spawn_call('SpawnTest::Functions::waits_at', [ $gate, "answer $_" ])->id }
                    1 .. $calls;
END
            wait_until(
                sub {
                    my $answer = $ask->('return grep { !Apache2::Spawn->job($_)->progress } @_', @{$ids});
                    return $answer->{values} && !@{ $answer->{values} };
                },
                30
            ) or fail "$name: they do not run";
            $event->();
            $gate->let(CALLS);
            my $answer = $ask->('return map { scalar Apache2::Spawn->job($_)->result(60) } @_', @{$ids});
            return is_deeply $answer->{values}, [ map { "answer $_" } 1 .. CALLS ], $name
                || diag explain $answer;
        };

        $meanwhile->('a graceful restart', sub { $httpd->graceful });
        $meanwhile->('a killed broker', sub {
            my $old = $httpd->kill_pair('broker');
            $httpd->new_pid('broker', $old);
        });
        $meanwhile->('a restart', sub { $httpd->restart });
        $meanwhile->('stop and start', sub { $httpd->stop; $httpd->start });
        is_deeply $ask->('Apache2::Spawn->call("SpawnTest::Functions::sum", [ 1, 2 ])')->{values}, [3], 'and new calls run';
    }
);
done_testing;
