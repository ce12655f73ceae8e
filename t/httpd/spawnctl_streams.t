#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# spawnctl run in a pipeline: what the job reads and writes is what spawnctl
# was given and prints.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm);

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm())->start;
my $ctl = SpawnTest::Ctl->new($httpd);

# Bytes that no text conversion leaves alone, more than a pipe holds.
my $bytes = join('', map { chr } 0 .. 255) x 1000;
my @both = ('/bin/sh', '-c', 'echo to stdout; echo to stderr >&2');

my $ran = $ctl->run('run', '--', @both);
is_deeply $ran, { code => 0, out => "to stdout\n", err => "to stderr\n" }, 'captured and printed';

$ran = $ctl->run({ stdin => 'mine' }, qw(run /bin/cat));
is $ran->{out}, '', 'stdin is null unless asked for';
$ran = $ctl->run({ stdin => $bytes }, qw(run --stdin - /bin/cat));
ok $ran->{out} eq $bytes, '--stdin -: every byte passes';
my $file = $httpd->file('input', "from a file\n");
is $ctl->run('run', '--stdin', $file, '/bin/cat')->{out}, "from a file\n", '--stdin with a path';

$ran = $ctl->run({ stdin => $bytes x 5 }, qw(run --stdin - --stdout - --capture-limit 10 /bin/cat));
is length $ran->{out}, 5 * length $bytes, '--stdout -: without a limit';
is $ran->{err}, '', 'and nothing lost';

$ran = $ctl->run(qw(run --capture-limit 10 --), '/bin/sh', '-c', 'echo 0123456789abc');
is $ran->{out}, '0123456789', 'a captured stream ends at its limit';
like $ran->{err}, qr/4 bytes of the job's stdout are lost\n.*--capture-limit/, 'which is told';
is $ran->{code}, 0, 'and is no failure';

$ran = $ctl->run(qw(run --stderr stdout --), @both);
is_deeply $ran, { code => 0, out => "to stdout\nto stderr\n", err => '' }, '--stderr stdout';

my $to = $httpd->work . '/to';
$ctl->run('run', '--stdout', $_, '--', @both) for $to, $to, ">>$to";
open my $in, '<', $to or die "$to: $!\n";
is_deeply [<$in>], [ ("to stdout\n") x 2 ], 'a path is cut, >>path appended to';

$ran = $ctl->run({ stdin => "by number\n" }, qw(run --fds 5=0 --), '/bin/sh', '-c', 'cat <&5');
is $ran->{out}, "by number\n", '--fds';
$ran = $ctl->run({ env => { GIVEN => 'a b', OTHER => 'no' } },
    qw(run --env GIVEN --env MORE=x=y --), '/bin/sh', '-c', 'echo "$GIVEN $MORE $OTHER"');
is $ran->{out}, "a b x=y \n", '--env, and nothing else of our environment';
$ran = $ctl->run(qw(run --unset LANG --env HOME=/there --unset HOME --), '/usr/bin/env');
unlike $ran->{out}, qr/^LANG=/m, '--unset';
like $ran->{out}, qr{^HOME=/there$}m, '--env comes after it';
like $ran->{out}, qr/^PATH=/m, 'the others stay';
is $ctl->run(qw(run --unset A=b -- /bin/true))->{code}, 125, '--unset takes a name';
done_testing;
