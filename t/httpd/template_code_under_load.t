#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Visitors go on while httpd is restarted again and again, and has new code each time: no call of a child
# runs with code that is older than the child's, and none fails.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use JSON::PP ();
use POSIX ();
use Test::More;

use SpawnTest qw(each_mpm);
use SpawnTest::Versions ();

use constant RESTARTS => 5;
use constant VISITORS => 3;

my $json = JSON::PP->new->canonical;

# Asks for a call in each queue, one after another, until `enough` is there: a line of versions, of
# children and of their calls, for each round.
sub visitor {
    my ($code, $enough) = @_;
    my $pid = open my $out, '-|';
    defined $pid or die "fork: $!\n";
    return $out if $pid;
    # whatever happens, it must not go on as the test
    eval {
        STDOUT->autoflush(1);
        while (!-e $enough) {
            my @got = map { my ($socket) = $code->calls($_); $code->answer($socket) } $code->queues;
            print $json->encode(\@got), "\n";
        }
        1;
    } or print $json->encode(["the visitor: $@"]), "\n";
    POSIX::_exit(0);
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $code = SpawnTest::Versions->new($mpm);
        my $httpd = $code->httpd->start;
        my $enough = $httpd->work . '/enough';
        my @visitors = map { visitor($code, $enough) } 1 .. VISITORS;
        my @lines;
        my $round = sub { push @lines, grep { defined } map { scalar readline $_ } @visitors };
        $round->();
        for (1 .. RESTARTS) {
            $code->another;
            $httpd->graceful;
            $round->();
        }
        open my $touch, '>', $enough or die "$enough: $!\n";
        push @lines, map { readline $_ } @visitors;
        my (@failed, @older, %seen);
        for my $got (map { @{ $json->decode($_) } } @lines) {
            if (!ref $got) { push @failed, $got; next }
            push @older, $got if $got->[1] < $got->[0];
            $seen{ $got->[0] }++;
        }
        is_deeply \@failed, [], 'no call fails';
        is_deeply \@older, [], 'none has older code than its child';
        ok $seen{1} && $seen{ $code->version }, 'there were children of the first configuration, and of the last';
    }
);
done_testing;
