#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A pair without httpd begins a new log where the old one has more than 10 MB, which is kept as
# log.1; who finds a pair leaves its log alone.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(wait_until);
use SpawnTest::Alone ();

my $alone = SpawnTest::Alone->new;
unshift @INC, $alone->perl;
require Apache2::Spawn;

my %options = (program => $alone->program, idle => '10min', timeout => 30);
my $limit = 10 * 1024 * 1024;
my ($log, $old) = map { $alone->dir . "/$_" } qw(log log.1);

# The log has that many bytes.
sub log_of {
    my ($bytes) = @_;
    open my $out, '>>', $log or die "$log: $!\n";
    truncate $out, $bytes or die "$log: $!\n";
    close $out or die "$log: $!\n";
    return;
}

sub end {
    kill TERM => $alone->parent_pid or die "kill: $!\n";
    Apache2::Spawn::Standalone->release($alone->dir);
    return $alone->ended;
}

mkdir $alone->dir, 0700 or die "mkdir: $!\n";
log_of($limit);
Apache2::Spawn->standalone($alone->dir, %options);
ok !-e $old, 'a log of 10 MB';
ok wait_until(sub { -s $log > $limit }, 30), '... is written on' or diag -s $log;
Apache2::Spawn->standalone($alone->dir, %options);
ok !-e $old, '... by the pair that is there, whose log is that, however long';
ok end(), 'that pair ends';

my $long = -s $log;
Apache2::Spawn->standalone($alone->dir, %options);
is -s $old, $long, 'the next one keeps it as log.1';
ok -s $log < $limit, '... and begins a new one' or diag -s $log;
ok end(), 'that pair ends';

unlink $log or die "$log: $!\n";
log_of($limit + 1);
Apache2::Spawn->standalone($alone->dir, %options);
is -s $old, $limit + 1, 'an older one is replaced';
is((stat $log)[2] & 077, 0, 'nobody else may read the new one');
done_testing;
