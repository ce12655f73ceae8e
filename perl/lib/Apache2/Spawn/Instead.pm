package Apache2::Spawn::Instead;

# system, readpipe (backticks) and open of a package, as jobs with Perl's own contract. Runs
# in callers. Must change nothing in packages that did not ask for it.

use strict;
use warnings;

our $VERSION = '0.1.0';

use Apache2::Spawn ();
use Apache2::Spawn::Error ();
use Apache2::Spawn::Instead::Command qw(command resolved environment permitted directory bytes);
use POSIX ();
use Symbol ();
use Time::HiRes ();

# The broker tells of a job's end at once when somebody waits for it; later it is a question to the
# store. So the output of a short program is read when it has ended, if the pipe has room for it.
use constant { SHORT => 0.05, F_SETPIPE_SZ => 1031, PIPE_ROOM => 1 << 20 };

# How long an answer of the broker may be missing, seconds.
use constant PATIENCE => 30;

my %face = (system => \&_system, readpipe => \&_readpipe, open => \&_open);

my %cannot = (
    exec    => 'it puts the program in the place of this process, which is a child of httpd',
    fork    => 'a job is no copy of this process; for a Perl function use Apache2::Spawn->spawn_call',
    wait    => 'a job is no child of this process; close of the handle waits for it',
    waitpid => 'a job is no child of this process; close of the handle waits for it',
    close   => 'close of the handles that open makes is Perl\'s own, and waits for the program',
    qx      => 'name readpipe, which is what backticks call',
);

# Of a package: how its programs run.
my %options_of;
my %known = map { $_ => 1 } qw(queue timeout grace nice ionice limits no_new_privs leftovers priority label);

# For the errno of a job that was refused.
my %errno = (
    unreachable   => POSIX::ECONNREFUSED(),
    unconfirmed   => POSIX::ETIMEDOUT(),
    queue_full    => POSIX::EAGAIN(),
    unknown_queue => POSIX::ENOENT(),
    invalid       => POSIX::EINVAL(),
    too_big       => POSIX::E2BIG(),
    not_permitted => POSIX::EACCES(),
);

sub import {
    my ($class, @names) = @_;
    my $package = caller;
    if (@names && ref $names[-1] eq 'HASH') {
        my $options = pop @names;
        for my $name (sort keys %{$options}) {
            _refuse("there is no option '$name' here; there are " . join ', ', sort keys %known) if !$known{$name};
        }
        $options_of{$package} = { %{$options} };
    }
    for my $name (@names ? @names : sort keys %face) {
        _refuse("$name cannot be replaced: $cannot{$name}") if $cannot{$name};
        _refuse("'$name' is not known here; wanted: " . join ', ', sort keys %face) if !$face{$name};
        no strict 'refs';    ## no critic (ProhibitNoStrict)
        *{"${package}::$name"} = $face{$name};
    }
    return;
}

# With the line that says use.
sub _refuse {
    my ($text) = @_;
    my (undef, $file, $line) = caller 1;
    die "Apache2::Spawn::Instead: $text at $file line $line.\n";
}

# ---- the three ----

sub _system {
    return _own_system(@_) if !_has_broker();
    my $errno = $! + 0;
    return _told(scalar _start([@_], sub { return {} }, \&_ended), $errno);
}

# Perl's own cannot be jumped to, as the other two can: so that what it says has our caller's
# line and pragmas, it is said here.
sub _own_system {
    my @words = @_;
    no warnings 'exec';    ## no critic (ProhibitNoWarnings)
    my $status = _quietly(sub { return CORE::system @words });
    die _placed($@) if !defined $status;
    _warn_not_started(@words) if $status == -1;
    return $status;
}

sub _readpipe (_) {    ## no critic (ProhibitSubroutinePrototypes)
    goto &CORE::readpipe if !_has_broker();    # not a call: so it has our caller's pragmas
    my ($command, $errno) = ($_[0], $! + 0);
    my ($input) = _default_layers();
    my ($list, $from, $to, @got) = (wantarray);
    my $end = _start(
        [$command],
        sub {
            pipe $from, $to or return;
            fcntl $to, F_SETPIPE_SZ, PIPE_ROOM;    # a refusal does no harm
            return { stdout => $to };
        },
        sub {
            my ($job) = @_;
            close $to;
            my $end = _asked_once(sub { return $job->wait(SHORT) });
            binmode $from, $input if defined $input;
            local $.;
            @got = $list ? readline $from : do { local $/ = undef; scalar readline $from };
            return $end || _ended($job);
        });
    _told($end, $errno);
    return if !$end;    # undef, or an empty list
    return $list ? @got : defined $got[0] ? $got[0] : '';
}

