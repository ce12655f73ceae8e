package Apache2::Spawn::Request::Connection;

# The connection of a request's copy. Runs in the job of SpawnCleanupHandler. Must only be
# read.

use strict;
use warnings;

our $VERSION = '0.1.0';

use Carp ();

sub new {
    my ($class, $copy) = @_;
    return bless { %{$copy} }, $class;
}

for my $name (qw(aborted id keepalives local_host local_ip remote_host remote_ip)) {
    no strict 'refs';    ## no critic (ProhibitNoStrict)
    *{$name} = sub {
        Carp::croak("\$c->$name cannot be set: the answer has been sent, and this is a copy") if @_ > 1;
        return $_[0]{$name};
    };
}

sub client_ip { return $_[0]{remote_ip} }

sub get_remote_host {
    my ($self) = @_;
    return defined $self->{remote_host} ? $self->{remote_host} : $self->{remote_ip};
}

1;

__END__

=encoding UTF-8

=head1 NAME

Apache2::Spawn::Request::Connection - the connection of a request after its answer

=head1 SYNOPSIS

    my $c = $r->connection;
    return if $c->aborted;
    record($c->remote_ip);

=head1 DESCRIPTION

A copy of what L<Apache2::Connection> tells. It cannot be set.

=head1 METHODS

=over

=item aborted

1 when the client went before it had the whole answer.

=item remote_ip, client_ip

The client's address (behind a proxy: what mod_remoteip makes of it).

=item remote_host, get_remote_host

Its name if httpd knew it; C<get_remote_host> else gives the address. Nobody is asked.

=item local_ip, local_host, id, keepalives

As they were.

=item new

Not called by hand.

=back

=head1 SEE ALSO

L<Apache2::Spawn::Request>

=cut
