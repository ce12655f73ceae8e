package Apache2::Spawn::Background;

# Proc::Background's methods, on jobs. Runs in callers. Must leave $?, $! and %SIG alone, but
# for the $! of a program that could not be started.

use strict;
use warnings;

our $VERSION = '0.1.0';

use Apache2::Spawn ();
use Apache2::Spawn::Instead ();
use Apache2::Spawn::Instead::Command qw(directory);
use Carp ();
use Exporter 'import';

our @EXPORT_OK = qw(timeout_system);

my %known = map { $_ => 1 } qw(autodie autoterminate command cwd die_upon_destroy job stderr stdin stdout);

# signals, and the seconds after each
my @kill_sequence = qw(TERM 2 TERM 8 KILL 3 KILL 7);

sub new {
    my ($class, @given) = @_;
    my %option = @given && ref $given[0] eq 'HASH' ? %{ shift @given } : ();
    my @unknown = grep { !$known{$_} } sort keys %option;
    Carp::croak("unknown options: @unknown; there are " . join ', ', sort keys %known) if @unknown;
    my $command = $option{command};
    Carp::croak('a command is given twice: as option and as arguments') if defined $command && @given;
    $command = @given > 1 ? [@given] : $given[0] if !defined $command;
    my @words = ref $command eq 'ARRAY' ? @{$command} : $command;
    Carp::croak('no command: wanted: a program and its arguments, or a line for the shell')
        if !@words || !defined $words[0] || !length $words[0];
    my $self = bless { command => $command, autodie => $option{autodie}, owner => $$ }, $class;
    my $begun = do {
        local $?;
        no warnings 'exec';
        Apache2::Spawn::Instead::_begun(\@words, _job_options(\%option), ref $command ? 1 : 0);
    };
    return $self->_fatal("$words[0]: $!") if !$begun;
    @{$self}{qw(job pid start_time)} = ($begun->job, $begun->pid, time);
    $self->{autoterminate} = $option{autoterminate} || $option{die_upon_destroy} ? 1 : 0;
    return $self;
}

sub command    { return $_[0]{command} }
sub job        { return $_[0]{job} }
sub pid        { return $_[0]{pid} }
sub start_time { return $_[0]{start_time} }
sub suspended  { return $_[0]{suspended} && $_[0]->alive ? 1 : 0 }

sub autoterminate {
    my ($self, @new) = @_;
    $self->{autoterminate} = $new[0] ? 1 : 0 if @new;
    return $self->{autoterminate};
}

sub alive {
    my ($self) = @_;
    return $self->_end(0) ? 0 : 1;
}

sub wait {    ## no critic (ProhibitBuiltinHomonyms)
    my ($self, $seconds) = @_;
    my $end = $self->_end($seconds);
    return $end ? $end->{status} : undef;
}

sub end_time {
    my ($self) = @_;
    my $end = $self->_end(0);
    return $end ? $end->{at} : undef;
}

sub exit_code {
    my ($self) = @_;
    my $status = $self->wait(0);
    return defined $status && $status >= 0 ? $status >> 8 : undef;
}

sub exit_signal {
    my ($self) = @_;
    my $status = $self->wait(0);
    return defined $status && $status >= 0 ? $status & 127 : undef;
}

sub suspend { return $_[0]->_stop_or_go('STOP', 1) }
sub resume  { return $_[0]->_stop_or_go('CONT', 0) }

sub terminate {
    my ($self, @sequence) = @_;
    return 1 if !$self->alive;
    @sequence = @kill_sequence if !@sequence;
    while (my ($signal, $seconds) = splice @sequence, 0, 2) {
        $self->_signal($signal);
        return 1 if $self->_end($seconds || 0);
    }
    return 0;
}

sub die { my ($self, @sequence) = @_; return $self->terminate(@sequence) }    ## no critic (ProhibitBuiltinHomonyms)

