#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A fault that can be known before httpd leaves the terminal is told there, and
# by the exit code of the program that was typed.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use File::Copy qw(copy);
use Test::More;

use SpawnTest qw(one_mpm);

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm());
$httpd->{conf} = "SpawnStore $httpd->{dir}/nowhere/store\n";
my ($code, $said) = $httpd->typed(qw(-k start));
isnt $code, 0, 'the directory of the store is missing: the exit code tells';
like $said, qr/MS0120: cannot open the directory \Q$httpd->{dir}\E\/nowhere, which is to hold \S+ \(SpawnStore\)/, '... and the terminal';
ok !-e "$httpd->{runtime}/spawn", '... and nothing was made';

SKIP: {
    skip 'only root has files of another account', 3 if $< != 0;
    mkdir "$httpd->{dir}/store" or die "store: $!\n";
    $httpd->{conf} = "SpawnStore $httpd->{dir}/store\n";
    ($code, $said) = $httpd->typed(qw(-k start));
    isnt $code, 0, 'the store is another account\'s: the exit code tells';
    like $said, qr/MS0122: the store \S+ belongs to uid 0/, '... and the terminal';
    chown $httpd->uid, $httpd->gid, "$httpd->{dir}/store" or die "store: $!\n";
    ok $httpd->start->stop, '... with its right owner httpd starts';
}

my $open = SpawnTest::Httpd->new(mpm => one_mpm());
$open->{conf} = "SpawnStore $open->{dir}/store\n";
mkdir "$open->{dir}/store" or die "store: $!\n";
chown $open->uid, $open->gid, "$open->{dir}/store" if $< == 0;
for my $mode ('0770', '0702') {
    chmod oct $mode, "$open->{dir}/store" or die "store: $!\n";
    ($code, $said) = $open->typed(qw(-k start));
    isnt $code, 0, "a store of mode $mode, where others may write: the exit code tells";
    like $said, qr/MS0122: the store \S+ belongs to uid \d+ and has mode $mode;/, '... and the terminal';
}
chmod 0755, "$open->{dir}/store" or die "store: $!\n";
ok $open->start->stop, '... where others may read httpd starts';

my $socket = SpawnTest::Httpd->new(mpm => one_mpm());
$socket->{conf} = "SpawnSocket $socket->{dir}/nowhere/spawn/socket\n";
($code, $said) = $socket->typed(qw(-k start));
isnt $code, 0, 'the directory of the socket can not be made: the exit code tells';
like $said, qr/MS0120: cannot open the directory \Q$socket->{dir}\E\/nowhere, which is to hold \S+ \(SpawnSocket\)/, '... and the terminal';
$socket->{conf} = "SpawnSocket $socket->{dir}/httpd.conf\n";
($code, $said) = $socket->typed(qw(-k start));
isnt $code, 0, 'a file stands in the place of the socket: the exit code tells';
like $said, qr/MS0131: cannot make the socket \S+\/httpd[.]conf/, '... and the terminal';

# ---- DefaultRuntimeDir ----

my $nowhere = SpawnTest::Httpd->new(mpm => one_mpm());
rmdir $nowhere->{runtime} or die "$nowhere->{runtime}: $!\n";
($code, $said) = $nowhere->typed(qw(-k start));
isnt $code, 0, 'DefaultRuntimeDir is missing: the exit code tells';
like $said, qr/MS0120: cannot open the directory \Q$nowhere->{runtime}\E|DefaultRuntimeDir must be a valid directory/,
    '... and the terminal, by httpd itself or by us';
ok !-e $nowhere->{runtime}, '... and nothing was made';

SKIP: {
    mkdir $nowhere->{runtime} or die "$nowhere->{runtime}: $!\n";
    my $mounted;
    if ($< == 0) {    # to root only a disk is closed
        $mounted = system('mount', '-t', 'tmpfs', '-o', 'ro', 'spawn-test', $nowhere->{runtime}) == 0;
        skip 'no file system can be mounted here', 2 if !$mounted;
    } else {
        chmod 0555, $nowhere->{runtime};
    }
    ($code, $said) = $nowhere->typed(qw(-k start));
    system 'umount', $nowhere->{runtime} if $mounted;
    chmod 0755, $nowhere->{runtime};
    isnt $code, 0, 'nothing can be written in DefaultRuntimeDir: the exit code tells';
    like $said, qr/MS0121: cannot make or open the directory \Q$nowhere->{runtime}\E\/spawn/, '... and the terminal';
}
ok $nowhere->start->stop, 'with one httpd starts';

# ---- programs ----

my $lonely = SpawnTest::Httpd->new(mpm => one_mpm());
$lonely->{module} = "$lonely->{dir}/mod_spawn.so";
copy(SpawnTest::build_dir() . '/mod_spawn.so', $lonely->{module}) or die "mod_spawn.so: $!\n";
($code, $said) = $lonely->typed(qw(-k start));
isnt $code, 0, 'the programs are missing: the exit code tells';
like $said, qr/MS0140: cannot execute \S+spawner/, '... and the terminal';
($code, $said) = $lonely->check_conf;
isnt $code, 0, '... httpd -t tells it too';
like $said, qr/MS0140: cannot execute \S+spawner/, '... with the same words';
mkdir "$lonely->{dir}/mod_spawn" or die "mod_spawn: $!\n";
copy(SpawnTest::build_dir() . '/mod_spawn/spawner', "$lonely->{dir}/mod_spawn/spawner") or die "spawner: $!\n";
chmod 0755, "$lonely->{dir}/mod_spawn/spawner";
($code, $said) = $lonely->check_conf;
isnt $code, 0, 'one program of two: httpd -t tells it';
like $said, qr/MS0140: cannot execute \S+broker/, '... which one';

my $bare = SpawnTest::Httpd->new(mpm => one_mpm(), handlers => 0);
$bare->{conf} = "PerlModule POSIX\nSpawnCleanupHandler My::Handler\n";
my $from = length $bare->error_log;
($code, $said) = $bare->typed(qw(-k start));
isnt $code, 0, 'SpawnCleanupHandler without Apache2::Spawn: the exit code tells';
like $said, qr/MS0281: SpawnCleanupHandler needs 'PerlModule Apache2::Spawn'/, '... and the terminal';
like substr($bare->error_log, $from), qr/MS0281: SpawnCleanupHandler needs 'PerlModule Apache2::Spawn'/, '... and the error log';
done_testing;
