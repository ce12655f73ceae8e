#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# httpd's User owns the directory of the socket, and can pose as the broker to root's
# spawnctl. Whatever such a broker says, in whatever field, no control character of it
# comes to the terminal. Starts no httpd.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use IPC::Open3 qw(open3);
use Test::More;

use FakeBroker ();
use SpawnTest qw(build_dir);

my $bad = "x\e[31m\e]0;y\a\b\x7f\xc2\x9b1m\r";
my @bad = (
    id => pack('H*', '01900000000070008000' . '0123456789ab'), state => 4, outcome => 5, step => 1, errno => 2,
    queue => $bad, label => $bad, context => ["a$bad=$bad"], text => $bad
);
my @program = (job => @bad, argv => [$bad, $bad]);
my @function = (job => @bad, function => $bad, progress => [1, 2, $bad]);
my @process = (process => template => $bad, process_state => 2, text => $bad);
my $broker = FakeBroker->start(
    submit    => sub { return [@program] },
    wait      => sub { return [@function] },
    get       => sub { return [@function] },
    kill      => sub { return [refused => code => 20, text => $bad] },
    list      => sub { return ([@program], [@function], [end => rows => 2]) },
    templates => sub { return ([@process], [@process, queue => $bad], [end => rows => 2]) },
);

sub said {
    my @words = @_;
    local $ENV{LC_ALL} = 'C.UTF-8';
    my $pid = open3(my $in, my $out, undef, build_dir() . '/spawnctl', '--socket', $broker->path, @words);
    close $in;
    my $text = do { local $/ = undef; <$out> };
    waitpid $pid, 0;
    return $text;
}

my $id = '01900000-0000-7000-8000-0123456789ab';
for my $words ([qw(ps --all)], ['templates'], [ show => $id ], [ wait => $id ], [ kill => $id ], [qw(run /bin/true)]) {
    my $text = said(@{$words});
    like $text, qr/x\?\[31m/, "@{$words}: shows what the broker said" or diag $text;
    unlike $text, qr/[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]/, '... with no control character';
}
done_testing;