sub timeout_system {
    my ($seconds, @command) = @_;
    Carp::croak('timeout_system: wanted: seconds, and a command')
        if !@command || !defined $seconds || $seconds !~ /\A(?:\d+(?:\.\d*)?|\.\d+)\z/a;
    my $self = __PACKAGE__->new(@command) or return;
    my $late = $self->_end($seconds) ? 0 : 1;
    $self->terminate if $late;
    my $status = $self->wait;
    return wantarray ? ($status, $late) : $status;
}

sub DESTROY {
    my ($self) = @_;
    return if !$self->{autoterminate} || !$self->{job} || $self->{owner} != $$;
    local ($., $@, $!, $^E, $?);
    if (${^GLOBAL_PHASE} eq 'DESTRUCT') { $self->_signal('TERM') }
    else                                { $self->terminate }
    return;
}

# ---- inside ----

sub _fatal {
    my ($self, $why) = @_;
    Carp::croak($why) if $self->{autodie};
    return;
}

# What Proc::Background takes for its streams and its directory, as options of a job.
sub _job_options {
    my ($option) = @_;
    my %job = %{ $option->{job} || {} };
    for my $stream (qw(stdin stdout stderr)) {
        next if !exists $option->{$stream};
        my $given = $option->{$stream};
        $job{$stream} = !defined $given ? 'null' : ref $given || ref \$given eq 'GLOB' ? $given
            : ($stream eq 'stdin' ? '' : '>>') . _absolute($given);
    }
    $job{cwd} = _absolute($option->{cwd}) if defined $option->{cwd};
    return \%job;
}

sub _absolute {
    my ($path) = @_;
    return $path =~ m{\A/} ? $path : directory() . "/$path";
}

