package Apache2::Spawn;

# Loads the library whose methods these are, and the classes that it makes. Runs in
# callers, and in templates and jobs. Must load in any perl; Apache2::Spawn::Httpd has
# what needs mod_perl.

use strict;
use warnings;

our $VERSION = '0.1.0';

use XSLoader ();
XSLoader::load(__PACKAGE__, $VERSION);

use Sereal::Decoder ();
use Sereal::Encoder ();

require Apache2::Spawn::Error;
require Apache2::Spawn::Result;
require Apache2::Spawn::Job;
require Apache2::Spawn::Pipe;
require Apache2::Spawn::Httpd if _inside_httpd();

sub standalone {
    my ($class, $dir, %options) = @_;
    local ($!, $?);
    require Apache2::Spawn::Standalone;
    my $timeout = delete $options{timeout};
    return $class->connect(Apache2::Spawn::Standalone::start($dir, %options), timeout => defined $timeout ? $timeout : 5);
}

if (defined $ENV{SPAWN_STANDALONE} && length $ENV{SPAWN_STANDALONE} && !_inside_httpd()) {
    require Apache2::Spawn::Standalone;
    Apache2::Spawn::Standalone::_by_environment();
}

sub pipe {    ## no critic (ProhibitBuiltinHomonyms)
    my ($self, @job) = @_;
    return Apache2::Spawn::Pipe->_new(sub { return $self->spawn(@_) }, @job);
}

