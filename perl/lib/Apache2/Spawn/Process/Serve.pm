package Apache2::Spawn::Process::Serve;

# Stands before everything else, so that the code sees @_ and no variable or
# pragma of this file.
## no critic (RequireUseStrict, ProhibitStringyEval)
sub _evaluate {
    package main;
    eval shift @_;
    return;
}
## use critic

use strict;

our $VERSION = '0.1.0';

use Apache2::Spawn::Process::Wire;

# The other end of Apache2::Spawn::Process: obeys commands until the function is run.
# Runs in the process that is set up, and must leave nothing of itself to the function.
#
# Every process of new_exec loads this file and Process::Wire when it starts, and is
# not ready before it has. So this file must load nothing that only some need: not even
# warnings, which would take half of the time (a test asks for them), and constants are
# plain variables. A process of new copies each page that it writes to: a first regular
# expression takes some ten.

# Linux has them so on all machines; %! would load Errno.
my $EINTR = 4;
my $MSG_NOSIGNAL = 0x4000;

# Most characters of a failure's text.
my $TEXT_MAX = 65_536;

# KILL after TERM, without another word: seconds.
my $GRACE = 5;

my $control;    # the socket to the caller
my @limits;     # timeout and grace of processes that are forked from this one
my @args;       # arguments that were sent for the function, in order
my $failure;    # why it cannot be run any more: [code, text, class]
my $pid;        # this process
my $forks;      # it has been forked

# The process of a Perl job. Not by Apache2::Spawn::Current, which copies pages that it
# needs for nothing else.
sub main {
    my ($number, @given) = @_;
    @limits = @given;
    _control($number);
    return _serve();
}

# The process of a program, perl.
sub exec_main {
    (my $number, @limits) = @ARGV;
    @ARGV = ();
    _control($number);
    $0 = 'spawn Apache2::Spawn::Process';
    _serve();
    return;
}

sub _control {
    my ($number) = @_;
    open $control, '+<&=', _clean($number) or die "the socket at $number: $!\n";
    return;
}

# The arguments that run would give the function after the socket; takes them away.
sub run_args { return splice @args }

# In a template: load what each process would have to load for itself.
sub preload {
    require Apache2::Spawn::Process::Fork;
    require Apache2::Spawn::Process::Handle;
    require Socket;
    require Scalar::Util;
    return;
}

# ---- commands, until the function is run ----

my %command = (
    CMD_ARGS()    => sub { push @args, Apache2::Spawn::Process::Wire::strings($_[0]) },
    CMD_EVAL()    => sub { _set_up('eval', sub { _evaluate(_clean(shift), @_); die $@ if ref $@ || length $@ }, $_[0]) },    ## no critic (RequireCarping)
    CMD_REQUIRE() => sub { _set_up('require', sub { _load(_clean($_)) for @_ }, $_[0]) },
    CMD_HANDLE()  => sub { push @args, _handles() },
    CMD_FORK()    => \&_fork,
);

sub _serve {
    # the name that it has in code that was written for that module
    *AnyEvent::Fork::Serve::run_args = *AnyEvent::Fork::Serve::run_args = \&run_args;
    $pid = $$;
    while (!$failure) {
        _is_copy($_) for $forks ? Apache2::Spawn::Process::Fork::idle($control) : ();
        my ($what, $body) = _next() or return;
        Apache2::Spawn::Process::Fork::no_spare() if $forks && $what ne CMD_FORK && $what ne CMD_PID;
        if ($what eq CMD_RUN || $what eq CMD_PID) {
            my $function = $what eq CMD_RUN ? _function($body) : undef;
            last if $failure;
            _answer($control, ANSWER_DONE, $$) or return;
            return _enter($function, $body) if $what eq CMD_RUN;
            next;
        }
        my $do = $command{$what} or die "a command that is none: the socket is used by somebody else\n";
        $do->($body);
        exit 0 if $$ != $pid;    # forked by the caller's own code, and no process of ours
    }
    _tell_failure(Apache2::Spawn::Process::Wire::body(map { _bytes($_) } @{$failure}));
    die "$failure->[1]\n";
}

# This process does nothing more, keeps no handle, and ends. The failure is told to its
# caller, and to the callers of processes that were to be forked from it. Nobody can
# send from now on, so that no more commands come than those that are there.
sub _tell_failure {
    my ($told) = @_;
    @args = ();
    shutdown $control, 0;
    _answer($control, ANSWER_FAILED, $told);
    while (my ($what, $body) = _next()) {
        last if $what eq CMD_HANDLE && !eval { _handles(); 1 };
        next if $what ne CMD_FORK;
        my ($theirs) = _fork_order($body) or last;
        Apache2::Spawn::Process::Serve::_send($theirs, Apache2::Spawn::Process::Wire::message(ANSWER_FAILED, $told), -1);
        Apache2::Spawn::Process::Serve::_close($theirs);
    }
    undef $control;
    return;
}

sub _set_up {
    my ($what, $code, $body) = @_;
    my @given = Apache2::Spawn::Process::Wire::strings($body);
    my $from = shift @given;
    return if eval { $code->(@given); 1 };
    my $error = $@;
    my $text = eval { "$error" };
    $text = 'an object of class ' . ref($error) . ', which cannot be made a text' if !defined $text;
    chomp $text;
    $failure = ['call_failed', substr("$what $from: $text", 0, $TEXT_MAX), ref $error ? _class($error) : undef];
    return;
}

sub _class {
    my ($error) = @_;
    require Scalar::Util;
    return Scalar::Util::blessed($error);
}

