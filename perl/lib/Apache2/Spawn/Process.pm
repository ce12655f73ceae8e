package Apache2::Spawn::Process;

# The object for a process that is set up step by step: its methods, and its state (what
# is still to be sent, and what is awaited). The methods that are called most are in
# perl/xs/Process.xs, and Process::Send gets what is not plain. Process::New makes new
# processes, Process::End knows of their ends, and Process::Given checks what users give.
# Process::Socket moves the bytes, Process::Wire knows their form, Process::Failure the
# reason when something failed, and Process::Loop waits in an event loop; the process
# itself runs Process::Serve.
#
# Runs in the caller, often an httpd child: it must never fork, and never wait without a
# deadline but where its user asked for that.

use strict;
use warnings;

our $VERSION = '0.1.0';

use Apache2::Spawn ();
use Apache2::Spawn::Process::End qw(exit_status kill wait);
use Apache2::Spawn::Process::Failure qw(_caller _ended _failed _late _refused _rethrow _throw);
use Apache2::Spawn::Process::Given qw(_descriptor _is_code _octets _own_options _secure);
use Apache2::Spawn::Process::Loop ();
use Apache2::Spawn::Process::New qw(new new_exec);
use Apache2::Spawn::Process::Send qw(_eval _require _send_arg _send_fh);
use Apache2::Spawn::Process::Socket ();
use Apache2::Spawn::Process::Wire;
use IO::Handle ();
use Scalar::Util ();
use XSLoader ();

XSLoader::load(__PACKAGE__, $VERSION);

# How long after the end of the socket the reason may still come.
use constant NEWS => 5;

# Of a fork without options.
my $as_before = Apache2::Spawn::Process::Wire::body('', '');

# ---- new processes, beside those of Process::New ----

sub new_from_fh {
    my ($class, $fh, @options) = @_;
    _descriptor($fh, 'new_from_fh');
    my $own = _own_options('new_from_fh', \@options, qw(deadline on_error));
    $fh->blocking(0);
    return _object($class, fh => $fh, %{$own});
}

sub fork {    ## no critic (ProhibitBuiltinHomonyms)
    my ($self, @options) = @_;
    if (!@options && length $AnyEvent::MODEL && (my $new = $self->_ask_for_copy($as_before, 0))) {
        Apache2::Spawn::Process::Loop::send_on($self);
        Scalar::Util::weaken($self->{asked}[ @{ $self->{asked} || [] } ] = $new);
        return $new;
    }
    local ($@, $!);
    my $own = @options ? _own_options('fork', \@options, qw(deadline timeout grace on_error)) : {};
    $self->_usable;
    my $body = %{$own} ? Apache2::Spawn::Process::Wire::body(map { defined $_ ? $_ : '' } @{$own}{qw(timeout grace)}) : $as_before;
    my $new = $self->_ask_for_copy($body, 1) or _throw('system', 'socketpair', errno => $! + 0);
    for my $name (grep { exists $own->{$_} } qw(deadline on_error)) {
        $new->{$name} = $own->{$name};
    }
    $self->_added;
    return $new if $self->{broken};    # which it cannot keep alive
    if ($self->_pending) {
        Scalar::Util::weaken($self->{asked}[ @{ $self->{asked} || [] } ] = $new);
    }
    else {
        Scalar::Util::weaken($new->{from});
    }
    return $new;
}

# fh: the socket; in: the part of an answer that has come. What is still to be sent is in
# its outbox, in C. unsent, via: what makes the job, and whose it is; submitted: awaits the broker's answer to it.
# forked: it is a copy, whose waiter's socket (status) comes on the socket. from: the
# process that it is to be a copy of, which knows why there may be none. It is kept alive
# only until it has been asked for the copy; asked: the copies asked for.
sub _object {
    my ($class, %self) = @_;
    $self{deadline} = _deadline() if !defined $self{deadline};
    my $process = bless { in => '', %self }, ref $class || $class;
    $process->_begin_outbox;
    return $process;
}

# ---- setting up ----

