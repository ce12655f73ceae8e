#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# new returns when the job is sent: a broker that is stopped does not hold it. The
# process runs, also when the broker ends then.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use POSIX ();
use Test::More;

use SpawnTest ();
use SpawnTest::Processes qw(httpd process lines);

my $httpd = httpd();
my $tell = 'sub tell { my ($fh, @words) = @_; syswrite $fh, "@words\n" }';

# The connection is there.
is_deeply [ lines(process()->eval($tell)->send_arg('first')->run('tell')) ], ['first'], 'a process';

for my $exec (0, 1) {
    my $what = $exec ? 'new_exec' : 'new';
    for my $end (qw(CONT KILL)) {
        my $broker = $httpd->broker_pid;
        kill STOP => $broker;
        my @processes = map { process(exec => $exec)->eval($tell)->send_arg('number', $_) } 1 .. 3;
        pass "$what: three while the broker is stopped";

        # a child has nothing to ask
        my $child = CORE::fork();
        if (!$child) {
            undef @processes;
            POSIX::_exit(0);
        }
        waitpid $child, 0;
        is $?, 0, "$what: a child that has them ends";

        kill $end => $broker;
        ok $httpd->new_process('broker', $broker, 60), "$what: there is another broker" if $end eq 'KILL';
        my @said = map { lines($_->run('tell')) } @processes;
        is_deeply \@said, [ map {"number $_"} 1 .. 3 ], "$what: all run after $end";
        ok $_->wait(30), "$what: and end" for @processes;
    }
}
done_testing;
