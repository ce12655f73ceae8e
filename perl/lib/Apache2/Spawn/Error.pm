package Apache2::Spawn::Error;

# The object that methods throw. The C part makes it for methods in C, and _throw for those in
# Perl. Runs in callers and in jobs. Its methods must only read it: it may be all that is left
# of a failed submit.

use strict;
use warnings;

our $VERSION = '0.1.0';

use overload
    '""'     => sub { return $_[0]->as_string },
    'bool'   => sub { return 1 },
    fallback => 1;

sub code    { return $_[0]{code} }
sub step    { return $_[0]{step} }
sub errno   { return $_[0]{errno} }
sub message { return $_[0]{message} }
sub job     { return $_[0]{job} }

# The job that has the key: its id stands in the broker's text.
sub other {
    my ($self) = @_;
    return unless $self->{code} eq 'not_unique' && $self->{message} =~ /\bjob ([0-9a-f-]{36})\b/;
    return $1;
}
sub exception { return $_[0]{exception} }
sub file    { return $_[0]{file} }
sub line    { return $_[0]{line} }

sub caught {
    my ($class, $thrown) = @_ > 1 ? @_ : (@_, $@);
    return ref $thrown && UNIVERSAL::isa($thrown, $class) ? $thrown : undef;
}

sub errno_text {
    my ($self) = @_;
    return '' if !$self->{errno};
    local $! = $self->{errno};
    return "$!";
}

sub as_string {
    my ($self) = @_;
    my $where = $self->{step} eq 'none' ? $self->{code} : "$self->{code}, $self->{step}";
    my $errno = $self->errno_text;
    $where .= ": $errno" if length $errno && index($self->{message}, $errno) < 0;
    return "Apache2::Spawn: $self->{message} ($where) at $self->{file} line $self->{line}.\n";
}

# ---- for methods in Perl ----

sub _throw {
    my ($code, $message, %more) = @_;
    my ($file, $line) = _caller();
    die bless {    ## no critic (RequireCarping)
        code => $code, step => 'options', errno => 0, message => $message, job => undef, exception => undef,
        file => $file, line => $line, map { $_ => $more{$_} } grep { defined $more{$_} } keys %more,
    }, __PACKAGE__;
}

# One of ours with the place that called us, and any other as it is.
sub _rethrow {
    my ($error) = @_;
    @{$error}{qw(file line)} = _caller() if _is_one($error);
    die $error;    ## no critic (RequireCarping)
}

sub _is_one {
    my ($error) = @_;
    return ref $error && UNIVERSAL::isa($error, __PACKAGE__);
}

# The statement that has called a method of ours.
sub _caller {
    my $i = 0;
    while (my ($package, $file, $line) = caller $i++) {
        return ($file, $line)
            if $package !~ /\AApache2::Spawn(?:::(?:Error|Httpd|Pipe|Stream|SubProcess|Process(?:::(?:End|Failure|Given|Loop|New|Send))?))?\z/;
    }
    return ('-', 0);
}

1;

__END__

=encoding UTF-8

=head1 NAME

Apache2::Spawn::Error - why a job was not submitted, or not started

=head1 SYNOPSIS

    my $job = eval {
        Apache2::Spawn->spawn(['/usr/bin/convert', $in, $out], queue => 'images');
    };
    if (!$job) {
        my $error = Apache2::Spawn::Error->caught or die $@;    # somebody else's
        if ($error->code eq 'queue_full') {
            return Apache2::Const::HTTP_SERVICE_UNAVAILABLE;
        }
        if ($error->code eq 'unconfirmed') {
            $job = $error->job->resubmit;       # the same id: never run twice
        }
        else {
            $r->log_error("thumbnail: $error"); # a whole sentence, with the caller's line
            return Apache2::Const::SERVER_ERROR;
        }
    }

=head1 DESCRIPTION

A caller that learns only "it failed" can do nothing but give up. This object
has the kind of the failure (a word to compare with), the step, the system error,
a sentence for the log, and the job.

Every method of L<Apache2::Spawn> and L<Apache2::Spawn::Job> that fails throws
one, with C<die>. The system error is in the object: C<$!> stays what it was.

The object is true, stringifies to a whole line, and can be compared as text.

A program that ran and failed (its exit code is not 0, a signal ended it, its
time was over) is I<not> an error of this kind: see L<Apache2::Spawn::Result>.

=head1 METHODS

=over

=item Apache2::Spawn::Error->caught

=item Apache2::Spawn::Error->caught($thrown)

What was thrown (C<$@> without it) when it is an error of this module, else undef. Code dies of text, of
references and of objects of other classes, too: C<< $@->isa >> without a look at what C<$@> is would die
of some of these itself. Touches nothing.

=item code

Text: one of the words of L</CODES>.

=item step

Text: where it failed, one of the words of L</STEPS>; C<none> when no step is
known.

=item errno

Number: the system error of that step, 0 when no system call failed. For
C<start_failed> it is the error that the job's own process met.

=item errno_text

Text: C<errno> in words, empty for 0.

=item message

Text: what failed, where, and what to do; without the code and the place.

=item job

L<Apache2::Spawn::Job>, or undef when there can be no job, as with a bad
option. After C<unreachable>, C<unconfirmed>, C<deadline>, C<queue_full>
and C<store> it carries all that
L<resubmit|Apache2::Spawn::Job/resubmit> needs.

=item other

Text: with the code C<not_unique> the id of the job that has the key, if the caller may know
of it (C<SpawnAccess>); else undef.