# run, when it is not plain.
sub _run {
    my ($self, $function, $code) = @_;
    _secure('run', $function);
    _throw('invalid', 'run: wanted: the name of a function, as text')
        if !defined $function || ref $function || !length $function;
    return $self->_give_away('run', CMD_RUN, _octets('run', $function), $code);
}

sub to_fh {
    my ($self, $code) = @_;
    return $self->_give_away('to_fh', CMD_PID, '', $code);
}

# When the process has done everything that was sent, the socket is the caller's.
sub _give_away {
    my ($self, $method, $what, $body, $code) = @_;
    _throw('invalid', "$method: wanted: a reference to code, which is called with the socket")
        if defined $code && !_is_code($code);
    if ($code && Apache2::Spawn::Process::Loop::in_use()) {
        local ($@, $!);
        $self->_command($what, $body);
        $self->_gone($method);
        Apache2::Spawn::Process::Loop::give_later($self, $code, [_caller()], $self->_until);
        return;
    }
    {
        local ($@, $!);
        $self->_ask($what, $body);
    }
    $self->_gone($method);
    my $fh = delete $self->{fh};
    $code->($fh) if $code;
    return $fh;
}

sub _gone {
    my ($self, $method) = @_;
    $self->{gone} = "$method was called";
    $self->_close_outbox;
    return;
}

# ---- the process's end ----

sub job {
    my ($self) = @_;
    $self->_accepted;
    return $self->{job};
}

sub pid {
    my ($self) = @_;
    local ($@, $!);
    $self->_ask(CMD_PID, '') if !defined $self->{pid};
    return $self->{pid};
}

# ---- the socket ----

sub _until { return Apache2::Spawn::Process::Socket::now() + $_[0]{deadline} }

sub _usable {
    my ($self) = @_;
    die $self->{error} if $self->{error};    ## no critic (RequireCarping)
    _throw('invalid', "the process cannot be set up any more: $self->{gone}", job => $self->{job})
        if !$self->{fh} || $self->{gone};
    return;
}

# Sends a command, and returns the object.
sub _command {
    my ($self, $what, $body, $until) = @_;
    $self->_usable;
    _throw('too_big', 'at most 4 GB can be sent at once') if length $body > BODY_MAX;
    return $self if $self->{broken};
    $self->_append($what, $body);
    $self->_added($until);
    return $self;
}

# In an event loop the loop sends what has been added to the outbox, or it goes together
# with what has to be sent at once. When nobody takes it any more, the next call that
# waits says so: it knows why.
sub _added {
    my ($self, $until) = @_;
    return $self->_empty_outbox if $self->{broken};
    return Apache2::Spawn::Process::Loop::send_on($self) if Apache2::Spawn::Process::Loop::in_use();
    local ($@, $!);
    return $self->_flush(defined $until ? $until : $self->_until);
}

# Before a wait without a loop: send all that is still to be sent, here and to the process
# that this one is to be forked by.
sub _send_all {
    my ($self, $until, $may_be_late) = @_;
    $self->_accepted;
    $self->{from}->_send_all($until, 1) if $self->{from};
    return $self->_flush($until, $may_be_late) if $self->{fh} && $self->_pending;
    return;
}

# True when nothing is left to be sent.
sub _flush {
    my ($self, $until, $may_be_late) = @_;
    $self->_submit if $self->{unsent};
    my $then = delete $self->{then};
    Apache2::Spawn::Process::Loop::give($self, @{$then}) if $then;
    my $came_to = $self->{broken} ? 'ended' : Apache2::Spawn::Process::Socket::put($self, $self->{submitted} ? 0 : $until);
    if ($came_to eq 'late' && $self->{submitted} && !(defined $until && !$until)) {
        $self->_accepted;
        $came_to = Apache2::Spawn::Process::Socket::put($self, $until);
    }
    if ($came_to eq 'late') {
        return '' if $may_be_late;
        $self->_late('did not take what was sent');
    }
    delete $self->{sender};
    $self->_watched(0);
    my @asked = grep { defined && $_->{from} } @{ delete $self->{asked} || [] };
    if ($came_to eq 'sent') {
        Scalar::Util::weaken($_->{from}) for @asked;
        return 1;
    }
    $self->{broken} = 1;
    $self->_close_outbox;
    $self->_empty_outbox;
    return 1;
}

