#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# httpd is stopped while its spawner is dead, and the store's file system has become
# read-only, so that no spawner can be started which stores what was posted: the log
# says that such jobs are lost, and why. It gives no advice that does not help.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm);
use SpawnTest::Calls ();

plan skip_all => 'only root mounts' if $< != 0;

my ($httpd, $mounted);
END { my $status = $?; $httpd->stop if $httpd; system 'umount', '-l', $mounted if $mounted; $? = $status }    ## no critic (RequireLocalizedPunctuationVars)

$httpd = SpawnTest::Calls->httpd(mpm => one_mpm(), templates => '')->start;
my $store = "$httpd->{runtime}/spawn/store";

# the second one that dies young is replaced after a pause
my $first = $httpd->kill_pair('spawner');
ok $httpd->new_pid('spawner', $first), 'a first spawner is replaced';
is $httpd->run([qw(/bin/echo a)])->{stdout}, "a\n", 'which works';
$httpd->kill_pair('spawner');
ok $httpd->wait_for_log(qr/MS0191: [^\n]* in 1 to 12 s/), 'a second one is not replaced at once';
kill STOP => $httpd->pid or die "httpd: $!\n";    # nor by and by
ok $httpd->pair_gone, 'and the broker has ended with it';

my $post = q{return Apache2::Spawn->spawn([qw(/bin/echo lost)], reply => 'posted')->id};
ok eval { SpawnTest::Calls->ask($httpd, $post)->{values}[0] }, 'a job is posted' or diag $@;

SKIP: {
    $mounted = $store if system('mount', '--bind', $store, $store) == 0;
    skip 'no file system can be mounted here', 3
        if !$mounted || system('mount', '-o', 'remount,bind,ro', $store) != 0;
    my $from = length $httpd->error_log;
    kill TERM => $httpd->pid or die "httpd: $!\n";
    kill CONT => $httpd->pid;
    $httpd->stop;
    my $said = substr $httpd->error_log, $from;
    like $said, qr/Read-only file system: MS0123: cannot open \Q$store\E\/lock$/m, 'the log says what cannot be opened, and why';
    like $said, qr/MS0227: .* are lost/, '... and that what was posted is lost';
    unlike $said, qr/MS0226/, '... and not that it is stored';
}
kill CONT => $httpd->pid if $httpd->pid;
done_testing;
