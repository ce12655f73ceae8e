#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A broker that waits in the kernel for a file system that does not answer (state D) is no
# broker that hangs: it is told once, not killed, and no other one is started, which would
# wait, too. When the file system answers, the same broker goes on.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm wait_until);
use SpawnTest::Hang ();

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm())->start;
my $hang = SpawnTest::Hang->fuse($httpd->dir . '/hang')
    or plan skip_all => 'there is no FUSE here';
my $dir = $httpd->dir . '/run/spawn';
my $gate = SpawnTest::Gate->new($httpd, 'a');

sub state_of {
    my ($pid) = @_;
    open my $in, '<', "/proc/$pid/stat" or return '';
    return (<$in> // '') =~ /\) (\S)/ ? $1 : '';
}

my $job = $httpd->spawn($gate->job('exit 7'), reply => 'started');
my ($spawner, $broker) = ($httpd->spawner_pid, $httpd->broker_pid);

# It looks there when something is removed. httpd's parent does, too, and waits as well.
my $from = length $httpd->error_log;
rename $dir, "$dir.away" or die "$dir: $!\n";
symlink $httpd->dir . '/hang/lookup', $dir or die "$dir: $!\n";
my $waits = wait_until(
    sub {
        return 1 if state_of($broker) eq 'D';
        # The kernel shows a sleep until a signal comes.
        kill STOP => $broker;
        kill CONT => $broker;
        return;
    },
    60
);
ok $waits, 'the broker waits for a file system' or diag state_of($broker), $httpd->tail;
ok $httpd->wait_for_log(qr/MS0358: the broker \(pid $broker\) .* waits in the kernel for a disk/, 60, $from), 'the log says so'
    or diag $httpd->tail;
is state_of($broker), 'D', '... and it still waits';

# More looks than would end one that was stopped.
my $until = time + 15;
ok !wait_until(sub { state_of($broker) ne 'D' }, $until - time), 'it is let wait' or diag $httpd->tail;
my $said = substr $httpd->error_log, $from;
unlike $said, qr/MS0357|MS0306/, '... not killed, and no other one is started';
is scalar(() = $said =~ /MS0358/g), 1, '... which is told once';

unlink $dir or die "$dir: $!\n";
rename "$dir.away", $dir or die "$dir: $!\n";
$hang->end;
ok wait_until(sub { ($httpd->run([qw(/bin/echo b)])->{stdout} || '') eq "b\n" }, 60), 'the file system answers: jobs run' or diag $httpd->tail;
is $httpd->broker_pid, $broker, '... by the same broker';
is $httpd->spawner_pid, $spawner, '... and spawner';
$gate->let;
is $httpd->wait($job->{id})->{exit_code}, 7, 'the job of before has run on';
done_testing;