# Sends a new process's job, which has waited for the loop.
sub _submit {
    my ($self) = @_;
    local ($@, $!);
    my @made;
    CORE::eval { @made = Apache2::Spawn::Process::New::_send_plain($self); 1 } or @made = (undef, bless { error => $@ }, 'Apache2::Spawn::Process::Unsent');
    $self->{broken} = 1 if !$made[0];
    $self->{job} = $made[0];
    $self->{submitted} = $made[1] if $made[1];
    return;
}

# Waits for the broker's word on a process of new; it may have been refused.
sub _accepted {
    my ($self) = @_;
    $self->_submit if $self->{unsent};
    my $submitted = delete $self->{submitted} or return;
    local ($@, $!);
    CORE::eval { $submitted->look(1); 1 } or _refused($self, $@);
    return;
}

# Sends a command and waits for its answer.
sub _ask {
    my ($self, $what, $body) = @_;
    my $until = $self->_until;
    $self->_command($what, $body, $until);
    $self->_send_all($until);
    return $self->_answered($until, NEWS, $self->_answer($until));
}

sub _answered {
    my ($self, $until, $news, $what, $body) = @_;
    $self->_ended($until, $news) if !defined $what;
    $self->_failed($body) if $what ne ANSWER_DONE;
    $self->{pid} = $body + 0;
    return;
}

# Nothing at the end of the socket.
sub _answer {
    my ($self, $until) = @_;
    my ($came_to, @answer) = Apache2::Spawn::Process::Socket::answer($self, $until);
    $self->_late('has not done what was sent') if $came_to eq 'late';
    return @answer;
}

1;

__END__

=encoding UTF-8

=head1 NAME

Apache2::Spawn::Process - processes that are set up step by step, forked from
each other, and talked to through a socket

=head1 SYNOPSIS

    use Apache2::Spawn::Process ();

    # one process
    my $fh = Apache2::Spawn::Process->new
        ->require('My::Worker')
        ->send_arg($name)
        ->run('My::Worker::run');
    syswrite $fh, "do this\n";         # the function has the other end

    # a pool: set up once, forked ten times
    my $pool = Apache2::Spawn::Process->new
        ->require('My::Server', 'DBI')
        ->send_fh($listener);
    my @workers = map { $pool->fork->send_arg($_) } 1 .. 10;
    $_->run('My::Server::run') for @workers;

    # more than AnyEvent::Fork tells
    $workers[0]->pid;
    $workers[0]->wait(5);               # has it ended?
    $workers[0]->exit_status;           # as $? has it
    $workers[0]->kill('TERM');

    # the function
    package My::Server;
    sub run {
        my ($socket, $listener, $id) = @_;
        ...
    }

=head1 DESCRIPTION

L<Apache2::Spawn/spawn_call> calls one function with data and gives what it
returned. Some work has another form: a worker that lives on and is talked to,
a pool of servers on one listening socket, a program that needs a special
surrounding before it is executed. For these there is AnyEvent::Fork, whose
processes are made step by step. But it forks and executes from the process
that it is used in, which under httpd is a big one full of sockets, it needs an
event loop, and nobody learns why a worker did not come up or how it ended.

This class has the model and the method names of AnyEvent::Fork. The processes
are jobs of mod_spawn: nothing is forked or executed in the caller, and their
limits, accounts and queues are those of jobs. Methods wait where they have to,
with a deadline, and no event loop is needed. Where AnyEvent is in use none of them
has to wait: see L</IN AN EVENT LOOP>.

An object stands for a process that does not run its function yet. It takes
modules, code, strings and handles, it can be forked as often as is wanted, and
at last it is told its function.

=head2 What is promised

=over

=item *

A process does what it is told in the order in which it is told.

=item *

C<fork> copies the process as it is after all that was called on it before:
modules, what code has done, the strings and handles that were sent. What either
is told later, the other does not see.

