#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A process whose require or eval failed ends at once, by itself, and keeps no
# handle; the error waits for its caller, and for whoever asks for copies of it.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(wait_until);
use SpawnTest::Process qw(alive);
use SpawnTest::Processes qw(httpd process module at_end failure);

module('My::Broken', "package My::Broken;\ndie \"not today\\n\";\n");

for my $exec (0, 1) {
    my $what = $exec ? 'new_exec' : 'new';

    # nobody waits for it, the object is there, and it has been sent more
    my $process = process(exec => $exec);
    my $pid = $process->pid;
    pipe my $read, my $write or die "pipe: $!\n";
    pipe my $read_later, my $write_later or die "pipe: $!\n";
    $process->send_fh($write)->require('My::Broken')->send_arg('x')->send_fh($write_later)->eval('sleep 60');
    close $_ for $write, $write_later;
    at_end($read, "$what: a handle that it was sent is closed");
    at_end($read_later, "$what: one that it was sent later, too");
    ok wait_until(sub { !alive($pid) }, 20), "$what: the process ends";
    ok $process->wait(30), "$what: which is known";
    is $process->exit_status, 255 << 8, "$what: with 255";
    ok eval { $process->send_arg('y')->send_fh(\*STDIN)->eval('1'); 1 }, "$what: more can be sent" or diag $@;
    my $fork = $process->fork->send_arg('z');
    failure(sub { $fork->run('f') }, 'call_failed', qr/\Arequire at \S+ line \d+: not today/, "$what: a copy of what has failed");
    failure(sub { $process->run('f') }, 'call_failed', qr/\Arequire at \S+ line \d+: not today/, "$what: what has failed");

    # copies that it is asked for before it fails, and never comes to
    my $slow = process(exec => $exec)->eval('select undef, undef, undef, 0.3; die "in vain\n"');
    my @forks = map { $slow->fork->send_arg($_) } 1 .. 3;
    my $last = $slow->fork->fork;
    undef $slow;
    failure(sub { $_->pid }, 'call_failed', qr/\Aeval at \S+ line \d+: in vain/, "$what: a copy of what was going to fail") for @forks;
    failure(sub { $last->pid }, 'call_failed', qr/forked from|in vain/, "$what: a copy of such a copy");

    # a long text, and much that nobody reads
    my $long = process(exec => $exec)->eval('die "x" x 1_000_000');
    $long->send_arg('y' x 2_000_000);
    failure(sub { $long->pid }, 'call_failed', qr/\Aeval at \S+ line \d+: x{60000}/, "$what: a long text");
}
done_testing;
