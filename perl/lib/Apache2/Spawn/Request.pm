package Apache2::Spawn::Request;

# The copy of a request that a cleanup handler gets: it has the methods of
# Apache2::RequestRec, to be read. Runs in the job of SpawnCleanupHandler. Must never act on
# the client or on httpd: the answer is out.

use strict;
use warnings;

our $VERSION = '0.1.0';

use Carp                                ();
use Apache2::Spawn::Request::Connection ();
use Apache2::Spawn::Request::Log        ();
use Apache2::Spawn::Request::Server     ();
use Apache2::Spawn::Request::Table      ();

# Fields that are plain values, copied as they are from Apache2::RequestRec.
my @fields = qw(
    ap_auth_type args assbackwards auth_name auth_type bytes_sent content_encoding content_type document_root
    filename get_server_name get_server_port handler header_only hostname location log_id
    method method_number mtime path_info proto_num protocol proxyreq request_time status status_line
    the_request unparsed_uri uri used_path_info user useragent_ip
);
my @tables = qw(headers_in headers_out err_headers_out notes subprocess_env dir_config);

# Methods that would act on the client, or on httpd.
my @gone = qw(
    add_config child_terminate custom_response discard_request_body filter_input internal_redirect
    location_merge lookup_file lookup_uri meets_conditions print printf puts push_handlers read rflush
    send_cgi_header send_error_response sendfile set_basic_credentials set_content_length set_etag
    set_handlers set_keepalive set_last_modified slurp_filename spawn_cleanup write
);
my @not_copied = qw(
    get_handlers get_remote_logname input_filters output_filters per_dir_config pool proto_input_filters proto_output_filters
    request_config
);

sub fields { return @fields }

sub new {
    my ($class, $copy, $context) = @_;
    my %self = %{$copy};
    # how it ended is known only now
    $context ||= {};
    for my $name (qw(status bytes_sent)) {
        $self{$name} = $context->{$name} if defined $context->{$name};
    }
    $self{connection} = Apache2::Spawn::Request::Connection->new({
        %{ $copy->{connection} || {} }, aborted => $context->{aborted} ? 1 : 0,
    });
    for my $name (@tables) {
        $self{$name} = Apache2::Spawn::Request::Table->new($copy->{$name} || []);
    }
    $self{server} = Apache2::Spawn::Request::Server->new($copy->{server} || {});
    $self{pnotes} = $copy->{pnotes} || {};
    return bless \%self, $class;
}

sub _read_only {
    my ($name) = @_;
    Carp::croak("\$r->$name cannot be set: the answer has been sent, and this is a copy of the request");
}

for my $name (@fields) {
    no strict 'refs';    ## no critic (ProhibitNoStrict)
    *{$name} = sub {
        _read_only($name) if @_ > 1;
        return $_[0]{$name};
    };
}

# A whole table, or one value of it.
for my $name (@tables) {
    no strict 'refs';    ## no critic (ProhibitNoStrict)
    *{$name} = sub {
        my ($self, $key, @value) = @_;
        _read_only($name) if @value;
        return defined $key ? $self->{$name}->get($key) : $self->{$name};
    };
}

for my $name (@gone) {
    no strict 'refs';    ## no critic (ProhibitNoStrict)
    *{$name} = sub {
        Carp::croak("\$r->$name: the answer has been sent; this is a copy of the request, in another process");
    };
}

for my $name (@not_copied) {
    no strict 'refs';    ## no critic (ProhibitNoStrict)
    *{$name} = sub {
        Carp::croak("\$r->$name stays in httpd: this is a copy of the request, in another process");
    };
}

sub connection     { return $_[0]{connection} }
sub server         { return $_[0]{server} }
sub log            { return Apache2::Spawn::Request::Log->new }    ## no critic (ProhibitBuiltinHomonyms)
sub main           { return }
sub prev           { return }
sub next           { return }                                      ## no critic (ProhibitBuiltinHomonyms)
sub is_initial_req { return 1 }

sub log_error { my ($self, @text) = @_; return $self->log->error(@text) }
sub warn      { my ($self, @text) = @_; return $self->log->warn(@text) }    ## no critic (ProhibitBuiltinHomonyms)

sub log_reason {
    my ($self, $text, $file) = @_;
    $file = $self->uri if !defined $file;
    return $self->log->error("access to $file failed, reason: $text");
}

