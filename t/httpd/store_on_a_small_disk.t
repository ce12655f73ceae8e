#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Outputs beside the size of the runtime directory's disk: seventy runs of 0.9 MB
# on 64 MB, and twenty jobs that end at once with 0.9 MB each on 8 MB. No job and
# no output that somebody waits for is lost, and httpd stops and starts.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm wait_until);

plan skip_all => 'only root mounts a small disk' if $< != 0;

my ($httpd, $disk);

sub unmount {
    $httpd->stop;
    my $gone = $httpd->pair_gone;
    system 'umount', '-l', $disk;
    undef $disk;
    return $gone;
}
END { my $status = $?; unmount() if defined $disk; $? = $status }    ## no critic (RequireLocalizedPunctuationVars)

# An httpd whose DefaultRuntimeDir is a disk of that size.
sub on_disk {
    my ($size) = @_;
    $httpd = SpawnTest::Httpd->new(mpm => one_mpm(), children => 8);
    system('mount', '-t', 'tmpfs', '-o', "size=$size,mode=755", 'spawn-test', $httpd->{runtime}) == 0
        or plan skip_all => 'no file system can be mounted here';
    $disk = $httpd->{runtime};
    $httpd->start;
    return $httpd->script('talks', "#!/usr/bin/perl\nprint 'x' x 900_000;\n");
}

my $talks = on_disk('64m');
my $ctl = SpawnTest::Ctl->new($httpd);
is_deeply [ map { length $ctl->run('run', '--', $talks)->{out} } 1 .. 70 ], [ (900_000) x 70 ], '64 MB: each of 70 runs has its output';
unlike $httpd->error_log, qr/MS0530|MS0661|MS0662/, '... and the disk was never full';
ok $httpd->stop && $httpd->pair_gone, '... httpd stops';
ok eval { $httpd->start }, '... and starts' or diag $@;
is $ctl->run('run', '--', 'echo', 'on')->{out}, "on\n", '... and runs jobs';
ok unmount(), '... and stops';

$talks = on_disk('8m');
$ctl = SpawnTest::Ctl->new($httpd);
my $gate = SpawnTest::Gate->new($httpd, 'a');
my @jobs = map { $httpd->spawn($gate->job("exec $talks"), stdout => 'capture', reply => 'started') } 1 .. 20;
is scalar(grep { $_->{pid} } @jobs), 20, '8 MB: 20 jobs run';
$gate->let(20);
is_deeply [ map { $ctl->run('wait', $_->{id})->{code} } @jobs ], [ (0) x 20 ], '... end at once, and each end is known';
my $run = wait_until(
    sub { my $now = $ctl->run('run', '--', $talks); $now->{code} == 0 ? $now : undef }, 20);
is length $run->{out}, 900_000, '... the next run has its output';
ok $httpd->stop && $httpd->pair_gone, '... httpd stops';
ok eval { $httpd->start }, '... and starts' or diag $@;
is $ctl->run('wait', $jobs[0]{id})->{code}, 0, '... and knows the ends';
ok unmount(), '... and stops';
done_testing;
