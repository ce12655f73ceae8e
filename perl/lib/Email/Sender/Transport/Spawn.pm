package Email::Sender::Transport::Spawn;

# Mail by sendmail, as a job that is posted and tried again. Runs in callers. Must not wait for
# sendmail.

use strict;
use warnings;

use Moo;

our $VERSION = '0.1.0';

use Apache2::Spawn ();
use Apache2::Spawn::Error ();
use Email::Sender::Failure ();
use Email::Sender::Failure::Temporary ();
use Email::Sender::Success ();

with 'Email::Sender::Transport';

has sendmail => (is => 'ro', default => sub { '/usr/sbin/sendmail' });
has request  => (is => 'ro');
has job      => (is => 'ro', default => sub { {} });

# Of jobs that were not taken: later they may be. Not `unconfirmed`: that one may have been taken, and
# another job would be another mail.
my %passes = map { $_ => 1 } qw(unreachable queue_full stopping store);

# Not `lost`, of which nobody knows whether the mail is out.
my %default = (
    reply    => 'posted',
    label    => 'mail',
    timeout  => 60,
    stderr   => 'log',
    retry    => 5,
    retry_on => [qw(failed start_failed timeout)],
    backoff  => [ 60, 300, 900, 3600 ],
);

sub send_email {
    my ($self, $email, $envelope) = @_;
    my $text = $email->as_string;
    $text =~ s/\r\n/\n/g;
    my @from = defined $envelope->{from} ? ('-f', $envelope->{from}) : ();
    my $job = $self->_submitted([ $self->sendmail, '-i', @from, '--', @{ $envelope->{to} } ], stdin => \$text);
    return Email::Sender::Transport::Spawn::Success->new(job => $job);
}

sub _submitted {
    my ($self, $argv, @data) = @_;
    local $@;
    my $r = $self->request || _current_request();
    my @job = ($argv, %default, %{ $self->job }, @data);
    my $job = _quietly(sub { return $r ? $r->spawn(@job) : Apache2::Spawn->spawn(@job) });
    for (1 .. 3) {    # it may have been taken, or not: the same one runs once
        last if $job || !Apache2::Spawn::Error::_is_one($@) || $@->code ne 'unconfirmed';
        my $unconfirmed = $@;
        $job = _quietly(sub { return $unconfirmed->job->resubmit });
        $@ = $unconfirmed if !$job && Apache2::Spawn::Error::_is_one($@);    # a later one does not say that none was taken
    }
    return $job if $job;
    my $error = $@;
    die $error if !Apache2::Spawn::Error::_is_one($error);    ## no critic (RequireCarping)
    my $class = $passes{ $error->code } ? 'Email::Sender::Failure::Temporary' : 'Email::Sender::Failure';
    return $class->throw({ message => 'the mail could not be handed to ' . $self->sendmail . ': ' . $error->message });
}

# Nothing, and $@, when it dies. A __DIE__ handler of the caller's is not for our errors.
sub _quietly {
    my ($code) = @_;
    local $SIG{__DIE__};
    return eval { $code->() };
}

sub _current_request {
    return if !Apache2::RequestUtil->can('request');
    local $@;
    return _quietly(sub { return Apache2::RequestUtil->request });
}

no Moo;

package Email::Sender::Transport::Spawn::Success;

use Moo;
extends 'Email::Sender::Success';

has job => (is => 'ro', required => 1);

no Moo;

1;

__END__

=encoding UTF-8

=head1 NAME

Email::Sender::Transport::Spawn - mail by sendmail, as a job that is posted and tried again

=head1 SYNOPSIS

    use Email::Sender::Simple qw(sendmail);
    use Email::Sender::Transport::Spawn;

    my $transport = Email::Sender::Transport::Spawn->new(job => { queue => 'mail' });
    my $sent = sendmail($email, { transport => $transport });
    $log->info('mail: job ' . $sent->job->id);

For all that sends by L<Email::Sender::Simple>:

    # in httpd.conf
    PerlSetEnv EMAIL_SENDER_TRANSPORT Spawn

=head1 DESCRIPTION

L<Email::Sender::Transport::Sendmail> copies the httpd child to run F<sendmail>, and waits for it. This
transport hands the mail to mod_spawn, in some microseconds: a job runs F<sendmail> with the mail as
its standard input, and is tried again when that fails.

So success means that the mail I<will be handed> to F<sendmail>, not that this has taken it. A mail
that F<sendmail> does not take, however often, is a job that is L<dead|Apache2::Spawn::Result/dead>:
the error log has it (with what F<sendmail> said), C<spawnctl ps --state dead> lists it, and
C<spawnctl retry> sends it once more.

It needs L<Moo> and L<Email::Sender> (libemail-sender-perl).

=head1 ATTRIBUTES

Of C<new>, and as methods:

=over

=item sendmail

Path of the program. Default: F</usr/sbin/sendmail>. It gets C<-i -f FROM -- TO...>.

=item job

Reference to a hash: options of the job, L<Apache2::Spawn::Options>, in place of these defaults:

    reply    => 'posted', label => 'mail', timeout => 60, stderr => 'log',
    retry    => 5, retry_on => [qw(failed start_failed timeout)], backoff => [ 60, 300, 900, 3600 ]

C<lost> is not tried again: nobody knows whether such a mail is out. A F<sendmail> that is ended by its
C<timeout>, or by a signal, may have taken the mail before, and is tried again all the same: two mails are
better than none. Where they are not, give C<retry_on> exit codes (C<75>, C<EX_TEMPFAIL>) and C<start_failed>. With C<< reply => 'accepted' >> an
unknown or full queue is a failure here; posted, it is told in the error log. With
C<< durable => 1, reply => 'accepted' >> the mail outlives a power cut.

=item request

The request object (C<$r>) whose job it is. Default: the one that is served, where mod_perl tells.

=back

=head1 METHODS

=over

=item send_email($email, \%envelope)

Called by L<Email::Sender>. Returns an L<Email::Sender::Success> that has C<job>, an
L<Apache2::Spawn::Job>. Throws L<Email::Sender::Failure>, or L<Email::Sender::Failure::Temporary> when
the same may do later (C<queue_full>, C<unreachable> and their like: no job was taken), whose message has
that of L<Apache2::Spawn::Error>. C<unconfirmed>, where a job may have been taken, is none of these: who sends
again may send two mails. What a signal handler dies of goes through.

=back

=head1 SEE ALSO

L<Apache2::Spawn>, L<Email::Sender::Manual>

=cut
