package Apache2::Spawn::Request::Log;

# The log of a request's copy. Runs in the job of SpawnCleanupHandler. Must write to stderr
# only, which is the error log.

use strict;
use warnings;

our $VERSION = '0.1.0';

sub new {
    my ($class) = @_;
    return bless {}, $class;
}

# The job's stderr is the error log, and tags each line with the job's id.
for my $level (qw(emerg alert crit error warn notice info debug)) {
    no strict 'refs';    ## no critic (ProhibitNoStrict)
    *{$level} = sub {
        my ($self, @text) = @_;
        my $text = join '', map { ref eq 'CODE' ? $_->() : $_ } @text;
        chomp $text;
        print {*STDERR} "$level: $text\n";
        return;
    };
}

1;

__END__

=encoding UTF-8

=head1 NAME

Apache2::Spawn::Request::Log - the error log, from a cleanup handler

=head1 SYNOPSIS

    $r->log->warn('no such customer: ', $r->user);

=head1 DESCRIPTION

Where L<Apache2::Log> stands in httpd. A line goes to httpd's error log, with the
job's id and the level as a word. All levels are written, whatever C<LogLevel> is.

=head1 METHODS

=over

=item emerg, alert, crit, error, warn, notice, info, debug

Write a line of these texts (or of what a function of that level's would say).

=item new

Not called by hand.

=back

=head1 SEE ALSO

L<Apache2::Spawn::Request>

=cut
