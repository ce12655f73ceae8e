package Apache2::Spawn::Process::Handle;

# Receives the handles that ride on commands, and opens them as they were opened where
# they come from, sockets as objects.
#
# Runs in the process that is set up, when the first handle comes: a process of new_exec
# that gets none does not load this file. It must read nothing but the bytes that
# handles ride on. As in Process::Serve, not even warnings are loaded.

use strict;

our $VERSION = '0.1.0';

require XSLoader;
XSLoader::load('Apache2::Spawn::Process::Serve', $VERSION);

# The handles of a command, for the function. A socket is an object, for accept and the
# like.
sub receive {
    my ($control) = @_;
    my ($count, @given) = Apache2::Spawn::Process::Serve::_receive(fileno $control, 1);
    die "handles did not arrive: $!\n" if !defined $count || 2 * ord $count != @given;
    my @handles;
    while (my ($fd, $mode) = splice @given, 0, 2) {
        open my $handle, "$mode&=", $fd or die "the handle at $fd: $!\n";    ## no critic (RequireBriefOpen)
        push @handles, $mode eq '+<' && -S $handle ? _socket($handle) : $handle;
    }
    return @handles;
}

sub _socket {
    my ($handle) = @_;
    my $address = getsockname $handle;
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

1;

__END__

=encoding UTF-8

=head1 NAME

Apache2::Spawn::Process::Handle - the handles that a process is sent

=head1 SYNOPSIS

    # Apache2::Spawn::Process::Serve uses this by itself

=head1 DESCRIPTION

What C<send_fh> of L<Apache2::Spawn::Process> sends is received here. There is no reason
to load it: each process does so itself, and templates have loaded it before.

=head1 FUNCTIONS

=over

=item receive($socket)

The handles of the command that comes on C<$socket>, each as it was opened, to read, to
write or both. A socket is an object of L<IO::Socket>'s classes. Waits for them, and dies
with the reason when they do not come.

=back

=head1 SEE ALSO

L<Apache2::Spawn::Process>, L<Apache2::Spawn::Process::Serve>

=cut
