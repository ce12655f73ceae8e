#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A store whose disk is full: the history goes first, then jobs are refused;
# httpd starts all the same, a killed broker has a successor that gets ready,
# and when there is room all goes on.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use POSIX ();
use Test::More;

use SpawnTest qw(is_error one_mpm wait_until);

plan skip_all => 'only root mounts a small disk' if $< != 0;

my $disk;

sub mount_disk {
    my ($dir, $options) = @_;
    mkdir $dir or die "$dir: $!\n";
    system('mount', '-t', 'tmpfs', '-o', "$options,mode=755", 'spawn-test', $dir) == 0 or return;
    $disk = $dir;
    return 1;
}

# The pair has gone before.
sub unmount { system 'umount', '-l', $disk if defined $disk; undef $disk; return }

# A file of somebody else's that takes what is left.
sub fill {
    my $path = "$disk/others";
    open my $out, '>>', $path or die "$path: $!\n";
    while (syswrite $out, 'x' x 65_536) { }
    while (syswrite $out, 'x' x 512) { }
    $!{ENOSPC} or die "$path: $!\n";
    close $out;
    return $path;
}

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm());
END { my $status = $?; $httpd->clean if $httpd; unmount(); $? = $status }    ## no critic (RequireLocalizedPunctuationVars)

mount_disk($httpd->dir . '/disk', 'size=16m') or plan skip_all => 'no file system can be mounted here';
mkdir "$disk/store" or die "$disk/store: $!\n";
chown $httpd->uid, $httpd->gid, "$disk/store" or die "$disk/store: $!\n";
chmod 0700, "$disk/store";
$httpd->{conf} = "SpawnStore $disk/store\nSpawnSubmitTimeout 20\n";
my $talks = $httpd->script('talks', "#!/usr/bin/perl\nprint 'x' x 900_000;\n");
$httpd->start;

ok wait_until(sub { -e "$disk/store/reserve" }, 20), 'there is a reserve';

# ---- full of our own ----

my $ctl = SpawnTest::Ctl->new($httpd);
my @runs = map { length $ctl->run('run', '--', $talks)->{out} } 1 .. 24;
is_deeply \@runs, [ (900_000) x 24 ], 'more runs than the disk could hold the outputs of';
unlike $httpd->error_log, qr/MS0662|MS0530/, '... and it has never been full';

my @jobs = map { $httpd->spawn([$talks], stdout => 'capture') } 1 .. 20;
is_deeply [ map { $_->{error} ? $_->{error}{text} : () } @jobs ], [], 'captured outputs that nobody has asked for: all jobs are taken';
is_deeply [ map { $ctl->run('wait', $_->{id})->{code} } @jobs ], [ (0) x 20 ], '... and each has its end';
my $last = $httpd->spawn([$talks], stdout => 'capture');
$ctl->run('wait', $last->{id});
cmp_ok length $ctl->run('show', '-o', $last->{id})->{out}, '>', 900_000, 'a further one keeps its output';
ok $httpd->wait($jobs[0]{id})->{stdout_lost}, '... and the first one has given up its own';
unlike $httpd->error_log, qr/MS0530/, 'no job was refused';

# ---- full of others' files ----


my $sleeper = $httpd->spawn([ 'sh', '-c', "while ! test -e $httpd->{dir}/go; do sleep 0.1; done; exit 7" ], reply => 'started');
ok $sleeper->{pid}, 'a job that runs' or diag explain $sleeper;
my $others = fill();
my $refused;
for (1 .. 200) {    # what free pages there are takes some
    $refused = $httpd->spawn(['/bin/true'], label => 'y' x 200, env => { A => 'z' x 60_000 });
    last if $refused->{error} && $refused->{error}{code} eq 'store';    # not one that the inbox has
}
is_error($refused, 'store', 'store', undef, 'no room at all: jobs are refused');
my $from = length $httpd->error_log;
my $old = $httpd->kill_pair('broker');
ok $httpd->new_process('broker', $old), 'the broker is killed: another one comes';
ok wait_until(sub { my $now = $httpd->spawn(['/bin/true']); !$now->{error} || $now->{error}{code} eq 'store' }, 20),
    '... and answers';
unlike substr($httpd->error_log, $from), qr/MS0306.*\n.*MS0306/, '... and stays';

unlink "$disk/store/reserve";
fill();
$httpd->stop;
fill();
$from = length $httpd->error_log;
ok eval { $httpd->start; 1 }, 'httpd starts on a full disk' or diag $@;
my $answer = $httpd->spawn(['/bin/true']);
ok !$answer->{error} || $answer->{error}{code} eq 'store', '... and jobs are refused, if anything' or diag explain $answer;
ok eval { $httpd->graceful; 1 }, '... a graceful restart does no harm' or diag $@;

unlink $others or die "$others: $!\n";
open my $go, '>', "$httpd->{dir}/go" or die "go: $!\n";
close $go;
my $end = wait_until(
    sub { my $now = $httpd->wait($sleeper->{id}); ($now->{state} || '') eq 'done' ? $now : undef }, 30);
is $end->{exit_code}, 7, 'with room again: the end of the job that ran is known';
ok wait_until(sub { my $res = $httpd->run(['/bin/true']); $res->{ok} }, 20), '... and jobs run';

# ---- no inode ----

$httpd->stop;
ok $httpd->pair_gone, 'httpd stops';
my $inodes = 6 + grep { length } split /\n/, qx(find $disk);    # some for the log and the reserve
system('mount', '-o', "remount,nr_inodes=$inodes", $disk) == 0 or diag 'remount failed';
my $n = 0;
while (open my $out, '>', "$disk/empty" . $n) { close $out; $n++; last if $n > 20 }
ok $!{ENOSPC}, 'the inodes are used up' or diag $!;
ok eval { $httpd->start; 1 }, 'httpd starts' or diag $@;
$answer = $httpd->spawn(['/bin/true']);
ok !$answer->{error} || $answer->{error}{code} eq 'store', '... and jobs are refused, if anything' or diag explain $answer;
unlink glob "$disk/empty*";
ok wait_until(sub { my $res = $httpd->run(['/bin/true']); $res->{ok} }, 20), 'with inodes again: jobs run';
$httpd->stop;
$httpd->pair_gone;
unmount();
done_testing;
