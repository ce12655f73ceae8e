package Apache2::Spawn::Process::End;

# The methods of Apache2::Spawn::Process that have to do with the end of the process:
# to wait for it, to bring it about, and how it came. Of a process of new its job knows
# that, of a copy its waiter, which tells of it on a socket.
#
# Runs in the caller. Must never wait longer than its user said.

use strict;
use warnings;

our $VERSION = '0.1.0';

use Apache2::Spawn::Process::Failure qw(_rethrow _throw);
use Apache2::Spawn::Process::Given qw(_is_time);
use Apache2::Spawn::Process::Socket ();
use Config ();
use Exporter qw(import);
use Socket ();

# These are methods of Apache2::Spawn::Process.
our @EXPORT_OK = qw(exit_status kill wait);

sub wait {    ## no critic (ProhibitBuiltinHomonyms)
    my ($self, $seconds) = @_;
    local ($@, $!);
    _throw('invalid', 'wait: ' . (length $seconds ? "'$seconds'" : q{''}) . ' is not a number of seconds')
        if defined $seconds && !_is_time($seconds);
    $self->_send_all(defined $seconds ? Apache2::Spawn::Process::Socket::now() + $seconds : undef, 1);
    if ($self->{job}) {
        return $self->{ended} || _wait_for_job($self, $seconds);
    }
    my $until = defined $seconds ? Apache2::Spawn::Process::Socket::now() + $seconds : undef;
    _has_waiter($self, 'wait', $until) or return '';
    while (!$self->{ended}) {
        _news($self, $until) or return '';
    }
    _known($self, 'wait');
    return 1;
}

sub exit_status {
    my ($self) = @_;
    $self->wait(0);
    return $self->{exit};
}

sub kill {    ## no critic (ProhibitBuiltinHomonyms)
    my ($self, $signal) = @_;
    local ($@, $!);
    $self->_send_all($self->_until, 1);
    if ($self->{job}) {
        my $sent;
        CORE::eval { $sent = $self->{job}->kill(defined $signal ? $signal : 'TERM'); 1 } or _rethrow($@);
        return $sent;
    }
    my $number = _signal_number(defined $signal ? $signal : 'TERM');
    my $until  = $self->_until;
    my $there  = _has_waiter($self, 'kill', $until);
    # An earlier call may have gone without its answer, which comes before this one's.
    my $sent = $there && !$self->{ended} && send $self->{status}, "kill $number", Socket::MSG_NOSIGNAL();
    $self->{kills}++ if $sent;
    delete $self->{killed};
    while (!$self->{ended} && (!$sent || $self->{kills})) {
        $there && _news($self, $until) or _throw('deadline', "kill: no answer in $self->{deadline} s", job => $self->{job});
    }
    _known($self, 'kill');
    return $self->{killed} ? 1 : '';
}

sub _signal_number {
    my ($signal) = @_;
    my @names  = split / /, $Config::Config{sig_name};
    my %number = map { $names[$_] => $_ } 1 .. $#names;
    return $signal if $signal =~ /\A[1-9]\d*\z/ && $signal <= 64;
    (my $name = $signal) =~ s/\ASIG//;
    return $number{$name} if exists $number{$name};
    return _throw('invalid', "kill: no signal '$signal'");
}

sub _wait_for_job {
    my ($self, $seconds) = @_;
    my $result;
    CORE::eval { $result = $self->{job}->wait(defined $seconds ? $seconds : ()); 1 } or _rethrow($@);
    return '' if !$result;
    $self->{ended} = 1;
    $self->{exit} = $result->exit_code << 8 if defined $result->exit_code;
    $self->{exit} = $result->signal | ($result->core ? 128 : 0) if defined $result->signal;
    $self->{pid} = $result->pid if !defined $self->{pid};
    return 1;
}

# The waiter of a copy tells of it, from the moment on when the copy is made; without a
# waiter there is no copy, and will be none. False when neither is known in time.
sub _has_waiter {
    my ($self, $method, $until) = @_;
    return 1 if $self->{status} || $self->{ended};
    _throw('invalid', "$method: a process that came by new_from_fh is not known here;"
            . ' ask the object that to_fh was called of, or watch the handle') if !$self->{forked};
    my $came_to = $self->{fh} ? Apache2::Spawn::Process::Socket::waiter($self, $until) : 'ended';
    return '' if $came_to eq 'late';
    _throw('system', "$method: the socket to the process; it is let go, and nobody knows what becomes of it", step => 'receive', errno => $self->{errno})
        if $self->{errno};
    $self->{ended} = 1 if $came_to ne 'there';
    return 1;
}

# A message of the waiter; false when none came in time.
sub _news {
    my ($self, $until) = @_;
    Apache2::Spawn::Process::Socket::readable($self->{status}, $until) or return;
    my $got = sysread $self->{status}, my $said, 100;
    return 1 if !defined $got && ($!{EINTR} || $!{EAGAIN});
    if (!$got) {
        $self->{ended} = 1;
        $self->{lost} = 1 if $self->{waiter};
        return 1;
    }
    my ($what, $number) = $said =~ /\A(\w+) (\d+)/ or return 1;
    if ($what eq 'pid')       { $self->{pid} = $self->{waiter} = $number + 0 }
    elsif ($what eq 'killed') { $self->{killed} = $number + 0; $self->{kills}-- }
    elsif ($what eq 'exit')   { @{$self}{qw(ended exit waiter)} = (1, $number + 0, 0) }
    return 1;
}

sub _known {
    my ($self, $method) = @_;
    return if !$self->{lost};
    return _throw('unreachable', "$method: the process that waits for process $self->{pid} is gone; nobody knows what becomes of it");
}

1;

__END__

=encoding UTF-8

=head1 NAME

Apache2::Spawn::Process::End - methods for the end of a process

=head1 SYNOPSIS

    use Apache2::Spawn::Process ();     # uses this by itself

=head1 DESCRIPTION

The methods C<wait>, C<kill> and C<exit_status> of L<Apache2::Spawn::Process>, where they
are described. There is no reason to load it, and nothing in it to call.

=head1 SEE ALSO

L<Apache2::Spawn::Process>, L<Apache2::Spawn::Job>

=cut
