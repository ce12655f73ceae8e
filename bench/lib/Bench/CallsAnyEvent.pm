# SPDX-License-Identifier: Apache-2.0
#
# The event loop of the programs of bench/calls/ that use AnyEvent::Fork: keeps
# so many calls in flight. Runs in those programs, beside httpd.

package Bench::CallsAnyEvent;

use strict;
use warnings;

use AnyEvent ();
use AnyEvent::Fork ();

use Bench::Calls qw(now told rest);

# run($in_flight, $end, sub { a process for one call }). A first call waits for
# the template and is not counted.
sub run {
    my ($in_flight, $end, $process) = @_;
    my $seconds = $end - now();
    my $first = AnyEvent->condvar;
    _call($process, $first);
    $first->recv;
    $end = Bench::Calls::again() + $seconds;

    my ($running, @took) = (0);
    my $all = AnyEvent->condvar;
    my $start;
    $start = sub {
        # one at least, however busy the machine is
        if (now() >= $end && ($running || @took)) {
            $all->send if !$running;
            return;
        }
        $running++;
        my $from = now();
        _call($process, sub {
            push @took, now() - $from;
            $running--;
            rest();
            $start->();
        });
        return;
    };
    $start->() for 1 .. $in_flight;
    $all->recv;
    told(@took);
    return;
}

sub _call {
    my ($process, $done) = @_;
    $process->()->send_arg('x')->run('Bench::Work::answer', sub {
        my ($handle) = @_;
        my ($watcher, $answer) = (undef, '');
        $watcher = AnyEvent->io(fh => $handle, poll => 'r', cb => sub {
            my $n = sysread $handle, $answer, 100, length $answer;
            return if $n;
            undef $watcher;
            die "a call gave another value\n" if $answer ne 'x';
            $done->();
        });
        return;
    });
    return;
}

1;