=item *

The function gets the socket, and then all strings and handles in the order in
which they were sent, those of before a fork first.

=item *

An object that is thrown away before C<run> takes its process along: it ends when
it has done what it was told so far. Processes that were forked from it stay.

=item *

After C<run> a process is on its own: it does not end because the object, the
handler or httpd's child does.

=item *

What fails in the process reaches you, see L</ERRORS>.

=back

=head1 CONSTRUCTORS

=over

=item new(%options)

    my $process = Apache2::Spawn::Process->new(queue => 'workers', timeout => 600);

A new process, forked from a template (C<app> without another one, which is httpd
itself as it was started, or what C<SpawnTemplate> says). It is a Perl job.

C<new> and C<new_exec> return when the job is sent, and check only what they are given; in
an event loop the loop sends one without options.
Whether the broker accepts it is told later, see L</ERRORS>. They wait for that in a
process with threads (an httpd child of the MPMs worker and event), with C<< via => $r >> (the access log has the ids), C<unique>, and C<reply> of anything but
C<accepted>; and when 32 answers are awaited, for the oldest of them.

=item new_exec(%options)

A new process that executes a new perl: nothing is loaded in it and it shares no
memory, which is slower. It is a program job. The perl is C<$^X> when that looks
like one, else the one that this Perl was installed with; the variable
C<$Apache2::Spawn::Process::PERL> overrides both. It has perl's own C<@INC>:
C<< ->eval('unshift @INC, @_', @dirs) >> adds to it.

=item $process->fork(%options)

A new process, a copy of C<$process>. Returns at once: the copy is made when
C<$process> comes to it. A process that is forked again and again keeps a copy ready,
which the next C<fork> need not wait for: see L</WHAT IS KNOWN, HONESTLY>.

=item new_from_fh($fh, %options)

An object for a process whose handle L</to_fh> gave, in this or another process.
What became of it is known only to the object that C<to_fh> was called of:
C<wait>, C<exit_status> and C<kill> throw C<invalid>.

=back

=head2 Options

Of C<new> and C<new_exec>: all that L<Apache2::Spawn/spawn_call> and
L<Apache2::Spawn/spawn> take, except C<load>, C<want>, C<objects> and C<reply> of
C<finished>. C<stderr> is C<log> for both. And:

=over

=item C<via> => what makes the job

A request, so that its context is written down with the job, or what
L<Apache2::Spawn/connect> returned. Default: C<Apache2::Spawn>.

=item C<deadline> => seconds

How long a method waits for the process at most; it throws C<deadline> then. Of
C<new_from_fh>, too; C<fork> hands it on. Default: 60.

=item C<on_error> => code

Called with the error when C<run> or C<to_fh> fails in an event loop, see
L</IN AN EVENT LOOP>. Of C<new_from_fh>, too; C<fork> hands it on. Default: the
error is warned.

=back

Of C<fork>: C<deadline>, C<on_error>, and

=over

=item C<timeout> => seconds, C<grace> => seconds

As of every job, for this process alone and from its own start. Default: those
that were given to C<new> or C<new_exec>. 0 is none.

=back

=head1 METHODS

The first four return the object, so that calls can be chained. They send and do
not wait, but until the socket has taken what they send.

=over

=item require($module, ...)

Loads modules.

=item eval($code, @args)

Evaluates Perl code in package C<main>, without C<strict> and warnings, and with
the strings in C<@_>. Nothing comes back but a failure. To define functions, to
initialise: C<< ->eval('&My::Module::init', $name) >>. What shall go on for long is
for C<run>.

=item send_arg($string, ...)

Strings for the function. Bytes, up to 4 GB at a time, meant for less; undef
arrives as an empty string.

=item send_fh($handle, ...)

Handles for the function. They are on their way when this returns: close yours
when you like. What has been printed to a handle is written before. A socket
arrives as an object of L<IO::Socket>'s classes, so that C<< $listener->accept >>
works; another handle as it was opened, to read, to write or both.

=item run($function)

=item run($function, $callback)

