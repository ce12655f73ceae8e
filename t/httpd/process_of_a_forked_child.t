#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# In an event loop the loop sends a new process's job. A child that is forked before that, and
# runs the loop, must send neither the job nor what the process is told: it is told so, and the
# process does what the parent says.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use POSIX ();
use Test::More;

use SpawnTest ();
use SpawnTest::Processes qw(httpd process lines);

plan skip_all => 'AnyEvent (package libanyevent-perl) is not installed' if !eval { require AnyEvent; 1 };
AnyEvent::detect();

my $tell = 'sub tell { my ($fh, @words) = @_; syswrite $fh, "@words\n" }';
for my $exec (0, 1) {
    my $what = $exec ? 'new_exec' : 'new';
    my ($cv, $told) = (AE::cv());
    my $process = process(exec => $exec, on_error => sub { $told = $_[0]; $cv->send })->eval($tell)->send_arg('once');
    $process->run('tell', sub { $cv->send($_[0]) });

    my $child = CORE::fork();
    if (!$child) {
        my $late = AE::timer(60, 0, sub { POSIX::_exit(2) });
        $cv->recv;
        POSIX::_exit($told && $told->message =~ /who made it sends its job/ ? 0 : 1);
    }
    waitpid $child, 0;
    is $?, 0, "$what: a child is told that it does not send it";

    my $late = AE::timer(60, 0, sub { $cv->croak('late') });
    is_deeply [ lines($cv->recv) ], ['once'], "$what: its parent does, once";
    is $told, undef, "$what: and is told nothing";
    ok $process->wait(30), "$what: it ends";
}
done_testing;
