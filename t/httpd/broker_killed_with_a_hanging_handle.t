#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The broker is killed while it has a handle that does not close: the kernel does
# not let its process go, so nothing tells of its death. Another one starts all
# the same, has the handle again, and the job gets it.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm wait_until);
use SpawnTest::Strangers ();

my $httpd = SpawnTest::Httpd->new(
    mpm => one_mpm(),
    conf => "<SpawnQueue slow>\nSpawnMaxJobs 1\n</SpawnQueue>\n"
)->start;
my $strangers = SpawnTest::Strangers->new($httpd);
my ($file, $why) = $strangers->hanging_file;
plan skip_all => "no file system that hangs: $why" if !defined $file;

my $gate = SpawnTest::Gate->new($httpd, 'a');
my $first = $httpd->spawn($gate->job('exit 3'), queue => 'slow', reply => 'started');
my @said = $strangers->comes($httpd->uid, 'submit', $file, 'slow');
is $said[2], 'accepted ', 'a job waits with the handle' or diag explain \@said;
$strangers->hang;

my $old = $httpd->kill_pair('broker');
ok $httpd->new_process('broker', $old, 15), 'another broker starts';

# Each of httpd's children still has a connection to the old one, which the kernel
# has not closed either: its first call may find that out by its deadline.
sub in_the_end {
    my ($field, $code) = @_;
    my $answer;
    wait_until(sub { $answer = $code->(); return defined $answer->{$field} }, 30);
    return $answer->{$field};
}
is in_the_end(stdout => sub { $httpd->run([qw(/bin/echo here)]) }), "here\n", 'and serves others';
my ($state) = do {
    open my $in, '<', "/proc/$old/stat" or die "the old broker has gone: $!\n";
    <$in> =~ /\) (\S)/;
};
like $state, qr/[DZ]/, 'while the old one has not ended';
$gate->let(1);
is in_the_end(exit_code => sub { $httpd->wait($first->{id}) }), 3, 'the first job of the queue ends';
ok wait_until(
    sub {
        my ($list) = SpawnTest::Ctl->new($httpd)->json(qw(ps --all));
        return 3 <= grep { ($_->{queue} || '') eq 'slow' ? $_->{state} ne 'queued' : 1 } @{$list};
    },
    15
), 'the one with the handle gets its turn';
is in_the_end(stdout => sub { $httpd->run([qw(/bin/echo on)]) }), "on\n", 'and others go on';
done_testing;