# In: variables of the caller's behind the invocant, which it fills.
sub open3 {
    my $self = $_[0];
    return Apache2::Spawn::Pipe->_open3(sub { return $self->spawn(@_) }, @_[ 1 .. $#_ ]);
}

1;

__END__

=encoding UTF-8

=head1 NAME

Apache2::Spawn - programs and Perl functions from mod_perl handlers, safely and
at once

=head1 THE PROBLEM

A handler has to start a program, or to do something that takes long: convert a
picture, send a mail, build a report. What Perl offers for that was made for small processes that own
themselves, and a mod_perl child is neither.

=over

=item *

C<system>, backticks, C<open '-|'>, C<fork>: each copies the child first, with
all its Perl, templates and caches. From 200 MB that takes milliseconds, from
2 GB a tenth of a second; the program itself would have needed 0.3 ms.

=item *

The program inherits what nobody meant it to have: the listening sockets (and
then httpd cannot be restarted: "Address already in use"), database handles,
the environment, ignored signals.

=item *

C<STDIN> and C<STDOUT> are not files under mod_perl, so that C<open3> and its
relatives read from and write to the wrong places.

=item *

Nobody waits for the program properly: zombies, C<$? == -1>, exit codes that
were lost to somebody else's C<SIGCHLD> handler.

=item *

At C<apachectl restart> the program dies, or goes on and nobody knows of it.

=back

With mod_spawn no httpd child forks. A lean process, started with httpd and
about 1 MB big, starts the programs: a handler passes it a program and its arguments, in
some microseconds whatever the size of the child, and can ask later how the program
ended. Perl functions run in processes that are forked from a I<template>. The default
template, C<app>, is httpd's own Perl: a copy that is forked when the startup files have
been loaded, with all modules that httpd has. It needs no line in httpd.conf.

=head1 SYNOPSIS

    use Apache2::Spawn ();

    # a program, on its own from now on; returns when the broker has it
    my $job = Apache2::Spawn->spawn(
        ['/usr/bin/convert', $in, '-resize', '800', $out],
        queue => 'images', timeout => 60, stderr => 'log');

    $job->id;                   # keep it; Apache2::Spawn->job($id) finds it again
    $job->status;               # delayed, queued, starting, running, done
    $job->wait(5);              # its result, or undef: not done yet
    $job->kill('TERM');

    # a program, run to its end: what backticks were used for
    my $res = Apache2::Spawn->run(['/usr/bin/identify', '-'], stdin => \$picture, timeout => 5);
    if ($res->ok) { print $res->stdout }
    else          { warn $res->outcome, ': ', $res->stderr }

    my $pipe = Apache2::Spawn->pipe(['/usr/bin/bc', '-q']);     # read and written while it runs

    # a Perl function, in a process of its own
    my $job = Apache2::Spawn->spawn_call('My::Report::build', [ $id, { pdf => 1 } ],
        queue => 'reports');
    my $now    = $job->progress;                # { done => 3, of => 10, text => '...' }
    my @answer = $job->result(30);              # what it returned; or dies as it did
    my $price  = Apache2::Spawn->call('My::Price::quote', [ $item ]);   # the same, waiting

    # in a handler: the same, and the job's record says which request it was
    my $job = $r->spawn(['/usr/sbin/sendmail', '-t'], stdin => \$mail, reply => 'posted');
    my $res = $r->spawn_run(['/usr/bin/file', '-b', $path]);
    my $job = $r->spawn_call('My::Stats::record', [ $user, $page ], reply => 'posted');

    # when the client has the whole answer: a function, or a program
    $r->spawn_cleanup('My::Stats::record', [ $user, $page ]);
    $r->spawn_cleanup(['/usr/bin/rsync', '-a', $from, $to], only_if => 'success');
    Apache2::Spawn->cleanup('My::Stats::record', [ $user, $page ]);     # where there is no $r

    # outside httpd: cron, tests, CGI
    my $spawn = Apache2::Spawn->connect('/run/apache2/spawn/socket');
    $spawn->run(['/usr/bin/uptime']);

In httpd.conf:

    LoadModule spawn_module modules/mod_spawn.so
    PerlModule Apache2::Spawn
    PerlModule My::Report
    PerlModule My::Price
    PerlModule My::Stats
    <SpawnQueue images>
        SpawnMaxJobs 4
    </SpawnQueue>
    <SpawnQueue reports>
        SpawnMaxJobs 2
    </SpawnQueue>

=head1 WHAT THIS IS NOT

B<Not a shell.> A program and its arguments are a list, and no character of it
means anything special. If you want a shell, say so: C<['/bin/sh', '-c', $line]>.

B<Not a copy of the handler in another process.> A Perl function runs elsewhere, by
its name and with data: closures, database handles, the request and the child's memory
are not there.

B<Not a message queue between machines.> Jobs run on the machine of this httpd.

B<Not a child of yours:> C<waitpid>, C<$?> and C<SIGCHLD> know nothing of jobs.

B<Not a security boundary between your own handlers:> all of httpd's children may
submit, and see and signal each other's jobs.

=head1 METHODS

All are class methods, and methods of the object that L</connect> returns. All throw
L<Apache2::Spawn::Error> when they fail, and each has a deadline:
C<SpawnSubmitTimeout> (2 s by default); with an object of L</connect>, and outside httpd, the
C<timeout> that L</connect> was given, or 2 s. None touches C<STDIN>, C<STDOUT>, C<%SIG>, C<$?>, C<$!> or C<$@> (but that a failure is in C<$@> after an
C<eval>).

=head2 spawn

    my $job = Apache2::Spawn->spawn(\@argv, %options);

Submits a job and returns an L<Apache2::Spawn::Job>.

C<\@argv> is a reference to an array: the program and its arguments, bytes. A
program without a slash is looked up in C</usr/local/bin:/usr/bin:/bin>, whatever
C<PATH> its C<env> has. C<%options>: see L</OPTIONS>.

When it returns depends on C<reply>:

=over

=item C<posted>

As soon as the kernel has it, after some microseconds and without a round trip.
A wrong I<value> is still an error here. Faults that only the broker
knows (no such queue, queue full, program not there) are in the error log and
in the job's record. A post of more than 64 kB, or one for which there is no room within
C<SpawnSubmitTimeout>, waits as a file in the store's spool until the broker takes it
(and its queue has room for it): so a post succeeds whether or not the broker is there, until 64 MB
lie there (C<queue_full>).

A job with handles is sent as C<accepted>. So is each job of a caller outside httpd, which
has neither post socket nor spool: while a spawner that was killed is replaced, such a
submit fails as C<unreachable> after its timeout.

=item C<accepted>

The default: when the broker has checked and recorded the job, which will now run or be
reported. Some 100 microseconds.

=item C<started>

When the program runs (C<exec> has succeeded); or the error says at which step and
why it could not be started. Waits C<SpawnSubmitTimeout> once more at most, then
throws C<timed_out> (the queue is busy; the job goes on, but one with C<until> has ended).

=item C<finished>

When it is done; C<< $job->wait(0) >> has the result. Waits as L</run> does.

=back

Throws: C<unreachable>, C<unconfirmed>, C<queue_full>, C<unknown_queue>, C<invalid>,
C<unknown_option>, C<too_big>, C<not_permitted>, C<start_failed> (with C<started> and
C<finished>), C<timed_out> (the same two), C<conflict>, C<not_unique> (with C<unique>),
C<too_old>, C<store>, C<system>, C<version>, C<protocol>. See
L<Apache2::Spawn::Error/CODES>.

=head2 run

    my $result = Apache2::Spawn->run(\@argv, %options);

Runs a program to its end and returns an L<Apache2::Spawn::Result>: exit code,
output, times. Takes the options of L</spawn> but C<reply>, with other defaults:
C<stdout> and C<stderr> are C<capture>, and C<timeout> is 60 seconds.

A program that exits with another code than 0, that a signal ends, or whose
C<timeout> is over, is a result: look at C<< $res->ok >>. One that could not be
started is an error, C<start_failed>.

It waits C<timeout> + C<grace> (5 seconds when it is not given) + 2 seconds at most (with L<retry|Apache2::Spawn::Options/Limits>, the times and
pauses of all attempts), the time in the queue included,
then throws C<timed_out>: the job goes on and C<< $error->job >> is its handle. With
C<< timeout => 0 >> there is no limit. Perl's signal handlers (an C<alarm>) run
during the wait, within some seconds.

=head2 pipe

    my $pipe = Apache2::Spawn->pipe(\@argv, %options);

Starts a program, and returns an L<Apache2::Spawn::Pipe>: handles on its standard streams, to be
read and written while it runs. L<Apache2::Spawn::Pipe/START> has its options, and what it throws.

=head2 open3

    my $job = Apache2::Spawn->open3(my $in, my $out, my $err = gensym, \@argv, %options);

The same for code made for L<IPC::Open3>: L<Apache2::Spawn::Pipe/START>.

=head2 spawn_call

    my $job = Apache2::Spawn->spawn_call($function, \@args, %options);

Submits a call of a Perl function and returns an L<Apache2::Spawn::Job>, whose
L<result|Apache2::Spawn::Job/result> gives what the function returned. The function runs
in a process of its own, forked from a template, with a queue, a timeout, limits, handles
and the other L</OPTIONS>. See L</PERL FUNCTIONS>.

C<$function> is text, the full name of a function: C<My::Report::build>.

C<\@args> is a reference to an array, its arguments; it can be left out. They are
sent as they are now, at most 4 MB: see L</What can travel>.

C<%options>: those of programs, with C<stderr> being C<log> by default, and those
for L<functions|Apache2::Spawn::Options/Of Perl functions>.

In void context, where you throw the job away, the function is called in void
context too, and its return values need not be able to travel.

When C<spawn_call> returns depends on C<reply>, as for L</spawn>.

Throws what L</spawn> throws, and C<not_sendable>. A C<template> that is not
configured is C<invalid>, at step C<check>.

=head2 call

    my $value  = Apache2::Spawn->call($function, \@args, %options);
    my @values = Apache2::Spawn->call($function, \@args, %options);

Calls a Perl function in a process of its own, waits, and returns what it
returned. The function sees your context: list, scalar or void.

When the function dies, C<call> throws the same: text as the same text, plain data (a
reference to a hash, say) as the same data. The class of an object may not be
loaded here, so an object comes as an L<Apache2::Spawn::Error> with the code
C<call_failed>, whose L<exception|Apache2::Spawn::Error/exception> has its class,
its text and its data. Tell an error of this module from the function's own by
L<caught|Apache2::Spawn::Error/METHODS>.

Takes the options of L</spawn_call> but C<reply> and C<want>; C<timeout> is 60
seconds. It waits as L</run> does.

In a queue with C<SpawnWorkers> no process is forked for it: some tens of
microseconds instead of a millisecond or two. See
L<workers|Apache2::Spawn::Template/WORKERS>.

Throws also C<call_failed> (the process ended without a result: it called C<exit>,
a signal ended it, it was cancelled), C<timed_out> (its C<timeout> was over, or
the wait), C<expired> (with C<expires>), C<start_failed>, C<output_gone>; and C<invalid> at
step C<template> when there is no such function.

=head2 cleanup

    my $job = Apache2::Spawn->cleanup($function, \@args, %options);
    my $job = Apache2::Spawn->cleanup(\@argv, %options);

As L<< C<< $r->spawn_cleanup >>|Apache2::Spawn::Httpd/AFTER THE ANSWER >>, for code that was not
given C<$r>: a job that is posted when the client of the current request has the whole answer.
Arguments, options, what it returns and throws are the same.

The current request is the one that C<< Apache2::RequestUtil->request >> gives: mod_perl knows it
with C<SetHandler perl-script> (so in C<ModPerl::Registry>) and where C<PerlOptions +GlobalRequest>
stands. A class method only: not of the object that L</connect> returns.

Throws also C<invalid> (no request is known), and C<unreachable> where none can be: outside httpd,
in Perl jobs, and while httpd starts.

=head2 job

    my $job = Apache2::Spawn->job($id);
    my $own = Apache2::Spawn->job;

A L<handle|Apache2::Spawn::Job> on a job whose id you have. It does not ask the broker:
that a job is not known is an error of the handle's methods. Throws C<invalid> (not the
text of an id).

Without an argument, in the process of a Perl function: the job that this is,
an L<Apache2::Spawn::Current> with C<progress>, C<cancelled> and more. Elsewhere
it throws C<invalid>.

=head2 new_id

    my $id = Apache2::Spawn->new_id;
    Apache2::Spawn->spawn_call('My::Outbox::work', [$id], id => $id);

An id for the option C<id>, for who has to write it down before the job is submitted: in the
transaction of a database, say. See L</RECURRING JOBS, AND TRANSACTIONS>. Asks nobody. Throws
C<system> (no random bytes).

=head2 after_fork

    Apache2::Spawn->after_fork(sub { My::Db->disconnect_quietly });
    Apache2::Spawn->after_fork(sub { My::Cache->connect }, timeout => 5);

For a startup file or a module that a template loads: code that each Perl job
runs before its function, in the order given. Use it to throw away or open anew what
processes cannot share (a database handle, a socket). Random numbers are seeded
anew without it.

The code may take 30 s, or C<timeout> seconds. When it hangs for longer, the job ends, and
its caller is told so.

Anywhere else, in httpd for example, it does nothing, so that one startup file
serves both. Throws C<invalid> (not a code reference) and C<unknown_option>.

=head2 list

    my @results = Apache2::Spawn->list(%options);

The jobs that the broker knows, the newest first: a list of
L<Apache2::Spawn::Result>s, without captured output; in scalar context their
number. Options: C<queue> (name), C<state>
(C<delayed>, C<queued>, C<starting>, C<running> or C<done>; or C<dead>: those that are done
and can be L<tried again|Apache2::Spawn::Job/retry>), C<rows> (at most so many). Throws
C<invalid>, C<unknown_option>, C<unreachable>, C<deadline>, C<not_permitted>.

=head2 connect

    my $spawn = Apache2::Spawn->connect($path);
    my $spawn = Apache2::Spawn->connect($path, timeout => 30);
    my $spawn = Apache2::Spawn->connect(undef, timeout => 30);

An object with the methods above that talks to the httpd whose C<SpawnSocket> is
C<$path> (absolute, at most 107 bytes). Without a path, or with undef, it is the broker that the class
methods use, see below: so a script can run as CGI and under ModPerl::Registry. For scripts outside httpd. The
connection is made when it is first needed. The broker lets in root, httpd's
C<User> and its own account, or the account that started httpd when that is not root; and
accounts and groups that C<SpawnAccess> in httpd.conf names, which can do what it gives
them.

=over

=item C<timeout> => time

How long the object's methods, and those of its jobs, wait for an answer of the broker, where
this page and others say C<SpawnSubmitTimeout>: seconds, or a number and a unit as
L<Apache2::Spawn::Options/Limits> says, from C<1ms> to C<1h>. A cron program has time when the
broker is busy or is being started, so it may say 30 or more. It is no time limit of jobs, and
what a method waits for the end of a job is not counted. Signals that come while an answer is
awaited have to wait, too, as an interrupt from the terminal does; in C<run> and C<call>, until
the job is sent, for some seconds only, and by as much these can take longer than C<timeout>.
Default: 2 s.

=back

The object can be used in threads and in children, and be stored as jobs can; the C<timeout> is
in it. Objects with the same path and C<timeout> share their connections, which stay for the
life of the process (C<run> and C<call> of all objects with longer ones than 2 s use those of
2 s); there can be 256 such pairs. So a program that reckons its times should
round them.

Throws C<invalid> (the path, the C<timeout>), C<unknown_option>, C<unreachable> (no path, and no
socket is known), and C<system> (too many pairs).

Without C<connect>, the class methods use: in httpd, its own broker; elsewhere
the socket that the environment variable C<SPAWN_SOCKET> names, for 2 s;
C<< Apache2::Spawn->connect(undef, timeout => 30) >> waits longer. That is so in Perl
jobs too, of every template, in workers and in C<SpawnCleanupHandler>s: their
environment names it.

=head2 standalone

    my $spawn = Apache2::Spawn->standalone("$ENV{HOME}/.spawn", preload => 'My::Report');

The same without httpd: spawner and broker are started for this directory, unless it has them, and end when
they are not used. The options and what is different: L<Apache2::Spawn::Standalone>.

=head2 $r->spawn, $r->spawn_run, $r->spawn_call, $r->spawn_cleanup

    my $job    = $r->spawn(\@argv, %options);
    my $result = $r->spawn_run(\@argv, %options);
    my $job    = $r->spawn_call($function, \@args, %options);
    $r->spawn_cleanup(\@argv, %options);
    $r->spawn_cleanup($function, \@args, %options);

C<spawn>, C<run> and C<spawn_call> with the C<context> of the request filled in: see
L<Apache2::Spawn::Httpd>. C<spawn_cleanup> leaves a job that is posted when the client
has the whole answer; it takes the options of C<spawn> and C<spawn_call>, but C<reply>,
handles and C<id>, and one more: C<only_if>, which is C<success>, C<error> or C<aborted>.
Code that has no C<$r> uses L</cleanup>.
For a handler in the place of C<PerlCleanupHandler> see L<Apache2::Spawn::Request>.

=head1 OPTIONS

L<Apache2::Spawn::Options> has them all, with their defaults: surroundings (C<queue>, C<cwd>,
C<env>), files (C<stdin>, C<stdout>, C<fds>), limits (C<timeout>, C<retry>, C<limits>), order
(C<reply>, C<id>, C<context>), when a job starts (C<delay>, C<priority>, C<unique>, C<after>,
C<durable>), and those of Perl functions.

=head1 PERL FUNCTIONS

=head2 Where they run

A template is a process that has loaded modules, and waits. The default one, C<app>,
is of the kind C<parent>: httpd's own Perl, forked from httpd when httpd.conf and the
startup files have been read. It has what C<PerlModule>, C<PerlRequire> and C<use> in them
load; add a module to these. A template of the kind C<exec> is a perl of its own, with its
own list of modules and nothing of httpd's; a call names it, or its queue does:

    SpawnTemplate report exec preload=My::Report,DBI require=/etc/httpd/report.pl

Each call is forked from a template, runs one function, and ends. It shares no memory
with your handler and none with other calls, whatever the function does to its
variables, its signals or its directory. It has no request; give it what it
needs as arguments.

=head2 In the function

    package My::Report;

    use Apache2::Spawn ();

    sub build {
        my ($id, $options) = @_;
        my $job = Apache2::Spawn->job;          # see Apache2::Spawn::Current
        for my $row (1 .. 1000) {
            $job->progress($row, 1000, "row $row");
            return if $job->cancelled;
            ...
        }
        warn "report $id is long\n";            # error log, with the job's id
        return { rows => 1000, file => $path };
    }

The function can submit jobs itself, with the same methods. C<die> is the job's failure,
and the caller's exception. C<exit> ends the process without a result. END blocks and
destructors of the template do not run.

=head2 What can travel

Numbers, text (with its characters), undef, and arrays and hashes of them in any
depth, circular ones too, as L<Sereal> writes them. At most 4 MB for the
arguments, and 4 MB for the result.

Code, handles, globs and compiled patterns cannot, and objects only with C<objects>.
Then the error, C<not_sendable>, says what and where:

    argument 2: ->{handler} is a code reference; pass its name, or the data that it needs
    argument 1 is a handle; handles travel by fds: fds => { 3 => $handle }
    argument 1: ->{db} is an object of class DBI::db; pass objects => 1, or its data

Big data goes by a file, or through a handle by C<fds>.

=head1 SCRIPTS

C<ModPerl::Registry>, C<ModPerl::PerlRun>, Plack's handler (C<Plack::Handler::Apache2>) and CGI
run I<scripts>. They start programs as any handler does. With Perl functions two things
are different:

=over

=item *

B<A script's own functions exist in no other process.> Registry compiles a script, under a
package name that it makes up, in the child that first serves it. No template has that package,
and C<call('work', ...)>, without one, is refused. Move the function to a module, load that with
C<PerlModule>, and call it by its full name.

=item *

B<Modules that a script loads> (C<use My::Report> in the script, a F<.psgi> that the first
request loads) are in that child only. Load them in httpd.conf, or give
C<< load => 'My::Report' >>.

=back

B<Registry, PerlRun.> The script's C<$r = shift> (or C<< Apache2::RequestUtil->request >>) is the
request, with C<< $r->spawn >> and the other methods. With C<PerlModule My::Report> in httpd.conf:

    my $r = shift;
    my $total = Apache2::Spawn->call('My::Report::total', [ 3, 4 ]);
    $r->spawn_cleanup('My::Report::note', [ $r->uri, $total ]);

B<Plack.> Under C<Plack::Handler::Apache2> the request is C<< $env->{'psgi.input'} >>; the class
methods (C<< Apache2::Spawn->spawn >>) need none:

    my $app = sub {
        my ($env) = @_;
        my $total = Apache2::Spawn->call('My::Report::total', [ 3, 4 ]);
        $env->{'psgi.input'}->spawn_cleanup('My::Report::note', [ $env->{PATH_INFO}, $total ]);
        return [ 200, [ 'Content-Type' => 'text/plain' ], [ "total $total\n" ] ];
    };

B<CGI.> The script is a process of its own, outside httpd: it uses the module as cron does.
mod_spawn puts C<SPAWN_SOCKET> into the environment of scripts of mod_cgi and mod_cgid, if their account is one that
the broker lets in. It has no C<$r>:

    my $total = Apache2::Spawn->call('My::Report::total', [ 3, 4 ]);
    Apache2::Spawn->spawn_call('My::Report::note', [ $ENV{PATH_INFO}, $total ]);
    print "Content-Type: text/plain\n\n", "total $total\n";

In each kind of script, have the job write to a file or use C<capture>: C<STDOUT> of the script
is not a file. F<docs/migrating.md> has more of each kind.

=head1 RECURRING JOBS, AND TRANSACTIONS

A line in F<httpd.conf> has a function run at times, as a job, with the words behind its name as
arguments; F<docs/cron.md> has the rest.

    SpawnCron @daily tz=Europe/Berlin catch_up=one My::Report::nightly full

A job that belongs to a transaction of your database (the mail that confirms an order) may
neither start before the commit nor be missing after it, whoever is killed when:
F<docs/outbox.md> has a way, to be copied.

=head1 ERRORS

Each is an L<Apache2::Spawn::Error>, with C<code>, C<step>, C<errno>, C<message> and
C<job>. The codes:

    unreachable     nobody answers at the socket
    unconfirmed     sent, and no answer in time, or it may have run: resubmit
    deadline        a question was not answered in time
    queue_full      the queue's waiting list is full
    unknown_queue   no such queue is configured
    invalid         a value that is not allowed
    unknown_option  no such option
    too_big         an option or the whole job is too big
    not_permitted   the caller may not do this
    no_such_job     no job with this id is known
    too_old         the id is older than the kept history
    start_failed    the job could not be started: see step and errno
    timed_out       what was waited for did not come in time
    stopping        never thrown: new jobs are stored while httpd stops
    version         the broker is of another release
    protocol        a message broke the rules of the wire
    store           the store could not be read or written
    system          a system call failed
    conflict        another job with this id is known
    not_running     never thrown: kill gives false
    output_gone     the captured output, or the result, is not kept
    call_failed     the Perl function ended its process without a result, or died
                    with an object
    not_sendable    a value cannot travel to another process
    expired         the job was to start by a time, and had not started
    not_dead        never thrown: retry gives false
    not_delayed     never thrown: start_now gives false
    not_unique      another job of the queue has the unique key
    ok              no error: never thrown

=head1 TYPICAL PROBLEMS

=head2 "No such file or directory", and the file is there

A job starts in C</>, not in the present directory of your process (which under httpd
nobody has chosen). Give absolute paths, or C<cwd>.

=head2 It works in a terminal and not as a job

A job has a small clean environment: no C<PATH> of yours, no C<PERL5LIB>, no
C<LD_LIBRARY_PATH>, C<TZ> or locale, perhaps another C<HOME>. Give what it needs in
C<env>, or all: C<< env => { %ENV } >>.

=head2 The program is not found

Programs without a slash are looked up in C</usr/local/bin:/usr/bin:/bin> only,
whatever C<PATH> the handler or the job has. Give the whole path:
C</usr/sbin/sendmail>.

=head2 "has wide characters; programs take bytes"

Arguments, environment and data are bytes. Text with characters over 255 has
to be encoded, and only you know how: C<Encode::encode_utf8($name)>. Text with
characters up to 255 is silently passed as Latin-1, as everywhere in Perl: encode
whatever came out of a decoder.

=head2 "a tied handle has no descriptor to pass"

Under mod_perl C<STDIN> and C<STDOUT> are the client's connection, not files. A
job cannot write to the client: C<capture> the output and print it, or have it
written to a file. Handles in memory (C<< open my $fh, '<', \$data >>) have no
descriptor either: pass C<\$data>.

=head2 The handle was at the beginning, and the job reads from the middle

Perl reads ahead. The job shares the descriptor and begins where Perl has read
to; C<seek($fh, 0, 0)> first. Text that you have I<written> to a handle is flushed
before the handle is passed.

=head2 The shell's features do not work

C<< ['ls *.jpg > list'] >> is a program of that name. Expand with C<glob>, redirect with
C<stdout>, and where a pipeline is the best answer, ask for the shell:
C<< ['/bin/sh', '-c', 'exec "$1" | sort', 'sh', $program] >>. Never put text from a request
into a shell's line: pass it as further arguments, as C<$1> here.

=head2 The captured output ends too early

It was longer than C<capture_limit>: C<< $res->stdout_lost >> says by how much. Write
big output to a file.

=head2 The job did not start though spawn succeeded

C<spawn> returns when the job is I<accepted>. Only later it turns out that its program
does not exist: C<< $job->status >> says so, and, when nobody waits for its end, the error
log (MS0683; for a job that ran and failed MS0682). Use C<< reply => 'started' >> where
it matters.

=head2 The handler still waits

C<run>, C<wait>, and C<reply> of C<started> or C<finished> wait, and hold the child.
C<spawn> does not.

=head2 "no function My::App::report in template app"

C<app> has what httpd had loaded when it had started: add C<PerlModule My::App> to
httpd.conf, or give C<< load => 'My::App' >>. (A template of the kind C<exec> has its
own list: add it to C<preload> of that C<SpawnTemplate>.) A script's own functions:
see L</SCRIPTS>. After a change of the module's source, restart httpd: templates are
made anew then. When the new one cannot be loaded, the old one serves on: the error says when
it was loaded, and the error log why (MS0601).

=head2 The function sees an old value, or none

A global variable that a handler sets is in the memory of that child. The
function runs in a process forked from the template: pass the value as an argument.

=head2 The function's changes are not seen

Arguments are copies. A function's changes to them stay in its process: return
them.

=head2 A list comes back as its last value

C<spawn_call> calls the function in list context, since nobody knows how its
result will be asked for. In scalar context C<result> gives the last value of the
list, as Perl's comma does. Where the function looks at its context, or returns an
array, say C<< want => 'scalar' >>.

=head2 "Insecure dependency in argv[1] while running with -T switch"

Under C<PerlSwitches -T>, as with C<system>, values from outside must not decide what
runs until a pattern has checked them (L<perlsec>). This holds for the words of C<argv>,
the name of a function, C<cwd>, C<load>, C<user>, C<group>, the paths of C<stdout> and
C<stderr>, and C<PATH>, C<IFS>, C<CDPATH>, C<ENV> and C<BASH_ENV> of C<env>. Data may be
tainted: C<stdin>, the arguments of functions, other variables. Values from another
process are tainted: output, what functions return or throw, the arguments in a function,
and labels and contexts. Under C<-t> Perl warns instead.

=head2 After a fork, and in threads

Both are fine: jobs and connections can be used in a forked child and in
ithreads, and you need no lock. A child that closes all descriptors, as daemons do, may
go on submitting jobs: files that it has opened at the same numbers are left alone.

=head1 SEE ALSO

L<Apache2::Spawn::Job>, L<Apache2::Spawn::Result>, L<Apache2::Spawn::Error>,
L<Apache2::Spawn::Pipe>, L<Apache2::Spawn::Instead> (old code moves with one line),
L<Apache2::Spawn::Httpd>, L<Apache2::Spawn::Current>, L<Apache2::Spawn::Process>;
L<spawnctl(1)>; F<directives.md> and F<messages.md> in the documents of mod_spawn.

=cut
