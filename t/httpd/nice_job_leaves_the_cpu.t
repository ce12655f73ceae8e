#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A job of nice 19 beside one of nice 0 that wants the same CPU gets a small share of
# it. Each is a session of its own, to which the kernel would give half.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use POSIX ();
use Test::More;

use SpawnTest qw(one_mpm wait_until);
use SpawnTest::Httpd ();

my $taskset = '/usr/bin/taskset';
plan skip_all => "no $taskset" if !-x $taskset;

# The last CPU that the test may use.
sub a_cpu {
    open my $in, '<', '/proc/self/status' or die "status: $!\n";
    my ($last) = map { /\ACpus_allowed_list:.*?(\d+)$/ } <$in>;
    return $last;
}

sub first_line {
    my ($path) = @_;
    open my $in, '<', $path or return '';
    my $line = <$in>;
    return defined $line ? $line : '';
}

# Clock ticks; undef: it has gone.
sub ticks {
    my ($pid) = @_;
    my ($rest) = first_line("/proc/$pid/stat") =~ /\) (.*)/;
    return if !defined $rest;
    my @fields = split / /, $rest;
    return $fields[11] + $fields[12];
}

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm(), conf => "SpawnOnStop kill\n");
$httpd->start;
my $cpu = a_cpu();

# A job that does nothing but use this CPU: its process, once it does.
sub hog {
    my ($nice) = @_;
    my $started = $httpd->spawn([ $taskset, '-c', $cpu, '/usr/bin/perl', '-e', '1 while 1' ], nice => $nice, timeout => 300);
    my $id = $started->{id} or die 'no job: ', explain $started;
    my $pid = wait_until(sub { $httpd->status($id)->{pid} }, 60) or die "it does not start\n" . $httpd->tail;
    my $runs = wait_until(sub { first_line("/proc/$pid/cmdline") =~ /\A\S*perl/ && ticks($pid) }, 60);
    return $runs ? $pid : die "it does not run\n" . $httpd->tail;
}

# The kernel takes some ten values a second of all sessions of the machine, and then none
# for this one.
sub nice_hog {
    my $pid;
    my $is_nice = wait_until(
        sub {
            kill TERM => $pid if $pid;
            $pid = hog(19);
            my $session = "/proc/$pid/autogroup";
            return !-e $session || wait_until(sub { first_line($session) =~ /nice 19\b/ }, 2);
        },
        60
    );
    ok $is_nice, 'a job of nice 19, whose session is as nice';
    return $pid;
}

my $nice = nice_hog();
my $usual = hog(0);
my @before = (ticks($nice), ticks($usual));
my $second = POSIX::sysconf(POSIX::_SC_CLK_TCK());
my $used = wait_until(sub { my $t = ticks($usual); defined $t && $t - $before[1] >= $second }, 120);
my @share = (ticks($nice) - $before[0], ticks($usual) - $before[1]);
ok $used, 'the other job gets a second of the CPU';
cmp_ok 4 * $share[0], '<', $share[1], '... and the nice one less than a quarter of that' or diag "ticks: @share";
$httpd->stop;
done_testing;
