#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# spawnctl --standalone starts a pair for a directory and uses it, and a PSGI application does the
# same, which Plack::Test asks, where that is installed.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(wait_until);
use SpawnTest::Alone ();

my $alone = SpawnTest::Alone->new;

sub ctl {
    my (@words) = @_;
    open my $out, '-|', '/bin/sh', '-c', '"$@" 2>&1', 'sh', $alone->ctl, @words or die "spawnctl: $!\n";
    my $text = do { local $/ = undef; <$out> };
    close $out;
    return ($? >> 8, $text);
}

my ($code, $text) = ctl('--standalone', $alone->dir, qw(run --label first -- /bin/sh -c), 'echo fine; exit 3');
is $code, 3, 'spawnctl --standalone: a program runs' or diag $text, $alone->log_text;
is $text, "fine\n", '... and is heard';
my $broker = $alone->broker_pid;
ok $broker, 'the pair stays for a while';
($code, $text) = ctl('--standalone', $alone->dir, qw(ps --all));
is $code, 0, 'another one lists the jobs';
like $text, qr/first/, '... of the same pair';
is $alone->broker_pid, $broker, '... which is there once';
for my $case ([ 'an absolute path is wanted', 'here' ], [ 'No such file or directory', '/no/such/place' ], [ 'Operation not permitted', '/usr' ], [ 'Permission denied|Read-only|No such file', '/proc/1/x' ]) {
    ($code, $text) = ctl('--standalone', $case->[1], 'ps');
    is $code, 125, "--standalone $case->[1] is refused";
    like $text, qr/spawnctl: --standalone \Q$case->[1]\E: (?:$case->[0])/, '... and says why';
}

SKIP: {
    skip 'Plack (package libplack-perl) is not installed', 1 if !eval { require Plack::Test; require HTTP::Request::Common; 1 };
    local $ENV{SPAWN_STANDALONE} = $alone->dir(2);
    local $ENV{PATH} = "$alone->{dir}:$ENV{PATH}";
    my $app = <<'END';
use Apache2::Spawn ();
my $app = sub { return [ 200, [ 'Content-Type' => 'text/plain' ], [ Apache2::Spawn->call('POSIX::abs', [-4], load => 'POSIX') ] ] };
Plack::Test->create($app)->request(HTTP::Request::Common::GET('/'))->content
END
    open my $out, '-|', $^X, '-I' . $alone->perl, '-MPlack::Test', '-MHTTP::Request::Common', '-e', "print do { $app }" or die "perl: $!\n";
    is join('', <$out>), 4, 'an application of Plack has a pair of its own';
}
done_testing;
