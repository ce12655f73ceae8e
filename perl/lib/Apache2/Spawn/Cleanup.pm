package Apache2::Spawn::Cleanup;

# SpawnCleanupHandler's part in Perl: copies the request in mod_perl's log phase, and runs
# the handlers. Runs in httpd children (handler), and in the job (the part below). Must not
# fail a request: its answer is out.

use strict;
use warnings;

our $VERSION = '0.1.0';

use Apache2::Spawn          ();
use Apache2::Spawn::Request ();
use Scalar::Util            ();
use Sereal::Encoder         ();

# The parts of a copy beside Apache2::Spawn::Request's fields.
my @tables = qw(headers_in headers_out err_headers_out notes subprocess_env);

# These are from the request that gave the answer, when httpd has redirected the client's.
my %of_the_answer = map { $_ => 1 }
    qw(status status_line content_type content_encoding headers_out err_headers_out bytes_sent);

my @connection = qw(remote_ip remote_host local_ip local_host keepalives id);
my @server     = qw(server_hostname server_admin port is_virtual);

# ---- in httpd, in mod_perl's log phase ----

my %warned;

sub handler {
    my ($r) = @_;
    my @handlers = _handlers($r);
    local $@ = '';
    return 0 if !@handlers || eval { _leave($r, \@handlers); 1 };
    $r->log_error("SpawnCleanupHandler @handlers: $@");
    return 0;
}

sub _leave {
    my ($r, $handlers) = @_;
    my $copy = _copy($r);
    for my $less (undef, 'pnotes', 'notes', 'subprocess_env') {
        if (defined $less) {
            delete $copy->{$less};
            _warn_once($r, $less, 'the request is too big to be sent with them');
        }
        return if eval {
            $r->spawn_cleanup(
                'Apache2::Spawn::Cleanup::run', [$handlers, $copy],
                load   => 'Apache2::Spawn::Cleanup',
                label  => "SpawnCleanupHandler @{$handlers}" =~ s/\A(.{0,190}).*/$1/sr,
                stdout => 'log',
                stderr => 'log',
            );
            1;
        };
        my $error = $@;
        die $error if !_too_big($error);
    }
    die "the request is too big to be sent\n";
}

sub _too_big {
    my ($error) = @_;
    return Scalar::Util::blessed($error) && $error->isa('Apache2::Spawn::Error') && $error->code eq 'too_big';
}

my $loaded;

sub _load_mod_perl {
    return if $loaded++;
    _require($_)
        for qw(Apache2::RequestRec Apache2::RequestUtil Apache2::Connection Apache2::ServerRec
        Apache2::ServerUtil Apache2::Access Apache2::Log APR::Table);
    return;
}

sub _copy {
    my ($r) = @_;
    _load_mod_perl();
    my $last = $r;
    while (my $next = $last->next) {
        $last = $next;
    }
    my %copy;
    for my $name (grep { $_ ne 'proxyreq' } Apache2::Spawn::Request::fields()) {
        my $from = $of_the_answer{$name} ? $last : $r;
        $copy{$name} = _value($from, $name);
        $copy{$name} = _value($last, $name) if !defined $copy{$name} && $last != $r;
    }
    for my $name (@tables) {
        $copy{$name} = _pairs($of_the_answer{$name} ? $last : $r, $name);
    }
    if ($last != $r) {
        push @{ $copy{notes} }, @{ _pairs($last, 'notes') };
    }
    $copy{proxyreq}   = _proxyreq($r);
    $copy{dir_config} = _pairs($r, 'dir_config');
    $copy{pnotes}     = _pnotes($r, $last != $r ? ($r->pnotes, $last->pnotes) : $r->pnotes);
    $copy{connection} = _values($r->connection, @connection);
    $copy{connection}{remote_ip} = _value($r, 'useragent_ip')
        if defined _value($r, 'useragent_ip');
    $copy{server} = _values($r->server, @server);
    $copy{server}{dir_config} = _pairs($r->server, 'dir_config');
    return \%copy;
}

# A value; undef when there is no such method (here, or in this mod_perl).
sub _value {
    my ($object, $name) = @_;
    my $value = eval { $object->$name };
    return ref $value ? undef : $value;
}

sub _values {
    my ($object, @names) = @_;
    return { map { $_ => _value($object, $_) } @names };
}

# The pairs of a table, in their order, those with the same name too.
sub _pairs {
    my ($object, $name) = @_;
    my @pairs;
    my $table = eval { $object->$name } or return [];
    $table->do(sub { push @pairs, $_[0], $_[1]; return 1 });
    return \@pairs;
}

sub _pnotes {
    my ($r, @notes) = @_;
    my %all = map { %{ $_ || {} } } @notes;
    my $encoder = Sereal::Encoder->new({ croak_on_bless => 1 });
    return \%all if !%all || eval { $encoder->encode(\%all); 1 };
    for my $key (keys %all) {
        next if eval { $encoder->encode($all{$key}); 1 };
        my ($why) = $@ =~ /\A([^\n]*?)(?: at \S+ line \d+)?\.?\n/;
        delete $all{$key};
        _warn_once($r, "pnotes '$key'", "it cannot be sent to another process ($why)");
    }
    return \%all;
}

