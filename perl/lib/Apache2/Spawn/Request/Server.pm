package Apache2::Spawn::Request::Server;

# The server of a request's copy. Runs in the job of SpawnCleanupHandler. Must only be
# read.

use strict;
use warnings;

our $VERSION = '0.1.0';

use Carp                           ();
use Apache2::Spawn::Request::Log   ();
use Apache2::Spawn::Request::Table ();

sub new {
    my ($class, $copy) = @_;
    my $table = Apache2::Spawn::Request::Table->new($copy->{dir_config} || []);
    return bless { %{$copy}, dir_config => $table }, $class;
}

for my $name (qw(is_virtual port server_admin server_hostname)) {
    no strict 'refs';    ## no critic (ProhibitNoStrict)
    *{$name} = sub {
        Carp::croak("\$s->$name cannot be set: this is a copy, in another process than httpd's") if @_ > 1;
        return $_[0]{$name};
    };
}

sub dir_config {
    my ($self, $key) = @_;
    return defined $key ? $self->{dir_config}->get($key) : $self->{dir_config};
}

sub log       { return Apache2::Spawn::Request::Log->new }                           ## no critic (ProhibitBuiltinHomonyms)
sub log_error { my ($self, @text) = @_; return $self->log->error(@text) }
sub warn      { my ($self, @text) = @_; return $self->log->warn(@text) }    ## no critic (ProhibitBuiltinHomonyms)

1;

__END__

=encoding UTF-8

=head1 NAME

Apache2::Spawn::Request::Server - the server of a request after its answer

=head1 SYNOPSIS

    my $host = $r->server->server_hostname;

=head1 DESCRIPTION

A copy of what L<Apache2::ServerRec> tells of the virtual host.

=head1 METHODS

=over

=item server_hostname, server_admin, port, is_virtual

As in httpd.conf. They cannot be set.

=item dir_config

An L<Apache2::Spawn::Request::Table> of the server's PerlSetVars; with a name, that
value of it.

=item log, log_error, warn

L<Apache2::Spawn::Request::Log>, and lines of it.

=item new

Not called by hand.

=back

=head1 SEE ALSO

L<Apache2::Spawn::Request>

=cut
