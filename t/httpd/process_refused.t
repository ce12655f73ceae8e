#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# new does not wait for the broker's answer; a refusal is told by the next call that needs
# the process, or in the event loop, and when nobody asks by a warning.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest ();
use SpawnTest::Processes qw(httpd process failure lines);

httpd();
my @warned;
local $SIG{__WARN__} = sub { push @warned, @_ };

for my $exec (0, 1) {
    my $what = $exec ? 'new_exec' : 'new';
    my %uses = (
        pid => sub { $_[0]->pid }, run => sub { $_[0]->run('CORE::exit') }, wait => sub { $_[0]->wait(30) },
        kill => sub { $_[0]->kill }, job => sub { $_[0]->job }, to_fh => sub { $_[0]->to_fh }, exit_status => sub { $_[0]->exit_status },
    );
    for my $use (sort keys %uses) {
        my $process = process(exec => $exec, queue => 'none')->send_arg('x');
        failure(sub { $uses{$use}->($process) }, 'unknown_queue', qr/queue 'none' is not configured/, "$what: told by $use");
        failure(sub { $process->send_arg('y') }, 'unknown_queue', qr/queue 'none'/, "$what: and again by send_arg");
    }
    my $process = process(exec => $exec, queue => 'none');
    my $copy = $process->fork;
    failure(sub { $copy->pid }, 'unknown_queue', qr/queue 'none'/, "$what: told to the copy");
    failure(sub { process(exec => $exec, queue => 'none')->send_arg('x' x 10_000_000) }, 'unknown_queue', qr/queue 'none'/, "$what: told when nobody takes what is sent");
    is_deeply \@warned, [], "$what: what was told is not warned";

    my $id = process(exec => $exec, queue => 'none');
    undef $id;
    is scalar @warned, 1, "$what: one that goes is warned of";
    like $warned[0], qr/\bjob [0-9a-f-]{36} was refused, and nobody asked: unknown_queue: queue 'none' is not configured/, "$what: with id and reason";
    @warned = ();
    process(exec => $exec)->pid;
    is_deeply \@warned, [], "$what: an accepted one is not";
}

SKIP: {
    skip 'AnyEvent (package libanyevent-perl) is not installed', 1 if !eval { require AnyEvent; 1 };
    AnyEvent::detect();
    for my $exec (0, 1) {
        my $what = $exec ? 'new_exec' : 'new';
        my @told;
        my $end = AE::cv();
        for (1 .. 3) {
            $end->begin;
            process(exec => $exec, queue => 'none', on_error => sub { push @told, @_; $end->end })->run('CORE::exit', sub { push @told, 'called'; $end->end });
        }
        my $late = AE::timer(30, 0, sub { $end->croak('late') });
        $end->recv;
        is_deeply [ map { ref $_ ? $_->code : $_ } @told ], [ ('unknown_queue') x 3 ], "$what: each on_error is called in the loop";
        like $told[0]->file, qr/process_refused\.t\z/, "$what: with the place of run";
    }
    is_deeply \@warned, [], 'and nothing is warned';

    # The loop sends a process without options: that nobody is there is told from there.
    my $nobody = Apache2::Spawn->connect(httpd()->dir . '/nobody');
    for my $new (qw(new new_exec)) {
        my $end = AE::cv();
        my $late = AE::timer(30, 0, sub { $end->croak('late') });
        Apache2::Spawn::Process->$new(via => $nobody, on_error => sub { $end->send($_[0]->code) })->run('CORE::exit', sub { $end->send('called') });
        is $end->recv, 'unreachable', "$new: told by on_error";
        my $process = Apache2::Spawn::Process->$new(via => $nobody);
        failure(sub { $process->pid }, 'unreachable', qr/nobody answers/, "$new: told by what does not wait for the loop");
        failure(sub { $process->pid }, 'unreachable', qr/nobody answers/, "$new: and again");
        undef $process;
        is_deeply \@warned, [], "$new: and not warned";
        Apache2::Spawn::Process->$new(via => $nobody);
        my $turns = AE::cv();
        my $until = AE::timer(30, 0, $turns);
        my $look = AE::timer(0, 0.05, sub { $turns->send if @warned });
        $turns->recv;
        is scalar @warned, 1, "$new: one that goes is warned of";
        like $warned[0], qr/was not sent, and nobody asked: .*nobody answers/, "$new: with the reason";
        @warned = ();
    }

    # It is the answer that is seen, and not the time that is over.
    no warnings 'redefine';
    alarm 120;
    local *AE::timer = sub { return \my $never };
    for my $exec (0, 1) {
        my $end = AE::cv();
        process(exec => $exec, queue => 'none', on_error => sub { $end->send($_[0]->code) })->run('CORE::exit', sub { $end->send('called') });
        is $end->recv, 'unknown_queue', 'a refusal comes without timers';
        $end = AE::cv();
        process(exec => $exec)->run('CORE::exit', sub { $end->send('called') });
        is $end->recv, 'called', 'and so does a process';
    }
    alarm 0;
}
done_testing;
