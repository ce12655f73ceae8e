package Apache2::Spawn::Process::Socket;

# How bytes and handles travel between the caller and a process that is set up. Runs in the
# caller. Must not read a byte more than an answer, nor wait without a deadline unless its
# user asked for that.

use strict;
use warnings;

our $VERSION = '0.1.0';

use Apache2::Spawn::Process::Wire;
use Errno ();
use IO::FDPass ();
use IO::Handle ();
use Socket ();
use Time::HiRes ();

# So much of a text is sent at a time.
use constant PART => 1 << 20;

sub now { return Time::HiRes::clock_gettime(Time::HiRes::CLOCK_MONOTONIC()) }

sub pair {
    my ($type) = @_;
    socketpair my $own, my $theirs, Socket::AF_UNIX(), $type, 0 or return;
    $own->blocking(0);
    return ($own, $theirs);
}

# What has been sent is taken out of the list.
sub put {
    my ($fh, $list, $until) = @_;
    # of what sends a handle; httpd ignores it, and its threads share what is set here
    local $SIG{PIPE} = 'IGNORE' if !$ENV{MOD_PERL} && grep { ref ne 'SCALAR' } @{$list};
    while (@{$list}) {
        my $next = $list->[0];
        my $sent = ref $next eq 'SCALAR' ? _put_text($fh, $next) : IO::FDPass::send(fileno $fh, fileno $next);
        if ($sent) {
            shift @{$list} if ref $next ne 'SCALAR' || !length ${$next};
            next;
        }
        my $why_not = _why_not($fh, $until);
        return $why_not if $why_not;
    }
    return 'sent';
}

# A part of it, which is cut off.
sub _put_text {
    my ($fh, $text) = @_;
    my $sent = send $fh, length ${$text} > PART ? substr(${$text}, 0, PART) : ${$text}, Socket::MSG_NOSIGNAL();
    substr ${$text}, 0, $sent, '' if $sent;
    return $sent;
}

# Not a byte more than the answer: what follows is the function's. What came of
# it so far is kept in the buffer.
sub answer {
    my ($fh, $buffer, $until) = @_;
    my $came_to = _bytes($fh, $buffer, HEAD, $until);
    return $came_to if $came_to ne 'read';
    my ($what, $length) = Apache2::Spawn::Process::Wire::head(${$buffer});
    $came_to = _bytes($fh, $buffer, HEAD + $length, $until);
    return $came_to if $came_to ne 'read';
    my $body = substr ${$buffer}, HEAD;
    ${$buffer} = '';
    return ('read', $what, $body);
}

sub readable { return _ready($_[0], 0, $_[1]) }

# After an error of a call that sends: nothing, when it can be tried again.
sub _why_not {
    my ($fh, $until) = @_;
    return '' if $!{EINTR};
    return 'ended' if !$!{EAGAIN};
    return _ready($fh, 1, $until) ? '' : 'late';
}

sub _bytes {
    my ($fh, $buffer, $length, $until) = @_;
    while (length ${$buffer} < $length) {
        my $got = sysread $fh, ${$buffer}, $length - length ${$buffer}, length ${$buffer};
        next if $got;
        return 'ended' if defined $got || !$!{EAGAIN} && !$!{EINTR};
        _ready($fh, 0, $until) or return 'late';
    }
    return 'read';
}

# Whether it can be read from, or written to, before it is too late.
sub _ready {
    my ($handle, $write, $until) = @_;
    while (1) {
        my $left = defined $until ? $until - now() : undef;
        $left = 0 if defined $left && $left < 0;
        vec(my $wanted = '', fileno $handle, 1) = 1;
        my $ready = $write ? select undef, $wanted, undef, $left : select $wanted, undef, undef, $left;
        return 1 if $ready > 0;
        return if !$ready;
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

=item pair($type)

Two connected sockets, the first of which does not block; none, and C<$!>.

=item put($fh, \@list, $until)

Sends what is in the list, references to text and handles (which ride on a byte),
and takes out what has been sent. C<sent>, C<late>, or C<ended> (nobody reads any
more).

=item answer($fh, \$buffer, $until)

C<read> with the letter and the body of the next answer, or C<late>, or C<ended>.
The buffer, which is empty at first, keeps a part of an answer until the next time.

=item readable($fh, $until)

Whether there is something to read, or the end, in time.

=back

=head1 SEE ALSO

L<Apache2::Spawn::Process>, L<Apache2::Spawn::Process::Wire>, L<Apache2::Spawn::Process::Serve>

=cut
