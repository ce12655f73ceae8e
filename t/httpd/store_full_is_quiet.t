#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A job ends on a full disk, with output that has no room: the broker tries again
# from time to time, and does not turn round and round; with room its end and its
# output are there.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm wait_until);

plan skip_all => 'only root mounts a small disk' if $< != 0;

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm());
my $disk = $httpd->dir . '/disk';
my $mounted;
END { my $status = $?; $httpd->stop if $httpd; $httpd->pair_gone if $httpd; system 'umount', '-l', $disk if $mounted; $? = $status }    ## no critic (RequireLocalizedPunctuationVars)

mkdir $disk or die "$disk: $!\n";
$mounted = system('mount', '-t', 'tmpfs', '-o', 'size=8m,mode=755', 'spawn-test', $disk) == 0;
plan skip_all => 'no file system can be mounted here' if !$mounted;
mkdir "$disk/store" or die "$disk/store: $!\n";
chown $httpd->uid, $httpd->gid, "$disk/store" or die "$disk/store: $!\n";
chmod 0700, "$disk/store";
$httpd->{conf} = "SpawnStore $disk/store\n";
$httpd->start;

my $gate = SpawnTest::Gate->new($httpd, 'a');
my @jobs = map { $httpd->spawn($gate->job(q{perl -e 'print "x" x 300_000'}), stdout => 'capture', reply => 'started') } 1 .. 4;
ok !(grep { !$_->{pid} } @jobs), 'jobs run' or diag explain \@jobs;

sub fill {
    open my $out, '>>', "$disk/others" or die "others: $!\n";
    while (syswrite $out, 'x' x 65_536) { }
    while (syswrite $out, 'x' x 512) { }
    close $out;
    return;
}
fill();
unlink "$disk/store/reserve";
fill();
$gate->let(scalar @jobs);
ok $httpd->wait_for_log(qr/MS0530/), 'they end, and the store cannot be written';

# Calls of write by the broker.
my $broker = $httpd->broker_pid;
sub writes {
    open my $in, '<', "/proc/$broker/io" or die "/proc/$broker/io: $!\n";
    my %is = map { /(\w+): (\d+)/ } <$in>;
    return $is{syscw};
}
my $before = writes();
select undef, undef, undef, 1;
cmp_ok writes() - $before, '<', 5_000, 'it does not try without end';

unlink "$disk/others" or die "others: $!\n";
for my $job (@jobs) {
    my $end = $httpd->wait($job->{id});
    is_deeply [ $end->{exit_code}, length $end->{stdout} ], [ 0, 300_000 ], 'with room: the end and its output' or diag explain { %{$end}, stdout => '...' };
}
$httpd->stop;
ok $httpd->pair_gone, 'httpd and its pair end';
done_testing;