Ends the setting up: the function is called in the process, with the socket and
all that was sent. A name without a package is one in C<main>. Waits until
the process has done all that it was told and is about to call the function, and
returns this end of the socket; a callback is called with it before that. In an
event loop, with a callback, it returns nothing and at once, see L</IN AN EVENT LOOP>.

The socket does not block here, so that reading it gives undef (C<EAGAIN>) as long as
nothing has come, and blocks there; C<< $fh->blocking(1) >> changes
that. It is closed in programs that are executed. Who does not need it closes it.
When the process ends, it is at its end (unless the function leaves children
that have it).

When the function returns, the process ends with exit code 0, and when it dies
with 255 and the text in the error log. C<exit> works. END blocks and the
destructors of what the template has loaded do not run (with C<new_exec> they do).

=item pid

The process's number. Waits until it is there. (AnyEvent::Fork gives undef for
all but direct children; here nothing is your child, and C<waitpid> knows none of
them.)

=item to_fh

=item to_fh($callback)

Waits until the process has done all that it was told, and gives up the object:
the handle can be passed to another process, for C<new_from_fh>. With a callback as
C<run>.

=item wait

=item wait($seconds)

True when the process has ended, false when it has not within that time.
Without a time there is no limit. Of a process that is still set up this
waits for something that only C<kill> or a failure can bring.

=item exit_status

As C<$?> has it: C<<< $status >> 8 >>> is the exit code, C<< $status & 127 >> the
signal. Undef before the end, and when nobody knows.

=item kill

=item kill($signal)

Sends a signal, a name or a number, C<TERM> without one, to the process group: a
process of C<fork> has one of its own, and goes on when the one that it was forked
from is ended. (With C<SpawnCgroup> it does not outlive a C<KILL> for that one.) True when
it was sent, false when it has ended. Never reaches another process that got the same
number later.

=item job

L<Apache2::Spawn::Job> of a process of C<new> and C<new_exec>; undef for others.

=back

=head1 IN AN EVENT LOOP

    use AnyEvent;
    my $process = Apache2::Spawn::Process->new(on_error => sub { warn "no worker: $_[0]" })
        ->require('My::Worker');
    $process->run('My::Worker::run', sub {
        my ($fh) = @_;                  # later, from the loop
        ...
    });

Where L<AnyEvent> is in use (it has chosen its event loop: C<$AnyEvent::MODEL> is
set), C<run> and C<to_fh> with a callback return at once, and the callback is called
from the loop when the process has done all that it was told. The object may be
thrown away meanwhile. C<require>, C<eval>, C<send_arg>, C<send_fh> and C<fork> do not wait
there either: what they send is sent by the loop, and by whatever waits. So is the job of
a C<new> or C<new_exec> with no options but C<via>, C<deadline> and C<on_error>: in a child
that is forked before that, and in another thread, such an object fails. Without a
callback, and in a process that has no loop, C<run> and C<to_fh> wait.

The deadline counts from the call of C<run>. When it is over, or the process fails,
C<on_error> is called with the error, whose line is that of C<run>, and the callback is not.
Without C<on_error> the error is warned, and the callback gets the socket
all the same: it is at its end, as that of a process that has ended. Code that was
written for AnyEvent::Fork notices that.

C<pid>, C<wait> and C<kill> wait in a loop, too; C<pid> is known when the callback is
called, and C<wait(0)> does not wait.

=head1 ERRORS

Each is an L<Apache2::Spawn::Error> with the caller's line.

A C<require> or C<eval> that fails is told by the next call that waits (C<pid>,
C<to_fh>), and by C<run> at the latest, with its text and the line of yours that
asked for it:

    require at handler.pl line 12: Can't locate My/Worker.pm in @INC ...

The process ends at once and closes all its handles; it writes the text to its
stderr (the error log), so that it is there, too, when the object is thrown away.
What it is sent from then on goes nowhere.

