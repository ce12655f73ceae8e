#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# SpawnUser with an external spawner: jobs of the queue have its account, with the broker's
# of its own, also after a graceful restart with another account, from the spawner that takes
# the place of a killed one, and with the next httpd. One MPM: the
# accounts are the external spawner's; queue_accounts.t has jobs of each MPM.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm);
use SpawnTest::Process qw(alive);
use SpawnTest::Supervisor ();

plan skip_all => 'only root can give jobs other accounts' if $< != 0;

my ($broker, $media, $group, $other) = (61_000, 61_001, 61_003, 61_004);

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm());
my $supervisor = SpawnTest::Supervisor->new($httpd);

sub configure {
    my ($account) = @_;
    $httpd->{conf} = <<"END" . SpawnTest::Httpd->rounds_are_short;
SpawnSpawner external @{[ $supervisor->path ]}
SpawnSubmitTimeout 40
SpawnBrokerUser #$broker #$broker
<SpawnQueue media>
    SpawnUser #$account
    SpawnGroup #$group
</SpawnQueue>
<SpawnQueue lists>
    SpawnUser #$media
    SpawnGroup #$group
</SpawnQueue>
END
    return;
}

sub account_in {
    my ($queue) = @_;
    my $ran = $httpd->run([ '/bin/sh', '-c', 'id -u; id -g; id -G' ], queue => $queue);
    return join ' ', split /\n/, $ran->{stdout} || '';
}

sub owner { return (stat "/proc/$_[0]")[4] }

configure($media);
$httpd->start;
my $groups = qx(id -G @{[ $httpd->user ]});
chomp $groups;
my $users = join ' ', $httpd->uid, $httpd->gid, $groups;
my $spawner = $httpd->spawner_pid;
is owner($spawner), 0, 'the spawner is root\'s';
like do { local (@ARGV, $/) = ("/proc/@{[ $httpd->broker_pid ]}/status"); <> }, qr/^Uid:\s+$broker\s+$broker\s/m, 'the broker has its own';
is account_in('media'), "$media $group $group", 'a job has the account of its queue';
is account_in('default'), $users, 'another one has httpd\'s User';

my $job = $httpd->spawn([ '/bin/sleep', 600 ], queue => 'media', reply => 'started');
my $pid = $httpd->status($job->{id})->{pid};
like do { local (@ARGV, $/) = ("/proc/$pid/status"); <> }, qr/^Uid:\s+$media\s+$media\s/m, 'one that runs has it, too';

configure($other);
$httpd->graceful;
is account_in('media'), "$other $group $group", 'after a graceful restart with another account it is that';
ok alive($pid), '... and what runs goes on';

my $from = length $httpd->error_log;
$httpd->kill_pair('spawner');
ok $httpd->wait_for_log(qr/MS0192: the new spawner/, 60, $from), 'the spawner is killed: another one has come' or diag $httpd->tail;
is account_in('media'), "$other $group $group", '... which gives jobs the same account';
ok alive($pid), '... what runs goes on';

$httpd->stop;
$httpd->start;
is account_in('media'), "$other $group $group", 'with the next httpd it is the same';
is $httpd->status($job->{id})->{state}, 'running', '... and the job is known';
$httpd->do('kill', id => $job->{id}, signal => 'KILL');
like $httpd->wait($job->{id})->{outcome}, qr{\A(?:cancelled|code_unknown)\z}, '... and can be ended';
ok !alive($pid), '... and has gone';
done_testing;
