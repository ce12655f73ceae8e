#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# An account without the right, and a socket without a broker: spawnctl says
# what is wrong and what to do.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use IO::Socket::UNIX ();
use POSIX ();
use Socket qw(SOCK_SEQPACKET);
use Test::More;

use SpawnTest qw(one_mpm);

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm(), conf => "SpawnSocketMode 0666\n")->start;
my $ctl = SpawnTest::Ctl->new($httpd);
my @verbs = ([qw(run /bin/true)], [qw(run --detach /bin/true)], ['ps'], ['templates'],
    [qw(show 01900000-0000-7000-8000-000000000000)], [qw(kill 01900000-0000-7000-8000-000000000000)]);

subtest 'another account' => sub {
    plan skip_all => 'only root can become another account' if $< != 0;
    my $nobody = getpwnam 'nobody';
    plan skip_all => 'there is no account nobody, or it is the one of httpd'
        if !defined $nobody || $nobody == $httpd->uid;
    for my $verb (@verbs) {
        my $ran = $ctl->run({ uid => $nobody }, @{$verb});
        is $ran->{code}, 125, "@{$verb}: exit code";
        is $ran->{out}, '', "@{$verb}: nothing on stdout";
        like $ran->{err}, qr/spawnctl: uid $nobody may not use .*\n  be root, or the user/,
            "@{$verb}: why, and what to do";
    }
    is $ctl->run({ uid => $httpd->uid }, qw(run /bin/echo mine))->{out}, "mine\n",
        'the user of httpd may';
    my ($list) = $ctl->json(qw(ps --all));
    is scalar @{$list}, 1, 'and no other job was made';
};

subtest 'nobody at the socket' => sub {
    my $missing = $httpd->dir . '/nothing';
    my $deaf = $httpd->dir . '/deaf';
    IO::Socket::UNIX->new(Type => SOCK_SEQPACKET, Local => $deaf, Listen => 1)
        or die "$deaf: $!\n";
    for my $case ([ $missing, 'No such file or directory' ], [ $deaf, 'Connection refused' ],
        [ $httpd->conf_file, 'Connection refused' ])
    {
        my ($path, $error) = @{$case};
        for my $verb (@verbs) {
            my $ran = $ctl->run('--socket', $path, @{$verb});
            is $ran->{code}, 125, "@{$verb} at $path: exit code";
            like $ran->{err}, qr/\Q$path\E.*\Q$error\E.*\n  name httpd's SpawnSocket with --socket/,
                "@{$verb} at $path: why, and what to do";
        }
    }
    my $ran = $ctl->run({ env => { SPAWN_SOCKET => $missing } }, 'ps');
    like $ran->{err}, qr/\Q$missing\E/, 'SPAWN_SOCKET counts';
    $ran = $ctl->run('--socket', '/' . 'x' x 120, 'ps');
    is $ran->{code}, 125, 'a path that is too long';
    like $ran->{err}, qr/--socket: a path of at most 107 bytes/, 'which is told';
};

subtest 'somebody who does not answer' => sub {
    my $mute = $httpd->dir . '/mute';
    my $listener = IO::Socket::UNIX->new(Type => SOCK_SEQPACKET, Local => $mute, Listen => 5)
        or die "$mute: $!\n";
    my $ran = $ctl->run(qw(--timeout 0.3 --socket), $mute, 'ps');
    is $ran->{code}, 125, 'exit code';
    like $ran->{err}, qr/\Q$mute\E.*\n  try again, or give it more time/, 'why, and what to do';
};

subtest 'a stopped httpd' => sub {
    $httpd->stop;
    ok $httpd->pair_gone, 'the pair has gone';
    my $ran = $ctl->run('ps');
    is $ran->{code}, 125, 'exit code';
    like $ran->{err}, qr/Connection refused/, 'why';
};
done_testing;
