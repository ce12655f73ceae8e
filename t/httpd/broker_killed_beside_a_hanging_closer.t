#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The broker is killed while the process that closes handles for it hangs in one.
# That process has the broker's table of descriptors, and with it the broker's
# lock on the database, for as long as the file system does not answer. Another
# broker opens the store all the same.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm wait_until);
use SpawnTest::Process qw(children_of);
use SpawnTest::Strangers ();

my $httpd = SpawnTest::Httpd->new(
    mpm => one_mpm(),
    conf => "<SpawnQueue slow>\nSpawnMaxJobs 1\n</SpawnQueue>\n"
)->start;
my $strangers = SpawnTest::Strangers->new($httpd);
my ($file, $why) = $strangers->hanging_file;
plan skip_all => "no file system that hangs: $why" if !defined $file;

my $gate = SpawnTest::Gate->new($httpd, 'a');
my $first = $httpd->spawn($gate->job('exit 0'), queue => 'slow', reply => 'started');
my @said = $strangers->comes($httpd->uid, 'submit', $file, 'slow');
is $said[2], 'accepted ', 'a job waits with the handle' or diag explain \@said;
$strangers->hang;
$gate->let(1);
is $httpd->wait($first->{id})->{exit_code}, 0, 'its turn comes, and with it the end of the handle';

my $old = $httpd->broker_pid;
ok wait_until(sub { $httpd->error_log =~ /MS0341/ && children_of($old) }, 20), 'a closer hangs';
$httpd->kill_pair('broker');
ok $httpd->new_process('broker', $old, 15), 'another broker starts';
ok !-e "/proc/$old/exe", 'the old one has ended';
my $answer;
wait_until(
    sub {
        $answer = $httpd->run([qw(/bin/echo here)]);
        return defined $answer->{stdout};
    },
    20
);
is $answer->{stdout}, "here\n", 'and serves' or diag explain $answer;
unlike $httpd->error_log, qr/in use by another process/, 'the store is open to it';
done_testing;
