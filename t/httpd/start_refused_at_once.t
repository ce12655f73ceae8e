#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# What can be known before httpd leaves the terminal is told there, and by the
# exit code of the program that was typed.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use File::Copy qw(copy);
use POSIX ();
use Test::More;

use SpawnTest qw(one_mpm);

# As apachectl start: the exit code, and what came on the terminal.
sub typed {
    my ($httpd) = @_;
    $httpd->check_conf;    # a port, and httpd.conf
    my $pid = open my $out, '-|';
    defined $pid or die "fork: $!\n";
    if ($pid == 0) {
        POSIX::setsid();
        open STDERR, '>&', \*STDOUT;
        exec $httpd->_program, '-k', 'start', '-d', $httpd->dir, '-f', $httpd->conf_file or POSIX::_exit(127);
    }
    my $said = do { local $/ = undef; <$out> };
    close $out;
    return ($? >> 8, $said);
}

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm());
$httpd->{conf} = "SpawnStore $httpd->{dir}/nowhere/store\n";
my ($code, $said) = typed($httpd);
isnt $code, 0, 'the directory of the store is missing: the exit code tells';
like $said, qr/MS0120: cannot open the directory \Q$httpd->{dir}\E\/nowhere, which is to hold \S+ \(SpawnStore\)/, '... and the terminal';
ok !-e "$httpd->{runtime}/spawn", '... and nothing was made';

SKIP: {
    skip 'only root has files of another account', 3 if $< != 0;
    mkdir "$httpd->{dir}/store" or die "store: $!\n";
    $httpd->{conf} = "SpawnStore $httpd->{dir}/store\n";
    ($code, $said) = typed($httpd);
    isnt $code, 0, 'the store is another account\'s: the exit code tells';
    like $said, qr/MS0122: the store \S+ belongs to uid 0/, '... and the terminal';
    chown $httpd->uid, $httpd->gid, "$httpd->{dir}/store" or die "store: $!\n";
    ok $httpd->start->stop, '... with its right owner httpd starts';
}

my $socket = SpawnTest::Httpd->new(mpm => one_mpm());
$socket->{conf} = "SpawnSocket $socket->{dir}/nowhere/spawn/socket\n";
($code, $said) = typed($socket);
isnt $code, 0, 'the directory of the socket can not be made: the exit code tells';
like $said, qr/MS0120: cannot open the directory \Q$socket->{dir}\E\/nowhere, which is to hold \S+ \(SpawnSocket\)/, '... and the terminal';
$socket->{conf} = "SpawnSocket $socket->{dir}/httpd.conf\n";
($code, $said) = typed($socket);
isnt $code, 0, 'a file stands in the place of the socket: the exit code tells';
like $said, qr/MS0131: cannot make the socket \S+\/httpd[.]conf/, '... and the terminal';

my $lonely = SpawnTest::Httpd->new(mpm => one_mpm());
$lonely->{module} = "$lonely->{dir}/mod_spawn.so";
copy(SpawnTest::build_dir() . '/mod_spawn.so', $lonely->{module}) or die "mod_spawn.so: $!\n";
($code, $said) = typed($lonely);
isnt $code, 0, 'the programs are missing: the exit code tells';
like $said, qr/MS0140: cannot execute \S+spawner/, '... and the terminal';

my $bare = SpawnTest::Httpd->new(mpm => one_mpm(), handlers => 0);
$bare->{conf} = "PerlModule POSIX\nSpawnCleanupHandler My::Handler\n";
my $from = length $bare->error_log;
($code) = typed($bare);
isnt $code, 0, 'SpawnCleanupHandler without Apache2::Spawn: the exit code tells';
like substr($bare->error_log, $from), qr/MS0281: SpawnCleanupHandler needs 'PerlModule Apache2::Spawn'/, '... and the error log why';
done_testing;
