package Apache2::Spawn::Process::Fork;

# Copies a process that is set up, and keeps one copy in advance.
#
# Runs in the process that is copied, from the first copy on, and in the copies. Must not
# leave a spare that differs from the process: whoever changes the process calls no_spare
# before. As in Process::Serve, not even warnings are loaded.

use strict;

our $VERSION = '0.1.0';

use Apache2::Spawn::Process::Wire;

require XSLoader;
XSLoader::load('Apache2::Spawn::Process::Serve', $VERSION);

# The program of perl/waiter, which stands beside the library.
my ($waiter) = map { m{\A(.*/Process/Serve/)Serve\.\w+\z}s ? "$1waiter" : () } @{ $DynaLoader::{dl_shared_objects} };

# A spare is made when copies were asked for twice in so many seconds, and nothing has
# come for so many milliseconds; it goes when none was asked for in this time.
our $KEPT = 10;
my $PAUSE = 2;

my $spare;    # link, status: sockets to it and to its waiter; process: a pidfd
my $last;     # when a copy was asked for
my $wanted;

sub _send  { return Apache2::Spawn::Process::Serve::_send(@_) }
sub _close { return Apache2::Spawn::Process::Serve::_close(@_) }

# ---- in the process ----

# The copy's socket, its timeout and grace as they were given, and both in ms. Returns
# nothing, but in the copy what it needs: its socket, timeout and grace.
sub copy {
    my ($theirs, $given, $timeout, $grace) = @_;
    my $now = Apache2::Spawn::Process::Serve::_now();
    $wanted = defined $last && $now - $last <= $KEPT;
    $last = $now;
    return if $spare && _hand_over($theirs, $given, $timeout, $grace);
    my ($new, $status) = _fork_with_waiter($timeout, $grace, sub {
        my ($waiters) = @_;
        _send($theirs, Apache2::Spawn::Process::Wire::message(ANSWER_WAITER, ''), $waiters);
    });
    if (!defined $new) {
        chomp(my $why = $@);
        _send($theirs, Apache2::Spawn::Process::Wire::message(ANSWER_FAILED, Apache2::Spawn::Process::Wire::body('system', "fork: $why", '')), -1);
    }
    _close($status) if defined $status;
    return _begins($theirs, $given) if defined $new && !$new;
    _close($theirs);
    return;
}

# While no command comes: makes a spare, or lets it go. Returns nothing, but in a spare
# that has become a copy what that needs.
sub idle {
    my ($control) = @_;
    if (!$spare && $wanted) {
        return if Apache2::Spawn::Process::Serve::_readable(fileno $control, $PAUSE);
        my $new = _make_spare();
        return _wait_as_spare($control, $new) if ref $new;
    }
    no_spare() if $spare && !Apache2::Spawn::Process::Serve::_readable(fileno $control, $KEPT * 1000);
    return;
}

# It is gone when this returns, with all that it had open.
sub no_spare {
    undef $wanted;
    _let_go() if $spare;
    return;
}

sub _let_go {
    Apache2::Spawn::Process::Serve::_end($spare->{process});
    _close($_) for values %{$spare};
    undef $spare;
    return;
}

# A pid, 0 in the copy, or undef and $@; and this process's end of the socket to the
# waiter, which before that is shown to the code.
sub _fork_with_waiter {
    my ($timeout, $grace, $show) = @_;
    my ($status, $told);
    my $new = eval {
        -x $waiter or die "the waiter $waiter: $!\n";
        ($status, $told) = Apache2::Spawn::Process::Serve::_pair() or die "socketpair: $!\n";
        $show->($status) if $show;
        my $pid = Apache2::Spawn::Process::Serve::_fork_with_waiter($waiter, $told, $timeout, $grace);
        defined $pid or die "$!\n";
        $pid;
    };
    _close($told) if defined $told;
    return ($new, $status);
}

