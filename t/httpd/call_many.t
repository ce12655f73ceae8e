#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A hundred calls at once: each gets the answer to its own arguments, from one
# request and from many.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use POSIX ();
use Test::More;

use SpawnTest qw(each_mpm);
use SpawnTest::Calls ();

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Calls->httpd(mpm => $mpm, children => 8)->start;
        my $ask = sub { return SpawnTest::Calls->ask($httpd, @_) };

        my $answer = $ask->(<<'END');
            my @jobs = map { Apache2::Spawn->spawn_call('SpawnTest::Functions::echo', [ $_, "number $_" ]) } 1 .. 100;
            return map { [ $_->result(60) ] } @jobs;
END
        is_deeply $answer->{values}, [ map { [ $_, "number $_" ] } 1 .. 100 ], 'from one request'
            or diag explain $answer;

        # four requests at once, 25 calls in each
        my @readers;
        for my $part (0 .. 3) {
            pipe my $read, my $write or die "pipe: $!";
            my $pid = fork;
            defined $pid or die "fork: $!";
            if ($pid == 0) {
                my $values = eval {
                    SpawnTest::Calls->ask($httpd, <<'END', $part)->{values};
                        my ($part) = @_;
                        return map { scalar Apache2::Spawn->call('SpawnTest::Functions::sum', [ 1000 * $part, $_ ]) } 1 .. 25;
END
                } || [$@];
                syswrite $write, join ' ', @{$values};
                POSIX::_exit(0);
            }
            close $write;
            push @readers, [ $part, $pid, $read ];
        }
        for my $reader (@readers) {
            my ($part, $pid, $read) = @{$reader};
            is scalar <$read>, join(' ', map { 1000 * $part + $_ } 1 .. 25), "from request $part";
            waitpid $pid, 0;
        }

        # random numbers differ
        my %seen = map { $_ => 1 } @{ $ask->(<<'END')->{values} };
            my @jobs = map { Apache2::Spawn->spawn_call('SpawnTest::Functions::random') } 1 .. 10;
            return map { scalar $_->result(60) } @jobs;
END
        is scalar keys %seen, 10, 'random numbers differ';
    }
);
done_testing;
