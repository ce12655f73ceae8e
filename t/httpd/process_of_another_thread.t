#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# In an event loop the loop sends a new process's job. A thread that begins before that has a
# copy of the object, and must not send the job a second time: it is told so, and the process
# does what the thread says that made it.

use strict;
use warnings;

use Config qw(%Config);
use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest ();
use SpawnTest::Processes qw(httpd process lines);

plan skip_all => 'AnyEvent (package libanyevent-perl) is not installed' if !eval { require AnyEvent; 1 };
plan skip_all => 'this perl has no threads' if !$Config{useithreads};
AnyEvent::detect();

for my $exec (0, 1) {
    my $what = $exec ? 'new_exec' : 'new';
    local $threads::threads;    # as before the first one
    my $process = process(exec => $exec)->eval('sub tell { my ($fh, @words) = @_; syswrite $fh, "@words\n" }');
    require threads;
    my ($text) = threads->create({ context => 'list' }, sub {
        no warnings 'redefine';
        *SpawnTest::Httpd::DESTROY = sub { };    # which is the other thread's
        eval { $process->pid; 1 } and return 'it has one';
        return "$@";
    })->join;
    like $text, qr/who made it sends its job/, "$what: another thread does not send it";
    is_deeply [ lines($process->send_arg('once')->run('tell')) ], ['once'], "$what: its own does, once";
    ok $process->wait(30), "$what: and it ends";
}
done_testing;