# In a list undef, too, where it fails, as Perl's own.
sub _open (*;$@) {    ## no critic (ProhibitSubroutinePrototypes)
    if (defined $_[0] && !ref $_[0] && ref \$_[0] ne 'GLOB') {    # a bareword
        my $handle = Symbol::qualify_to_ref($_[0], scalar caller);
        splice @_, 0, 1, $handle;
    }
    my ($writing, $layers, @words) = @_ > 1 && _has_broker() ? _piped(@_[ 1 .. $#_ ]) : ();
    goto &CORE::open if !defined $writing;

    my @default = _default_layers();
    if (@words == 1 && bytes($words[0]) !~ /\S/) {
        warnings::warnif('pipe', 'Missing command in piped open');
        $! = POSIX::EPIPE();
        return undef;    ## no critic (ProhibitExplicitReturnUndef)
    }
    _refuse("open with '-' forks, which a job cannot stand for: name a program, or use CORE::open")
        if @words == 1 && $words[0] =~ /\A\s*-\s*\z/;
    my ($job, $pid) = _start_with_pipe($_[0], $writing, @words)
        or return undef;    ## no critic (ProhibitExplicitReturnUndef)
    $layers = $default[$writing] if !defined $layers;
    if (defined $layers && !_layered($_[0], $layers)) {
        local ($!, $?);
        CORE::close($_[0]);
        undef $pid;
    }
    return $pid;
}

# False, and $!, where they are none. The warning of that has our caller's line.
sub _layered {
    my ($handle, $layers) = @_;
    my @said;
    my $done = do {
        local $SIG{__WARN__} = sub { push @said, $_[0] =~ s/ at \S+ line \d+.*//sr };
        binmode $handle, $layers;
    };
    local $! = $! + 0;
    warnings::warnif('layer', $_) for @said;
    return $done;
}

# ---- piped opens ----

# Of what open was given behind the handle: does it write to a program, with which layers,
# and the program. Nothing where there is none.
sub _piped {
    my ($mode, @words) = @_;
    return if !defined $mode || ref $mode;
    if (@words) {
        my ($way, $layers) = $mode =~ /\A\s*(\|-|-\|)\s*(:.*)?\z/s or return;
        return ($way eq '|-' ? 1 : 0, $layers, @words);
    }
    my $text = $mode;    # cut, and not matched: what a pattern gives is not tainted
    $text =~ s/\A\s+//;
    $text =~ s/\s+\z//;
    if ($text =~ s/\A\|\s*//) {
        if ($text =~ s/\s*\|\z//) {
            warnings::warnif('pipe', q{Can't open bidirectional pipe});
        }
        return (1, undef, $text);
    }
    return $text =~ s/\s*\|\z// ? (0, undef, $text) : ();
}

# In: the caller's handle. Its old file is closed, as by Perl's open.
sub _start_with_pipe {
    my ($writing, @words) = @_[ 1 .. $#_ ];
    my ($ours, $its);
    my $started = _start(
        \@words,
        sub {
            pipe my $read, my $write or return;
            ($ours, $its) = $writing ? ($write, $read) : ($read, $write);
            return { $writing ? 'stdin' : 'stdout' => $its };
        },
        sub { my ($job) = @_; return _ask(sub { return _started($job) }) });
    close $its if $its;
    if (!$started) {
        my $errno = $! + 0;
        CORE::open($_[0], '<', '/dev/null') && CORE::close($_[0]);    # a handle, and no open one
        $! = $errno;
        return;
    }
    my $job = $started->job;
    CORE::open($_[0], $writing ? '>&=' : '<&=', fileno $ours) && _program_handle($_[0], $job, $writing) or return;
    return ($job, $started->pid || '0 but true');
}

# The layers of the caller's `use open`: for input, for output.
sub _default_layers {
    my $hints = (caller 1)[10] or return;
    return @{$hints}{ 'open<', 'open>' };
}

# ---- jobs ----

# For the other faces: the same, with options of theirs, until it has begun. In: exact, when
# a single word is no line for a shell either.
sub _begun {
    my ($words, $options, $exact) = @_;
    return _start($words, sub { return $options }, sub { my ($job) = @_; return _ask(sub { return _started($job) }) }, $exact);
}

# Starts what these words of system mean, with the streams that $streams makes. What $look
# finds out of the job, a Result, is returned; nothing, and $!, when it has not begun.
sub _start {
    my ($words, $streams, $look, $exact) = @_;
    _flush_all();
    my ($argv, $joined) = $exact ? ([ map { bytes($_) } @{$words} ], 0) : command(@{$words});
    my $found = $argv && _job($argv, $joined, $streams, $look);
    return $found if $found && !_never_began($found);
    $! = $found->errno || ($found->outcome eq 'cancelled' ? POSIX::ECANCELED() : POSIX::EIO()) if $found;
    _warn_not_started(@{$words});
    return;
}

# It could not be started, or was cancelled before its turn came.
sub _never_began {
    my ($found) = @_;
    return $found eq 'done' && ($found->outcome eq 'start_failed' || $found->outcome eq 'cancelled' && !$found->pid);
}

# With the reason, which is $! before and after.
sub _warn_not_started {
    my (@words) = @_;
    local $! = $! + 0;
    my $why = "$!";
    my ($argv) = command(@words);
    return _warn(sprintf q{Can't exec "%s": %s}, $argv ? $argv->[0] : bytes($words[0]), $why);
}

# Where our caller has warnings of exec; never fatal, since Perl's own come from the forked child.
sub _warn {
    my ($text) = @_;
    warn sprintf "%s at %s line %d.\n", $text, (_caller())[ 1, 2 ] if warnings::enabled('exec');
    return;
}

# Its wait status, into $?, too. $! is what it was before, but where it has not begun, or where
# nobody knows how it ended.
sub _told {
    my ($end, $errno) = @_;
    my $status = $end ? $end->status : -1;
    $! = $status == -1 ? POSIX::ECHILD() : $errno if $end;
    _child_status($status);
    return $status;
}

# What its process finds: as much of ours as a program that Perl starts has.
sub _job {
    my ($argv, $joined, $streams, $look) = @_;
    my $path = resolved($argv->[0]) or return;
    my @words = ($path, @{$argv}[ 1 .. $#{$argv} ]);
    my $found;
    # A file that is no program is the shell's, as with execvp.
    for my $try ([@words], [ '/bin/sh', @words ]) {
        my $own = $streams->() or return;
        my %of_package = %{ $options_of{ (_caller())[0] } || {} };
        my $queue = defined $own->{queue} ? $own->{queue} : $of_package{queue};
        my %options = (
            %of_package,
            env   => permitted(environment(), _request(), $queue),
            cwd   => directory(),
            umask => umask,
            _standard_streams(),
            %{$own},
            $joined ? (stderr => 'stdout') : (),
        );
        $found = _submitted($try, \%options, $look) or return;
        last if !_never_began($found) || ($found->errno || 0) != POSIX::ENOEXEC();
    }
    return $found;
}

# Package, file and line of the code that called us.
sub _caller {
    my $level = 1;
    $level++ while (caller $level)[0] eq __PACKAGE__;
    return caller $level;
}

# Descriptors 0 to 2 of this process, whatever STDIN and STDOUT are in Perl.
sub _standard_streams {
    my %stream;
    for my $pair ([ stdin => '<&', 0 ], [ stdout => '>&', 1 ], [ stderr => '>&', 2 ]) {
        my ($name, $mode, $fd) = @{$pair};
        my $is_open = CORE::open(my $copy, $mode, $fd);
        $stream{$name} = $is_open && !_is_null($copy) ? $copy : 'null';
    }
    return %stream;
}

my $null_device;

sub _is_null {
    my ($handle) = @_;
    $null_device = (stat '/dev/null')[6] if !defined $null_device;
    return -c $handle && (stat _)[6] == $null_device;
}

# Submits it, and looks.
sub _submitted {
    my ($found, $error) = _tried(@_);
    _failed($error) if !$found;
    return $found;
}

sub _tried {
    my ($argv, $options, $look) = @_;
    my $r = _request();
    local $@;
    my $job = _quietly(sub { return $r ? $r->spawn($argv, %{$options}) : Apache2::Spawn->spawn($argv, %{$options}) });
    for (1 .. 3) {
        last if $job || !Apache2::Spawn::Error::_is_one($@) || $@->code ne 'unconfirmed';
        my $unconfirmed = $@;
        $job = _quietly(sub { return $unconfirmed->job->resubmit });
        next if $job || !Apache2::Spawn::Error::_is_one($@) || $@->code ne 'invalid';
        $@ = $unconfirmed;    # bound to its request, it cannot be sent again
        last;
    }
    my $found = $job && $look->($job);
    return ($found, $@);
}

# The request that is served, where mod_perl tells.
sub _request {
    return if !Apache2::RequestUtil->can('request');
    local $@;
    return _quietly(sub { return Apache2::RequestUtil->request });
}

# Nothing, and $@, when it dies. A __DIE__ handler of the caller's is not for our errors.
sub _quietly {
    my ($code) = @_;
    local $SIG{__DIE__};
    return eval { $code->() };
}

# Its answer; nothing, and $@, when there is none. What a signal handler dies of goes on.
sub _asked_once {
    my ($question) = @_;
    my $answer = _quietly($question);
    die $@ if !$answer && (ref $@ || length $@) && !Apache2::Spawn::Error::_is_one($@);
    return $answer;
}

# A question whose answer is waited for: again, when the broker is being replaced. A broker that
# is there is waited for by the question itself. Where nobody listens there is nothing to wait on,
# since the kernel tells nobody when a path takes connections again: only there a pause counts.
# In: seconds, for a question that is not worth PATIENCE.
sub _ask {
    my ($question, $seconds) = @_;
    my $pause = 0.01;
    my $until = _clock() + (defined $seconds && $seconds < PATIENCE ? $seconds : PATIENCE);
    while (1) {
        my $answer = _asked_once($question);
        return $answer if $answer || !Apache2::Spawn::Error::_is_one($@) || $@->code !~ /\A(?:unreachable|deadline)\z/ || _clock() >= $until;
        Time::HiRes::sleep($pause);    # ended by a signal
        $pause *= 2 if $pause < 0.3;
    }
    return;
}

sub _clock { return Time::HiRes::clock_gettime(Time::HiRes::CLOCK_MONOTONIC()) }

# To $! and a warning; what is no failure of ours goes on as an exception.
sub _failed {
    my ($error) = @_;
    die $error if !Apache2::Spawn::Error::_is_one($error);
    die _placed($1) if $error->message =~ /\A(Insecure dependency .*)/s;
    _warn('Apache2::Spawn: ' . $error->message);
    $! = $error->errno || $errno{ $error->code } || POSIX::EIO();
    return;
}

# Perl's own exception, with the line that called us.
sub _placed {
    my ($error) = @_;
    return $error if ref $error || $error !~ /\AInsecure /;
    return sprintf "%s at %s line %d.\n", $error =~ s/ at \S+ line \d+\.\n\z//r, (_caller())[ 1, 2 ];
}

# Its Result; nothing, and $@, when nobody tells.
sub _ended {
    my ($job) = @_;
    return _ask(sub { return $job->wait });
}

# Called by the handles of open: the wait status.
sub _end_of {
    my ($job) = @_;
    local ($@, $!);
    my $end = _ended($job);
    return $end ? $end->status : -1;
}

1;

__END__

=encoding UTF-8

=head1 NAME

Apache2::Spawn::Instead - system, backticks and open '-|' of a package, as jobs

=head1 SYNOPSIS

    package My::Report;
    use Apache2::Spawn::Instead qw(system readpipe open);

    # from here on, in this package, all of these are jobs; none forks the httpd child
    system('/usr/bin/convert', $in, $out) == 0 or die "convert: $?";
    my $type  = `file -b $path`;                # backticks are readpipe
    my @lines = qx{sort $list | uniq -c};
    open my $dump, '-|', 'pg_dump', $name or die "pg_dump: $!";
    while (my $line = <$dump>) { ... }          # as it comes
    close $dump or die "pg_dump: $?";
    open my $mail, '|-', '/usr/sbin/sendmail', '-t' or die "sendmail: $!";

    # the programs of this package run by the rules of a queue, and not for ever
    use Apache2::Spawn::Instead qw(system), { queue => 'images', timeout => '60s' };

=head1 DESCRIPTION

Code of ten years starts its programs with C<system>, backticks and C<open '-|'>. Under mod_perl
each of these copies the httpd child, and the program inherits what nobody meant it to have
(L<Apache2::Spawn/THE PROBLEM>). With this one line in a package its programs are started by
mod_spawn, and the rest of the code stays as it is: the functions keep Perl's contract, as
L<perlfunc> has it. New code better says what it wants: L<Apache2::Spawn/run>.

=head1 HOW IT WORKS

C<use> puts functions named C<system>, C<readpipe> and C<open> into the package that says it. Perl
takes these in the place of its own in all code of that package that it compiles afterwards
(L<perlsub/Overriding Built-in Functions>); C<`...`> and C<qx> call C<readpipe>. Nothing else is
touched: not C<CORE::GLOBAL>, no other package, no module that the package uses. C<CORE::system>,
C<CORE::readpipe> and C<CORE::open> are Perl's own, everywhere.

A program is submitted as a job (L<Apache2::Spawn/spawn>; with the request's context, as
C<< $r->spawn >>, where mod_perl knows the current request) with the words, directory, C<umask>,
environment and descriptors that Perl would have given it, and the function waits until the job
has begun. What it writes comes through a pipe whose other end went with the job. It is
not captured, so there is no limit of its size, and it is there while the program runs.

The handle of C<open> is a handle of Perl's on that pipe, with a PerlIO layer (C<spawn>) in the
place of C<:perlio>, which knows the job. It is not tied: C<fileno>, C<select>, C<binmode>,
C<eof>, C<$.>, C<sysread>, C<-p> and passing it on work as with any pipe, at the speed of one.
When it is closed, the layer closes the pipe, waits for the job's end, and sets C<$?>.

=head1 FUNCTIONS

=over

=item system LIST

Runs a program to its end. LIST and what it returns are those of L<perlfunc/system>: the wait
status (a number, exit code times 256 or a signal), which is in C<$?> and
C<${^CHILD_STATUS_NATIVE}>, too; -1 when it could not be started, with the reason in C<$!>, which
is left alone otherwise.

=item readpipe EXPR, C<`...`>, qx

Runs a program and returns what it has written to its standard output, a text of bytes (or
characters, with the layers of C<use open>): all of it in scalar context, a list of lines (as
C<$/> has them) in list context. undef, or an empty list, when it could not be started, with C<$?>
-1 and the reason in C<$!>.

=item open HANDLE, '-|', LIST and its like

C<'-|'> (read what the program writes) and C<'|-'> (write to the program) with a command or
a list, layers behind them (C<'-|:encoding(UTF-8)'>), and the two-argument forms (C<"cmd |">,
C<"| cmd">). HANDLE is what Perl's C<open> takes: C<my $fh>, a bareword, C<local *FH>, an element
of a hash. Each other C<open> (files, duplicates, scalars) is Perl's own, with the pragmas of
its caller.

Returns the process id of the program (a number), undef when it could not be started, with the
reason in C<$!>.

=item close HANDLE

Perl's own, not replaced. Of a handle from above it closes the pipe, waits for the program (with
no time limit but that of the job), sets C<$?>, and returns true when that is 0; C<$!> is 0 when
the status is the only thing that is wrong. A handle that goes out of scope, or is opened anew,
waits, too, and leaves C<$?> alone: as Perl's own. An interpreter that ends, and a forked
child, do not wait; the program goes on.

=back

A single command with none of the shell's characters is split into words, and else given to
F</bin/sh>, by Perl's own rules; a list never meets a shell. The functions throw nothing but what
Perl's own do: "Insecure dependency" under C<-T>, and what a signal handler throws while they
wait.

When a job cannot be had, that is a program that could not be started: C<$!> is C<EAGAIN> for a
queue that is full, C<ECONNREFUSED> for a broker that does not answer, C<EACCES> for what the queue
does not allow, C<E2BIG> for too many words, C<EINVAL> for words with a NUL, C<ETIMEDOUT> when nobody
has confirmed that the broker has it (it may run). A warning of the category C<exec> has the reason,
as Perl's "Can't exec" has.

A program whose queue is busy is waited for. It has handles, so the error log warns of it
(MS0670). One that is cancelled before its turn comes, by C<spawnctl kill> or a stop of httpd, could not
be started: C<$!> is C<ECANCELED>.

A broker that goes while a program runs is waited for, up to 30 seconds. When nobody knows how the
program has ended, C<$?> is -1 and C<$!> C<ECHILD>.

=head2 Options

A reference to a hash behind the names, for all programs of the package: C<queue>, C<timeout>,
C<grace>, C<nice>, C<ionice>, C<limits>, C<no_new_privs>, C<leftovers>, C<priority> and C<label>, as
L<Apache2::Spawn::Options> has them. Without them the queue is the request's, or C<default>, and
the program may run as long as its queue lets it. One that takes longer is ended by C<TERM>, and
C<$?> says so.

=head2 Names

Without names all three are replaced; with an empty list, C<()>, none. C<use> dies when a name is
none of the three.

=head1 WHAT A PROGRAM FINDS

=over

=item Standard input, output and error

Descriptors 0, 1 and 2 of the httpd child, as with Perl's own: in a server that was started as
usual F</dev/null>, F</dev/null> and the error log. They are not the request's: under mod_perl
C<STDIN> and C<STDOUT> are the client's body and answer, which no program can read or write,
and what C<system> prints does not reach the client. Perl flushes its handles before it starts a
program, and so does this: what the handler has printed so far is handed to httpd. Nothing else
of the answer is touched.

=item Environment

C<%ENV>, as it is now: C<local $ENV{TZ} = 'UTC'> counts. (Perl's own programs under mod_perl
get httpd's environment whatever is in C<%ENV>.) In httpd without the variables that mod_perl makes
of the request, those of CGI (C<HTTP_COOKIE>, C<REQUEST_METHOD>, C<SSL_*> and so on) and C<MOD_PERL>,
which Perl's own programs do not get either; and with C<HOME>, C<USER>, C<LOGNAME> and C<LANG> of the
clean set of jobs (L<Apache2::Spawn::Options/Surroundings>) where C<%ENV> has none.
C<SPAWN_JOB_ID>, C<SPAWN_QUEUE> and C<SpawnEnv> of the queue are there as well. In a queue with
C<SpawnAllow> the variables that its jobs may not set (C<PATH>, C<HOME>, C<LD_...>, C<PERL...>
and others) are left out, so a program has C<PATH> and C<HOME> of the clean set; a process outside of
httpd does not know the queues, and its programs are refused there with C<EACCES>, if C<%ENV> has such
variables.

=item Directory, umask, program

Those of the process (F</> where a job cannot enter its directory). Programs are looked for
in C<PATH> of C<%ENV>. The program is given its path as its own name.

=item Account, session

Those of jobs: the account that the queue says, httpd's C<User> if none; a session
of its own; no open descriptor but the three; no blocked or ignored signal.

=back

=head1 WHAT IS NOT REPLACED

=over

=item *

C<fork>, C<exec>, C<wait>, C<waitpid>: to name one is an error. A job is no copy of this process, and
no child of it: C<waitpid> with the number that C<open> returned gives -1, and C<SIGCHLD> does not
come.

=item *

C<open> with C<'-'> in the place of a command forks, to run Perl code in the child. It dies, and
says so; C<CORE::open> does it.

=item *

C<< system { $program } @words >>: Perl has no way to replace that form. In a package whose C<system>
is replaced it is a syntax error, when the code is compiled.

=item *

Programs of modules that the package uses (L<IPC::Open3>, L<IPC::Run>, C<glob> of old perls),
and code that was compiled before C<use>.

=item *

A here-document in backticks (C<<< <<`END` >>>), which Perl runs by itself: write C<qx> or
C<readpipe>.

=back

=head1 OUTSIDE HTTPD

A process without a broker has Perl's own functions: a script, a test or a cron program
where C<SPAWN_SOCKET> is not set; httpd itself while it starts (F<startup.pl>); an
httpd without mod_spawn. So a module with this line can be used anywhere. With C<SPAWN_SOCKET>
set, and in Perl functions that run as jobs, programs are jobs.

A broker that is there and does not answer is no reason to fork: the function fails.

=head1 SEE ALSO

L<Apache2::Spawn>, L<Apache2::Spawn::Options>; F<migrating.md> in the documents of mod_spawn

=cut
