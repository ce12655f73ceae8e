# SPDX-License-Identifier: Apache-2.0
#
# The callers of the programs of bench/calls/ that take calls from other processes:
# small ones, forked before anything grows. Runs in those programs, beside httpd.

package Bench::CallsHanded;

use strict;
use warnings;

use POSIX ();

use Bench::Calls qw(now told);

# new: reads IN_FLIGHT, SECONDS and GAP of the program's arguments.
sub new {
    my ($class) = @_;
    pipe my $wait, my $go or die "pipe: $!\n";
    my (undef, $in_flight, $seconds, $gap) = @ARGV;
    return bless { wait => $wait, go => $go, in_flight => $in_flight, seconds => $seconds, gap => $gap, told => [] }, $class;
}

sub in_flight { return $_[0]{in_flight} }

# One more, whose socket is that which the code gives in its process.
sub add {
    my ($self, $socket_of) = @_;
    pipe my $in, my $out or die "pipe: $!\n";
    my $pid = fork;
    defined $pid or die "fork: $!\n";
    if ($pid == 0) {
        close $self->{go};
        my $socket = $socket_of->();
        sysread $self->{wait}, my $nothing, 1;
        $self->_call($socket, $out);
        POSIX::_exit(0);
    }
    push @{ $self->{told} }, $in;
    return;
}

# All begin to call.
sub start { close $_[0]{go}; return }

sub _call {
    my ($self, $socket, $out) = @_;
    my $end = now() + $self->{seconds};
    # one at least, however busy the machine is
    for (my $from = 0; !$from || now() < $end;) {
        $from = now();
        syswrite $socket, 'x';
        sysread $socket, my $answer, 100;
        die "a call gave another value\n" if $answer ne 'x';
        print {$out} now() - $from, "\n";
        select undef, undef, undef, $self->{gap} if $self->{gap};    ## no critic (ProhibitSleepViaSelect)
    }
    close $out;
    return;
}

# Waits until all have ended, and prints how long each call took.
sub told_by_all {
    my ($self) = @_;
    told(map { my $in = $_; map { chomp; $_ } <$in> } @{ $self->{told} });
    return;
}

1;
