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
use warnings;

our $VERSION = '0.1.0';

use Fcntl ();
use IO::FDPass ();
use IO::Handle ();
use POSIX ();
use Scalar::Util ();
use Socket ();
use Time::HiRes ();

# A head of a command or an answer: what it is, and how long its body is.
use constant HEAD => 5;

# Most characters of a failure's text.
use constant TEXT_MAX => 65_536;

# pidfd_open has this number on all machines but the Alpha.
use constant PIDFD_OPEN => 434;

my $control;    # the socket to the caller
my @limits;     # timeout and grace of processes that are forked from this one
my @args;       # what was sent for the function, in order
my $failure;    # why it cannot be run any more: [code, text, class]
my $pid;        # this process

# The process of a Perl job.
sub main {
    my ($number, @given) = @_;
    @limits  = @given;
    $control = Apache2::Spawn::Current->fh($number);
    return _serve();
}

# The process of a program, perl.
sub exec_main {
    (my $number, @limits) = @ARGV;
    @ARGV = ();
    open $control, '+<&=', $number or die "the socket at $number: $!\n";
    $0 = 'spawn Apache2::Spawn::Process';
    _serve();
    return;
}

# What run would give the function after the socket; takes it away.
sub run_args { return splice @args }

# ---- commands, until the function is run ----

my %command = (
    a => sub { push @args, unpack '(N/a*)*', $_[0] },
    e => sub { _set_up('eval', sub { _evaluate(_clean(shift), @_); die $@ if ref $@ || length $@ }, $_[0]) },    ## no critic (RequireCarping)
    q => sub { _set_up('require', sub { _load(_clean($_)) for @_ }, $_[0]) },
    h => \&_handles,
    f => \&_fork,
);

sub _serve {
    {
        # the name that it has in code that was written for that module
        no warnings 'once';
        *AnyEvent::Fork::Serve::run_args = \&run_args;
    }
    $pid = $$;
    while (!$failure) {
        my ($what, $body) = _next() or return;
        if ($what eq 'r' || $what eq 'p') {
            my $function = $what eq 'r' ? _function($body) : undef;
            last if $failure;
            _answer($control, 'k', $$) or return;
            return _enter($function, $body) if $what eq 'r';
            next;
        }
        my $do = $command{$what} or die "a command that is none: the socket is used by somebody else\n";
        $do->($body);
        exit 0 if $$ != $pid;    # forked by the caller's own code, and no process of ours
    }
    _tell_failure(pack '(N/a*)*', map { _bytes($_) } @{$failure});
    die "$failure->[1]\n";
}

# Nothing is done any more, and no handle is kept: this process ends. The failure
# is its caller's, and of the processes that were to be forked from it. Nobody can
# send from now on, so that what is there is all there will be.
sub _tell_failure {
    my ($told) = @_;
    @args = ();
    shutdown $control, 0;
    _answer($control, 'e', $told);
    while (my ($what, $body) = _next()) {
        last if $what eq 'h' && !eval { _receive_plain() };
        next if $what ne 'f';
        my $fork = eval { _receive_plain() } or last;
        _answer($fork, 'e', $told);
        eval { _receive_plain() } or last;
    }
    undef $control;
    return;
}

sub _set_up {
    my ($what, $code, $body) = @_;
    my @given = unpack '(N/a*)*', $body;
    my $from = shift @given;
    return if eval { $code->(@given); 1 };
    my $error = $@;
    my $text = eval { "$error" };
    $text = 'an object of class ' . ref($error) . ', which cannot be made a text' if !defined $text;
    chomp $text;
    $failure = ['call_failed', substr("$what $from: $text", 0, TEXT_MAX), Scalar::Util::blessed($error)];
    return;
}

# Whoever made this process may say what it does: under -T too, where all that is
# read is tainted. The strings for the code and for the function stay so.
sub _clean {
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
    $name =~ s/'/::/g;
    $name = "main::$name" if $name !~ /::/;
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
    $0 =~ s/\A(spawn )\S+/$1$name/;
    exit($args[0] || 0) if $name eq 'CORE::exit';    # which would take the socket for its code
    @_ = ($control, splice @args);
    undef $control;
    goto &{$function};
}

# ---- handles ----

sub _handles {
    push @args, _receive();
    return;
}

my %class = (
    Socket::AF_INET()  => 'IO::Socket::INET',
    Socket::AF_INET6() => 'IO::Socket::IP',
    Socket::AF_UNIX()  => 'IO::Socket::UNIX',
);

# A socket is an object, for accept and the like.
sub _receive {
    my $fd = IO::FDPass::recv(fileno $control);
    die "a handle did not arrive: $!\n" if $fd < 0;
    my $handle = _open($fd);
    my $address = -S $handle ? getsockname $handle : undef;
    return $handle if !defined $address;
    my $class = $class{ Socket::sockaddr_family($address) };
    if (defined $class && eval { _load($class); 1 }) {
        bless $handle, $class;
        # what the class keeps beside the descriptor, as new_from_fd leaves it
        ${*{$handle}}{io_socket_proto} = 0;
        ${*{$handle}}{io_socket_type} = unpack 'i', getsockopt($handle, Socket::SOL_SOCKET(), Socket::SO_TYPE()) || '';
        ${*{$handle}}{io_socket_domain} = Socket::sockaddr_family($address);
    }
    return $handle;
}

sub _open {
    my ($fd) = @_;
    open my $handle, '+<&=', $fd or die "the handle at $fd: $!\n";    ## no critic (RequireBriefOpen)
    my $flags = fcntl $handle, Fcntl::F_GETFL(), 0;
    my $access = $flags & Fcntl::O_ACCMODE();
    return $handle if $access == Fcntl::O_RDWR();
    # a duplicate: the first one goes with its handle
    my $mode = $access == Fcntl::O_RDONLY() ? '<&' : $flags & Fcntl::O_APPEND() ? '>>&' : '>&';
    open my $right, $mode, $handle or die "the handle at $fd: $!\n";    ## no critic (RequireBriefOpen)
    return $right;
}

