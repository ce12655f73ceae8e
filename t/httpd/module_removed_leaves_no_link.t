#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# LoadModule goes at a graceful restart while a job runs: httpd's children, of
# which none knows of mod_spawn any more, inherit its descriptors, and cannot
# make the spawner do anything with them; when the pair lingers the link has
# ended. When the module comes back before the job is done, httpd has its pair
# again. One MPM: the pair waits 30 s for its module.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm);
use SpawnTest::Foreign ();
use SpawnTest::Process qw(alive);

plan skip_all => 'the children of an ordinary account\'s httpd gain nothing' if $< != 0;

my $site = SpawnTest::Foreign->new(mpm => one_mpm());
my $httpd = $site->httpd;
$httpd->start;
my $gate = SpawnTest::Gate->new($httpd, 'job');
my $job = $httpd->spawn($gate->job('exit 11'), reply => 'started');
ok $job->{pid}, 'a job runs' or diag explain $job;
my $spawner = $httpd->spawner_pid;
my $program = readlink "/proc/$spawner/exe";

my $told = sub { return $_[0] =~ /^socket \d+: go:(-?\d+)/mg };
my $same = sub {
    my ($when) = @_;
    is $httpd->spawner_pid, $spawner, "$when: the spawner is the same";
    is readlink("/proc/$spawner/exe"), $program, "$when: and its program";
    is_deeply [ grep { !/^(?:posted|submitted) as @{[ $httpd->uid ]}\z/ } $site->marks ], [],
        "$when: nothing ran that the children's account may not run";
    ok alive($job->{pid}), "$when: the job runs on";
    return;
};

my $said = $site->attack_from_a_child;
cmp_ok scalar(my @none = $told->($said)), '<=', 2, 'a child has a socket to post and its connection' or diag $said;
unlike $said, qr/listening|inbox/, 'and nothing of the parent\'s' or diag $said;

$httpd->{spawn} = 0;
$httpd->graceful;
$said = $site->attack_from_a_child;
ok scalar(grep { $_ == 0 } $told->($said)) > 1, 'without the module a child has the parent\'s link too' or diag $said;
$same->('before the pair lingers');

ok $httpd->wait_for_log(qr/MS0313/, 60), 'LoadModule has gone for good';
$said = $site->attack_from_a_child;
ok scalar(grep { $_ == -32 } $told->($said)), 'the link has ended' or diag $said;
$same->('when it lingers');

$httpd->{spawn} = 1;
$httpd->graceful;
like $httpd->error_log, qr/MS0173/, 'with the module back httpd adopts the pair';
$same->('adopted');
is $httpd->run([qw(/bin/echo back)])->{stdout}, "back\n", 'jobs run again';
$gate->let(1);
is $httpd->wait($job->{id})->{exit_code}, 11, 'the job\'s end is known';
ok !$httpd->ended, 'httpd runs';
$httpd->graceful;
is $httpd->run([qw(/bin/echo again)])->{stdout}, "again\n", 'and after the next restart';
is $httpd->spawner_pid, $spawner, 'still with the same spawner';
done_testing;
