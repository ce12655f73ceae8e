#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Hundreds of processes forked from one, and dozens of new ones: descriptors
# and memory stay what they were, no zombie is left; and what is known when
# somebody kills a waiter.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(wait_until);
use SpawnTest::Process qw(alive children_of cmdline open_files parent_of rss_kb state_of);
use SpawnTest::Processes qw(httpd process lines failure);

my $httpd = httpd();
my $pages = POSIX::sysconf(POSIX::_SC_PAGESIZE()) / 4096;    # kilobytes are few where pages are large
my $pool = process()->eval('sub answer { print {$_[0]} "$_[1]\n" } sub nap { select undef, undef, undef, 60 }');
my $pid = $pool->pid;

sub one {
    my ($process, $number) = @_;
    my ($said) = lines($process->send_arg($number)->run('answer'));
    return $said == $number && $process->wait(30) && $process->exit_status == 0;
}

# A copy that is kept ready goes when the process is told anything else.
sub alone {
    $pool->eval('1');
    return wait_until(sub { my %files = open_files($pid); 1 == grep {/\Asocket/} values %files }, 30);
}

one($pool->fork, $_) for 1 .. 20;
alone();
my ($mine, $its) = (scalar(open_files($$)), scalar(open_files($pid)));
my $memory = rss_kb($pid);
is scalar(grep { !one($pool->fork, $_) } 1 .. 200), 0, '200 forks';
alone();
is scalar(open_files($$)), $mine, 'descriptors here';
is scalar(open_files($pid)), $its, 'descriptors there';
cmp_ok rss_kb($pid), '<', $memory + 500 * $pages, 'memory there';

my $answer = 'sub answer { print {$_[0]} "$_[1]\n" }';
one(process()->eval($answer), 1);
$mine = open_files($$);
is scalar(grep { !one(process()->eval($answer), $_) } 1 .. 40), 0, '40 new ones';
cmp_ok scalar(open_files($$)), '<=', $mine + 1, 'descriptors here';

# no waiter, no copy: and the process goes on
alone();
my $program = $httpd->dir . '/perl/auto/Apache2/Spawn/Process/Serve/waiter';
rename $program, "$program.away" or die "$program: $!\n";
failure(sub { $pool->fork->run('nap') }, 'system', qr/\Afork: the waiter \S+: No such file or directory\z/, 'a waiter that is not there');
rename "$program.away", $program or die "$program: $!\n";
ok one($pool->fork, 17), 'when it is back all is well';

# a waiter that somebody kills
my $orphan = $pool->fork;
my $number = $orphan->pid;
$orphan->run('nap');
ok !$orphan->wait(0.1), 'it runs';
my $waiter = parent_of($number);
like join(' ', cmdline($waiter)), qr/\Aspawn waiter of $number/, 'its waiter has a name';
like readlink "/proc/$waiter/exe", qr{/waiter\z}, 'it is a program of its own';
cmp_ok rss_kb($waiter), '<', 600 * $pages, 'a small one';
my %its_files = open_files($waiter);
is_deeply [ grep { !m{\A/dev/null\z|\Asocket:|signalfd} } values %its_files ], [], 'with no file of the process';
is scalar(keys %its_files), 5, 'nor any other descriptor' or diag explain \%its_files;
is_deeply [ children_of($pid) ], [], 'neither is a child of the process that was copied';
is kill(KILL => $waiter), 1, 'which somebody kills';
failure(sub { $orphan->wait(30) }, 'unreachable', qr/the process that waits for process $number is gone/, 'wait');
failure(sub { $orphan->kill }, 'unreachable', qr/nobody knows/, 'kill');
failure(sub { $orphan->exit_status }, 'unreachable', qr/nobody knows/, 'exit_status');
ok alive($number), 'the process itself goes on';
kill KILL => $number;

my ($spawner) = grep { join(' ', cmdline($_)) =~ /spawner/ } children_of($httpd->pid);
ok $spawner, 'the spawner';
ok wait_until(sub { !grep { state_of($_) eq 'Z' } children_of($spawner) }, 20), 'has no zombies';
done_testing;
