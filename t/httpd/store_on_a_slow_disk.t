#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The disk of the store stands still: the broker waits for it in the kernel. Callers get
# the error of their deadline, a job that runs goes on, the log says what the broker waits
# for, and it is let wait. When the disk goes on, so does the same broker; what it had
# accepted runs, once.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm wait_until);
use SpawnTest::Hang ();
use SpawnTest::Process qw(alive state_of);

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm());
my $disk_dir = $httpd->dir . '/disk';
mkdir $disk_dir or die "$disk_dir: $!\n";
my $disk = SpawnTest::Hang->disk("$disk_dir.image", $disk_dir, 32 << 20)
    or plan skip_all => 'no disk of our own can be mounted here';
END { my $status = $?; $disk->goes_on if $disk; $httpd->stop; undef $disk; $? = $status }    ## no critic (RequireLocalizedPunctuationVars)

$httpd->{conf} = "SpawnStore $disk_dir/store\nSpawnSubmitTimeout 5\n";
$httpd->start;
my $gate = SpawnTest::Gate->new($httpd, 'a');
my $job = $httpd->spawn($gate->job('exit 3'), reply => 'started');
ok alive($job->{pid}), 'a job runs';
my $broker = $httpd->broker_pid;

# ---- it stands still ----
$disk->stands;
my $ran = $httpd->work . '/ran';
my @sent;
my $error = wait_until(
    sub {
        my $answer = $httpd->spawn([ '/bin/sh', '-c', "echo \$SPAWN_JOB_ID >>$ran" ]);
        push @sent, $answer->{id} if $answer->{id};
        return $answer->{error};
    },
    30
);
like $error && $error->{code}, qr/\A(?:unconfirmed|deadline)\z/, 'callers get the error of their deadline' or diag explain $error;
ok wait_until(sub { state_of($broker) eq 'D' }, 20), 'the broker waits in the kernel';
ok $httpd->wait_for_log(qr/MS0358: the broker \(pid $broker\) has not answered for \d+ s: it waits in the kernel for a disk/, 90),
    'the log says so' or diag $httpd->tail;
is $httpd->broker_pid, $broker, 'it is let wait';
ok alive($job->{pid}), 'the job runs on';
is $httpd->get('/nothing-here')->{status}, 404, 'httpd serves';

# ---- it goes on ----
$disk->goes_on;
is wait_until(sub { $httpd->run([qw(/bin/echo yes)])->{stdout} }, 60), "yes\n", 'the disk goes on: jobs run';
is $httpd->broker_pid, $broker, 'it is the same broker';
$gate->let;
is $httpd->wait($job->{id})->{exit_code}, 3, 'the job ends, and its exit code is told';
is $httpd->wait($_)->{exit_code}, 0, 'one that was accepted before the disk stood still ran' for @sent;
my %runs;
if (open my $in, '<', $ran) {
    chomp, $runs{$_}++ while <$in>;
}
is_deeply [ grep { $_ != 1 } values %runs ], [], 'none ran twice';
is scalar(grep { !$runs{$_} } @sent), 0, 'none that was accepted did not run';
unlike $httpd->error_log, qr/MS0357/, 'nobody took the broker for one that hangs';
done_testing;
