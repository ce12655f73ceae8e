#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# When LoadModule has gone at a graceful restart, that is a stop for the
# pair: the running job is waited for and recorded, then the pair goes; when
# the module comes back, the job's end is known. All MPMs at once, since the
# pair waits 30 s for its module to come back. And one more beside them, whose
# startup file takes longer than that at its graceful restart: no stop for it.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(mpms one_mpm wait_until);
use SpawnTest::Process qw(alive);

# Perl runs while the configuration is read, so it is not there before.
my $slow = SpawnTest::Httpd->new(mpm => one_mpm(), conf => "SpawnOnStop kill\n");
my $startup = SpawnTest::Gate->new($slow, 'startup');
$slow->{perl} = sprintf <<'END', $slow->work, $startup->path;
if (-e '%1$s/slow' && open my $loading, '>', '%1$s/loading') {
    open my $gate, '<', '%2$s' or die "gate: $!\n";
    sysread $gate, my $byte, 1;
}
END
$slow->start;
my $end_slow = SpawnTest::Gate->new($slow, 'job');
my $in_slow = $slow->spawn($end_slow->job('exit 12'), reply => 'started');
my $slow_spawner = $slow->spawner_pid;
$slow->file('../work/slow', 'from now on');
kill USR1 => $slow->pid or die "httpd: $!\n";
ok wait_until(sub { -e $slow->work . '/loading' }, 30), 'a startup file takes long';

my @sites;
for my $mpm (mpms()) {
    my $httpd = SpawnTest::Httpd->new(mpm => $mpm)->start;
    my $gate = SpawnTest::Gate->new($httpd, 'a');
    my $job = $httpd->spawn($gate->job('exit 11'), reply => 'started');
    ok $job->{pid}, "$mpm: a job runs" or diag explain $job;
    $httpd->{spawn} = 0;
    $httpd->graceful;
    push @sites, [ $mpm, $httpd, $gate, $job ];
}
for my $site (@sites) {
    my ($mpm, $httpd, $gate, $job) = @{$site};
    ok $httpd->do('pid')->{pid}, "$mpm: httpd serves";
    ok alive($job->{pid}), "$mpm: the job runs on";
    $gate->let(1);
}
for my $site (@sites) {
    my ($mpm, $httpd, $gate, $job) = @{$site};
    ok $httpd->pair_gone(60), "$mpm: the pair goes";
    ok !$httpd->ended, "$mpm: httpd does not";
    $httpd->{spawn} = 1;
    $httpd->graceful;
    my $end = $httpd->status($job->{id});
    is $end->{exit_code}, 11, "$mpm: the job's end is known" or diag explain $end;
    is $httpd->run([qw(/bin/echo back)])->{stdout}, "back\n", "$mpm: jobs run again";
}

ok alive($in_slow->{pid}), 'startup: the job runs on';
unlike $slow->error_log, qr/MS0313/, 'startup: it is no stop';
my $from = length $slow->error_log;
$startup->let;
ok $slow->wait_for_log(qr/resuming normal operations/, 30, $from), 'startup: it is done';
is $slow->spawner_pid, $slow_spawner, 'startup: the spawner is the same one';
$end_slow->let;
is $slow->wait($in_slow->{id})->{exit_code}, 12, 'startup: the job ends as it likes to';
done_testing;
