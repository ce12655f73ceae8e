#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A template that httpd has forked is killed while a job is queued for it, or has just been
# ordered from it: the job runs in the next template, once. httpd's parent looks for ended
# children once a second, so that takes a second and the time of a fork at most; a busy
# machine needs more, so the times are noted, and only a generous deadline is checked.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;
use Time::HiRes qw(usleep);

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::ParentTemplate qw(httpd_with_functions connection templates_of);
use SpawnTest::Process qw(alive);
use SpawnTest::Wait qw(now);

use constant DEADLINE => 60;    # s; a busy machine needs some

# Each run is a line: which, its template, the clock that never jumps.
my $writes = <<'END';
package My::Runs;
use strict;
use warnings;
use Time::HiRes qw(CLOCK_MONOTONIC clock_gettime);
sub note {
    my ($ledger, $which) = @_;
    open my $out, '>>', $ledger or die "$ledger: $!\n";
    syswrite $out, "$which " . getppid . ' ' . clock_gettime(CLOCK_MONOTONIC) . "\n";
    return $which;
}
$INC{'My/Runs.pm'} = 1;
END

# [ template, when ] of each run of this job.
sub runs {
    my ($ledger, $which) = @_;
    open my $in, '<', $ledger or return;
    return map { /\A\Q$which\E (\d+) (\S+)\n/ ? [ $1, $2 ] : () } <$in>;
}

sub the_template {
    my ($httpd) = @_;
    my @now;
    wait_until(sub { @now = templates_of($httpd); return @now == 1 }, DEADLINE);
    return $now[0];
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = httpd_with_functions(mpm => $mpm, conf => "SpawnSubmitTimeout 30s\n");
        $httpd->{perl} .= $writes;
        $httpd->start;
        my $spawn = connection($httpd);
        my $ledger = $httpd->work . '/runs';
        is $spawn->call('My::Runs::note', [ $ledger, 'first' ]), 'first', 'it serves';

        my %does = (
            queued => sub {
                my ($old, $submit) = @_;
                kill KILL => $old or die "kill $old: $!\n";
                my $killed = now();
                return ($submit->(), $killed);
            },
            # it does not take the order before it is killed
            ordered => sub {
                my ($old, $submit) = @_;
                kill STOP => $old or die "kill $old: $!\n";
                my $job = $submit->();
                kill KILL => $old or die "kill $old: $!\n";
                return ($job, now());
            },
        );
        my @took;
        for my $how (qw(queued ordered queued ordered)) {
            my $which = "$how" . @took;
            my $old = the_template($httpd);
            # it came when the parent looked: else each kill would be just after a look, and
            # had to wait for the next one
            usleep(200_000 * @took);
            my ($job, $killed) = $does{$how}->($old, sub { return $spawn->spawn_call('My::Runs::note', [ $ledger, $which ], reply => 'accepted') });
            is eval { $job->result(DEADLINE) }, $which, "$how: it runs" or diag $@ || $job->status->message;
            my @ran = runs($ledger, $which);
            is scalar @ran, 1, '... once';
            my $new = the_template($httpd);
            isnt $new, $old, '... there is another template';
            is $ran[0][0], $new, '... and it ran there';
            is $job->status->attempt, 1, '... which is no other attempt';
            push @took, $ran[0][1] - $killed;
            note sprintf '%s: %.3f s after the kill', $how, $took[-1];
            cmp_ok $took[-1], '<', DEADLINE, '... in time';
        }
        my ($best) = sort { $a <=> $b } @took;
        note sprintf 'the quickest began %.3f s after the kill', $best;
        is scalar runs($ledger, 'first'), 1, 'no other job ran again';
    }
);
done_testing;
