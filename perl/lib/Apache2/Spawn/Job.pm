package Apache2::Spawn::Job;

# A handle on a job; the methods are in the library of Apache2::Spawn. Runs in callers and
# in jobs. Must hold nothing but the id, so that it can be sent to other processes.

use strict;
use warnings;

our $VERSION = '0.1.0';

use Apache2::Spawn ();    # its library has the methods

use overload
    '""'     => sub { return $_[0]->id },
    'bool'   => sub { return 1 },
    fallback => 1;

1;

__END__

=encoding UTF-8

=head1 NAME

Apache2::Spawn::Job - a handle on a job

=head1 SYNOPSIS

    my $job = Apache2::Spawn->spawn(['/usr/local/bin/report', $month], timeout => 600);

    $session->{report} = $job->id;              # keep the id, it is only text

    # in another request, perhaps in another child, perhaps after a restart
    my $known = Apache2::Spawn->job($session->{report});
    my $now   = $known->status;                 # "queued", "running", "done", ...
    my $res   = $known->wait(2);                # a result, or undef: not done yet
    my @value = $known->result(2);              # of a Perl function: what it returned
    $known->kill('TERM');

=head1 DESCRIPTION

The number that C<fork> gives names a process only until it ends, and only to
its parent. A job's id names it for good: for every child of httpd, for
C<spawnctl>, in the error log, over restarts of httpd.

The object is no more than the id and the socket to ask at. It can be thrown
away at any time: the job does not care. It stringifies to its id.

It can be stored and sent by L<Storable>, L<Sereal> and their like, and given to a
Perl function with C<< objects => 1 >>. What travels is the id: where the object
arrives it is the same job, asked for at the broker of that process (in httpd,
httpd's own; elsewhere the one that C<SPAWN_SOCKET> names, or the only one that the
process has connected to, with the C<timeout> of its first connection). In a process that has
connected to several C<< $spawn->job($id) >> says which one is meant. The handles that L</resubmit> would
send do not travel. An object that somebody else has blessed is C<invalid> if it is no id.

It is not a process of yours: C<waitpid> knows nothing of it, C<$?> and C<SIGCHLD> stay
untouched, and it does not end when your child does.

=head1 METHODS

Jobs come from L<Apache2::Spawn/spawn> and L<Apache2::Spawn/spawn_call>, from L<Apache2::Spawn/job>, and from
L<Apache2::Spawn::Error/job>. All methods but C<id> and C<token> ask the broker. They throw
L<Apache2::Spawn::Error>: C<no_such_job> (never accepted, or older than the
kept history), C<unreachable>, C<deadline>, C<not_permitted>.

=over

=item id

Text: a UUIDv7. Does not ask the broker.

=item status

L<Apache2::Spawn::Result>: the job as it is now, without captured output.

=item pid

Number, undef before the job was started. See the warning at
L<Apache2::Spawn::Result/pid>.

=item wait

=item wait($seconds)

Waits until the job is done. C<$seconds>: a number, fractions allowed; 0 looks
and does not wait; without it there is no limit (in a handler, give one).

Returns L<Apache2::Spawn::Result>, with the captured output, or undef when the
job is not done in time (it goes on). Perl's signal handlers run during the
wait, within a second.

Throws also C<invalid> (C<$seconds> is no time).

=item result

=item result($seconds, %options)

Of a Perl function: waits until it is done, and returns its return values: all
of them in list context, the last one in scalar context (see
L<want|Apache2::Spawn::Options/Of Perl functions>). It can be asked for again, by any
process, as long as the history keeps it. C<$seconds>: as of L</wait>.

Dies as the function died: see L<Apache2::Spawn/call>. Throws also
C<timed_out> (the function's C<timeout> was over, or it is not done within
C<$seconds> and goes on), C<call_failed> (its process ended without a result),
C<start_failed>, C<output_gone> (the result is not kept any more), C<not_sendable> (it
has objects), C<invalid> (a time that is none; a job that is a program; no such
function).

The only option is C<< objects => 1 >>, for a handle from L<Apache2::Spawn/job>:
the result may have objects. A handle from a C<spawn_call> with C<objects> does not need it.

=item progress

Of a Perl function: its last C<< Apache2::Spawn->job->progress >>, as a
reference to a hash: C<done> and C<of> (numbers) and C<text>, each undef when it was
left out. Undef when there is none.

=item token

=item token(life => $time)

Text for a visitor of your application, who can then ask for this job, and for no other,
where F<httpd.conf> has C<SetHandler spawn-job>: its state, its progress, its outcome.
Whoever has the text has the right, so hand it to the one whom the job is for; it cannot be
taken back. It has letters, digits and a hyphen, and fits into a URL as it is.

C<life>: how long it is good, a number of seconds or a number with a unit (C<90s>, C<2h>,
C<7d>), from a second to 366 days; an hour without it.

    my $job = $r->spawn_call('My::Report::build', [$month]);
    $r->print($template->fill(url => '/jobs/' . $job->id . '?token=' . $job->token));

Does not ask the broker, and works for each child of this httpd, also after a restart.
Only in httpd's children: throws C<unreachable> elsewhere, in Perl jobs, too. Throws also
C<unknown_option>, and C<invalid> (a time that is none; a job of another broker, by
C<< Apache2::Spawn->connect >>).

=item kill

=item kill($signal)

Sends a signal to the job's whole process group; C<TERM> and C<KILL> go to what has left
the group, too (C<setsid>, a daemon). C<$signal>: a name (C<TERM>,
C<SIGTERM>) or a number; C<TERM> without it. A job that still waits in its queue
is cancelled, whatever the signal.

Nothing follows: a program that handles C<TERM>, or ignores it, runs on. L</stop> has C<KILL> follow.

Returns true when it was sent, false when the job was over already.

Throws also C<invalid> (no such signal).

=item stop

Ends the job: C<TERM>, and C<KILL> when its C<grace> (L<Apache2::Spawn::Options>) is over and something of it
is still there, also when broker or httpd ends meanwhile. One that still waits in its queue is cancelled.

Returns at once: true when the job is being ended, false when it was over already. L</wait> tells
when it has ended.

=item retry

Has a job tried again that is L<dead|Apache2::Spawn::Result/dead>, as often as its C<retry>
says, at once. Its id and the records of its attempts stay.

Returns true when it is, false when the job is not dead. Throws also C<queue_full> and
C<unknown_queue>.

=item start_now

Has a job start now that waits for its time: C<delay>, C<at>, or the pause before a retry
(L<Apache2::Spawn::Options/When it starts>). It still waits for its turn in its queue, and for the
jobs that it comes after.

Returns true when it waits for its time no more, false when it did not wait for it.

=item resubmit

Sends the job again after a submit that failed: the same contents with the same
id, so that it cannot run twice, whether the first one had arrived or not. For the
C<job> of an error: C<unconfirmed>, C<unreachable>, C<deadline>, C<queue_full>,
C<store>. When the broker had told that another job is kept (C<on_conflict> C<keep>), that one is
the C<job> of the error, and nothing is sent.

Returns the job itself. When the submit was one that waits (C<run>, or C<reply> of
C<started> or C<finished>) it waits at most about a second more: then use
L</wait>.

Throws what L<Apache2::Spawn/spawn> throws, and C<invalid> when the submit was
answered, so that there is nothing to send again, or when this process (a forked
child, say) has closed a handle that would go with it.

=back

=head1 SEE ALSO

L<Apache2::Spawn>, L<Apache2::Spawn::Result>, L<Apache2::Spawn::Error>

=cut
