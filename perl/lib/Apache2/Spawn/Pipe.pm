package Apache2::Spawn::Pipe;

# A program with handles on its streams, which can be read and written while it runs. Runs in
# callers. Must keep no end that is the program's: it would see no end of file.

use strict;
use warnings;

our $VERSION = '0.1.0';

use Apache2::Spawn::Error ();

my %of = (stdin => 'in', stdout => 'out', stderr => 'err');

sub in  { return $_[0]{in} }
sub out { return $_[0]{out} }
sub err { return $_[0]{err} }
sub job { return $_[0]{job} }

# Methods of the job, which name the caller's statement when they throw: so not from here.
sub pid {
    @_ = ($_[0]{job});
    goto &Apache2::Spawn::Job::pid;
}

sub kill {    ## no critic (ProhibitBuiltinHomonyms)
    my ($self, @signal) = @_;
    @_ = ($self->{job}, @signal);
    goto &Apache2::Spawn::Job::kill;
}

sub stop {
    @_ = ($_[0]{job});
    goto &Apache2::Spawn::Job::stop;
}

sub close_in {
    my ($self) = @_;
    my $in = delete $self->{in} or return 1;
    local ($!, $?);
    return !defined fileno $in || CORE::close($in) ? 1 : 0;
}

sub close {    ## no critic (ProhibitBuiltinHomonyms, ProhibitAmbiguousNames)
    my ($self, @seconds) = @_;
    {
        local ($!, $?);
        for my $handle (grep { defined } delete @{$self}{qw(in out err)}) {
            CORE::close($handle) if defined fileno $handle;
        }
    }
    @_ = ($self->{job}, @seconds);
    goto &Apache2::Spawn::Job::wait;
}

# ---- for Apache2::Spawn ----

# $submit is called with argv and options, and makes the job.
sub _new {
    my ($class, $submit, $argv, @options) = @_;
    return _started($submit, $argv, @options) if @options % 2;    # which refuses it
    local ($!, $?);
    _refuse(pipe => \@options, reply => 'it waits until the program runs');
    my %options = (timeout => 60, stdin => 'pipe', stdout => 'pipe', @options, reply => 'started');
    my $self = bless {}, $class;
    my @its;
    for my $stream (sort keys %of) {
        next if !defined $options{$stream} || ref $options{$stream} || $options{$stream} ne 'pipe';
        CORE::pipe(my $read, my $write) or _no('a pipe');
        my ($ours, $its) = $stream eq 'stdin' ? ($write, $read) : ($read, $write);
        $write->autoflush(1);
        $self->{ $of{$stream} } = $ours;
        $options{$stream} = $its;
        push @its, $its;
    }
    $self->{job} = _started($submit, $argv, %options);
    CORE::close($_) for @its;
    return $self;
}

# One whose turn does not come is not left behind: nobody would talk to it.
sub _started {
    my ($submit, @job) = @_;
    local $@;
    my $job = do { local $SIG{__DIE__}; eval { $submit->(@job) } };
    return $job if $job;
    my $error = $@;
    if (Apache2::Spawn::Error::_is_one($error) && $error->code eq 'timed_out' && $error->job) {
        local $SIG{__DIE__};
        eval { $error->job->kill('KILL') };
    }
    return Apache2::Spawn::Error::_rethrow($error);
}

# Options that a method sets itself: silence would read as if they counted.
sub _refuse {
    my ($method, $options, %taken) = @_;
    my %given = @{$options};
    for my $name (grep { exists $given{$_} } sort keys %taken) {
        Apache2::Spawn::Error::_throw('invalid', "$name: $method does not take this option: $taken{$name}");
    }
    return;
}

sub _no { return Apache2::Spawn::Error::_throw('system', "$_[0] cannot be made", errno => $! + 0) }

