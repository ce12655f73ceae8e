#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Example: one new process that is told to run a worker function; with both
# forms of run, and both kinds of processes.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest ();
use SpawnTest::Processes qw(process module line at_end);

module('MyModule', <<'END');
package MyModule;
use strict;
use warnings;
sub worker {
    my ($slave_filehandle) = @_;
    $slave_filehandle->autoflush(1);
    while (my $line = <$slave_filehandle>) {
        print {$slave_filehandle} uc $line;
    }
}
1;
END

for my $exec (0, 1) {
    my $what = $exec ? 'new_exec' : 'new';
    my $master;
    process(exec => $exec)->require('MyModule')->run('MyModule::worker', sub { ($master) = @_ });
    ok $master, "$what: a handle";
    ok !$master->blocking, "$what: which does not block";
    syswrite $master, "hello\nthere\n";
    is line($master), 'HELLO', "$what: the worker answers";
    is line($master), 'THERE', "$what: again";
    shutdown $master, 1;
    at_end($master, "$what: and ends when it is let go");

    my $process = process(exec => $exec)->require('MyModule');
    $master = $process->run('MyModule::worker');
    syswrite $master, "once more\n";
    is line($master), 'ONCE MORE', "$what: without a callback";
    close $master or die "close: $!";
    ok $process->wait(30), "$what: it ends";
    is $process->exit_status, 0, "$what: well";
}
done_testing;