# ---- another process ----

# Between this process and the new one stands one more, the new one's parent,
# which waits for it and tells the caller how it ended. It is nobody's child
# here, so that this process has none that its function would not expect.
sub _fork {
    my ($body) = @_;
    my ($theirs, $told) = (_receive_plain(), _receive_plain());
    my ($timeout, $grace) = unpack '(N/a*)*', $body;
    $timeout = $limits[0] if !length $timeout;
    $grace   = $limits[1] if !length $grace;
    my $between = CORE::fork();
    return _no_fork($theirs) if !defined $between;
    if ($between) {
        1 while waitpid($between, 0) < 0 && $!{EINTR};
        return;
    }
    my $waiter = CORE::fork();
    _no_fork($theirs) if !defined $waiter;
    POSIX::_exit(0) if !defined $waiter || $waiter;
    POSIX::setsid();
    my $new = CORE::fork();
    if (!defined $new) {
        _no_fork($theirs);
        POSIX::_exit(0);
    }
    if ($new) {
        _wait_for($new, $told, $timeout, $grace);
        POSIX::_exit(0);
    }
    POSIX::setsid();
    srand;
    ($control, $pid) = ($theirs, $$);
    @limits = ($timeout, $grace);
    $0 = 'spawn Apache2::Spawn::Process';
    return;
}

sub _receive_plain {
    my $fd = IO::FDPass::recv(fileno $control);
    die "a handle did not arrive: $!\n" if $fd < 0;
    return _open($fd);
}

sub _no_fork {
    my ($theirs) = @_;
    return _answer($theirs, 'e', pack '(N/a*)*', 'system', "fork: $!", '');
}

# ---- the waiter ----

# Tells pid, exit status and what came of signals; ends with the process, or
# with the caller when nothing is left to do for it.
sub _wait_for {
    my ($new, $told, $timeout, $grace) = @_;
    delete @SIG{ grep { defined $SIG{$_} } keys %SIG };
    $SIG{PIPE} = 'IGNORE';    ## no critic (RequireLocalizedPunctuationVars)
    my $end = syscall PIDFD_OPEN, $new + 0, 0;
    _close_all_but(fileno $told, $end);
    $0 = "spawn waiter of $new";
    _tell($told, "pid $new");
    my $until = $timeout ? _now() + $timeout : undef;
    my @signals = ('TERM', 'KILL');
    my $listening = 1;
    while ($end >= 0) {
        my $wanted = '';
        vec($wanted, $end, 1) = 1;
        vec($wanted, fileno $told, 1) = 1 if $listening;
        my $left = defined $until ? $until - _now() : undef;
        my $ready = select $wanted, undef, undef, defined $left && $left < 0 ? 0 : $left;
        next if $ready < 0;
        last if vec $wanted, $end, 1;
        if (defined $until && _now() >= $until) {
            _signal($new, shift @signals);
            $until = @signals ? _now() + (length $grace ? $grace : 5) : undef;
        }
        next if !$listening || !vec $wanted, fileno $told, 1;
        if (!sysread $told, my $said, 100) {
            return if !defined $until;
            $listening = 0;
        }
        elsif (my ($signal) = $said =~ /\Akill (\d+)/) {
            _tell($told, 'killed ' . _signal($new, $signal));
        }
    }
    waitpid $new, 0;
    _tell($told, "exit $?");
    return;
}

# To its process group; to itself in the moment before it has one.
sub _signal {
    my ($new, $signal) = @_;
    return CORE::kill($signal, -$new) || CORE::kill($signal, $new);
}

sub _tell {
    my ($told, $text) = @_;
    return send $told, $text, Socket::MSG_NOSIGNAL();
}

# Whatever the copy of the process holds open, nobody shall have to wait for it.
sub _close_all_but {
    my %keep = map { $_ => 1 } @_;
    my $null = POSIX::open('/dev/null', POSIX::O_RDWR());
    POSIX::dup2($null, $_) for 0 .. 2;
    opendir my $dir, '/proc/self/fd' or return;
    my @fds = grep { /\A\d+\z/ && $_ > 2 && !$keep{$_} } readdir $dir;
    closedir $dir;
    POSIX::close($_) for @fds;
    return;
}

sub _now { return Time::HiRes::clock_gettime(Time::HiRes::CLOCK_MONOTONIC()) }

# ---- the socket ----

# A command and its body; none: the caller has let go.
sub _next {
    my $head = _read(HEAD);
    return if !defined $head;
    my ($what, $length) = unpack 'a N', $head;
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
        next if !defined $got && $!{EINTR};
        return if !$got;
    }
    return $bytes;
}

# True when it was sent.
sub _answer {
    my ($to, $what, $body) = @_;
    my $bytes = pack 'a N/a*', $what, $body;
    while (length $bytes) {
        my $sent = send $to, $bytes, Socket::MSG_NOSIGNAL();
        next if !defined $sent && $!{EINTR};
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
each process does so itself. In C<preload> of a C<SpawnTemplate> it saves each
process some milliseconds.

It needs L<IO::FDPass> (Debian: libio-fdpass-perl) wherever processes run.

=head1 FUNCTIONS

=over

=item run_args

What the function would be called with after the socket: the strings and handles
that were sent so far. They are taken away: the function is called with those
that are sent later. After C<run> the list is empty.

Code that was written for AnyEvent::Fork finds it as
C<AnyEvent::Fork::Serve::run_args>, too.

=back

=head1 SEE ALSO

L<Apache2::Spawn::Process>

=cut