# In: the caller's three variables, as IPC::Open3 fills them.
sub _open3 {
    my ($class, $submit, $argv, @options) = @_[ 0, 1, 5 .. $#_ ];
    local ($!, $?);
    _handles_or_not(@_[ 2 .. 4 ]);
    _refuse(open3 => \@options, map { $_ => 'the three handles come first' } keys %of) if @options % 2 == 0;
    my $apart = $_[4] && !(defined $_[3] && $_[3] eq $_[4]);
    my $self = $class->_new($submit, $argv, @options, stdin => 'pipe', stdout => 'pipe',
        stderr => $apart ? 'pipe' : 'stdout');
    for my $pair ([ 2, 'in', '>&=' ], [ 3, 'out', '<&=' ], [ 4, 'err', '<&=' ]) {
        my ($i, $name, $mode) = @{$pair};
        my $ours = delete $self->{$name} or next;
        if (!defined $_[$i]) {
            $_[$i] = $ours;
            next;
        }
        CORE::open($_[$i], $mode, fileno $ours) or _no("open3: a handle on the $name pipe");
        (ref $_[$i] ? $_[$i] : \$_[$i])->autoflush(1) if $name eq 'in';
    }
    return $self->{job};
}

# Before there is a job: IPC::Open3 takes texts such as '<&STDIN', too.
sub _handles_or_not {
    my ($in, $out, $err) = @_;
    for my $given (grep { defined } $in, $out, $err || undef) {
        next if ref \$given eq 'GLOB' || ref $given && UNIVERSAL::isa($given, 'GLOB');
        Apache2::Spawn::Error::_throw('invalid', sprintf q{open3: '%.100s' is no handle; wanted: undef, or a handle as gensym}
                . q{ gives; where streams go otherwise is said by stdin, stdout and stderr of pipe}, $given);
    }
    return;
}

1;

__END__

=encoding UTF-8

=head1 NAME

Apache2::Spawn::Pipe - a program to talk to while it runs

=head1 SYNOPSIS

    # output too large to keep (into the answer: see Apache2::Spawn::Stream)
    my $log = Apache2::Spawn->pipe(['/usr/bin/git', '-C', $dir, 'log'], stdin => 'null', timeout => 300);
    my $from = $log->out;
    while (my $line = <$from>) { $authors{$1}++ if $line =~ /^Author: (.*)/ }
    my $res = $log->close;
    warn 'git log: ', $res->outcome if !$res->ok;

    my $dump = Apache2::Spawn->pipe(['/usr/bin/pg_dump', $name], stdin => 'null');
    while (read $dump->out, my $part, 65_536) { print {$file} $part }
    warn 'pg_dump: ', $dump->close->outcome;

    # both ways, line by line
    my $bc = $r->spawn_pipe(['/usr/bin/bc', '-q'], timeout => 10);
    print { $bc->in } "6 * 7\n";
    my $answer = readline $bc->out;         # "42\n"
    $bc->close_in;                          # bc sees end of file, and ends
    $bc->close->ok or die 'bc failed';

=head1 DESCRIPTION

L<run|Apache2::Spawn/run> gives the output when the program has ended, and keeps no more than
C<capture_limit> of it. With C<pipe> the caller has the other ends of the program's standard
streams as handles, and reads and writes while it runs. Nothing is stored.

The deadline is the job's C<timeout>, 60 seconds without it: a program that takes longer is
ended, which the caller sees as end of file, and in the result. So no read lasts for ever
(but where something that the program has left behind keeps the pipe open: see
C<leftovers>).

Both ends of a pipe have little room (64 kB): a program that writes while nobody reads, and
a caller that writes to it meanwhile, wait for each other until C<timeout>. Read in time, or
give data that is known before as C<< stdin => \$data >>.

When the object and its handles go, the pipes are closed and nothing is waited for: the program
sees end of file, and C<SIGPIPE> when it writes.

=head1 START

=head2 Apache2::Spawn->pipe

    my $pipe = Apache2::Spawn->pipe(\@argv, %options);

Starts a program, and gives an object with L</in>, L</out>, L</err> and L</close>. For output that is
too large to be kept, or a program that is talked to. C<< $r->spawn_pipe >>
(L<Apache2::Spawn::Httpd/METHODS>) is the same in a request.

Takes the options of L<spawn|Apache2::Spawn/spawn> but C<reply>. C<stdin>, C<stdout> and C<stderr> can be
C<pipe>, too, which is the default of the first two. C<timeout> is 60 seconds; it is the deadline of
the talk.

Returns when the program runs. Throws what L<spawn|Apache2::Spawn/spawn> throws with
C<< reply => 'started' >>: so C<start_failed>, and C<timed_out> when its turn in the queue has not
come in time; then it is cancelled.

=head2 Apache2::Spawn->open3

    use Symbol qw(gensym);
    my $job = Apache2::Spawn->open3(my $in, my $out, my $err = gensym, \@argv, %options);
    print {$in} $text;
    close $in;
    my @lines = <$out>;
    my $res = $job->wait;           # $res->status is what $? would be

For code made for L<IPC::Open3>: the handles come first, and what is returned is the
L<job|Apache2::Spawn::Job>. C<$in> and C<$out> are undef, and are set to handles, or they are handles
that are opened anew. C<$err> is a handle (C<gensym>); when it is false, standard error goes where
standard output goes. Options and exceptions are those of C<pipe>, but C<stdin>, C<stdout>
and C<stderr> are refused.

=head1 METHODS

=over

=item in

Handle to write to the program's standard input, flushed at each C<print>; undef when
C<stdin> is not C<pipe>, and after L</close_in>. A program that has ended gives C<EPIPE> (and
C<SIGPIPE>, which httpd ignores).

=item out

Handle to read its standard output; undef when C<stdout> is not C<pipe>.

=item err

Handle to read its standard error; undef when C<stderr> is not C<pipe>.

=item close_in

Closes L</in>, so that the program sees end of file. Returns 1, or 0 when what was
written last could not be.

=item close

=item close($seconds)

Closes all handles and waits for the program's end. Returns an L<Apache2::Spawn::Result>, whose
C<status> is what C<$?> would be; undef when it does not end within C<$seconds> (a number;
without it there is no limit but C<timeout>). Can be called again. Throws what
L<wait|Apache2::Spawn::Job/wait> throws.

=item job

L<Apache2::Spawn::Job>.

=item pid

Number, as L<Apache2::Spawn::Job/pid>; throws what that throws.

=item kill

=item kill($signal)

As L<Apache2::Spawn::Job/kill>.

=item stop

As L<Apache2::Spawn::Job/stop>: C<TERM>, and C<KILL> after C<grace>. Does not wait, as L</close> does.

=back

None touches C<$?> or C<$!>.

=head1 SEE ALSO

L<Apache2::Spawn>, L<Apache2::Spawn::Stream>, L<Apache2::Spawn::Instead>,
L<Apache2::Spawn::Process>

=cut
