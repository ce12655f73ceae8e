package Apache2::Spawn::Template;

# A template from its start to its end: it loads its modules, says that it is
# ready, and serves the spawner until it is dismissed. Template::Run runs in the processes
# that are forked from it.
#
# Runs in a template, started as a perl of its own (serve) or forked from httpd's parent.
# When it is ready it must never run Perl again, and it must never run a job.

use strict;
use warnings;

our $VERSION = '0.1.0';

use Apache2::Spawn::Template::Run ();
use Scalar::Util ();
use XSLoader ();

XSLoader::load(__PACKAGE__, $VERSION);

use constant HOOK_SECONDS => 30;    # of after_fork, when nothing else is said
use constant LOOKS => 100;    # at the threads, 1 ms after each other

my $name;        # of this template
my $pid;         # its process, while it preloads
my $in_httpd;    # it was forked from httpd, and preloads nothing itself
my $link;
my $stage;       # the module that it preloads just now
my $memory = _SHARED();    # the fate of its memory
my $spares = 0;    # most clones that are kept ready; who starts us says so

my %memories = (shared => _SHARED(), huge => _HUGE(), frozen => _FROZEN());

sub serve {
    my (@given) = @_;
    @_ = ();    # a stack trace in a job would find them freed
    @ARGV = ();
    delete $ENV{LD_BIND_NOW};    # it was for this perl: a job finds its symbols looked up
    my $preload = _arguments(@given);
    $link = Apache2::Spawn::Template::Run::take_link(Apache2::Spawn::Template::Run::LINK());
    die "serve: descriptor 3 is no link: a template is started by httpd with mod_spawn, see SpawnTemplate\n"
        if $link < 0;
    $pid = $$;
    for (@{$preload}) {
        my ($what, $file) = @{$_};
        $stage = $what;
        _stage($file);
    }
    undef $stage;
    $0 = "mod_spawn template $name";
    _until_the_end(0);
    return;
}

# In what the httpd parent forked from itself: everything is loaded.
sub _serve_in_httpd {
    ($name, my $fd, $memory, $spares) = @_;
    $in_httpd = 1;
    $pid = $$;
    $0 = "mod_spawn template $name";
    $link = Apache2::Spawn::Template::Run::take_link($fd);
    _end(1) if $link < 0;
    my @threads = _threads_that_stay();
    if (@threads > 1) {
        $stage = 'httpd';
        _fail(sprintf '%d threads run in httpd\'s parent (%s): a process with threads cannot be forked safely;'
                . ' start threads in the children', @threads - 1, join ', ', @threads);
    }
    # mod_perl's exit ends a request by an exception; a job ends by exit.
    no warnings 'redefine';    ## no critic (ProhibitNoWarnings)
    *CORE::GLOBAL::exit = sub { CORE::exit(defined $_[0] ? $_[0] : 0) };
    _until_the_end(1);
    return;
}

# own: jobs are our children and not the spawner's.
sub _until_the_end {
    my ($own) = @_;
    _settle();
    _load_processes();
    Apache2::Spawn::Template::Run::set_template($name, $in_httpd, time);
    _get_ready($link);
    my $weight = sprintf '%d modules, %d kB', scalar(keys %INC), _resident();
    Apache2::Spawn::Template::Run::rehearse(!$own || $memory != _SHARED());
    my $error = _serve($link, $own, $memory, $spares, $weight);
    if ($error) {
        local $! = $error;
        print {*STDERR} "template $name: its link to the spawner cannot be used: $!\n";
    }
    _end($error ? 1 : 0);
    return;
}

# Work that each job would have to do otherwise, copying memory for it.
sub _settle {
    delete @SIG{ grep { defined $SIG{$_} } keys %SIG };
    my %base = map { $_ => $ENV{$_} } grep { defined $ENV{$_} } qw(PATH HOME USER LOGNAME LANG);
    %ENV = %base;    ## no critic (RequireLocalizedPunctuationVars)
    return;
}