=item exception

When a Perl function died with an object (code C<call_failed>), or died when its
time was over: a reference to a hash, C<text> (the object as text), C<class> (its
name) and C<data> (its content, without classes; undef when that cannot travel).
Else undef.

=item file, line

Text and number: the statement of yours that made the call.

=item as_string

Text: C<Apache2::Spawn: MESSAGE (CODE, STEP: ERRNO) at FILE line LINE.> and a
newline; without C<ERRNO> where the message has it already. What stringification gives.

=back

=head1 CODES

=over

=item C<unreachable>

No broker answers at the socket, or mod_spawn is not loaded, or this process
may not submit. Nothing was sent. C<resubmit> is safe.

=item C<unconfirmed>

The job was sent and no answer came in time, or, with C<run> and C<call>, nobody was there
any more to tell of its end: it may or may not be accepted. Or it may have run, and the broker
cannot tell now; the message has the reason.
C<< $error->job->resubmit >> finds out, and cannot make it run twice;
C<< $error->job->status >> looks without sending it again.

=item C<deadline>

A question (status, wait, kill, list) was not answered in time, or the broker went away
before it answered. A signal may have been sent all the same.

=item C<queue_full>

The queue's waiting list is full (C<SpawnMaxQueued>), or the post socket is.
Nothing was accepted. Answer "try again later" rather than waiting here.

=item C<unknown_queue>

No queue of this name is in httpd.conf.

=item C<invalid>

A value that is not allowed. The message names the option, says what is wrong
and what is wanted.

=item C<unknown_option>

There is no option of this name. The message names the nearest one.

=item C<too_big>

An option or the whole job is over its maximum: give big data as a file or a
handle.

=item C<not_permitted>

The caller may not do this: outside httpd the broker knows callers by their
user id and groups, and C<SpawnAccess> says what they may.

=item C<no_such_job>

No job with this id is known: it was never accepted, or the history
(C<SpawnHistory>) does not go back so far.

=item C<too_old>

The id is older than the kept history, so that nobody could say whether it ran;
or it lies in the future: it is wrong, or the clock was set back since it was made.
Submit anew, without C<id>.

=item C<start_failed>

The job could not be started. C<step> and C<errno> say why: C<exec> with
"No such file or directory" is a program that is not there, C<cwd> a directory
that is not there or not allowed.

=item C<timed_out>

The job did not get that far in time; it goes on. A program whose own
C<timeout> was over is a result, not this error; a Perl function whose C<timeout>
was over has no result, and C<call> and C<result> throw this.

=item C<stopping>

Never thrown: a job that comes while httpd stops is stored, and starts with the
next start.

=item C<version>

The broker speaks another version of the wire: httpd and this module are of
different releases; restart httpd after an upgrade.

=item C<protocol>

A message broke the rules of the wire: please report it.

=item C<store>

The broker could not read or write its store (a full disk, for example): see
the error log.

=item C<system>

A system call failed: C<errno> says which error.

=item C<conflict>

Another job with this C<id>, and with other contents, is known already. (C<reply> and
C<context> are no contents: another request may ask for the same job.)

=item C<not_running>

The job is not running. Never thrown to Perl: L<kill|Apache2::Spawn::Job/kill> returns
false. C<spawnctl kill> says so, and exits with 1.

=item C<output_gone>

The captured output, or the result of a Perl function, is not kept any more.

=item C<call_failed>

The Perl function ended its process without a result: it called C<exit>, a signal
ended it, it was cancelled, or nobody knows how it ended; the message says which.
Or it died with an object: see L</exception>.

=item C<not_sendable>

An argument cannot travel to the function's process, or what it returned cannot
travel back. The message says what it is, and where:
see L<Apache2::Spawn/What can travel>.

=item C<expired>

The function was not called: its job was to start by a time
(L<expires|Apache2::Spawn::Options/When it starts>), and had not started.

=item C<not_dead>

The job has not failed for good. Never thrown to Perl: L<retry|Apache2::Spawn::Job/retry>
returns false. C<spawnctl retry> says so, and exits with 1.

=item C<not_delayed>

The job does not wait for its time. Never thrown to Perl:
L<start_now|Apache2::Spawn::Job/start_now> returns false. C<spawnctl start> says so, and exits with 1.

=item C<not_unique>

Another job of the queue has the unique key: see L</other>, and
L<on_conflict|Apache2::Spawn::Options/When it starts>.

=item C<ok>

No error; never thrown.

=back

=head1 STEPS

Of a submit: C<options>, C<connect>, C<send>, C<receive>, C<hello>, C<check>,
C<queue>, C<allow> (C<SpawnAllow> of the queue), C<store>, C<order>, C<template> (the template of a Perl function, or what
it does before and after the call).

Of a start, in the order in which they happen: C<fork>, C<session>, C<signals>,
C<limits>, C<priority>, C<privileges> (C<SpawnBoundingSet>), C<groups>, C<gid>, C<uid>,
C<umask>, C<cwd>, C<stdin>, C<stdout>, C<stderr>, C<fds>, C<privileges>
(C<no_new_privs>), C<exec>. C<interpreter> is C<exec> of a program that exists, when the
interpreter in its first line (which may end with CR LF) or its loader does not. C<allow>
is C<exec> of a program that C<SpawnAllow> of the queue does not have.
C<cgroup>, before all of these: a limit of all processes of the job cannot be set.

=head1 SEE ALSO

L<Apache2::Spawn>, L<Apache2::Spawn::Job>

=cut
