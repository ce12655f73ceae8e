package Apache2::Spawn::Process::Handle;

# Receives the handles that follow commands, and opens them as they were opened where
# they come from, sockets as objects.
#
# Runs in the process that is set up, when the first handle comes: a process of new_exec
# that gets none does not load this file. It must read nothing but the one byte that a
# handle rides on. As in Process::Serve, not even warnings are loaded.

use strict;

our $VERSION = '0.1.0';

# A handle for the function. A socket is an object, for accept and the like.
sub receive {
    my ($control) = @_;
    my $handle = _open(_receive_number($control));
    my $address = -S $handle ? getsockname $handle : undef;
    return $handle if !defined $address;
    require Socket;
    my $family = Socket::sockaddr_family($address);
    my $kind
        = $family == Socket::AF_INET()  ? 'INET'
        : $family == Socket::AF_INET6() ? 'IP'
        : $family == Socket::AF_UNIX()  ? 'UNIX'
        :                                 undef;
    if (defined $kind && eval { require "IO/Socket/$kind.pm"; 1 }) {    ## no critic (RequireBarewordIncludes)
        bless $handle, "IO::Socket::$kind";
        # what the class keeps beside the descriptor, as new_from_fd leaves it
        ${*{$handle}}{io_socket_proto} = 0;
        ${*{$handle}}{io_socket_type} = unpack 'i', getsockopt($handle, Socket::SOL_SOCKET(), Socket::SO_TYPE()) || '';
        ${*{$handle}}{io_socket_domain} = $family;
    }
    return $handle;
}

# A socket of ours.
sub receive_own {
    my ($control) = @_;
    my $fd = _receive_number($control);
    open my $socket, '+<&=', $fd or die "the socket at $fd: $!\n";    ## no critic (RequireBriefOpen)
    return $socket;
}

sub _receive_number {
    my ($control) = @_;
    require IO::FDPass;
    my $fd = IO::FDPass::recv(fileno $control);
    die "a handle did not arrive: $!\n" if $fd < 0;
    return $fd;
}

sub _open {
    my ($fd) = @_;
    open my $handle, '+<&=', $fd or die "the handle at $fd: $!\n";    ## no critic (RequireBriefOpen)
    require Fcntl;
    my $flags = fcntl $handle, Fcntl::F_GETFL(), 0;
    my $access = $flags & Fcntl::O_ACCMODE();
    return $handle if $access == Fcntl::O_RDWR();
    # a duplicate: the first one goes with its handle
    my $mode = $access == Fcntl::O_RDONLY() ? '<&' : $flags & Fcntl::O_APPEND() ? '>>&' : '>&';
    open my $right, $mode, $handle or die "the handle at $fd: $!\n";    ## no critic (RequireBriefOpen)
    return $right;
}

1;

__END__

=encoding UTF-8

=head1 NAME

Apache2::Spawn::Process::Handle - the handles that a process is sent

=head1 SYNOPSIS

    # Apache2::Spawn::Process::Serve uses this by itself

=head1 DESCRIPTION

What C<send_fh> of L<Apache2::Spawn::Process> sends is received here, and so are the
sockets of a process that is forked. There is no reason to load it: each process does
so itself, and templates have loaded it before. It needs L<IO::FDPass>.

=head1 FUNCTIONS

Both wait for the next handle that comes on C<$socket>, and die with the reason when
none does.

=over

=item receive($socket)

A handle as it was opened, to read, to write or both. A socket is an object of
L<IO::Socket>'s classes.

=item receive_own($socket)

A socket as it comes.

=back

=head1 SEE ALSO

L<Apache2::Spawn::Process>, L<Apache2::Spawn::Process::Serve>

=cut
