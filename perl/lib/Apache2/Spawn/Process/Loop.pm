package Apache2::Spawn::Process::Loop;

# Waiting for a process in AnyEvent's loop, if the program has one. Runs in the caller. Must
# never block.

use strict;
use warnings;

our $VERSION = '0.1.0';

use Apache2::Spawn::Process::Failure ();
use Apache2::Spawn::Process::Socket ();

# A process that ended without a word: how long the news is asked for, and how
# often.
use constant NEWS  => 5;
use constant PAUSE => 0.02;

# AnyEvent has chosen its event loop, and not only been loaded.
sub in_use {
    no warnings 'once';
    return length $AnyEvent::MODEL;
}

# Sends what is left as the socket takes it. The object is there until then.
sub send_on {
    my ($process) = @_;
    return if $process->{sender};
    $process->{sender} = AE::io($process->{fh}, 1, sub {
        local ($@, $!);
        $process->_flush(0, 1);
    });
    $process->_watched(1);
    return;
}

# Calls the code with the socket when the process has answered; the place is the
# caller's, for errors.
sub give_later {
    my ($process, @given) = @_;
    send_on($process);
    # A socket that has not been sent anything can be written to, so the loop comes by at once:
    # what is done then need not be done now.
    return give($process, @given) if $process->_begun;
    $process->{then} = \@given;
    return;
}

sub give {
    my ($process, $code, $place, $until) = @_;
    my %watch;
    my $end = sub {
        my ($sub) = @_;
        %watch = ();
        delete $process->{sender};
        $process->_watched(0);
        my $fh = $process->{fh};
        my $done = do {
            local ($@, $!);
            eval { $sub->(); 1 };
        };
        delete $process->{fh};
        if ($done) {
            # It was accepted, whether or not the broker's word has come: what is kept until
            # then is also the process's end of the socket, which would have no end.
            my $submitted = delete $process->{submitted};
            $submitted->known if $submitted;
            return $code->($fh);
        }
        my $error = $process->{error};
        @{$error}{qw(file line)} = @{$place};
        shutdown $fh, 2;
        return $process->{on_error}->($error) if $process->{on_error};
        warn $error;    ## no critic (RequireCarping)
        return $code->($fh);
    };
    $watch{deadline} = AE::timer($until - Apache2::Spawn::Process::Socket::now(), 0, sub {
        $end->(sub { $process->_late('has not done what was sent') });
    });
    _watch_submitted($process, \%watch, $end);
    $watch{answer} = AE::io($process->{fh}, 0, sub {
        my ($came_to, @answer) = Apache2::Spawn::Process::Socket::answer($process, 0);
        return if $came_to eq 'late';
        return $end->(sub { $process->_answered($until, 0, @answer) }) if @answer || $process->{errno};
        %watch = ();
        my $tries = NEWS / PAUSE;
        $watch{news} = AE::timer(0, PAUSE, sub {
            return if $tries-- > 0 && !_has_ended($process);
            $end->(sub { $process->_answered($until, 0) });
        });
    });
    return;
}

# The broker's word on a process of new. Who takes it may be another object, that was sent
# over the same connection. A refused one is at the end of its socket then, and the watcher
# of that knows why.
sub _watch_submitted {
    my ($process, $watch, $end) = @_;
    my $submitted = $process->{submitted} or return;
    my $fd = $submitted->fd;
    my $handle;
    open $handle, '<&=', $fd or undef $handle if $fd >= 0;
    my $look = sub {
        my ($came, $error) = do {
            local ($@, $!);
            (scalar eval { $submitted->look(0) ? 1 : 0 }, $@);
        };
        return if defined $came && !$came;
        delete $process->{submitted};
        delete @{$watch}{qw(submitted late)};
        undef $handle;    # after its watcher, which does not keep it open
        $end->(sub { Apache2::Spawn::Process::Failure::_refused($process, $error) }) if !defined $came;
    };
    $watch->{submitted} = AE::io($handle, 0, $look) if $handle;
    $watch->{late} = AE::timer($submitted->left, 0, $look);
    return;
}

# Waits for no end. Where nobody can say, there is no use in asking again: a broker that is
# away would hold the loop each time.
sub _has_ended {
    my ($process) = @_;
    local ($@, $!);
    my $ended;
    eval { $ended = $process->{job} ? $process->{job}->wait(0) : !$process->{forked} || $process->wait(0); 1 } or $ended = 1;
    return $ended;
}

1;

__END__

=encoding UTF-8

=head1 NAME

Apache2::Spawn::Process::Loop - a process is set up while an event loop runs

=head1 SYNOPSIS

    use Apache2::Spawn::Process ();     # uses this by itself

=head1 DESCRIPTION

Where L<AnyEvent> is in use, C<run> and C<to_fh> of L<Apache2::Spawn::Process> return
at once when they are given a callback. This is what waits for them, with watchers
of AnyEvent. There is no reason to load it.

=head1 FUNCTIONS

=over

=item in_use

Whether AnyEvent has chosen its event loop.

=item send_on($process)

Sends what is left as the socket takes it.

=item give_later($process, $code, [$file, $line], $until)

Calls the code with the socket when the process has answered; or tells the error, with
that place, at that time of L<Apache2::Spawn::Process::Socket> at the latest.

=item give($process, $code, [$file, $line], $until)

The same, when the loop has come by.

=back

=head1 SEE ALSO

L<Apache2::Spawn::Process>, L<AnyEvent>

=cut
