package Apache2::Spawn::Stream;

# spawn_stream of request objects: what a program writes is the client's answer. Runs in
# httpd children. Must leave no program behind whose reader has gone.

use strict;
use warnings;

our $VERSION = '0.1.0';

use Apache2::Connection ();
use Apache2::RequestIO ();
use Apache2::RequestRec ();
use Apache2::Spawn::Pipe ();

use constant PART => 65_536;

sub Apache2::RequestRec::spawn_stream {
    my ($r, $argv, @options) = @_;
    return $r->spawn_pipe($argv, @options) if @options % 2;    # which refuses it
    Apache2::Spawn::Pipe::_refuse(spawn_stream => \@options, stdout => 'it is the answer', reply => 'it waits for the end');
    my %options = (stdin => 'null', stderr => 'log', @options);
    my $type = delete $options{content_type};
    my $pipe = $r->spawn_pipe($argv, %options);
    local ($!, $?, $@);
    $r->content_type($type) if defined $type;    # what could not be started leaves the answer alone
    my $whole = _quietly(sub { _copy($r, $pipe->out) });
    my $error = $@;
    _quietly(sub { $pipe->stop }) if !$whole;    # it may have ended just now
    die $error if !defined $whole;               # of a signal handler: it waits for no end
    return _quietly(sub { $pipe->close }) || Apache2::Spawn::Error::_rethrow($@);
}

# Nothing, and $@, when it dies. A __DIE__ handler of the caller's hears of what goes on to it.
sub _quietly {
    my ($code) = @_;
    local $SIG{__DIE__};
    return eval { $code->() };
}

# 1: all of it; 0: the client has gone. Dies of what signal handlers die of.
sub _copy {
    my ($r, $out) = @_;
    while (1) {
        my $length = sysread $out, my $part, PART;
        next if !defined $length && $!{EINTR};
        return 1 if !$length;
        if (!eval { $r->print($part); $r->rflush; 1 }) {
            return 0 if UNIVERSAL::isa($@, 'APR::Error');    # the connection is closed
            die $@;
        }
        return 0 if $r->connection->aborted;
    }
    return;
}

1;

__END__

=encoding UTF-8

=head1 NAME

Apache2::Spawn::Stream - what a program writes is the answer

=head1 SYNOPSIS

    use Apache2::Const -compile => qw(OK);

    sub handler {
        my ($r) = @_;
        my $res = $r->spawn_stream(['/usr/bin/pg_dump', 'shop'],
            content_type => 'application/sql', timeout => '10min');
        $r->log_error('pg_dump: ' . $res->outcome) if !$res->ok;
        return Apache2::Const::OK;
    }

=head1 DESCRIPTION

A dump, an archive, a converted film: too large to be captured, and nobody wants to wait for its
end before the first byte. C<spawn_stream> sends the client what the program writes, as it comes.
Nothing of it is kept anywhere. L<Apache2::Spawn> loads this by itself under mod_perl.

=head1 METHODS

Of every request object:

=over

=item $r->spawn_stream(\@argv, %options)

Runs a program, and prints its standard output to the client, with a flush after each part that has
come. Returns, when the program has ended, its L<Apache2::Spawn::Result>.

Takes the options of L<Apache2::Spawn/pipe> (C<timeout> is 60 seconds), with C<stdin> being C<null>
and C<stderr> C<log> without them, and one more: C<content_type>, text, which is set when the program
has started.

When the client has gone, which is known when something cannot be sent, the program is ended
(C<TERM>, and after C<grace> C<KILL>), and its pipe is closed. The outcome is C<cancelled>, by
C<TERM> or C<PIPE>, or C<signalled> (by C<PIPE>) when the program has written before the C<TERM> was asked for, or C<exited> when it
handles the signal and ends by itself. A program that writes nothing meanwhile runs on to its end
or C<timeout>.

The status line has been sent when a program fails in the middle: the client cannot see it but by
what is missing.

Throws what C<pipe> throws when the program cannot be started: C<start_failed>, for example. Then nothing has been
sent, and the handler can answer with an error.

Later, when some or all of the output has been sent, it throws what L<Apache2::Spawn::Job/wait> throws while it asks
for the result: C<unreachable>, for example, when the broker ends in this moment and none follows. Only how the program
ended is unknown then. What a signal handler dies of while it waits goes on to the caller, too; the program is ended.
C<< $r->bytes_sent >> tells the two apart: when it is true, an error page would be
a part of the file.

=back

C<$?> and C<$!> are left alone.

=head1 SEE ALSO

L<Apache2::Spawn>, L<Apache2::Spawn::Pipe>, L<Apache2::Spawn::Httpd>

=cut