# True: the spare is the copy that was asked for.
sub _hand_over {
    my ($theirs, $given, $timeout, $grace) = @_;
    if (Apache2::Spawn::Process::Serve::_readable($spare->{link}, 0)) {    # it was killed
        _let_go();
        return;
    }
    _send($spare->{status}, "limit $timeout $grace", -1) if $timeout;
    _send($theirs, Apache2::Spawn::Process::Wire::message(ANSWER_WAITER, ''), $spare->{status});
    # when it is killed just now, its waiter tells so
    _send($spare->{link}, Apache2::Spawn::Process::Wire::body(@{$given}), $theirs);
    _close($_) for values %{$spare}, $theirs;
    undef $spare;
    return 1;
}

# Here there is one, or none; in the spare its link.
sub _make_spare {
    my ($mine, $link) = Apache2::Spawn::Process::Serve::_pair() or return;
    my ($new, $status) = _fork_with_waiter(0, 0);
    if (defined $new && !$new) {
        _close($_) for $mine, $status;
        return [$link];
    }
    _close($link);
    my $process = $new ? Apache2::Spawn::Process::Serve::_pidfd($new) : -1;
    if ($process >= 0 && !Apache2::Spawn::Process::Serve::_readable($mine, 0)) {
        $spare = { link => $mine, status => $status, process => $process };
        return;
    }
    _close($_) for $mine, defined $status ? $status : (), $process >= 0 ? $process : ();
    undef $wanted;
    return;
}

# ---- in the copy ----

sub _begins {
    my ($socket, $given) = @_;
    open my $control, '+<&=', $socket or die "the socket at $socket: $!\n";    ## no critic (RequireBriefOpen)
    _forget();
    $0 = 'spawn Apache2::Spawn::Process';
    return [$control, @{$given}];
}

sub _forget {
    _close($_) for $spare ? values %{$spare} : ();
    undef $_ for $spare, $last, $wanted;
    return;
}

# It has none of what the process has to its caller. It ends when the process does.
sub _wait_as_spare {
    my ($control, $new) = @_;
    my ($link) = @{$new};
    close $control;
    $0 = 'spawn Apache2::Spawn::Process';
    my ($given, $socket) = Apache2::Spawn::Process::Serve::_receive($link, 1024);
    Apache2::Spawn::Process::Serve::_exit() if !defined $socket;
    _close($link);
    return _begins($socket, [Apache2::Spawn::Process::Wire::strings($given)]);
}

1;

__END__

=encoding UTF-8

=head1 NAME

Apache2::Spawn::Process::Fork - copies of a process that is set up

=head1 SYNOPSIS

    # Apache2::Spawn::Process::Serve uses this by itself

=head1 DESCRIPTION

What C<fork> of L<Apache2::Spawn::Process> asks for is made here, with the waiter that tells
how the copy ends. There is no reason to load it: each process does so itself, and templates
have loaded it before.

A process that is forked again and again keeps one copy in advance, its spare: it is made
when nothing is to be done, and becomes the next copy that is asked for. Before the process
is told anything but to fork, its spare is ended, so that a copy is always the process as it
is when it comes to the C<fork>.

=head1 VARIABLES

=over

=item $KEPT

Seconds: a spare is made when two copies were asked for within this time, and ends when none
was asked for in it. 10.

=back

=head1 FUNCTIONS

=over

=item copy($fd, [$timeout, $grace], $timeout_ms, $grace_ms)

Makes a copy, or gives the spare its order, with the socket of that number. Returns nothing;
but in the copy a reference to its socket, timeout and grace.

=item idle($control)

Called when the process has done what it was told: makes a spare, if one is wanted and nothing
comes on the socket, or ends an old one, and returns before it would have to wait. What it
returns is as of C<copy>.

=item no_spare

Ends the spare, which is gone with all that it has open when this returns.

=back

=head1 SEE ALSO

L<Apache2::Spawn::Process>, L<Apache2::Spawn::Process::Serve>

=cut
