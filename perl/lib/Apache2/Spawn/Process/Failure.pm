package Apache2::Spawn::Process::Failure;

# Why a process could not be set up: from what came on its socket, from its job, from
# its waiter, or from the process that it was to be forked from, the error that the
# caller gets, with the caller's line.
#
# Runs in the caller. Never waits longer for an explanation than it is told to, and
# leaves no object half usable: one that has failed keeps its error.

use strict;
use warnings;

our $VERSION = '0.1.0';

use Apache2::Spawn::Error ();
use Apache2::Spawn::Process::Wire ();
use Config ();
use Exporter qw(import);
use Scalar::Util ();

# With names that are no methods of Apache2::Spawn::Process for its users.
our @EXPORT_OK = qw(_throw _rethrow _caller _place _late _failed _ended _refused);

# ---- errors ----

BEGIN {
    no strict 'refs';    ## no critic (ProhibitNoStrict)
    *{$_} = Apache2::Spawn::Error->can($_) for qw(_throw _rethrow _caller);
}

sub _place { return sprintf 'at %s line %d', _caller() }

# ---- of a process ----

sub _late {
    my ($process, $what) = @_;
    return _give_up($process, 'deadline',
        "the process $what within $process->{deadline} s; it is let go, and ends when it comes to that", step => 'receive');
}

# It said so itself: the body of its answer.
sub _failed {
    my ($process, $body) = @_;
    my ($code, $text, $class) = Apache2::Spawn::Process::Wire::strings($body);
    utf8::decode($_) for $text, $class;
    return _give_up($process, $code, $text, step => 'template',
        exception => length $class ? { text => $text, class => $class, data => undef } : undef);
}

# The broker has refused it: its error. Nobody is told of it a second time.
sub _refused {
    my ($process, $error) = @_;
    die $error if !Scalar::Util::blessed($error);    ## no critic (RequireCarping)
    return _give_up($process, $error->code, $error->message, map { $_ => $error->$_ } qw(step errno exception job));
}

# The socket ended without an answer. How did the process end? The news may come
# so many seconds later.
sub _ended {
    my ($process, $until, $news) = @_;
    my $told = 'the process ended while it was set up: ';
    $process->_accepted;
    _give_up($process, 'system', 'the socket to the process; it is let go', step => 'receive', errno => $process->{errno}) if $process->{errno};
    if ($process->{job}) {
        my $result;
        if (!eval { $result = $process->{job}->wait($news); 1 }) {
            my $why = Scalar::Util::blessed($@) && $@->isa('Apache2::Spawn::Error') ? $@->message : $@ =~ s/\n\z//r;
            _give_up($process, 'call_failed', "${told}nobody knows how: $why");
        }
        _give_up($process, 'call_failed', $told . _how($result))
            if $result && $result->outcome =~ /\A(?:exited|signalled|out_of_memory)\z/ && ($result->result_kind || '') ne 'died';
        _give_up($process, 'call_failed', $told . 'it closed its socket, and goes on') if !$result;
        my $error = eval { $process->{job}->result(0); 1 } ? $result->outcome : $@;
        _give_up($process, $error->code, $told . $error->message, map { $_ => $error->$_ } qw(step errno exception))
            if Scalar::Util::blessed($error) && $error->isa('Apache2::Spawn::Error') && $result->function;
        _give_up($process, 'call_failed', $told . (ref $error ? $result->message || $result->outcome : $error =~ s/\n\z//r),
            step => $result->step, errno => $result->errno);
    }
    my $known = eval { $process->{forked} && $process->wait($news) };
    _give_up_as($process, $process->{from}, $until, $news) if $process->{from} && $process->{from}{error};
    _give_up($process, 'call_failed', $told . _status_text($process->{exit})) if $known && defined $process->{exit};
    _give_up_as($process, $process->{from}, $until, $news) if $known && $process->{from};
    _give_up($process, 'call_failed', $told . 'the one that it was to be forked from had ended') if $known;
    return _give_up($process, 'call_failed', $told . 'nobody knows how');
}

# What this one should have been a copy of had failed before.
sub _give_up_as {
    my ($process, $from, $until, $news) = @_;
    if (!$from->{error} && $from->{fh}) {
        eval { $from->_answered($until, $news, $from->_answer($until)) };
    }
    my $error = $from->{error} or return;
    my $text = $error->message =~ s/\Athe process (?=ended )/the one that it was to be forked from /r;
    return _give_up($process, $error->code, $text, map { $_ => $error->$_ } qw(step errno exception));
}

sub _how {
    my ($result) = @_;
    my $why = $result->outcome eq 'out_of_memory' ? ', by the kernel, for want of memory' : '';
    return _status_text(defined $result->signal ? $result->signal : ($result->exit_code || 0) << 8) . $why;
}

sub _status_text {
    my ($status) = @_;
    return $status & 127 ? 'signal ' . (split / /, $Config::Config{sig_name})[$status & 127] : 'exit code ' . ($status >> 8);
}

# The object is of no use for setting up from now on.
sub _give_up {
    my ($process, $code, $text, %more) = @_;
    delete @{$process}{qw(fh from sender)};
    $process->_close_outbox;
    $process->_empty_outbox;
    eval { _throw($code, $text, step => 'none', job => $process->{job}, %more) };
    $process->{error} = $@;
    die $process->{error};    ## no critic (RequireCarping)
}

1;

__END__

=encoding UTF-8

=head1 NAME

Apache2::Spawn::Process::Failure - why a process could not be set up

=head1 SYNOPSIS

    use Apache2::Spawn::Process ();     # uses this by itself

=head1 DESCRIPTION

What fails in a process of L<Apache2::Spawn::Process> reaches the caller as an
L<Apache2::Spawn::Error> with the caller's line and with the reason: what the
process said, how its job or its copy ended, or what the process that it was to be
copied from had failed of. This is how it is found out. There is no reason to
load it, and nothing in it to call.

=head1 SEE ALSO

L<Apache2::Spawn::Process>, L<Apache2::Spawn::Error>

=cut
