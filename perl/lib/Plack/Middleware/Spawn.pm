package Plack::Middleware::Spawn;

# Jobs for PSGI applications: $env->{'psgix.spawn'}, and cleanup handlers that run in a job
# after the answer. Runs in httpd children, under Plack::Handler::Apache2. Must not fail a
# request for the sake of a cleanup.

use strict;
use warnings;

our $VERSION = '0.1.0';

use parent 'Plack::Middleware';

use Apache2::Spawn ();
use Plack::Util::Accessor qw(quiet);
use Scalar::Util ();

my $said;

sub call {
    my ($self, $env) = @_;
    my $jobs = $env->{'psgix.spawn'} = Plack::Middleware::Spawn::Jobs->_new($env->{'psgi.input'});
    my $answer = $self->app->($env);
    if (ref $answer eq 'ARRAY') {
        $self->_leave($env, $jobs, $answer->[0]);
        return $answer;
    }
    return ref $answer eq 'CODE' ? $self->_later($env, $jobs, $answer) : $answer;
}

# Handlers may come until the stream is closed. The answer and its headers are the application's:
# Plack::Util::response_cb would take Content-Length away.
sub _later {
    my ($self, $env, $jobs, $answer) = @_;
    return sub {
        my ($respond) = @_;
        my $status;
        my $leave = sub { return $self->_leave($env, $jobs, $status) };
        my @got = $answer->(
            sub {
                my ($response) = @_;
                $status = $response->[0];
                $leave->();
                my $writer = $respond->($response);
                return @{$response} > 2 || !ref $writer ? $writer : Plack::Middleware::Spawn::Writer->_new($writer, $leave);
            });
        $leave->() if defined $status;    # not all close what they write to
        return @got;
    };
}

# Handlers that name a function become jobs; the others stay, for the server.
sub _leave {
    my ($self, $env, $jobs, $status) = @_;
    my $handlers = $env->{'psgix.cleanup.handlers'};
    return if ref $handlers ne 'ARRAY' || !@{$handlers};
    my @stay;
    for my $handler (@{$handlers}) {
        my @job = ref $handler eq 'ARRAY' ? @{$handler} : ref $handler ? () : ($handler, [ _plain($env) ]);
        if (ref $handler && ref $handler ne 'ARRAY') {
            push @stay, $handler;
            $self->_say_once($env) if $jobs->{r};
        }
        elsif (!@job || !defined $job[0]) {
            _tell($env, 'a cleanup handler is empty; wanted: the name of a function, or [ name, [ arguments ] ]');
        }
        elsif ($jobs->{r}) {
            local ($@, $SIG{__DIE__});
            eval { $jobs->cleanup(@job); 1 } or _tell($env, "$@");
        }
        else {
            push @stay, _here($env, $status, @job);
        }
    }
    @{$handlers} = @stay;
    return;
}

sub _tell {
    my ($env, $text) = @_;
    $env->{'psgi.errors'}->print('Plack::Middleware::Spawn: ', $text =~ s/\n*\z/\n/r);
    return;
}

# What of the environment can travel. Arguments of jobs are kept: passwords and cookies stay here.
my $private = qr/\A(?:(?:REDIRECT_)*HTTP_(?:AUTHORIZATION|PROXY_AUTHORIZATION|COOKIE)|plack\.cookie\.string)\z/;

sub _plain {
    my ($env) = @_;
    return {
        map { ($_ => $env->{$_}) }
        grep { $_ !~ $private && defined $env->{$_} && ref \$env->{$_} eq 'SCALAR' } keys %{$env}
    };
}

