#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A job that hangs before it runs (here in the opening of its stdin) is like one
# that runs: its process is known, its time-out and signals end it, its place is
# free then, and nobody else waits for it. Programs and Perl functions of both
# kinds of template.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Calls ();
use SpawnTest::Hang ();
use SpawnTest::Process qw(alive);

my @kinds = qw(program app tools);

# Submits one; its id.
sub submit {
    my ($httpd, $kind, $path, %options) = @_;
    return $httpd->spawn(['/bin/true'], stdin => $path, %options)->{id} if $kind eq 'program';
    my $answer = SpawnTest::Calls->ask($httpd,
        'Apache2::Spawn->spawn_call("SpawnTest::Functions::pid", [], template => $_[0], @_[1 .. $#_])->id',
        $kind, stdin => $path, %options);
    die explain $answer if !$answer->{values};
    return $answer->{values}[0];
}

sub shown_pid {
    my ($httpd, $id) = @_;
    return wait_until(sub { my $s = $httpd->status($id); $s->{state} eq 'starting' && $s->{pid} }, 20);
}


each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Calls->httpd(
            mpm => $mpm,
            templates => "SpawnTemplate tools exec preload=SpawnTest::Functions inc=\@INC@\n"
                . "PerlModule SpawnTest::Functions\n",
            conf => join('', map { "<SpawnQueue $_>\nSpawnMaxJobs 1\n</SpawnQueue>\n" } map { "one-$_" } @kinds)
                . "SpawnOnStop kill\n",
        )->start;
        my $path = $httpd->work . '/leased';
        my $lease = SpawnTest::Hang->lease($path);

        my %one = map { $_ => submit($httpd, $_, $path, timeout => 15, grace => 60, queue => "one-$_") } @kinds;
        my %seen = map { $_ => shown_pid($httpd, $one{$_}) } @kinds;
        my %next = map { $_ => $httpd->spawn([ '/bin/sh', '-c', 'exit 5' ], queue => "one-$_")->{id} } @kinds;
        for my $kind (@kinds) {
            ok $seen{$kind}, "$kind: its process is shown" or diag explain $httpd->status($one{$kind});
            ok $seen{$kind} && alive($seen{$kind}), '... and it is there';
            is $httpd->status($next{$kind})->{state}, 'queued', '... and has its place in the queue';
        }
        for my $kind (@kinds) {
            my $end = $httpd->wait($one{$kind});
            is $end->{outcome}, 'timed_out', "$kind: it is timed out" or diag explain $end;
            like $end->{message} || '', qr/^it ended before it ran\b/, '... which says where it was';
            cmp_ok $end->{elapsed}, '<', 45, '... by TERM, not after its grace';
            ok !alive($seen{$kind}), '... and it has gone';
            is $httpd->wait($next{$kind})->{exit_code}, 5, '... and the next one has run';
        }

        my %kill = map { $_ => submit($httpd, $_, $path) } @kinds;
        for my $kind (@kinds) {
            ok shown_pid($httpd, $kill{$kind}), "$kind: one without a time-out";
            $httpd->do('kill', id => $kill{$kind}, signal => 'TERM');
            is $httpd->wait($kill{$kind})->{outcome}, 'cancelled', '... is ended by a signal';
        }

        # More than orders that may be on their way to a template.
        for my $kind (qw(app tools)) {
            my @ids = map { submit($httpd, $kind, $path) } 1 .. 20;
            my $sum = SpawnTest::Calls->ask($httpd,
                'Apache2::Spawn->call("SpawnTest::Functions::sum", [2, 3], template => $_[0], timeout => 20)', $kind);
            is_deeply $sum->{values}, [5], "$kind: 20 that hang do not hold their template" or diag explain $sum;
            $httpd->do('kill', id => $_, signal => 'TERM') for @ids;
            is_deeply [ grep { $_ ne 'cancelled' } map { $httpd->wait($_)->{outcome} } @ids ], [],
                '... and all are ended';
        }

        # A broker that comes meanwhile goes on with what it finds.
        my %found = map { $_ => submit($httpd, $_, $path, timeout => 15) } @kinds;
        shown_pid($httpd, $found{$_}) for @kinds;
        my $broker = $httpd->kill_pair('broker');
        ok $httpd->new_pid('broker', $broker), 'another broker';
        ok shown_pid($httpd, $found{$_}), "... shows the process: $_" for @kinds;
        for my $kind (@kinds) {
            my $end = $httpd->wait($found{$kind});
            is $end->{outcome}, 'timed_out', "... and times it out: $kind" or diag explain $end;
        }

        my %left = map { $_ => submit($httpd, $_, $path) } @kinds;
        my %pid = map { $_ => shown_pid($httpd, $left{$_}) } @kinds;
        $httpd->stop;
        ok $httpd->pair_gone, "'SpawnOnStop kill' ends them, and the pair goes";
        ok !alive($pid{$_}), "... $_" for @kinds;
        $httpd->start;
        is $httpd->status($left{$_})->{outcome}, 'cancelled', "... and it is told: $_" for @kinds;
        unlike $httpd->error_log, qr/MS060[23]/, 'no template has gone or was killed for them';
    }
);
done_testing;
