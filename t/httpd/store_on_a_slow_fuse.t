#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The store is on a file system in user space (FUSE), which answers nothing for a while.
# The broker sleeps, and nobody can tell for what: after a minute it is killed, once. The
# kernel lets it end only when the file system answers, and it is let wait; the next one
# comes then. Callers get the error of their deadline, a job that runs goes on, and its end
# is told.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm wait_until);
use SpawnTest::Hang ();
use SpawnTest::Process qw(alive);

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm());
my ($mounted, $shown) = map { $httpd->dir . "/$_" } qw(mounted shown);
for ($mounted, $shown) { mkdir $_ or die "$_: $!\n" }
my $fuse = SpawnTest::Hang->slow($mounted, $shown) or plan skip_all => 'no file system in user space can be mounted here';
END { my $status = $?; $fuse->goes_on if $fuse; $httpd->stop; undef $fuse; $? = $status }    ## no critic (RequireLocalizedPunctuationVars)

$httpd->{conf} = "SpawnStore $mounted/store\nSpawnSubmitTimeout 5\n";
$httpd->start;
my $gate = SpawnTest::Gate->new($httpd, 'a');
my $job = $httpd->spawn($gate->job('exit 3'), reply => 'started');
ok alive($job->{pid}), 'a job runs, with its store on FUSE';
my $broker = $httpd->broker_pid;

# ---- it answers nothing ----
$fuse->stands;
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
$fuse->hung(1);
ok $httpd->wait_for_log(qr/MS0357: the broker \(pid $broker\) has not answered for \d+ s \(it sleeps\): it is killed/, 120),
    'after a minute the broker is taken for one that hangs' or diag $httpd->tail;
ok $httpd->wait_for_log(qr/MS0358: the broker \(pid $broker\) has not answered .* and is let wait/, 60),
    'the kernel does not let it end' or diag $httpd->tail;
is $httpd->broker_pid, $broker, '... and no other one waits beside it';
ok alive($job->{pid}), 'the job runs on';
is $httpd->get('/nothing-here')->{status}, 404, 'httpd serves';

# ---- it answers ----
$fuse->goes_on;
my $next = $httpd->new_process('broker', $broker, 60);
ok $next, 'the file system answers: the next broker comes';
ok wait_until(sub { !alive($broker) }, 30), '... the one that was killed is gone';
is wait_until(sub { $httpd->run([qw(/bin/echo yes)])->{stdout} }, 60), "yes\n", '... and jobs run';
$gate->let;
is $httpd->wait($job->{id})->{exit_code}, 3, 'the job ends, and its exit code is told';
is $httpd->wait($_)->{exit_code}, 0, 'one that was accepted ran' for @sent;
my %runs;
if (open my $in, '<', $ran) {
    chomp, $runs{$_}++ while <$in>;
}
is_deeply [ grep { $_ != 1 } values %runs ], [], 'none ran twice';
is scalar(grep { !$runs{$_} } @sent), 0, 'none that was accepted did not run';
is scalar(() = $httpd->error_log =~ /MS0357/g), 1, 'one broker was killed, and no more';
is $httpd->broker_pid, $next, 'the next one serves';
done_testing;