A job that the broker refuses (C<unknown_queue>, C<queue_full> and so on) is told by the
next call that needs the process: C<pid>, C<job>, C<run>, C<to_fh>, C<wait>, C<exit_status>,
C<kill>, and the first four methods only where they have to wait. In an event loop
C<on_error> of C<run> gets it. Such a call waits for the answer for C<SpawnSubmitTimeout> and
throws C<unconfirmed> then. When the object goes before anybody asked, and when Perl ends,
that is waited for too, and a refusal is warned of (C<job ID was refused, and nobody asked>).

Processes that were to be copied from it, asked
for before the failure or after it, have the same error.

C<call_failed>: this, or the process ended while it was set up (the text says how).
C<invalid>: a bad value, no such function, or the object is of no use any more.
C<deadline>: see the option. C<system>: a system call of the caller's failed, and C<errno> says
how: when it has no descriptors left, say, what the process sends cannot be received; the
process is let go then. C<start_failed>, C<timed_out> and all others are those
of the job.

=head1 WHAT IS KNOWN, HONESTLY

=over

=item *

A process of C<new> and C<new_exec> is a job: C<spawnctl> shows it, its queue counts it,
time-outs and C<SpawnOnStop> hold, and the history keeps how it ended.

=item *

A process of C<fork> is none: it is a descendant of the job that it was copied from, in a
session of its own, and stays when that one ends. Queues do not count it,
C<spawnctl> does not show it, and a stop of httpd does not end it. Give it a
C<timeout>, or let the function end when the socket does.

=item *

Between such a process and the rest of the world stands one small process, its
waiter (C<spawn waiter of 4711>), a program of some 20 kB that has none of its memory
and none of its handles. It knows the exit
status, sends the signals and keeps the time. It ends with the process, or with the
object when there is no time-out to keep. When it is killed, C<wait>,
C<exit_status> and C<kill> throw C<unreachable>.

=item *

C<fork> is the C library's: a library that has asked for it (C<pthread_atfork>) learns of
each copy. The memory of the process is copied once for it, on write; what the
process weighs is what a fork costs.

=item *

A process that was forked twice within ten seconds keeps one copy ready for the next
C<fork>, with its waiter. The copy ends, with all that it has open, before the process does
anything but fork, when the process ends, and after ten seconds without a C<fork>. What a
signal's handler changes in the process meanwhile, the copy does not have.

=item *

Hooks of L<Apache2::Spawn/after_fork> run in the process of C<new>, not again in those of
C<fork>: what copies must not share, open in the function. Random numbers are seeded
anew in each.

=item *

In a process of C<fork>, C<< Apache2::Spawn->job >> is the job that it was copied from.

=back

=head1 COMING FROM ANYEVENT::FORK

The class can stand where an AnyEvent::Fork object is expected: modules that call
C<require>, C<eval>, C<send_arg>, C<send_fh>, C<fork> and C<run> with a callback, as
AnyEvent::Fork::RPC and AnyEvent::Fork::Pool do, find what they need; the tests of
mod_spawn try both where they are installed, and a small module of their kind everywhere.
The differences:

=over

=item *

Without an event loop C<run> and C<to_fh> wait, and call the callback before they return.

=item *

Failures are thrown, or told by C<on_error> or a warning in an event loop. C<run> of a
function that does not exist is one.

=item *

C<pid> is always known. Nothing has to be reaped.

=item *

The process has a job's surroundings: directory F</>, a small environment, no
C<PERL5LIB> of yours, stdin and stdout F</dev/null>, stderr in the error log.

=item *

AnyEvent::Fork::Early and AnyEvent::Fork::Template are not needed: httpd's startup
files are the template.

=back

=head1 TYPICAL PROBLEMS

=head2 The other side never sees the end of the socket

Somebody else has it, too: a child of the function, or a variable of yours.
C<shutdown $fh, 1> tells the end whoever has it.

=head2 Lines arrive late, or never

Perl buffers C<print>. Use C<syswrite>, or C<< $fh->autoflush(1) >>.

=head2 "no function main::work in the process"

The name had no package. Give it in full, C<My::Module::work>, and C<require> its module.

=head1 SEE ALSO

L<Apache2::Spawn>, L<Apache2::Spawn::Process::Serve>, L<AnyEvent::Fork>

=cut