# Set, they are not for the request, but for the other handlers of this job.
sub pnotes {
    my ($self, $key, @value) = @_;
    return $self->{pnotes} if !defined $key;
    $self->{pnotes}{$key} = $value[0] if @value;
    return $self->{pnotes}{$key};
}

sub as_string {
    my ($self) = @_;
    my $in  = $self->the_request . "\n" . $self->headers_in->_lines . "\n";
    my $out = join q{ }, grep { defined && length } $self->protocol,
        defined $self->status_line ? $self->status_line : $self->status;
    return "$in$out\n" . $self->headers_out->_lines . $self->err_headers_out->_lines . "\n";
}

# For code that asks whether its argument is a request.
sub isa {
    my ($self, $class) = @_;
    return $class eq 'Apache2::RequestRec' || UNIVERSAL::isa($self, $class);
}

our $AUTOLOAD;

sub AUTOLOAD {    ## no critic (ProhibitAutoloading)
    my ($self) = @_;
    (my $name = $AUTOLOAD) =~ s/.*:://;
    Carp::croak("\$r->$name is not known of a request after its answer; see Apache2::Spawn::Request for what is");
}

sub DESTROY { }

1;

__END__

=encoding UTF-8

=head1 NAME

Apache2::Spawn::Request - the request that a cleanup handler gets

=head1 SYNOPSIS

    # SpawnCleanupHandler My::Stats

    package My::Stats;

    sub handler {
        my ($r) = @_;
        return if $r->connection->aborted;
        record($r->user, $r->method, $r->uri, $r->status, $r->bytes_sent,
            $r->connection->remote_ip, $r->headers_in->get('User-Agent'),
            $r->pnotes('cart'));
        return 0;
    }

=head1 DESCRIPTION

A handler of C<SpawnCleanupHandler> runs when the request has ended, in another
process. Its argument is a copy of what was known of the request, with the
methods of L<Apache2::RequestRec> and its relatives, to be read and not to be
set. It says to be an C<Apache2::RequestRec> when it is asked by C<isa>.

The copy is made in mod_perl's log phase. C<status>, C<bytes_sent> and
C<< connection->aborted >> are those of the very end. When httpd redirected the
request inside (C<ErrorDocument>), C<status>, C<status_line>, C<content_type>,
C<content_encoding>, C<headers_out>, C<err_headers_out> and C<bytes_sent> are those of
the answer, and all else is of the request that the client made; C<notes> and
C<pnotes> have those of both.

=head1 METHODS

=head2 Plain values

=over

=item ap_auth_type, args, assbackwards, auth_name, auth_type, bytes_sent,
content_encoding, content_type, document_root, filename, get_server_name, get_server_port, handler, header_only, hostname, location,
log_id, method, method_number, mtime, path_info, proto_num, protocol, proxyreq,
request_time, status, status_line, the_request, unparsed_uri, uri,
used_path_info, user, useragent_ip

As of L<Apache2::RequestRec>, L<Apache2::RequestUtil> and L<Apache2::Access>. What this
mod_perl has no method for is undef. With an argument, to set a value, they die.

=back

=head2 Tables

=over

=item headers_in, headers_out, err_headers_out, notes, subprocess_env, dir_config

An L<Apache2::Spawn::Request::Table>; with a name, that value of it.

=back

=head2 pnotes

    $r->pnotes('cart');
    $r->pnotes(key => $value);

What could be sent of the request's. They can be set, for the next handler of the
same request.

=head2 Objects

=over

=item connection

L<Apache2::Spawn::Request::Connection>

=item server

L<Apache2::Spawn::Request::Server>

=item log

L<Apache2::Spawn::Request::Log>

=item main, prev, next

undef: this stands for all of the client's request.

=item is_initial_req

1.

=back

=head2 Messages

=over

=item log_error, warn, log_reason

A line of the error log, with the job's id.

=item as_string

Request line and headers of both ways, as text.

=back

=head2 Ours

=over

=item new, fields

The copy's making; not called by hand.

=item isa

True for C<Apache2::RequestRec>.

=back

=head1 WHAT IS NOT THERE

The answer has been sent: C<print>, C<internal_redirect>, C<custom_response>, and
whatever else would act on the client or on httpd, dies and says so; so do C<pool>,
filters and handlers, which stay in httpd, and methods of other modules that add
some to the request (C<< Apache2::Request->new($r) >>, to name one: the request's body
is not there; parse it in the request and hand it on by C<pnotes>).

=head1 SEE ALSO

L<Apache2::Spawn::Cleanup>

=cut