# Resident memory in kB.
sub _resident {
    open my $in, '<', '/proc/self/status' or return 0;
    my ($kb) = map { /\AVmRSS:\s*(\d+)/ } <$in>;
    close $in;
    return $kb || 0;
}

# Load what each process of Apache2::Spawn::Process would load for itself, if the library
# that it needs is installed.
sub _load_processes {
    local ($@, $!);
    local $SIG{__DIE__};    ## no critic (RequireInitializationForLocalVars)
    eval { require Apache2::Spawn::Process::Serve; Apache2::Spawn::Process::Serve::preload(); 1 } or return;
    return;
}

sub name { return $name }

# Also as a method of the class.
sub after_fork {
    my ($code, %options) = @_ % 2 ? @_ : @_[ 1 .. $#_ ];
    my $timeout = delete $options{timeout};
    $timeout = HOOK_SECONDS if !defined $timeout;
    my $wrong
        = Scalar::Util::reftype($code || '') ne 'CODE' ? 'wanted: a code reference, which each Perl job runs at its start'
        : %options ? "unknown option '" . (sort keys %options)[0] . q{'; known: timeout}
        : !Scalar::Util::looks_like_number($timeout) || $timeout < 0.001 || $timeout > 86_400
        ? 'timeout: wanted: seconds, from 0.001 to 86400'
        : undef;
    if (defined $wrong) {
        require Carp;
        Carp::croak("after_fork: $wrong");
    }
    my (undef, $file, $line) = caller;
    Apache2::Spawn::Template::Run::add_hook($code, $timeout, "$file line $line");
    return;
}

# name=, memory=, spares=, preload= and require=: the stages in their order, [title, file].
sub _arguments {
    my (@given) = @_;
    my (@modules, @files);
    for (@given) {
        my ($what, $value) = /\A(name|memory|spares|preload|require)=(.+)\z/s
            or die "serve: '$_' is not known here; wanted: name=, memory=, spares=, preload= or require=\n";
        if ($what eq 'name') { $name = $value }
        elsif ($what eq 'memory') {
            $memory = $memories{$value} || die "serve: memory=$value is not known here; wanted: frozen, huge or shared\n";
        }
        elsif ($what eq 'spares') {
            die "serve: spares=$value: wanted: 0 to @{[_SPARES_MAX()]}\n" if $value !~ /\A\d{1,2}\z/ || $value > _SPARES_MAX();
            $spares = $value;
        }
        elsif ($what eq 'preload') { push @modules, ["preload $value", Apache2::Spawn::Template::Run::file_of($value)] }
        else                       { push @files, ["require $value", $value] }
    }
    die "serve: the template has no name: name= is missing\n" if !defined $name;
    return [@modules, @files];
}

sub _stage {
    my ($file) = @_;
    _fail('that is not the name of a module') if !defined $file;
    my $error = Apache2::Spawn::Template::Run::load($file);
    _fail($error) if defined $error;
    my @threads = _threads_that_stay();
    return if @threads == 1;
    _fail(sprintf '%d thread%s that it started still run%s (%s): a process with threads cannot be forked safely;'
            . ' start threads in an after_fork hook, or let them end',
        @threads - 1, @threads == 2 ? ('', 's') : ('s', ''), join ', ', @threads);
    return;
}

# The same after some looks: a thread can be joined a moment before the kernel lets it go.
sub _threads_that_stay {
    my @threads = _threads();
    for (1 .. LOOKS) {
        last if @threads == 1;
        select undef, undef, undef, 0.001;    ## no critic (ProhibitSleepViaSelect)
        @threads = _threads();
    }
    return @threads;
}

# The names of this process's threads.
sub _threads {
    opendir my $dir, '/proc/self/task' or return 'perl';
    my @names;
    for my $tid (grep { /\A\d+\z/ } readdir $dir) {
        open my $in, '<', "/proc/self/task/$tid/comm" or next;
        push @names, scalar(<$in>) =~ /(.*)/;
        close $in;
    }
    closedir $dir;
    return @names;
}

sub _fail {
    my ($text) = @_;
    my $said = "$stage: $text";
    chomp $said;
    utf8::encode($said) if utf8::is_utf8($said);
    undef $stage;
    _tell_preloaded($link, _START_FAILED(), $said);
    _end(1);
    return;
}

# exit in a module or in the startup file
END {
    _fail("it called exit($?)") if defined $stage && $$ == $pid;
}

1;

__END__

=encoding UTF-8

=head1 NAME

Apache2::Spawn::Template - the process that Perl jobs are forked from

=head1 SYNOPSIS

In httpd.conf:

    SpawnTemplate report exec preload=My::Report,DBI require=/etc/httpd/report-startup.pl

In F</etc/httpd/report-startup.pl>:

    use strict;
    use warnings;
    use Apache2::Spawn::Template ();
    use My::Config ();

    My::Config->load('/etc/my/config');        # read once, shared by all jobs

    # values that cannot be shared are made in each job
    Apache2::Spawn::Template::after_fork(sub { My::Db->connect });

    1;

In a handler:

    my $total = Apache2::Spawn->call('My::Report::total', [2026, 11], template => 'report');

=head1 DESCRIPTION

A Perl job is a call of one function in a process of its own. Starting a perl
and loading modules for each would take a second; a template has done that
once. A template of the kind C<exec> loads what C<SpawnTemplate> names. A template of the
kind C<parent>, as C<app> is by default, was forked from httpd when its startup files were
loaded, and has what they loaded. Then it waits. For each job it forks a process, in which
the function finds everything loaded, and which ends with the
function's return. The template itself never runs a job, and no Perl at all
once it is ready, so that each job finds it the same.

You do not start templates, and you hardly need this module. They are started
with httpd, again when one has died, and anew at each restart of httpd,
so that new code is loaded. Use L<after_fork|/after_fork($code, %options)>, and read below what a job
finds.

Jobs are submitted by L<Apache2::Spawn/spawn_call>; the function in
the job can ask L<Apache2::Spawn::Current>.

=head1 PRELOADING

First the modules of C<preload>, in their order, then the file of C<require>,
each as C<require> does it: modules are looked up in C<inc> and perl's own
directories (not where mod_perl looks), and a file must end with a true value.
The template runs in F</>, as httpd's C<User>, with the small environment that
jobs have; what is printed goes to the error log, each line with the
template's name.

If one of them fails, there is no template, and its jobs do not run. The failure and its
reason are in the error log and in the error that callers get:

    preload My::Report: Can't locate My/Report.pm in @INC ...

A template must have one thread when it is ready, since a process with several
cannot be forked safely. A module that leaves a thread running is such a
failure. Start threads in an L<after_fork|/after_fork($code, %options)> hook, or in the function.

=head1 WHAT A JOB FINDS

=over

=item memory

All that the template has loaded and computed, shared until it is written to.

=item descriptors

0, 1 and 2 as the job's C<stdin>, C<stdout> and C<stderr> say, and the handles of
its C<fds> (see L<Apache2::Spawn::Current/fh>). Nothing else: every file, socket,
pipe and directory that the template has open is closed in the job, and Perl's
handles know it (C<print() on closed filehandle>). C<DATA> too. Open in the job,
or in a hook, what the job needs; read C<DATA> in the template.

Descriptors that belong to C libraries (an SQLite database, a connection to
PostgreSQL) are closed, too. Their numbers stay blocked by a descriptor that
nothing can be done with, so that such a library gets an error, and does not
write into a file that the job has opened since.

=item environment

C<%ENV> and the C environment are the small clean set and the job's C<env>.
Variables that the template had set are gone. The locale is the one that perl
was started with, C.UTF-8.

=item signals

Defaults, none blocked, C<%SIG> is empty: also C<__WARN__> and C<__DIE__>.

=item process

Its own session and process group, C<cwd>, C<umask>, limits and C<nice> as the
job's options say. C<$0> is C<spawn My::Report::total> and the job's id, C<$^T> its
start, C<@ARGV> is empty. Its parent is mod_spawn's spawner, not the template; but the jobs
of a template of the kind C<parent> are the template's own children.

=item random numbers

C<rand> starts with a seed of its own in each job, also when the template has
called C<rand> or C<srand>. Other generators (in modules) do not know of the fork:
seed them in a hook.

=back

=head2 What must not be shared

Several processes must not use one connection. In a
job the descriptor is closed, but the object is still there:

=over

=item DBI

Connect in a hook or in the function, not in the template. A handle that was
made in the template has to have C<AutoInactiveDestroy> (C<<
DBI->connect(..., { AutoInactiveDestroy => 1 }) >>), else a job that lets go of it
ends the session of the template. mod_spawn leaves this attribute alone.

=item sockets, HTTP clients with kept connections, memcached, AMQP

The same: made in the job.

=item File::Temp objects and others that clean up

When a job lets go of an object that was made in the template, the object is destroyed in
the job: C<DESTROY> runs there, and may remove what the template still needs. Make
such objects in the function. A class of this kind should note C<$$> when an object is
made, and compare it in C<DESTROY>.

=item files

A handle that was open for writing had its buffer written out before the fork:
nothing is written twice.

=back

=head1 WORKERS

The Perl jobs of a queue with C<SpawnWorkers> are served one after another by
processes that were forked from its template and stay:

    <SpawnQueue prices>
        SpawnWorkers 2 8
    </SpawnQueue>

    my $price = Apache2::Spawn->call('My::Price::quote', [$item], queue => 'prices');

So a call costs no fork, and what the function has made (a connection, a cache)
is there for the next one:

    package My::Price;

    my $db;

    sub quote {
        my ($item) = @_;
        $db ||= My::Db->connect;
        return $db->price($item);
    }

For the function this is as in a process of its own, with these differences:

=over

=item hooks

Those of L<after_fork|/after_fork($code, %options)> run once, when the worker starts.

=item what a call leaves behind

The next call finds globals, open files, C<cwd>, C<umask> and C<%SIG> as this one
left them. C<%ENV> is set back, and an C<alarm> is cancelled.
L<Apache2::Spawn::Current> is the call's own; C<$0> and the environment are the
worker's and do not name the call.

=item its end

A C<die> ends the call and not the worker. C<exit>, a signal and a time-out end
both: the call as in a process of its own, while other calls get another
worker. A call that was asked to end (C<kill>) and returns by itself is the last one
of its worker, too: the signal may come late, and must not meet another call. Lines of
C<warn> have the id of the call in the log.

=item resources

The resources in the status are the call's own; only the most resident memory is the
worker's.

=back

A worker that calls a function of its own queue, or as the only worker of its queue waits for
a job there, would wait for itself: it gets C<invalid> at once. So does a job that
waits for itself.

Calls that want surroundings of their own (C<cwd>, C<env>, streams, C<fds>, C<limits>,
C<nice>, another C<template>) get a process of their own in such a queue, too.

A worker ends, and another one is forked, after a number of calls
(C<SpawnWorkerMaxJobs>), when it has grown (C<SpawnWorkerMaxMemory>), and when its
template is followed by a new one, as at each restart of httpd.

=head1 HOW A JOB ENDS

=over

=item the function returns

Exit code 0. The values travel to the caller.

=item it dies

Exit code 255. The exception travels, and its text is printed to the job's
C<stderr> as well.

=item exit

C<exit>, C<CORE::exit> or C<POSIX::_exit>: that code, and no values.

=item a signal

No values.

=back

In each case but the last and C<POSIX::_exit> output is flushed, and objects that
go out of scope are destroyed. Then the process ends by C<_exit>: B<END blocks do
not run, and objects in global variables are not destroyed>, since these are mostly the
template's, which lives on. A job that wants its END blocks says so: see
L<Apache2::Spawn::Current/run_end_blocks>.

A process that the function forks is not the job: when it runs into the function's
return, or dies, it ends there without a result.

=head2 What travels

Text, numbers, undef, arrays, hashes, references to them, also circular ones;
at most 4 MB encoded. Objects and compiled patterns with C<< objects => 1 >> only. Code
references, handles and globs never: the error names the place, such as
C<return value [0]{cb} is a code reference>. Handles travel to a job by C<fds>.

=head1 FUNCTIONS

=over

=item after_fork($code, %options)

    Apache2::Spawn::Template::after_fork(sub { My::Db->connect });
    Apache2::Spawn::Template::after_fork(sub { My::Cache->connect }, timeout => 5);

In the template: each job runs this code at its start, in order of registration,
before C<load> and the function. C<< Apache2::Spawn->job >> is known by then, and
the environment is the job's. A hook that dies ends the job: the caller
gets C<after_fork:> and the text. In a job it is too late to register a hook: nothing
happens.

A hook may take 30 s, or as many seconds as C<timeout> says (also fractions). One that has
not returned by then, hanging in a C library or not, ends its job or worker, and the caller
gets the text C<after_fork: the hook of FILE line N has not returned within 30 s>. This time is
the hook's alone; it may use C<alarm>, but not the signal SIGRTMAX.

Dies when C<$code> is no code reference, or of another option. L<Apache2::Spawn/after_fork> is the same,
for modules that are loaded in httpd, too.

=item name

The name of the template, in it and in its jobs; undef elsewhere.

=item serve(@arguments)

A template's perl is started with this. It preloads, says that it is ready, and
serves until mod_spawn dismisses it; does not return. Arguments are
C<name=NAME>, C<memory=frozen> (or C<huge>, or C<shared>, the default), C<spares=4>,
C<preload=Module> and C<require=/path>. Dies with other arguments, or where mod_spawn has
not started the process.

=back

=head1 TYPICAL PROBLEMS

=head2 no function My::Report::total in template app

The template has not loaded the module. C<app>, and every template of the kind
C<parent>, has what httpd has loaded at its start: say C<PerlModule My::Report> in
httpd.conf, or load it in the startup file. A template of the kind C<exec> has its own
list: add it to C<preload>. With either, C<< load => 'My::Report' >> in the call loads
it in that job.

The error says when the template was loaded. After a restart of httpd, jobs of its new
children wait for the new template. When that cannot be loaded, the old one serves on, without
what the restart has brought; the error log says why (MS0601).

A function of a script (L<ModPerl::Registry>, L<Plack::Handler::Apache2>, CGI) exists in
no other process: see L<Apache2::Spawn/SCRIPTS>.

=head2 The job still runs the old code

Templates hold what they have loaded. C<apachectl graceful> makes new ones. The old one serves on
for requests that run in children of before, until the new one is ready, and for all
when that cannot be loaded (MS0601 in the error log).

=head2 readline() on closed filehandle

A handle that the template opened, perhaps C<DATA>: see L</WHAT A JOB FINDS>.

=head2 Out of memory, with a C<memory> limit that should do

The limit counts the whole address space, that which is shared with the template
included.

=head2 Cannot find current script

L<FindBin> looks for C<$0>, which in a job is a title. Load it in the template.

=head2 A job is not started, at step fork: No child processes

Its process ended while C libraries of the template took notice of the fork, in
handlers of C<pthread_atfork>, before any Perl ran; the error log has MS0331. Find the
library with a core dump of the job, and load it in the job instead (C<load>).

=head1 SEE ALSO

L<Apache2::Spawn>, L<Apache2::Spawn::Current>, L<Apache2::Spawn::Template::Run>,
F<directives.md>

=cut
