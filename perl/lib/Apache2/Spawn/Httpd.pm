package Apache2::Spawn::Httpd;

# Loads the methods of the request object, and the modules that they need. Runs in httpd: in
# the parent while it starts, then in its children. Must be loaded while httpd starts: a
# request has no time for it.

use strict;
use warnings;

our $VERSION = '0.1.0';

use Apache2::RequestUtil     ();    # their push_handlers, before our library
use Apache2::ServerUtil      ();
use Apache2::Spawn           ();    # before our library, which calls into its
use Apache2::Spawn::Template ();    # for templates that are forked from httpd
use XSLoader                 ();

XSLoader::load(__PACKAGE__, $VERSION);

require Apache2::Spawn::Cleanup;    # while httpd starts: a request has no time for it
require Apache2::Spawn::Stream;

sub Apache2::RequestRec::spawn_pipe {
    my ($r, @job) = @_;
    return Apache2::Spawn::Pipe->_new(sub { return $r->spawn(@_) }, @job);
}

1;

__END__

=encoding UTF-8

=head1 NAME

Apache2::Spawn::Httpd - jobs from the request object

=head1 SYNOPSIS

    use Apache2::Spawn ();          # under mod_perl this loads Apache2::Spawn::Httpd

    sub handler {
        my ($r) = @_;
        my $job = $r->spawn(['/usr/bin/convert', $in, '-resize', '800', $out],
                            queue => 'images', label => 'thumbnail');

        # when the client has its answer, and in no child of httpd
        $r->spawn_cleanup('My::Stats::record', [ $r->user, $r->uri ]);
        $r->spawn_cleanup(['/usr/bin/rsync', '-a', $from, $to], only_if => 'success');
        ...
    }

=head1 DESCRIPTION

Weeks later somebody asks which request started this program. These methods
note that with the job, so that C<spawnctl show> can tell.

L<Apache2::Spawn> loads this module by itself under mod_perl. There is no
reason to load it yourself; outside httpd it cannot be loaded.

With it, the class methods of Apache2::Spawn reach the broker of the httpd that
they run in: no path, no environment variable.

=head1 METHODS

Of every request object (L<Apache2::RequestRec> and its subclasses):

=over

=item $r->spawn(\@argv, %options)

As L<Apache2::Spawn/spawn>. The timeout for the submit is C<SpawnSubmitTimeout>
of the request's virtual host.

=item $r->spawn_run(\@argv, %options)

As L<Apache2::Spawn/run>. (C<< $r->run >> is taken, by
L<Apache2::SubRequest>.)

=item $r->spawn_pipe(\@argv, %options)

As L<Apache2::Spawn/pipe>.

=item $r->spawn_stream(\@argv, %options)

What the program writes is the answer, as it comes: L<Apache2::Spawn::Stream>.

=item $r->spawn_call($function, \@args, %options)

As L<Apache2::Spawn/spawn_call>. In the function C<< Apache2::Spawn->job->context >>
has the context.

=back

All fill in C<context>, of the request that C<$r> is. The client chooses some of it, so each
value is cut: C<uri> at 1000 bytes, the others at 256.

=over

=item C<request_id>

mod_unique_id's, or the id that httpd's logs have for this request (C<%L>). C<spawnctl ps
--request> finds the jobs by it, lines of the error log about a job name it, and a program
has it as C<SPAWN_REQUEST_ID>. A job that a job submits has the same one.

=item C<vhost>

ServerName of the virtual host. C<spawnctl ps --vhost> finds the jobs by it.

=item C<user>

The authenticated user. C<spawnctl ps --user> finds the jobs by it.

=item C<client>

The address of the client (behind a proxy: what mod_remoteip makes of it).

=item C<uri>

The request's URI with its arguments.

=item C<method>

GET, POST and so on.

=back

A C<context> of yours adds to these, and overrides those that have the same
name; to keep one out of the record (a URI with a token in it, say), give it as
an empty text. It is for people: a program sees no more of it than the request's id, and
nothing of the request's environment.

The access log can have the ids of a request's jobs:

    CustomLog logs/access_log "%h %t \"%r\" %>s %b %{spawn-jobs}n"

They are in the note C<spawn-jobs> of the request, with commas between them: the first ten, and
of more their number, as C<+3>. It has each job that was submitted by a method of C<$r>, or by
a module in C for the request; and those for after the answer, also when C<only_if> leaves
them out in the end. One that was refused is not among them. The jobs of subrequests and of
internal redirects are the client's request's.

=head1 AFTER THE ANSWER

=over

=item $r->spawn_cleanup($function, \@args, %options)

=item $r->spawn_cleanup(\@argv, %options)

Leaves a job, a Perl function or a program, that is posted when the client has the
whole answer, and never before. The child does not wait for it and is free for the
next request at once.

The job is checked now, in the handler, and errors are thrown as by
L<spawn|Apache2::Spawn/spawn> and L<spawn_call|Apache2::Spawn/spawn_call>. Takes their
options, but no handles (C<fds>, and handles as streams), and no C<reply> other than
C<posted>. And:

=over

=item C<< only_if => 'success' >>, C<'error'> or C<'aborted'>

The job runs only when the request ended in this way: C<success>, with a
status below 400, and the client took the whole answer; C<error>, with a status of 400 or
more; C<aborted>, the client left before it had the whole answer. (A request can be
C<error> and C<aborted>.) Default: after each request.

=back

Returns an L<Apache2::Spawn::Job>, whose id is good for a page that asks later. Until
the request has ended, its methods throw C<no_such_job>.

C<context> has the values above, of the request that the client made, and three
more: C<status>, C<bytes_sent>, and C<aborted>, 0 or 1. In the job,
C<< Apache2::Spawn->job->context >> has them.

"The whole answer" means that it has been handed to the kernel (HTTP/1) or to the
session (HTTP/2): nobody in httpd knows how much of it is still on its way. A
subrequest's jobs, and those of a request that was redirected inside httpd, are
posted at the end of the client's request.

A code reference cannot travel to another process: give the name of a function, and
what it needs as arguments.

Code that was not given C<$r> leaves a job for the current request with
L<< C<< Apache2::Spawn->cleanup >>|Apache2::Spawn/cleanup >>.

If the job cannot be posted at once (the broker is stopped, the job is big), it waits
as a file that only httpd's user can read, in the store, and runs when the broker has
taken it in. A queue that is full refuses a posted job, which is then in the error
log and in C<spawnctl ps>: give C<SpawnMaxQueued> room for a burst.

=back

C<push_handlers>, C<set_handlers> and C<get_handlers> of requests and servers die
when they are asked for C<SpawnCleanupHandler>, which mod_perl does not know: a
handler that is found in the request is what C<spawn_cleanup> is for.

For C<PerlCleanupHandler>s of httpd.conf there is C<SpawnCleanupHandler>: see
L<Apache2::Spawn::Cleanup>, and F<migrating.md> in the documents of mod_spawn.

=head1 SEE ALSO

L<Apache2::Spawn>, L<Apache2::Spawn::Cleanup>

=cut
