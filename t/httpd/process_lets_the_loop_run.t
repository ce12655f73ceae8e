#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# In an event loop run and to_fh return at once when they have a callback: the loop
# goes on while the process loads what it needs, and while it takes what it is sent;
# failures come by on_error, or as a warning and a socket at its end.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(wait_until);
use SpawnTest::Process qw(alive);
use SpawnTest::Processes qw(process module lines at_end);

plan skip_all => 'AnyEvent (package libanyevent-perl) is not installed' if !eval { require AnyEvent; 1 };

module('My::Slow', <<'END');
package My::Slow;
select undef, undef, undef, 0.4;
sub tell { my ($fh, @rest) = @_; print {$fh} join(' ', map { ref $_ ? 'handle' : length $_ } @rest), "\n" }
1;
END

# Without a loop a callback is called before run returns.
my $called = 0;
is $AnyEvent::MODEL, undef, 'AnyEvent is loaded, and has no loop yet';
my $fh = process()->require('My::Slow')->send_arg('abc')->run('My::Slow::tell', sub { $called++ });
is $called, 1, 'without a loop the callback comes first';
is_deeply [ lines($fh) ], ['3'], 'then run returns the socket';

AnyEvent::detect();

sub within {
    my ($cv) = @_;
    my $late = AE::timer(30, 0, sub { $cv->croak('late') });
    return $cv->recv;
}

# The loop's turns until the code called the callback that it is given, and what
# that got.
sub ticks {
    my ($start) = @_;
    my ($ticks, $cv) = (0, AE::cv());
    my $ticker = AE::timer(0, 0.02, sub { $ticks++ });
    my $returned = 0;
    $start->(sub { $cv->send($returned, @_) });
    $returned = 1;
    my ($was, @got) = within($cv);
    ok $was, 'it returned before the callback was called';
    return ($ticks, @got);
}

for my $exec (0, 1) {
    my $what = $exec ? 'new_exec' : 'new';
    my ($ticks, $socket) = ticks(sub { process(exec => $exec)->require('My::Slow')->send_arg('a')->run('My::Slow::tell', $_[0]) });
    cmp_ok $ticks, '>=', 5, "$what: the loop goes on while a module is loaded";
    is_deeply [ lines($socket) ], ['1'], "$what: and the function has run";

    # more than the socket takes, with handles in between that the caller closes
    my $process;
    ($ticks, $socket) = ticks(sub {
        $process = process(exec => $exec)->require('My::Slow')->send_arg('x' x 3_000_000);
        open my $mine, '<', '/dev/null' or die $!;
        $process->send_fh($mine)->send_arg('y' x 1_000_000);
        close $mine;
        $process->run('My::Slow::tell', $_[0]);
    });
    cmp_ok $ticks, '>=', 5, "$what: also while it takes what it was sent";
    is_deeply [ lines($socket) ], ['3000000 handle 1000000'], "$what: which has all arrived in order";
    like $process->pid, qr/\A\d+\z/, "$what: its pid is known";
    ok $process->wait(30), "$what: and its end";

    my $fork;
    ($ticks, $socket) = ticks(sub {
        my $from = process(exec => $exec)->require('My::Slow')->send_arg('z' x 2_000_000);
        $fork = $from->fork->send_arg('of a fork');
        $fork->run('My::Slow::tell', $_[0]);
    });
    cmp_ok $ticks, '>=', 5, "$what: also for a fork of what is still told something";
    is_deeply [ lines($socket) ], ['2000000 9'], "$what: which is a copy of all of it";

    ($ticks, $socket) = ticks(sub { process(exec => $exec)->require('My::Slow')->to_fh($_[0]) });
    cmp_ok $ticks, '>=', 5, "$what: to_fh";
    my $again = Apache2::Spawn::Process->new_from_fh($socket)->send_arg('again')->run('My::Slow::tell');
    is_deeply [ lines($again) ], ['5'], "$what: which can be told more, and that waits";

    # without a callback they wait, and the loop need not run
    my $root = process(exec => $exec)->eval('sub hello { syswrite $_[0], "hello $_[1]\n" }');
    my $copy = $root->fork->fork->send_arg('copy');
    is_deeply [ lines($copy->run('hello')) ], ['hello copy'], "$what: a fork of a fork, without the loop";
    ok $root->fork->kill('KILL'), "$what: kill, too";
    ok $root->eval('exit 7')->wait(30), "$what: and wait";
    is $root->exit_status, 7 << 8, "$what: sent what was to be sent before";

    # failures
    my @failures = (
        [ 'require', qr/require at \S+ line \d+: Can't locate My\/None/, 'call_failed', sub { $_[0]->require('My::None') } ],
        [ 'eval', qr/eval at \S+ line \d+: no/, 'call_failed', sub { $_[0]->eval('die "no\n"') } ],
        [ 'exit', qr/ended while it was set up: exit code 9/, 'call_failed', sub { $_[0]->eval('exit 9') } ],
        [ 'no function', qr/no function My::Slow::tell in the process/, 'invalid', sub { $_[0] } ],
        [ 'exit of a fork', qr/ended while it was set up: exit code 8/, 'call_failed', sub { $_[0]->fork->eval('exit 8') } ],
        [ 'a fork of a failure', qr/eval at \S+ line \d+: never/, 'call_failed', sub { $_[0]->eval('die "never\n"')->fork } ],
        [ 'too late', qr/has not done what was sent within 0\.4 s/, 'deadline', sub { $_[0]->eval('select undef, undef, undef, 1') }, 0.4 ],
    );
    for (@failures) {
        my ($name, $text, $code, $set_up, $deadline) = @{$_};
        my @options = defined $deadline ? (deadline => $deadline) : ();
        my ($cv, $got_socket) = (AE::cv(), 0);
        my $failing = $set_up->(process(exec => $exec, @options, on_error => sub { $cv->send(@_) }));
        $failing->run('My::Slow::tell', sub { $got_socket++ });
        my $line = __LINE__ - 1;
        my ($error) = within($cv);
        is $error->code, $code, "$what: $name: code";
        like $error->message, $text, "$what: $name: text";
        is join(' ', $error->file, $error->line), __FILE__ . " $line", "$what: $name: the line that called run";
        is $got_socket, 0, "$what: $name: no callback";

        my @warned;
        local $SIG{__WARN__} = sub { push @warned, @_ };
        $cv = AE::cv();
        $failing = $set_up->(process(exec => $exec, @options));
        $failing->run('My::Slow::tell', $cv);
        my ($ended) = within($cv);
        like join('', @warned), $text, "$what: $name: without on_error it is warned";
        at_end($ended, "$what: $name: and the socket is at its end");
    }

    # late: the function is not run for nobody
    my $started = httpd_file("started.$exec");
    my $cv = AE::cv();
    my $late = process(exec => $exec, deadline => 0.3, on_error => $cv)
        ->eval('sub mark { open my $out, ">", shift @file or die } @file = @_; select undef, undef, undef, 0.8', $started);
    $late->run('mark', sub { });
    within($cv);
    ok $late->wait(30), "$what: what was too late ends";
    ok !-e $started, "$what: and does not run its function";
}
done_testing;

sub httpd_file { return SpawnTest::Processes::httpd()->dir . "/$_[0]" }
