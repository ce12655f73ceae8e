#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# A template and its link: orders in a row, at once, wrong ones, its end.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Test::More;
use FakeSpawner ();

plan skip_all => "no syscall numbers for this machine" if !FakeSpawner::can_run();

my $dir = FakeSpawner::files('My.pm' => <<'END');
package My;
sub f { return $_[0] * 2 }
sub wait_for { my ($in) = map { Apache2::Spawn::Current->fh($_) } 3; my $line = <$in>; return "read $line" }
1;
END
sub start { return FakeSpawner->start(preload => ['My'], inc => [$dir]) }
# Its own memory: of files, the kernel maps 64 kB around each first touch of code.
sub anonymous {
    my ($pid) = @_;
    open my $in, '<', "/proc/$pid/smaps_rollup" or die $!;    # exact, that in status is not
    my ($kb) = map { /\AAnonymous:\s*(\d+)/ } <$in>;
    return $kb;
}
sub open_fds { my ($pid) = @_; opendir my $in, "/proc/$pid/fd" or die $!; return scalar grep { /\A\d+\z/ } readdir $in }
# A job can end before the template has closed what came with the order.
sub settled_fds {
    my ($pid, $wanted) = @_;
    my $deadline = time + 10;
    select undef, undef, undef, 0.01 while open_fds($pid) != $wanted && time < $deadline;
    return open_fds($pid);
}

my $t = start();
$t->call('My::f', [$_]) for 1 .. 50;
my ($memory, $fds) = (anonymous($t->pid), settled_fds($t->pid, 4));    # 0 to 2 and the link
my $wrong = 0;
for (1 .. 1000) { $wrong++ if $t->call('My::f', [$_])->{returned}[0] != 2 * $_ }
is $wrong, 0, '1000 jobs';
cmp_ok anonymous($t->pid) - $memory, '<=', 64, 'cost the template no memory';
is settled_fds($t->pid, $fds), $fds, 'and no descriptors';
my $big = 'x' x 1_000_000;
$t->call('My::f', [$big]) for 1 .. 20;
cmp_ok anonymous($t->pid) - $memory, '<=', 64, 'big ones neither';
is settled_fds($t->pid, $fds), $fds, 'not one';

# at once
pipe my $read, my $write or die $!;
my @jobs = map { $t->order('My::wait_for', [], fds => { 3 => $read }) } 1 .. 100;
$t->until_told($_, 'set_up') for @jobs;
pass '100 jobs at once';
syswrite $write, "line\n" x 200;
close $write;
is scalar(grep { ($_->finish->{returned}[0] || '') =~ /\Aread / } @jobs), 100, 'all have a result';

# orders that stand in the link when it ends
@jobs = map { $t->order('My::f', [$_]) } 1 .. 20;
is $t->dismiss, 0, 'the link ends: it leaves';
$t->until_told($_, 'set_up') for @jobs;
is scalar(grep { $_->finish->{kind} == 1 } @jobs), 20, 'when the orders that it had are done';

# the template is killed
$t = start();
pipe $read, $write or die $!;
my $job = $t->order('My::wait_for', [], fds => { 3 => $read });
$t->until_told($job, 'set_up');
kill 'KILL', $t->pid;
$t->wait_for_template;
syswrite $write, "later\n";
is $job->finish->{returned}[0], "read later\n", 'a job lives on without its template';

# signals
$t = start();
kill $_, $t->pid for qw(HUP INT PIPE);
is $t->call('My::f', [4])->{returned}[0], 8, 'signals for others do not end it';
kill 'TERM', $t->pid;
is $t->wait_for_template, 15, 'TERM does';

# rubbish
for my $rubbish ('x', pack('vCCvvVV', 0x5053, 1, 0, 41, 0, 0, 0), FakeBroker::_encode(0, 'go')) {
    $t = start();
    send $t->{link}, $rubbish, 0;
    is $t->wait_for_template, 1 << 8, 'a link with rubbish is left';
    like $t->said_now, qr/\Atemplate test: its link to the spawner cannot be used: /, 'and it says so';
}

# the spawner goes
$t = start();
close $t->{link};
is $t->wait_for_template, 0, 'the spawner has gone: it leaves';

done_testing;