# The caller that made this process may say what it does, under -T too, where everything
# that is read is tainted. The strings for the code and for the function stay tainted.
sub _clean {
    return $_[0] if !${^TAINT};
    my ($bytes) = $_[0] =~ /\A(.*)\z/s;
    return $bytes;
}

sub _load {
    my ($module) = @_;
    (my $file = "$module.pm") =~ s{::}{/}g;
    require $file;
    return;
}

sub _function {
    my ($name) = @_;
    $name =~ s/'/::/g if index($name, q{'}) >= 0;
    $name = "main::$name" if index($name, '::') < 0;
    no strict 'refs';    ## no critic (ProhibitNoStrict)
    return \&{$name} if defined &{$name} || exists &{$name};
    my ($package) = $name =~ /\A(.*)::/s;
    return \&{$name} if $package->can('AUTOLOAD');
    $failure = ['invalid', "run: no function $name in the process: require its module, or define it by eval", undef];
    return;
}

# The function takes this one's place, with nothing of it left.
sub _enter {
    my ($function, $name) = @_;
    if (index($0, 'spawn ') == 0) {
        my $rest = index $0, ' ', length 'spawn ';
        $0 = "spawn $name" . ($rest < 0 ? '' : substr $0, $rest);
    }
    exit($args[0] || 0) if $name eq 'CORE::exit';    # which would take the socket for its code
    @_ = ($control, splice @args);
    undef $control;
    goto &{$function};
}

# ---- handles ----

sub _handles {
    require Apache2::Spawn::Process::Handle;
    return Apache2::Spawn::Process::Handle::receive($control);
}

# ---- another process ----

# The socket of a copy that is asked for, and its timeout and grace.
sub _fork_order {
    my ($length) = @_;
    require Apache2::Spawn::Process::Fork;
    my ($body, $theirs) = Apache2::Spawn::Process::Serve::_receive(fileno $control, $length);
    return if !defined $theirs;
    $body .= _read($length - length $body) if length $body < $length;
    return ($theirs, Apache2::Spawn::Process::Wire::strings($body));
}

sub _fork {
    my ($length) = @_;
    my ($theirs, @own) = _fork_order($length) or die "the socket of a copy did not arrive: $!\n";
    $forks = 1;
    for (0, 1) {
        $own[$_] = $limits[$_] if !length $own[$_];
    }
    _is_copy($_) for Apache2::Spawn::Process::Fork::copy($theirs, \@own, _ms($own[0], 0), _ms($own[1], $GRACE));
    return;
}

# In the copy.
sub _is_copy {
    my ($new) = @_;
    ($control, @limits) = @{$new};
    $pid = $$;
    undef $forks;
    return;
}

# A time that is not 0 stays one.
sub _ms {
    my ($seconds, $default) = @_;
    $seconds = $default if !length $seconds;
    my $ms = int($seconds * 1000);
    return $ms || ($seconds > 0 ? 1 : 0);
}

# ---- the socket ----

# A command and its body, or the length of a body that handles ride on; none: the caller
# has let go.
sub _next {
    my $head = _read(HEAD);
    return if !defined $head;
    my ($what, $length) = Apache2::Spawn::Process::Wire::head($head);
    return ($what, $length) if $what eq CMD_HANDLE || $what eq CMD_FORK;
    my $body = _read($length);
    return defined $body ? ($what, $body) : ();
}

# So many bytes and not one more: a handle may ride on the next. undef: the
# caller has let go.
sub _read {
    my ($length) = @_;
    my $bytes = '';
    while (length $bytes < $length) {
        my $got = sysread $control, $bytes, $length - length $bytes, length $bytes;
        next if !defined $got && $! == $EINTR;
        return if !$got;
    }
    return $bytes;
}

# True when it was sent.
sub _answer {
    my ($to, $what, $body) = @_;
    my $bytes = Apache2::Spawn::Process::Wire::message($what, $body);
    while (length $bytes) {
        my $sent = send $to, $bytes, $MSG_NOSIGNAL;
        next if !defined $sent && $! == $EINTR;
        return if !$sent;
        substr $bytes, 0, $sent, '';
    }
    return 1;
}

sub _bytes {
    my ($text) = @_;
    $text = '' if !defined $text;
    utf8::encode($text);
    return $text;
}

1;

__END__

=encoding UTF-8

=head1 NAME

Apache2::Spawn::Process::Serve - what runs in a process until its function does

=head1 SYNOPSIS

    # in code that a process evaluates, or in a module that it requires
    my ($listener, $name) = Apache2::Spawn::Process::Serve::run_args();

=head1 DESCRIPTION

L<Apache2::Spawn::Process> starts processes that take commands: load this, keep
that, fork, run. This module is their side of it. There is no reason to load it:
each process does so itself, and templates have loaded it before: 0.3 MB, or 0.6 with
L<Socket>, which most have anyway. It is in the template, not in httpd's children, and its
processes share it.

=head1 FUNCTIONS

=over

=item preload

Loads what processes need. Each template does that by itself.

=item run_args

What the function would be called with after the socket: the strings and handles
that were sent so far. They are taken away: the function is called with those
that are sent later. After C<run> the list is empty.

Code that was written for AnyEvent::Fork finds it as
C<AnyEvent::Fork::Serve::run_args>, too.

=back

=head1 SEE ALSO

L<Apache2::Spawn::Process>, L<Apache2::Spawn::Process::Wire>,
L<Apache2::Spawn::Process::Handle>, L<Apache2::Spawn::Process::Fork>

=cut
