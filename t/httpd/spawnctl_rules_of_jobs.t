#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# spawnctl run --retry-on, --at and --after-failed, seen by the job itself (a ledger of its
# runs) and by those who ask for it: after which ends it is tried again, that it does not
# start before its moment, and what becomes of it when one that it comes after fails. What
# makes no sense is refused, and nothing runs.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use POSIX qw(strftime);
use Test::More;
use Time::HiRes qw(time);

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Ctl ();
use SpawnTest::Gate ();

use constant DEADLINE => 60;

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, conf => "SpawnSubmitTimeout 30s\n")->start;
        my $ctl = SpawnTest::Ctl->new($httpd);
        my $work = $httpd->work;
        my $script = $httpd->script('noted', "#!/bin/sh\nname=\$1\nshift\necho \"\$name \$SPAWN_ATTEMPT \$(date +%s.%N)\" >>$work/ledger\nexec \"\$@\"\n");

        # What the job saw: [ attempt, when ] of each run.
        my $runs = sub {
            my ($name) = @_;
            open my $in, '<', "$work/ledger" or return;
            return map { /\A\Q$name\E (\d*) (\S+)\n/ ? [ $1 || 1, $2 ] : () } <$in>;
        };
        # What others see.
        my $shown = sub { my ($id) = @_; my ($job, $ran) = $ctl->json('show', $id); return $job || { error => $ran->{err} } };
        my $ended = sub {
            my ($id) = @_;
            $ctl->run('wait', '--timeout', DEADLINE, $id);
            return $shown->($id);
        };

        # ---- --retry-on ----

        my @cases = (
            # name, words of retry-on, how it ends, attempts, how that is told
            [ code => '7', [ sh => '-c', 'exit 7' ], 3, 'exited 7' ],
            [ other => '7', [ sh => '-c', 'exit 8' ], 1, 'exited 8' ],
            [ several => 'lost,8,9', [ sh => '-c', 'exit 8' ], 3, 'exited 8' ],
            [ failed => 'failed', [ sh => '-c', 'exit 1' ], 3, 'exited 1' ],
            [ killed => 'failed', [ sh => '-c', 'kill -9 $$' ], 3, 'signalled 9' ],
            [ signal => 'signal', [ sh => '-c', 'kill -10 $$' ], 3, 'signalled 10' ],
            [ no_signal => 'signal', [ sh => '-c', 'exit 10' ], 1, 'exited 10' ],
            # by then each must have said that it runs, on a busy machine, too
            [ timeout => 'timeout', [ sleep => 1000 ], 3, 'timed_out', '--timeout', '5s', '--grace', '100ms' ],
            [ no_timeout => 'failed', [ sleep => 1000 ], 1, 'timed_out', '--timeout', '5s', '--grace', '100ms' ],
            [ lost => 'lost', [ sh => '-c', 'exit 1' ], 1, 'exited 1' ],
            [ well => 'failed,timeout,start_failed,signal,lost,0', [ sh => '-c', 'exit 0' ], 1, 'exited 0' ],
        );
        my %id = map {
            my ($name, $on, $does, undef, undef, @more) = @{$_};
            ($name => $ctl->detach('--retry', 2, '--backoff', '1ms', '--retry-on', $on, @more, '--', $script, $name, @{$does}));
        } @cases;
        for my $case (@cases) {
            my ($name, $on, undef, $attempts, $told) = @{$case};
            my $job = $ended->($id{$name});
            is join(' ', map { defined $job->{$_} ? $job->{$_} : () } qw(outcome exit_code signal)) =~ s/ (?:9|15)\z//r,
                $told =~ s/ 9\z//r, "--retry-on $on: $name is told as it ended" or diag explain $job;
            is $job->{attempt} || 1, $attempts, '... after so many attempts';
            is_deeply [ map { $_->[0] } $runs->($name) ], [ 1 .. $attempts ], '... each of which ran, once';
        }
        # what never ran, at the default of retry-on and with the word
        for my $on ([], [qw(--retry-on start_failed)]) {
            my $id = $ctl->detach('--retry', 2, '--backoff', '1ms', @{$on}, '--', '/nonexistent/program');
            is $ended->($id)->{attempt} || 1, @{$on} ? 3 : 1, "@{$on}: a start that failed";
        }
        my $ran = $ctl->run(qw(run --retry 1 --backoff 1ms --retry-on 7), '--', $script, 'waited', 'sh', '-c', 'exit 7');
        is $ran->{code}, 7, 'spawnctl run waits for the last one';
        is scalar $runs->('waited'), 2, '... of both';

        # ---- --at ----

        my $at = int(time) + 4;
        my %moment = (
            epoch => $at, fraction => "$at.5", zulu => strftime('%Y-%m-%dT%H:%M:%SZ', gmtime $at),
            zone => strftime('%Y-%m-%dT%H:%M:%S+02:00', gmtime $at + 7200),
        );
        my %job = map { $_ => $ctl->detach('--at', $moment{$_}, '--', $script, "at-$_", 'true') } sort keys %moment;
        my $hour = $ctl->detach('--at', int(time) + 3600, '--', $script, 'at-hour', 'true');
        my $past = $ctl->detach('--at', '2001-02-03T04:05:06Z', '--', $script, 'at-past', 'true');
        for my $name (sort keys %job) {
            my $job = $shown->($job{$name});
            SKIP: {
                skip 'the machine is too busy to see it wait', 2 if time > $at - 1;
                is $job->{state}, 'delayed', "--at $moment{$name}: it waits" or diag explain $job;
                is scalar $runs->("at-$name"), 0, '... and has not run';
            }
        }
        is $ended->($past)->{exit_code}, 0, 'a moment that is over: it starts';
        for my $name (sort keys %job) {
            is $ended->($job{$name})->{exit_code}, 0, "--at $moment{$name}: it runs";
            my @ran = $runs->("at-$name");
            is scalar @ran, 1, '... once';
            cmp_ok $ran[0][1], '>=', $name eq 'fraction' ? $at + 0.5 : $at, '... and not before';
        }
        is $shown->($hour)->{state}, 'delayed', 'one of an hour later waits on';
        is scalar $runs->('at-hour'), 0, '... and has not run';
        is $ctl->run('kill', $hour)->{code}, 0, '... it can be cancelled';
        is $ended->($hour)->{outcome}, 'cancelled', '... and is';

        # ---- --after-failed ----

        my $gate = SpawnTest::Gate->new($httpd, 'after');
        my $before = sub { my ($code) = @_; return $ctl->detach('--', @{ $gate->job("exit $code") }) };
        for my $code (0, 3) {
            my $first = $before->($code);
            my %after = (none => [], map { $_ => [ '--after-failed', $_ ] } qw(cancel run keep));
            my %later = map { $_ => $ctl->detach('--after', $first, @{ $after{$_} }, '--', $script, "after-$code-$_", 'true') } sort keys %after;
            for my $what (sort keys %later) {
                like $shown->($later{$what})->{state}, qr/\A(?:queued|delayed)\z/, "--after-failed $what: it waits";
                is scalar $runs->("after-$code-$what"), 0, '... and has not run';
            }
            $gate->let(1);
            is $ended->($first)->{exit_code}, $code, "the first one ends with $code";
            for my $what (sort keys %later) {
                my $runs_then = $code == 0 || $what eq 'run';
                if (!$runs_then && $what eq 'keep') {
                    like $shown->($later{$what})->{state}, qr/\A(?:queued|delayed)\z/, '--after-failed keep: it waits on';
                    is $ctl->run('kill', $later{$what})->{code}, 0, '... until it is cancelled';
                }
                my $job = $ended->($later{$what});
                is $job->{outcome}, $runs_then ? 'exited' : 'cancelled', "--after-failed $what: told so after $code";
                is scalar $runs->("after-$code-$what"), $runs_then ? 1 : 0, $runs_then ? '... it ran, once' : '... it never ran';
                cmp_ok +($runs->("after-$code-$what"))[0][1], '>=', $shown->($first)->{ended_at} - 0.002, '... after the other one had ended'
                    if $runs_then && ($shown->($first)->{ended_at} || '') =~ /\A[0-9.]+\z/;
            }
        }

        # ---- what makes no sense ----

        my @wrong = (
            [ [qw(--retry 1 --retry-on never)], qr/retry-on|retry_on/ ],
            [ [qw(--retry 1 --retry-on cancelled)], qr/retry-on|retry_on/ ],
            [ [qw(--retry 1 --retry-on 256)], qr/retry-on|retry_on/ ],
            [ [qw(--retry-on 7)], qr/retry/ ],
            [ [qw(--at yesterday)], qr/\bat\b/ ],
            [ [qw(--at 2030-13-01T00:00:00Z)], qr/\bat\b/ ],
            [ [ '--after', $past, qw(--after-failed perhaps) ], qr/after-failed|after_failed/ ],
            [ [qw(--after-failed run)], qr/after/ ],
            [ [qw(--after nonsense)], qr/after/ ],
        );
        for my $case (@wrong) {
            my $refused = $ctl->run(qw(run --detach), @{ $case->[0] }, '--', $script, 'wrong', 'true');
            isnt $refused->{code}, 0, "@{ $case->[0] }: refused";
            like $refused->{err}, $case->[1], '... with the reason';
            is $refused->{out}, '', '... and no id';
        }
        is scalar $runs->('wrong'), 0, 'none of them ran';
    }
);
done_testing;
