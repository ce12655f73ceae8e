#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A failed submit keeps its handles to be sent again. A child that has closed them
# and opened files at their numbers keeps its files, and nobody gets them.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use File::Temp ();
use POSIX ();
use Test::More;
use Apache2::Spawn ();
use FakeBroker ();

my $broker = FakeBroker->start(forget => 1,
    submit => sub { return [refused => code => 4, step => 7, text => 'full'] });
my $spawn = $broker->connection;
my $file = File::Temp->new;
print {$file} "own\n";
$file->flush;

open my $passed, '<', '/dev/zero' or die "/dev/zero: $!";
eval { $spawn->spawn(['x'], fds => { 5 => $passed }) };
my $error = $@;
is $error->code, 'queue_full', 'not accepted';
eval { $error->job->resubmit };
is $@->code, 'queue_full', 'sent again with its handle, and refused again';

pipe my $in, my $out or die "pipe: $!";
my $pid = fork;
defined $pid or die "fork: $!";
if (!$pid) {
    my $tell = 40;
    POSIX::dup2(fileno $out, $tell);
    POSIX::close($_) for 3 .. 39;
    my @own = map { POSIX::open("$file", POSIX::O_RDONLY()) } 3 .. 39;
    my $code = eval { $error->job->resubmit; 1 } ? 'sent' : $@->code;
    undef $error;
    undef $@;
    my $left = grep { POSIX::read($_, my $text, 4) == 4 } @own;
    my $said = "$code $left of " . @own . "\n";
    POSIX::write($tell, $said, length $said);
    POSIX::_exit(0);
}
close $out;
my $said = <$in>;
waitpid $pid, 0;
is $said, "invalid 37 of 37\n", 'refused, and all files of the child are open';
is $?, 0, 'it ended well';
eval { $error->job->resubmit };
is $@->code, 'queue_full', 'the parent has its handle';
done_testing;
