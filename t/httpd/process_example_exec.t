#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Example: as a faster fork and exec, with stdout in a file and stderr on the
# communications socket.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest ();
use SpawnTest::Processes qw(httpd process lines);

my $path = httpd()->work . '/log';
for my $exec (0, 1) {
    open my $output, '>', $path or die "$path: $!";
    my $process = process(exec => $exec)
        ->eval(<<'END')
             # compile a helper function for later use
             sub run {
                 my ($fh, $output, @cmd) = @_;
                 # perl will clear close-on-exec on STDOUT/STDERR
                 open STDOUT, '>&', $output or die;
                 open STDERR, '>&', $fh or die;
                 exec @cmd;
             }
END
        ->send_fh($output)
        ->send_arg('/bin/sh', '-c', 'echo "hi from $0"; echo "an error" >&2; exit 5', 'here');
    my $stderr = $process->run('run');
    is_deeply [ lines($stderr) ], ['an error'], 'stderr comes by the socket';
    ok $process->wait(30), 'it ends';
    is $process->exit_status, 5 << 8, 'the exit status is the program\'s';
    open my $in, '<', $path or die "$path: $!";
    is do { local $/; <$in> }, "hi from here\n", 'stdout is in the file';

    my $fork = process(exec => $exec)->fork->eval('sub run { exec @_[1 .. $#_] }')->send_arg('/bin/sh', '-c', 'kill -USR1 $$');
    $fork->run('run');
    ok $fork->wait(30), 'one that was forked ends';
    is $fork->exit_status & 127, POSIX::SIGUSR1(), 'by the signal that its program sent itself';
}
done_testing;