sub _warn_once {
    my ($r, $what, $why) = @_;
    return if $warned{$what}++;
    $r->log->warn("SpawnCleanupHandler: $what is left out of the requests that handlers get: $why;"
            . ' this is said once for each process');
    return;
}

# ---- in the job ----

sub run {
    my ($handlers, $copy) = @_;
    my $context = Apache2::Spawn->job->context;
    my $r       = Apache2::Spawn::Request->new($copy, $context);
    my @failed;
    for my $handler (@{$handlers}) {
        next if eval { _call($handler, $r); 1 };
        print {*STDERR} "SpawnCleanupHandler $handler: $@", $@ =~ /\n\z/ ? '' : "\n";
        push @failed, $handler;
    }
    die 'failed: ' . join(', ', @failed) . "; what each said stands in the error log\n" if @failed;
    return;
}

# As mod_perl finds a handler: Class->method, a function, or the function
# `handler` of a module, which is a method when it has that attribute.
sub _call {
    my ($given, $r) = @_;
    my ($name) = $given =~ /\A[+-]?(.*)\z/s;    # by the configuration: not tainted
    if ($name =~ /\A(.+)->(\w+)\z/) {
        my ($class, $method) = ($1, $2);
        _require($class) if !$class->can($method);
        return $class->$method($r);
    }
    no strict 'refs';    ## no critic (ProhibitNoStrict)
    my $class = $name;
    if (!defined &{$name} && !defined &{"${name}::handler"} && !eval { _require($name); 1 }) {
        my $error = $@;
        my ($module) = $name =~ /\A(.+)::\w+\z/;
        die $error if !defined $module || $error !~ /\ACan't locate \S+ in \@INC/;
        eval { _require($module); 1 } or die $@ =~ /\ACan't locate \S+ in \@INC/ ? $error : $@;
        die "there is neither a module '$name' nor a function of that name in $module\n" if !defined &{$name};
    }
    return &{$name}($r) if defined &{$name};
    my $handler = $class->can('handler') or die "the module $class has no function 'handler'\n";
    require attributes;
    return $class->$handler($r) if grep { $_ eq 'method' } attributes::get($handler);
    return $handler->($r);
}

sub _require {
    my ($module) = @_;
    (my $file = "$module.pm") =~ s{::}{/}g;
    require $file;
    return;
}

1;

__END__

=encoding UTF-8

=head1 NAME

Apache2::Spawn::Cleanup - cleanup handlers that hold no child

=head1 SYNOPSIS

In httpd.conf, where C<PerlCleanupHandler My::Stats> stood:

    PerlModule Apache2::Spawn
    PerlModule My::Stats

    <Location /shop>
        SpawnCleanupHandler My::Stats
    </Location>

In F<My/Stats.pm>, as before:

    sub handler {
        my ($r) = @_;
        record($r->user, $r->uri, $r->status, $r->bytes_sent);
        return Apache2::Const::OK;
    }

=head1 DESCRIPTION

A C<PerlCleanupHandler> runs when the client has its answer, but in the child
that gave it: as long as it works, the child serves nobody. A handler of
C<SpawnCleanupHandler> runs in a process of its own, forked from a template, and
the child is free at once.

That process cannot have the request itself. It gets a copy of the request's values,
L<Apache2::Spawn::Request>, which has the same method names.

This module does both halves, and nobody has to load it. mod_spawn has mod_perl
run its C<handler> in the log phase of each request that has
C<SpawnCleanupHandler>s: it makes the copy and leaves one job for all of them.
In that job C<run> calls them, one after another in the order of
httpd.conf. The error log names a handler that dies, with its text, and the
next handler runs; in the end the job's record says which have failed. Return values of
handlers are ignored.

The job runs in the queue that C<SpawnDefaultQueue> names for the request, else in
C<default>, in the template C<app> unless the queue has
another; its output goes to the error log.

=head1 HANDLERS

=over

=item C<My::Handler>

Its function C<handler> (called as a method when it is C<sub handler : method>), or
the function of that name. A module that its template does not have is loaded
in the job; C<+My::Handler> means the same.

=item C<< My::Class->method >>

=item C<none>

No handlers here, whatever the sections around say.

=back

Handlers of one section stack, in one directive or in several. Those of an inner
section take the place of an outer section's, as those of C<PerlCleanupHandler>
do. A piece of code (C<sub { ... }>) cannot travel to another process and is
refused.

Which handlers a request has is decided by the URL that the client asked for, also
when httpd redirected it inside (C<ErrorDocument>, C<internal_redirect>); subrequests
have none of their own.

=head1 FUNCTIONS

=over

=item handler

mod_perl's log phase; not called by hand.

=item run

The job; not called by hand.

=back

=head1 TYPICAL PROBLEMS

=head2 "pnotes 'x' is left out"

Objects, code and handles stay in their process. Put plain data into C<pnotes> for
the handler: what the object was made from.

=head2 The handler does not find its database handle

Connections of httpd's children are not there. Connect in the handler (a job is a
process of its own and ends with it), or better in C<< Apache2::Spawn->after_fork >>.

=head2 Private data is in the store

The copy has the request's headers, cookies and passwords included, and waits with
its job in the store, which only httpd's user can read. Do not put a store where
others can.

=head1 SEE ALSO

L<Apache2::Spawn::Request>, L<Apache2::Spawn::Httpd>; F<migrating.md> and
F<directives.md> in the documents of mod_spawn.

=cut
