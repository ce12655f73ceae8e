package Apache2::Spawn::Httpd;

use strict;
use warnings;

our $VERSION = '0.1.0';

use Apache2::Spawn           ();    # before our library, which calls into its
use Apache2::Spawn::Template ();    # for templates that are forked from httpd
use XSLoader                 ();

XSLoader::load(__PACKAGE__, $VERSION);

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
        ...
    }

=head1 DESCRIPTION

Weeks later somebody asks which request started this program. These methods
write that down with the job, so that C<spawnctl show> can tell.

L<Apache2::Spawn> loads this module by itself where mod_perl is. There is no
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

=item $r->spawn_call($function, \@args, %options)

As L<Apache2::Spawn/spawn_call>. In the function C<< Apache2::Spawn->job->context >>
has the context.

=back

All fill in C<context>:

=over

=item C<request_id>

mod_unique_id's, or the id that the error log uses for this request.

=item C<vhost>

ServerName of the virtual host.

=item C<user>

Who was authenticated.

=item C<client>

The address of the client (behind a proxy: what mod_remoteip makes of it).

=item C<uri>

The request's URI with its arguments, cut at 1000 bytes.

=item C<method>

GET, POST and so on.

=back

A C<context> of yours adds to these, and overrides those that have the same
name; to keep one out of the record (a URI with a token in it, say), give it as
an empty text. It is for people: a program does not see it, nor the request's
environment.

=head1 SEE ALSO

L<Apache2::Spawn>

=cut
