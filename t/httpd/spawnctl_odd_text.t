#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Texts of others, as spawnctl prints them, turn no direction of writing and hold no control
# character: in tables, of one job, in JSON, and in output at a terminal. JSON says the same all
# the same, and letters of other languages stay.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Encode qw(encode);
use Fcntl qw(O_NOCTTY O_RDWR);
use Test::More;

use SpawnTest qw(one_mpm wait_until);

use lib SpawnTest::build_dir() . '/perl';
use Apache2::Spawn ();

# a terminal of the kernel's: ioctl numbers of most machines
use constant { TIOCSPTLCK => 0x40045431, TIOCGPTN => 0x80045430 };

local $ENV{LC_ALL} = 'C.UTF-8';
my $httpd = SpawnTest::Httpd->new(mpm => one_mpm(), handlers => 0)->start;
my $spawn = $httpd->connection;
my $ctl = SpawnTest::Ctl->new($httpd);

my $letters = encode('UTF-8', "Gr\x{fc}\x{df}e \x{4f60}");
my @turn = map { encode('UTF-8', chr) } 0x202a .. 0x202e, 0x2066 .. 0x2069;
my @odd = (@turn, map { encode('UTF-8', chr) } 0x2028, 0x2029, 0x7f, 0x80, 0x9b, 0x9f);
my $any = join '|', @odd;
my $of = sub { my ($begin, @between) = @_; return "$begin$letters a" . join('b', @between) . 'c' };
my $job = $spawn->spawn([ '/bin/echo', $of->('said ', @odd) ], label => $of->('label ', @turn), stdout => 'capture')->wait(60);
is $job->outcome, 'exited', 'a job with odd texts';
my ($shown, $label) = ($of->('said ', ('?') x @odd), $of->('label ', ('?') x @turn));

for my $verb ([qw(ps --all)], [ 'show', $job->id ], [ 'show', '--output', $job->id ]) {
    my $ran = $ctl->run(@{$verb});
    is $ran->{code}, 0, "spawnctl @{$verb}" or diag $ran->{err};
    like $ran->{out}, qr/\Q$label\E.*\Q$shown\E/s, '... shows that there is something';
    my ($first) = split /^--- stdout/m, $ran->{out};
    unlike $first, qr/$any/, '... and obeys nothing';
    my $json = $ctl->run('--json', @{$verb});
    unlike $json->{out}, qr/$any/, '... nor as JSON';
    like $json->{out}, qr/\Q$letters\E/, '... which has letters as they are';
}
my ($told) = $ctl->json('show', '--output', $job->id);
is encode('UTF-8', $told->{label}), $of->('label ', @turn), 'JSON has the very text';
is encode('UTF-8', $told->{out}), $of->('said ', @odd) . "\n", '... and output';

SKIP: {
    my ($yes, $number) = (pack('i', 0), pack 'i', 0);
    sysopen my $master, '/dev/ptmx', O_RDWR | O_NOCTTY or skip "no terminal: $!", 8;
    ioctl $master, TIOCSPTLCK, $yes and ioctl $master, TIOCGPTN, $number or skip "no terminal: $!", 8;
    my $path = '/dev/pts/' . unpack 'i', $number;
    for my $verb ([ 'logs', $job->id ], [ 'show', '--output', $job->id ]) {
        sysopen my $slave, $path, O_RDWR | O_NOCTTY or skip "$path: $!", 8;
        my $pid = fork;
        die "fork: $!\n" if !defined $pid;
        if (!$pid) {
            open STDOUT, '>&', $slave or exit 99;
            exec SpawnTest::build_dir() . '/spawnctl', $verb->[0], '--socket', $httpd->socket, @{$verb}[ 1 .. $#{$verb} ];
            exit 99;
        }
        my $read = '';
        ok wait_until(sub { my $in = ''; vec($in, fileno $master, 1) = 1; sysread $master, $read, 65536, length $read if select $in, undef, undef, 0; $read =~ /said .*c\r?$/m }, 60),
            "spawnctl @{$verb} prints the output";
        waitpid $pid, 0;
        is $?, 0, '... to a terminal';
        like $read, qr/\Q$shown\E/, '... shows that there is something';
        unlike $read, qr/$any/, '... and obeys nothing';
    }
}
done_testing;
