package Apache2::Spawn::Process::Socket;

# How bytes and handles travel between the caller and a process that is set up. Runs in the
# caller. Must not read a byte more than an answer, nor wait without a deadline unless its
# user asked for that.

use strict;
use warnings;

our $VERSION = '0.1.0';

use Apache2::Spawn::Process::Wire;
use Errno ();
use IO::Handle ();
use Socket ();
use Time::HiRes ();

sub now { return Time::HiRes::clock_gettime(Time::HiRes::CLOCK_MONOTONIC()) }

# What the process is still to be sent.
sub put {
    my ($process, $until) = @_;
    while (!$process->_send_outbox(_number($process->{fh}))) {
        my $why_not = _why_not($process, $until);
        return $why_not if $why_not;
    }
    return 'sent';
}

# Not a byte more than the answer: what follows is the function's. What came of
# it so far is kept in the object, and so is the socket of a waiter.
sub answer {
    my ($process, $until) = @_;
    my $kept = delete $process->{answer};
    return ('read', @{$kept}) if $kept;
    my $buffer = \$process->{in};
    while (1) {
        my $came_to = _bytes($process, HEAD, $until);
        return $came_to if $came_to ne 'read';
        my ($what, $length) = Apache2::Spawn::Process::Wire::head(${$buffer});
        $came_to = _bytes($process, HEAD + $length, $until);
        return $came_to if $came_to ne 'read';
        my $body = substr ${$buffer}, HEAD;
        ${$buffer} = '';
        return ('read', $what, $body) if $what ne ANSWER_WAITER;
    }
}

# The socket of the waiter, which comes before any answer. An answer that comes
# without it is kept, and 'read'.
sub waiter {
    my ($process, $until) = @_;
    return 'read' if $process->{answer};
    my $came_to = _bytes($process, HEAD, $until);
    return 'there' if $process->{status};
    return $came_to if $came_to ne 'read';
    my @answer = answer($process, $until);
    return $answer[0] if $answer[0] ne 'read';
    $process->{answer} = [@answer[1, 2]];
    return 'read';
}

sub readable { return _ready($_[0], 0, $_[1]) }

# After an error of a call that sends: nothing, when it can be tried again.
sub _why_not {
    my ($process, $until) = @_;
    return '' if $!{EINTR};
    return _ready($process->{fh}, 1, $until) ? '' : 'late' if $!{EAGAIN};
    return _is_over($process);
}

# After an error that stays. One that is not the end of the other side, as of handles for
# which there is no room, is kept; and as it is not known what has been lost with it, the
# process is let go.
sub _is_over {
    my ($process) = @_;
    return 'ended' if $!{EPIPE} || $!{ECONNRESET};
    $process->{errno} ||= $! + 0;
    shutdown $process->{fh}, 2 if defined fileno $process->{fh};
    return 'ended';
}

# So many bytes of the answer are there.
sub _bytes {
    my ($process, $length, $until) = @_;
    while (length $process->{in} < $length) {
        my ($got, $handle) = Apache2::Spawn::Process::_receive(_number($process->{fh}), $process->{in}, $length - length $process->{in});
        $process->{status} = $handle if $handle;
        next if $got;
        return 'ended' if defined $got;
        next if $!{EINTR};
        return _is_over($process) if !$!{EAGAIN};
        _ready($process->{fh}, 0, $until) or return 'late';
    }
    return 'read';
}

# One that its user has closed has none, which must not become 0.
sub _number {
    my $number = fileno $_[0];
    return defined $number ? $number : -1;
}

# Whether it can be read from, or written to, before it is too late; or cannot be waited for,
# which the next call says why.
sub _ready {
    my ($handle, $write, $until) = @_;
    while (1) {
        my $left = defined $until ? $until - now() : undef;
        $left = 0 if defined $left && $left < 0;
        my $number = _number($handle);
        return 1 if $number < 0;
        vec(my $wanted = '', $number, 1) = 1;
        my $ready = $write ? select undef, $wanted, undef, $left : select $wanted, undef, undef, $left;
        return if !$ready;
        return 1 if $ready > 0 || !$!{EINTR};
    }
}

1;

__END__

=encoding UTF-8

=head1 NAME

Apache2::Spawn::Process::Socket - the socket to a process that is set up

=head1 SYNOPSIS

    use Apache2::Spawn::Process ();     # uses this by itself

=head1 DESCRIPTION

L<Apache2::Spawn::Process> sends commands to processes and reads their answers,
each with a deadline, in the form that L<Apache2::Spawn::Process::Wire> gives them. This
is how they travel. There is no reason to load it. Nothing here throws; each
function returns what it came to.

=head1 FUNCTIONS

C<$until> is a time of C<now>, or undef for no deadline. The socket does not block.

=over

=item now

Seconds of the clock that never jumps.

=item put($process, $until)

Sends what the process is still to be sent. C<sent>, C<late>, or C<ended> (nobody
reads any more; or, with an C<errno> in the object, the socket cannot be used any more).

=item answer($process, $until)

C<read> with the letter and the body of the next answer, or C<late>, or C<ended>.
The object keeps a part of an answer until the next time.

=item waiter($process, $until)

C<there> when the object has the socket of its waiter, or what C<answer> came to.

=item readable($fh, $until)

Whether there is something to read, or the end, in time.

=back

=head1 SEE ALSO

L<Apache2::Spawn::Process>, L<Apache2::Spawn::Process::Wire>, L<Apache2::Spawn::Process::Serve>

=cut