# How it ended; nothing, when it has not within the time (undef: no limit), or when nobody could be
# asked in that. What the broker has forgotten ended long ago.
sub _end {
    my ($self, $seconds) = @_;
    return $self->{end} if $self->{end};
    local ($!, $?, $@);
    my $until = defined $seconds ? Apache2::Spawn::Instead::_clock() + $seconds : undef;
    my $question = sub {
        my $left = defined $until ? $until - Apache2::Spawn::Instead::_clock() : undef;
        return $self->{job}->wait(defined $left && $left < 0 ? 0 : $left) || 'later';
    };
    my $end = Apache2::Spawn::Instead::_ask($question, $seconds);
    if (!$end) {
        return if !Apache2::Spawn::Error::_is_one($@) || $@->code !~ /\A(?:no_such_job|too_old)\z/;
        return $self->{end} = { status => -1, at => time };
    }
    return if !ref $end;
    return $self->{end} = { status => $end->status // -1, at => $end->ended_at // time };
}

sub _signal {
    my ($self, $signal) = @_;
    local ($!, $?, $@);
    return Apache2::Spawn::Instead::_asked_once(sub { return $self->{job}->kill($signal) }) ? 1 : 0;
}

sub _stop_or_go {
    my ($self, $signal, $suspended) = @_;
    if (!$self->alive) {
        Carp::croak('the process has ended') if $self->{autodie};
        return;
    }
    $self->_signal($signal) or return 0;
    $self->{suspended} = $suspended;
    return 1;
}

1;

__END__

=encoding UTF-8

=head1 NAME

Apache2::Spawn::Background - processes in the background, as Proc::Background has them

=head1 SYNOPSIS

    use Apache2::Spawn::Background qw(timeout_system);      # was: use Proc::Background ...

    my $proc = Apache2::Spawn::Background->new('/usr/bin/rsync', '-a', $from, $to)
        or die "rsync: $!\n";
    print "it goes on\n" if $proc->alive;
    my $status = $proc->wait(30);           # as $?; undef: it goes on
    $proc->terminate if !defined $status;

    my $sync = Apache2::Spawn::Background->new(
        { stdin => undef, stdout => '/var/log/app/sync', cwd => '/srv', autodie => 1,
          job => { queue => 'sync', timeout => 600 } },
        "/usr/local/bin/sync $from | sort");

    my ($status, $late) = timeout_system(10, '/usr/bin/host', $name);

=head1 DESCRIPTION

The methods of L<Proc::Background>, for code that uses them. Its processes are jobs: no copy of the
httpd child, no C<SIGCHLD>, no zombie, and one can be found by C<spawnctl ps>. Only the name of the
class changes. New code is better off with L<Apache2::Spawn/spawn>.

A process has the same surroundings as one that Instead's C<system> starts
(L<Apache2::Spawn::Instead/WHAT A PROGRAM FINDS>): the directory, the
C<umask>, the environment (without the variables that mod_perl makes of a request, and those that a queue
with C<SpawnAllow> refuses) and the descriptors 0 to 2 of this one. A single text is a line for the shell, where Perl would use one; a list is not. The job has
the context of the request that is served. It outlives the request: see L</autoterminate>, and
L<until|Apache2::Spawn::Options/Limits>.

=head1 METHODS

None but C<new> changes C<$!>, and none C<$?>.

=over

=item Apache2::Spawn::Background->new(\%options, $program, @arguments)

=item Apache2::Spawn::Background->new(\%options, $line)

Starts a process. C<\%options>, a reference to a hash, can be left out:

=over

=item C<command> => text, or reference to an array

In the place of the arguments: a line, or the program and its arguments.

=item C<stdin>, C<stdout>, C<stderr> => undef, path or handle

undef: F</dev/null>. A path is read, and appended to; it is relative to the directory of this
process. Default: those of this process.

=item C<cwd> => path

The directory that it starts in.

=item C<autoterminate> => 0 or 1 (C<die_upon_destroy> is the same)

See L</autoterminate>.

=item C<autodie> => 0 or 1

1: what fails is thrown.

=item C<job> => { name => value }

Options of the job, L<Apache2::Spawn::Options>: C<queue>, C<timeout>, C<label>. Proc::Background has
no such.

=back

Returns an object when the process runs. When it could not be started: nothing (undef, an empty
list), with the reason in C<$!>; or throws text, with C<autodie>. Throws text for an unknown option,
and when there is no command. There is no C<exe> (another name for the program).

=item pid

Number, also when it has ended.

=item alive

1, or 0 when it has ended. 1, too, when the broker cannot be asked just now: nobody knows then.

=item wait

=item wait($seconds)

Waits until it has ended, at most so many seconds (a number, fractions allowed; no limit without
it). Returns the wait status, a number, as C<$?> has it; -1 when nobody knows it any more; undef when
it has not ended, or when the broker could not be asked in that time (without C<$seconds> in 30
seconds). Can be called again.

=item exit_code, exit_signal

Numbers of that status; undef when it has not ended, or the broker cannot be asked just now.

=item start_time, end_time

Seconds since 1970, numbers; C<end_time> is undef when it has not ended.

=item suspend, resume, suspended

Sends STOP, or CONT, to its process group; returns 1, or 0 when that could not be sent. Nothing when
it has ended (with C<autodie> they throw text). C<suspended>: 1 between the two, else 0.

=item terminate

=item terminate(@sequence)

=item die, as terminate

Sends signals to its process group until it has ended: C<@sequence> has names and seconds to wait
after each; C<TERM 2 TERM 8 KILL 3 KILL 7> without it. Returns 1, or 0 when it has not ended.

=item autoterminate

=item autoterminate($yes)

Is it terminated when the object goes? 0 or 1; with an argument that is set. (In an interpreter that
ends it gets TERM, and nobody waits.)

=item command

What C<new> was given.

=item job

L<Apache2::Spawn::Job>, which Proc::Background does not have.

=back

=head1 FUNCTIONS

=over

=item timeout_system($seconds, $program, @arguments)

=item timeout_system($seconds, \%options, $line)

Runs a process to its end, which is terminated after so many seconds. Returns the wait status; in
list context that, and 1 when its time was over, else 0. The status is undef when the broker could not
be asked (see L</wait>). Nothing when it could not be started.
Exported when it is asked for. Throws text when there is no number of seconds, or no command.

=back

=head1 SEE ALSO

L<Apache2::Spawn>, L<Apache2::Spawn::Simple>, L<Apache2::Spawn::Instead>, L<Proc::Background>

=cut