# Under another server: as it runs others, if the status is one that only_if wants. More of the
# answer's end such a server does not tell.
sub _here {
    my ($env, $status, $what, @rest) = @_;
    my $arguments = ref $what ? undef : shift @rest;
    my @options;
    while (my ($name, $value) = splice @rest, 0, 2) {
        if (!defined $name || $name ne 'only_if') {
            push @options, $name, $value;
            next;
        }
        my %runs = (success => $status < 400, error => $status >= 400, aborted => 0);
        my $runs = $runs{ $value // '' };
        _tell($env, 'only_if: ' . (defined $value ? "'$value'" : 'undef') . ' is not allowed; wanted: success, error or aborted')
            if !defined $runs;
        return if !$runs;
    }
    return sub { Apache2::Spawn->spawn($what, @options) } if ref $what;
    return sub { no strict 'refs'; &{$what}(@{ $arguments || [] }) };    ## no critic (ProhibitNoStrict)
}

sub _say_once {
    my ($self, $env) = @_;
    return if $said++ || $self->quiet;
    $env->{'psgi.errors'}->print('Plack::Middleware::Spawn: a code reference in psgix.cleanup.handlers runs in this child '
            . 'of httpd, which serves nobody else meanwhile, since code cannot travel to another process; push the name of a '
            . "function, or [ name, [ arguments ] ]; this is said once for each process\n");
    return;
}

# The server's writer. Its close leaves what has come.
package Plack::Middleware::Spawn::Writer;

our $AUTOLOAD;

sub _new {
    my ($class, $writer, $leave) = @_;
    return bless { writer => $writer, leave => $leave }, $class;
}

sub write {    ## no critic (ProhibitBuiltinHomonyms)
    my ($self, @parts) = @_;
    return $self->{writer}->write(@parts);
}

sub close {    ## no critic (ProhibitBuiltinHomonyms)
    my ($self) = @_;
    $self->{leave}->();
    return $self->{writer}->close;
}

sub can {
    my ($self, $name) = @_;
    return $self->SUPER::can($name) || (ref $self && $self->{writer}->can($name));
}

# What servers have more, as poll_cb.
sub AUTOLOAD {    ## no critic (ProhibitAutoloading)
    my ($self, @arguments) = @_;
    my $name = $AUTOLOAD =~ s/.*:://r;
    return if $name eq 'DESTROY';
    return $self->{writer}->$name(@arguments);
}

package Plack::Middleware::Spawn::Jobs;

# With the request of httpd, where there is one.
sub _new {
    my ($class, $input) = @_;
    my $r = Scalar::Util::blessed($input) && $input->isa('Apache2::RequestRec') ? $input : undef;
    return bless { r => $r }, $class;
}

my %of_request = (
    spawn => 'spawn', run => 'spawn_run', spawn_call => 'spawn_call', pipe => 'spawn_pipe', cleanup => 'spawn_cleanup',
);

for my $name (keys %of_request, qw(call open3 job list new_id)) {
    no strict 'refs';    ## no critic (ProhibitNoStrict)
    *{$name} = sub {
        my $r = $of_request{$name} ? $_[0]{r} : undef;
        my ($on, $method) = $r ? ($r, $of_request{$name}) : ('Apache2::Spawn', $name);
        my ($want, $error, @got) = (wantarray);
        {
            local ($@, $SIG{__DIE__});
            next if eval {
                if    ($want)         { @got    = $on->$method(@_[ 1 .. $#_ ]) }
                elsif (defined $want) { $got[0] = $on->$method(@_[ 1 .. $#_ ]) }
                else                  { $on->$method(@_[ 1 .. $#_ ]) }
                1;
            };
            $error = \(my $thrown = $@);
        }
        die _from_line(${$error}, caller) if $error;
        return $want ? @got : $got[0];
    };
}

# The line of the application, as without us.
sub _from_line {
    my ($error, undef, $file, $line) = @_;
    @{$error}{qw(file line)} = ($file, $line) if Scalar::Util::blessed($error) && $error->isa('Apache2::Spawn::Error');
    return $error;
}

1;

__END__

=encoding UTF-8

=head1 NAME

Plack::Middleware::Spawn - jobs for PSGI applications, and cleanup handlers that hold no child

=head1 SYNOPSIS

    # app.psgi, under Plack::Handler::Apache2
    use Plack::Builder;
    builder {
        enable 'Spawn';
        sub {
            my ($env) = @_;
            my $spawn = $env->{'psgix.spawn'};
            my $res = $spawn->run(['/usr/bin/identify', $file], timeout => 5);
            my $job = $spawn->spawn_call('My::Report::build', [ $id ], queue => 'reports');

            # when the client has its answer, in no child of httpd
            push @{ $env->{'psgix.cleanup.handlers'} },
                'My::Stats::record',                                # My::Stats::record($env)
                [ 'My::Mail::confirm', [ $order ], queue => 'mail' ],
                [ [ '/usr/bin/rsync', '-a', $from, $to ] ];
            return [ 200, [ 'Content-Type' => 'text/plain' ], ["done\n"] ];
        };
    };

In httpd.conf:

    PerlModule Apache2::Spawn
    PerlModule My::Stats My::Mail My::Report
    <Location />
        SetHandler perl-script
        PerlResponseHandler Plack::Handler::Apache2
        PerlSetVar psgi_app /srv/app/app.psgi
    </Location>

=head1 DESCRIPTION

L<Plack::Handler::Apache2> runs C<psgix.cleanup.handlers> when the client has its answer, in the child
that gave it: as long as one works, the child serves nobody. With this middleware a handler that
I<names a function> (or is a program) is a job instead, in a process of its own
(L<< C<< $r->spawn_cleanup >>|Apache2::Spawn::Httpd/AFTER THE ANSWER >>). Enable it
first, so that it is around all others.

=head2 Handlers

An element of C<< $env->{'psgix.cleanup.handlers'} >> may be:

=over

=item text

The full name of a function. It is called in the job with one argument: a reference to a hash, the
plain values of C<$env> (texts and numbers; no handles, objects and other references, and so no
C<psgi.input>), without C<HTTP_AUTHORIZATION>, C<HTTP_PROXY_AUTHORIZATION> and C<HTTP_COOKIE> (and
what httpd and Plack make of them). See L</Private data is in the store>.

=item reference to an array

The arguments of L<< C<spawn_cleanup>|Apache2::Spawn::Httpd/AFTER THE ANSWER >>: a function, its
arguments, options; or a program (which is an array itself) and options.

=item code reference

Stays, and runs as before, in the child. Code cannot travel to another process: it is compiled
there and nowhere else, and what it closes over is memory of this process. The error log says so once
for each process (C<quiet>).

=back

The job's process is forked from a template. The default one, C<app>, has what httpd.conf loads
(C<PerlModule>), and not what F<app.psgi> loads, which a child reads when it is first asked: so the
module of such a function belongs in httpd.conf, or in the option C<load>:
C<< [ 'My::Mail::confirm', [ $order ], load => 'My::Mail' ] >>.

Handlers count that are there when the response is returned, and, of a stream, when it is closed. What
is wrong with one is told in C<psgi.errors>; the answer is not touched.

=head2 Private data is in the store

The arguments of a job wait with it in the store, which only httpd's user can read, are kept with its
record, and can be seen on the status page and by C<spawnctl show>. A handler that is only a name has
the request there but for its passwords and cookies: all other headers, the query, the client's address,
and each text that middleware puts into C<$env>. Where that is too much name what it needs:
C<< [ 'My::Stats::record', [ $env->{PATH_INFO} ] ] >>. Do not put a store where others can read it.

=head2 Other servers

Where C<psgi.input> is not mod_perl's request (C<plackup>, Starman), names and arrays are turned
into code, which the server runs as it runs others, if it has C<psgix.cleanup>; programs and the methods below go to the broker that
C<$ENV{SPAWN_SOCKET}> names. Of C<only_if> the status counts, and C<aborted> is never so.

=head1 CONFIGURATION

=over

=item C<quiet> => 0 or 1

1: the error log is not told of code references. Default: 0.

=back

=head1 METHODS

=over

=item call($env)

Of the middleware; not called by hand. Returns the application's response.

=back

Of C<< $env->{'psgix.spawn'} >>:

=over

=item spawn, run, spawn_call, call, pipe, open3

=item cleanup

As of L<Apache2::Spawn>, with the same arguments, return values and exceptions. Under mod_perl the
jobs are the request's (but those of C<call> and C<open3>): its queue, its context, its
C<< until => 'request' >>.

=item job, list, new_id

As of L<Apache2::Spawn>.

=back

=head1 SEE ALSO

L<Apache2::Spawn>, L<Apache2::Spawn::Httpd>, L<Plack::Handler::Apache2>, L<Plack::Middleware>

=cut
