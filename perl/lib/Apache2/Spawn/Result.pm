package Apache2::Spawn::Result;

# What the broker told about a job. The C part makes the objects. Runs in callers. Asks
# nobody: it is the job at one moment.

use strict;
use warnings;

our $VERSION = '0.1.0';

use overload
    '""'     => sub { return $_[0]{state} },
    'bool'   => sub { return 1 },
    fallback => 1;

sub id    { return $_[0]{id} }
sub job   { return $_[0]{job} }
sub state { return $_[0]{state} }    ## no critic (ProhibitBuiltinHomonyms)
sub queue { return $_[0]{queue} }
sub label { return $_[0]{label} }
sub pid   { return $_[0]{pid} }
sub priority { return $_[0]{priority} // 0 }
sub unique   { return $_[0]{unique} }
sub after    { return $_[0]{after} // [] }
sub on_failure { return $_[0]{on_failure} }
sub failure_of { return $_[0]{failure_of} }
sub argv     { return $_[0]{argv} }
sub function { return $_[0]{function} }
sub context  { return $_[0]{context} }
sub progress { return $_[0]{progress} }
sub handles  { return $_[0]{handles} }

sub attempt  { return $_[0]{attempt} }
sub attempts { return @{ $_[0]{attempts} || [] } }
sub dead     { return $_[0]{dead} }

sub outcome     { return $_[0]{outcome} }
sub result_kind { return $_[0]{result_kind} }
sub status      { return $_[0]{status} }
sub exit_code   { return $_[0]{exit_code} }
sub signal      { return $_[0]{signal} }
sub core        { return $_[0]{core} }
sub step        { return $_[0]{step} }
sub errno       { return $_[0]{errno} }
sub message     { return $_[0]{message} }

sub submitted_at { return $_[0]{submitted_at} }
sub due_at       { return $_[0]{due_at} }
sub expires_at   { return $_[0]{expires_at} }
sub started_at   { return $_[0]{started_at} }
sub ended_at     { return $_[0]{ended_at} }
sub elapsed      { return $_[0]{elapsed} }
sub rusage       { return $_[0]{rusage} }

sub stdout      { return $_[0]{stdout} }
sub stderr      { return $_[0]{stderr} }
sub stdout_lost { return $_[0]{stdout_lost} }
sub stdout_end  { return $_[0]{stdout_end} }
sub stderr_lost { return $_[0]{stderr_lost} }
sub stderr_end  { return $_[0]{stderr_end} }

sub ok {
    my ($self) = @_;
    return $self->{result_kind} eq 'returned' if defined $self->{result_kind};
    return defined $self->{exit_code} && $self->{exit_code} == 0;
}

1;

__END__

=encoding UTF-8

=head1 NAME

Apache2::Spawn::Result - the state of a job, and how it ended

=head1 SYNOPSIS

    my $res = Apache2::Spawn->run(['/usr/bin/identify', $file], timeout => 5);
    if ($res->ok) {
        print $res->stdout;
    }
    elsif ($res->outcome eq 'exited') {
        warn 'identify: exit code ' . $res->exit_code . ': ' . $res->stderr;
    }
    else {
        warn 'identify: ' . $res->outcome;      # signalled, timed_out, ...
    }

    my $now = $job->status;
    print "$now\n";                             # delayed, queued, starting, running or done
    printf "pid %d, %.1f s\n", $now->pid, time - $now->started_at if $now eq 'running';

=head1 DESCRIPTION

C<$?> mixes exit code, signal and core flag into one number, and says nothing
of time or memory. This object keeps them apart (and has the number as L</status>, for code
that wants it). It is a picture of one moment:
it does not change when the job does. L<Apache2::Spawn/run> and
L<wait|Apache2::Spawn::Job/wait> give one for a job that is done,
L<status|Apache2::Spawn::Job/status> and L<list|Apache2::Spawn/list> for any job.

It stringifies to its L</state>, and is always true (ask L</ok> whether the
program did well).

=head1 METHODS

None takes an argument. A method whose value is not there (yet) gives undef. Times are
seconds since 1970, with a fraction, as C<Time::HiRes::time> gives them.

=head2 The end

=over

=item ok

True when the program ran and its exit code was 0, or when the Perl function
returned.

=item outcome

Text, undef before the end; the same word as in spawnctl and in the error log:

=over

=item C<exited>

with the L</exit_code>

=item C<signalled>

with the L</signal>

=item C<out_of_memory>

the kernel killed its process (L</signal> 9) because the job's cgroup was over
C<tree-memory>, or the machine had no memory left; told of jobs with a cgroup, and
of calls of workers only when it is certain that this call was meant

=item C<timed_out>

its C<timeout> was over, and it was ended

=item C<cancelled>

by L<kill|Apache2::Spawn::Job/kill> or C<spawnctl kill>

=item C<start_failed>

with L</step, errno, message>

=item C<expired>

it had not started by the time that it said

=item C<lost>

its end cannot be known, after a crash of the machine for example

=item C<code_unknown>

it ended, and the kernel told nobody how

=back

=item exit_code

Number, 0 to 255; defined only when the outcome is C<exited>. A Perl function
that returned has 0, one that died 255.

=item status

Number, undef before the end: what C<$?> would be had C<system> run the program, that is the exit
code times 256, or the number of the signal that ended it, plus 128 with a core dump. -1, as
C<system> gives it, when it has not run (C<start_failed>, C<expired>, C<cancelled> while it
waited) or its end is not known (C<lost>, C<code_unknown>). C<$!> is left alone: of a start that
failed C<errno> has what it would be. A program that ended by itself after C<TERM>, when its time
was over, has its exit code here.

    $? = $res->status;
    die "convert: exit code ", $? >> 8, "\n" if $?;

Not to be confused with L<< C<< $job->status >>|Apache2::Spawn::Job/status >>, which asks the broker
and gives an object of this class.

=item result_kind

Of a Perl function, text: C<returned>; C<died>; C<none> (its process ended before
that). Undef before the end. The returned values are in
L<result|Apache2::Spawn::Job/result> of the job.

=item signal

Number of the signal that ended it; undef when none did.

=item core

True when it left a core dump.

=item step, errno, message

Of a start that failed: the step (text, see L<Apache2::Spawn::Error/STEPS>), the
system error (number), and a sentence. There is a sentence, too, when something of the
end is not known or lost.

=item stdout, stderr

Bytes that the job wrote there, when they were captured; up to
C<capture_limit>. Not in results of C<status> and C<list>.

=item stdout_lost, stderr_lost

Number of bytes that are missing: over the limit, or no longer kept (see below); 0
when nothing is missing. -1: all are, and nobody can tell how many, since the spawner was
killed while the job ran; C<message> says so, too.

=item stdout_end, stderr_end

When C<run> has brought an output to its caller, the history does not keep all of it. A
later question about the job (C<wait>, with its id) finds the first 4096 bytes in
C<stdout>, the last 4096 here, and in C<stdout_lost> how many were between them.
Outputs of other jobs are dropped when the history is over its size
(C<SpawnHistory>) or the disk is full: then both are empty. Undef when nothing was
left out. Never in the result of C<run> itself.

=item elapsed

Seconds that it ran, with a fraction.

=item rusage

Reference to a hash of what the kernel counted for the program and those of its
children that it waited for: C<utime> and C<stime> (seconds with a fraction),
C<maxrss> (kB), C<minflt>, C<majflt>, C<inblock>, C<oublock>, C<nvcsw>,
C<nivcsw>.

Of a job with a cgroup (C<SpawnCgroup>) there are also numbers of all its processes together,
as they were when it ended: C<tree_utime>, C<tree_stime> (seconds with a fraction),
C<tree_memory> (kB, the most at one time), and C<oom_kills>, how many of them the kernel has
killed for want of memory. The last two need the memory controller, C<tree_memory> Linux 5.19.
What the kernel does not tell is not there. Nor are these numbers there of the call of a worker,
whose cgroup is that of all its calls.

=back

=head2 The job

=over

=item id

Text: a UUIDv7.

=item job

L<Apache2::Spawn::Job>: the handle.

=item state

Text: C<delayed> (its time has not come), C<queued>, C<starting>, C<running> or C<done>.

=item queue, label

Text.

=item priority

Number: what the caller gave as C<priority>, else 0.

=item unique

Text: the key that the caller gave as C<unique>, else undef.

=item after

Reference to an array: the ids that the caller gave as C<after>.

=item on_failure

Text: the function that the caller gave as C<on_failure>, else undef.

=item failure_of

Text: the id of the job from whose failure this one follows (C<on_failure>). Undef for all others.

=item argv

Reference to an array: the program and its arguments. Undef for a Perl function.

=item function

Text: the name of the Perl function. Undef for a program.

=item progress

What the Perl function said last: see L<Apache2::Spawn::Job/progress>.

=item context

Reference to a hash: what the job belongs to.

=item handles

Number: how many handles a queued job has, which a stop of httpd would
close. Undef when it has none, or is not queued any more.

=item attempt

Number: which attempt at the job this is, from 1 on. More than 1 when the option
L<retry|Apache2::Spawn::Options/Limits> had it tried again.

=item attempts

List of the attempts before the present one, the first one first (the last hundred): an
Apache2::Spawn::Result each, with what is under L</The end>, with L</attempt>, L</pid>,
C<started_at> and C<ended_at>. Of their output, beginning and end are kept (4 kB each), and
are there where those of the job are. Empty in what L<list|Apache2::Spawn/list> gives.

=item dead

True when the job was submitted with C<retry>, has ended badly, and is not tried again: its
retries are used up, or C<retry_on> does not name how it ended. L<retry|Apache2::Spawn::Job/retry>
tries it again.

=item pid

Number, undef before it was started. Once the job is done, the kernel gives the
number to somebody else: signal by L<kill|Apache2::Spawn::Job/kill>, never by
this number.

=item due_at, expires_at

Times: before the one it does not start, after the other neither. Undef where it said
none, or is not delayed or queued any more.

=item submitted_at, started_at, ended_at

Times.

=back

=head1 SEE ALSO

L<Apache2::Spawn>, L<Apache2::Spawn::Job>

=cut
