package Apache2::Spawn::Test;

# Jobs of an application's tests: checked as real ones, and run at once, or recorded. Runs
# in test scripts. Must change nothing unless a script asks for it.
#
# The seam is the socket: the library checks and sends as always, to a process of ours that
# accepts (Test::Broker). It is a process because the library waits for the answer in this
# one. It is forked before the application's code is there, so that what runs a job
# (Test::Runner) is forked from this one, ahead of the submit.

use strict;
use warnings;

our $VERSION = '0.1.0';

use Apache2::Spawn ();
use Apache2::Spawn::Test::Broker ();
use Apache2::Spawn::Test::Runner ();
use File::Temp ();
use IO::Socket::UNIX ();
use POSIX ();
use Scalar::Util ();
use Socket qw(SOCK_SEQPACKET);
use Test::Builder ();
use Time::HiRes ();

our @EXPORTED = qw(spawned_ok job_like jobs clear_jobs drain fail_nth advance_clock);

my (@jobs, $mode, $broker, $connection);

sub import {
    my ($class, $wanted) = @_;
    my $package = caller;
    die "Apache2::Spawn::Test: wanted: 'inline' or 'fake'" . _at()
        if !defined $wanted || $wanted !~ /\A(?:inline|fake)\z/;
    die "Apache2::Spawn::Test: '$wanted': this script has '$mode' already" . _at() if defined $mode && $mode ne $wanted;
    $mode = $wanted;
    _begin() if !$broker;
    no strict 'refs';    ## no critic (ProhibitNoStrict)
    *{"${package}::$_"} = \&{$_} for @EXPORTED;
    return;
}

sub _at {
    my (undef, $file, $line) = caller 1;
    return " at $file line $line.\n";
}

sub _begin {
    my $dir = File::Temp->newdir;
    my $listener = IO::Socket::UNIX->new(Type => SOCK_SEQPACKET, Local => "$dir/socket", Listen => 20)
        or die "Apache2::Spawn::Test: $dir/socket: $!\n";
    CORE::pipe my $life, my $held or die "Apache2::Spawn::Test: pipe: $!\n";
    my $pid = fork;
    die "Apache2::Spawn::Test: fork: $!\n" if !defined $pid;
    if (!$pid) {
        close $held;
        my $served = eval { Apache2::Spawn::Test::Broker::serve($listener, $life, $mode eq 'inline'); 1 };
        print {*STDERR} $@ if !$served;    # and not the script a second time
        POSIX::_exit($served ? 0 : 1);
    }
    $broker = { dir => $dir, held => $held, pid => $pid, owner => $$ };
    $connection = Apache2::Spawn->connect("$dir/socket", timeout => 3600);
    _record($_) for qw(cleanup spawn spawn_call run call);    # cleanup uses the real ones
    _redirect($_) for qw(job list);
    return;
}

END {
    if ($broker && $broker->{owner} == $$) {
        local ($?, $!);
        kill 'KILL', $broker->{pid};
        waitpid $broker->{pid}, 0;
    }
}

# ---- what is recorded, and run ----

sub _record {
    my ($method) = @_;
    my $cleanup = $method eq 'cleanup';
    my %real = map { $_ => Apache2::Spawn->can($_) } $cleanup ? qw(spawn spawn_call) : $method;
    no strict 'refs';      ## no critic (ProhibitNoStrict)
    no warnings 'redefine';
    *{"Apache2::Spawn::$method"} = sub {
        my (undef, @given) = @_;
        my $runner = $mode eq 'inline' && !$cleanup ? _kept(\&_runner) : undef;
        _kept(sub { _order("idle $$") }) if $cleanup;
        my $want = wantarray;
        my $verb = !$cleanup ? $method : _is_program($given[0]) ? 'spawn' : 'spawn_call';
        my $real = $real{$verb};
        my ($id, @sent) = _with_id($verb, _without($cleanup ? 'only_if' : 'until', $verb, @given));
        my (@got, $error);
        {
            local $@;
            my $ok = eval {
                if    ($want)         { @got    = $real->($connection, @sent) }
                elsif (defined $want) { $got[0] = $real->($connection, @sent) }
                else                  { $real->($connection, @sent) }
                1;
            };
            $error = \"$@" if !$ok;
            $error = \(my $object = $@) if !$ok && ref $@;
        }
        _end_runner($runner) if $runner;
        push @jobs, { method => $method, id => $id, _given($verb, @given) } if !$error || _was_accepted(${$error});
        die _from_caller(${$error}, caller) if $error;
        return $want ? @got : $got[0];
    };
    return;
}

# The arguments with an id: without a result, nothing else tells which job it is.
sub _with_id {
    my ($method, @given) = @_;
    my $first = _first_option($method, @given);
    return (undef, @given) if @given < $first || (@given - $first) % 2;
    for (my $i = $first; $i < @given; $i += 2) {    ## no critic (ProhibitCStyleForLoops)
        return ("$given[$i + 1]", @given) if defined $given[$i] && $given[$i] eq 'id' && defined $given[ $i + 1 ];
    }
    my $id = Apache2::Spawn->new_id;
    return ($id, @given, id => $id);
}

# A job that has failed was one; a submit that is refused was none.
sub _was_accepted {
    my ($error) = @_;
    return 1 if !Scalar::Util::blessed($error) || !$error->isa('Apache2::Spawn::Error');
    return 1 if $error->step eq 'template';
    return $error->code =~ /\A(?:call_failed|start_failed|timed_out|expired|output_gone)\z/;
}

# The error names the line of the application, as in production.
sub _from_caller {
    my ($error, undef, $file, $line) = @_;
    @{$error}{qw(file line)} = ($file, $line)
        if Scalar::Util::blessed($error) && $error->isa('Apache2::Spawn::Error');
    return $error;
}

# To the process that accepts.
sub _redirect {
    my ($method) = @_;
    my $real = Apache2::Spawn->can($method);
    no strict 'refs';      ## no critic (ProhibitNoStrict)
    no warnings 'redefine';
    *{"Apache2::Spawn::$method"} = sub {
        shift;
        unshift @_, $connection;
        goto &{$real};
    };
    return;
}

# What a record has of the arguments.
sub _given {
    my ($verb, $what, @rest) = @_;
    return (argv => [ @{$what} ], options => {@rest}) if $verb !~ /call/;
    my $arguments = @rest % 2 ? shift @rest : [];
    return (function => $what, arguments => $arguments, options => {@rest});
}

sub _is_program {
    my ($what) = @_;
    return ref $what eq 'ARRAY' || Scalar::Util::blessed($what);
}

# What is about the request of a job, of which there is none in a test.
sub _without {
    my ($name, $verb, @given) = @_;
    return @given if $name eq 'until' && $verb !~ /\Aspawn/;    # which refuses it
    my $first = _first_option($verb, @given);
    for (my $i = @given - 2; $i >= $first; $i -= 2) {    ## no critic (ProhibitCStyleForLoops)
        next if !defined $given[$i] || $given[$i] ne $name;
        splice @given, $i, 2 if $name ne 'until' || ($given[ $i + 1 ] // '') eq 'request';
    }
    return @given;
}

# Behind the program, or the function and its arguments.
sub _first_option {
    my ($verb, @given) = @_;
    return $verb =~ /call/ && @given % 2 == 0 ? 2 : 1;
}

# Not with local: what is forked inside could not give its exit code.
sub _kept {
    my ($code) = @_;
    my @kept = ($!, $?);
    my @got = $code->();
    ($!, $?) = @kept;    ## no critic (RequireLocalizedPunctuationVars)
    return wantarray ? @got : $got[0];
}

# A connection of the test's own, and the answer to what is ordered.
sub _order {
    my ($order) = @_;
    my $socket = IO::Socket::UNIX->new(Type => SOCK_SEQPACKET, Peer => "$broker->{dir}/socket")
        or die "Apache2::Spawn::Test: $broker->{dir}/socket: $!\n";
    send $socket, "test $order", 0;
    return ($socket, _told($socket));
}

sub _told {
    my ($socket) = @_;
    my $answer = '';
    recv $socket, $answer, 1 << 18, 0;
    return $answer;
}

# The process that will run the job which is submitted next, from this one.
sub _runner {
    my ($socket) = _order("runner $$");
    return _fork_runner($socket);
}

sub _fork_runner {
    my ($socket, $body) = @_;
    my $pid = fork;
    die "Apache2::Spawn::Test: fork: $!\n" if !defined $pid;
    return $pid if $pid;
    $SIG{TERM} = 'DEFAULT';    ## no critic (RequireLocalizedPunctuationVars)
    close $broker->{held};
    eval { Apache2::Spawn::Test::Runner::serve($socket, $body); 1 } or print {*STDERR} $@;
    POSIX::_exit(1);
    return;
}

sub _end_runner {
    my ($pid) = @_;
    local ($!, $?);
    for my $look (1 .. 200) {
        kill $look < 200 ? 'TERM' : 'KILL', $pid;
        return if waitpid($pid, POSIX::WNOHANG()) != 0;
        Time::HiRes::sleep(0.005);
    }
    waitpid $pid, 0;
    return;
}

sub jobs { return @jobs }

sub clear_jobs {
    @jobs = ();
    _order('clear');
    return;
}

# ---- what becomes of the recorded ----

sub drain { return _kept(\&_drain) }

sub _drain {
    my $count = 0;
    while (1) {
        my ($socket, $body) = _order('next');
        last if $body eq 'none';
        my $pid = _fork_runner($socket, $body);
        waitpid $pid, 0;
        close $socket;
        $count++;
    }
    return $count;
}

sub fail_nth {
    my ($n, $code) = @_;
    die "Apache2::Spawn::Test: fail_nth: wanted: a number from 1 on" . _at() if !defined $n || $n !~ /\A[1-9]\d{0,8}\z/;
    my %known = map { $_ => 1 } @Apache2::Spawn::Test::Broker::CODES[ 1 .. $#Apache2::Spawn::Test::Broker::CODES ];
    $code //= '';
    die "Apache2::Spawn::Test: fail_nth: there is no error code '$code'" . _at() if !$known{$code};
    _order("fail $n $code");
    return;
}

sub advance_clock {
    my ($seconds) = @_;
    die "Apache2::Spawn::Test: advance_clock: wanted: seconds, not negative" . _at()
        if !Scalar::Util::looks_like_number($seconds) || !($seconds >= 0 && $seconds < 1e9);
    _order('clock ' . int $seconds * 1000);
    return;
}

# ---- tests ----

sub _name { return $_[0]{function} // $_[0]{argv}[0] }

sub _same {
    my ($got, $wanted) = @_;
    return !defined $got if !defined $wanted;
    return 0 if !defined $got;
    return $got =~ $wanted if ref $wanted eq 'Regexp';
    return ref $got eq 'ARRAY' && @{$got} == @{$wanted} && !grep { !_same($got->[$_], $wanted->[$_]) } 0 .. $#{$wanted}
        if ref $wanted eq 'ARRAY';
    return ref $got eq 'HASH' && !grep { !_same($got->{$_}, $wanted->{$_}) } keys %{$wanted}
        if ref $wanted eq 'HASH';
    return $got eq $wanted;
}

sub _shown {
    my ($test, @shown) = @_;
    $test->diag(@shown ? 'spawned:' : 'nothing was spawned');
    $test->diag('  ', $_->{method}, ' ', $test->explain($_)) for @shown;
    return;
}

sub spawned_ok {
    my ($what, $wanted, $name) = @_;
    my $test = Test::Builder->new;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $ok = grep { _same(_name($_), $what) && _same($_, $wanted || {}) } @jobs;
    $test->ok($ok, $name // "$what was spawned") or _shown($test, @jobs);
    return !!$ok;
}

sub job_like {
    my ($job, $wanted, $name) = @_;
    my $test = Test::Builder->new;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $ok = _same($job, $wanted);
    $test->ok($ok, $name // 'the job is as wanted') or _shown($test, $job ? $job : ());
    return !!$ok;
}

1;

__END__

=encoding UTF-8

=head1 NAME

Apache2::Spawn::Test - tests of what an application spawns, without httpd

=head1 SYNOPSIS

    use Test::More;
    use Apache2::Spawn::Test 'inline';
    use My::Shop ();

    is My::Shop::price(42), 7, 'the function is called';
    spawned_ok('My::Shop::quote', { arguments => [42] });
    done_testing;

or, when the jobs are to wait:

    use Apache2::Spawn::Test 'fake';

    My::Shop::order(42);
    spawned_ok('/usr/sbin/sendmail', { options => { queue => 'mail' } }, 'a mail is sent');
    spawned_ok('My::Report::build', { arguments => [ 42, qr/./ ] });
    is scalar(jobs()), 2, 'and no more';

=head1 DESCRIPTION

For the test suites of applications that use L<Apache2::Spawn>. No httpd, spawner or broker
is needed. The options are checked by the same code as in production: a wrong option throws the
same L<Apache2::Spawn::Error>, and nothing is recorded. Connections that the application makes
with C<connect> are not used: their jobs are recorded, too. A script has one of two modes:

=over

=item C<inline>

A job runs when it is submitted, and has ended when C<spawn>, C<spawn_call>, C<run> or C<call> returns.
It runs as in production: in a process and a session of its own, forked from the script, with the small
clean environment, its streams, C<cwd>, C<umask>, C<nice> and C<timeout>. A function has the code that the
script has loaded by then; what it changes in variables is not seen in the script, as the caller in
production does not see it. A job with C<delay> or C<at> waits for C<advance_clock> and C<drain>,
and that of C<cleanup>, which starts after the answer, for C<drain>.

=item C<fake>

A job is recorded, and runs when C<drain> is called, or never.

=back

Methods of jobs answer as in production: C<status>, C<wait>, C<result>, C<pid>; C<kill> is true for
a job that has not run, which then never does, and false for one that has ended.

The module works with L<Test::More> and whatever else is built on L<Test::Builder>. In a suite
that uses L<Apache::Test>, it is for the scripts that call the application's code themselves: what a
handler in the server under test spawns goes to that server's broker.

=head1 FUNCTIONS

All are exported. A record is a hash reference: C<method> (C<spawn>, C<spawn_call>, C<run>, C<call> or
C<cleanup>), C<id>, C<options> (as they were given), and C<argv>, or C<function> and C<arguments>.

=over

=item spawned_ok($what, \%wanted, $name)

A test: a job was recorded whose program or function is C<$what> (text or a C<qr//>) and whose
record is like C<%wanted>. When it fails, it shows what was spawned.

=item job_like($job, \%wanted, $name)

A test: this record is like C<%wanted>. Keys that C<%wanted> has not do not count; lists must be
as long; a C<qr//> matches.

=item jobs

The records, oldest first.

=item clear_jobs

Forgets them, jobs that have not run, and what C<fail_nth> has ordered.

=item drain

Runs the jobs that wait and are due, and those that they submit: the highest C<priority> first,
then in the order of their submits; C<after> the jobs that they name. One whose C<expires> is over ends
as C<expired>. Returns how many have run.

=item fail_nth($n, $code)

The submit that is the C<$n>-th from now, counted from 1, is refused with this
L<code|Apache2::Spawn::Error/code>, such as C<queue_full>.

=item advance_clock($seconds)

For the jobs it is so much later: C<delay>, C<at> and C<expires> count by this clock. It does not run
those that are due now; C<drain> does. The clock of the application is not changed.

=back

=head1 EXAMPLES

The options of one job:

    My::Shop::order(42);
    my ($job) = jobs();
    job_like($job, { method => 'spawn', argv => [ '/usr/sbin/sendmail', '-t' ] });

A reminder that is sent the day after:

    My::Shop::order(42);
    is drain(), 0, 'no reminder yet';
    advance_clock(86_400);
    is drain(), 1, 'a day later';

What the application does when the queue is full:

    fail_nth(1, 'queue_full');
    is My::Shop::order(42), 'try later', 'the visitor is told';

=head1 LIMITS

=over

=item *

With C<fake>, C<run>, C<call>, C<< reply => 'started' >> and C<< reply => 'finished' >> throw C<invalid>, since they
need a job that runs. So do C<wait> and C<result> of a job that has not run, in both modes (C<wait(0)> gives
undef), and C<list>, C<retry> and C<start_now>.

=item *

What only a broker knows is not checked: whether a queue exists or is full, permissions, C<unique>
keys. There is no C<retry>; C<after_failed> and C<on_failure> do not count; C<after_fork> hooks are not run.

=item *

C<user>, C<group>, C<limits>, C<ionice>, C<no_new_privs> and C<leftovers> are checked and not applied. What goes
to C<log> goes to the script's stderr. A job's C<progress> is not kept.

=item *

Handles (C<fds>, C<stdin>, C<stdout>, C<stderr>) cannot be given to a job: C<inline> throws C<invalid>, and
with C<drain> the job fails to start.

=item *

Methods of C<$r>, C<spawn_cleanup> among them, C<pipe>, C<open3>, L<Apache2::Spawn::Instead> and
L<Apache2::Spawn::Process> need httpd or a running program: they are neither recorded nor run.
C<cleanup> is, whatever its C<only_if> says. C<< until => 'request' >> is recorded, and ends no job.

=item *

A job with more data than fits in one message (64 KB) throws C<invalid>. Of its output at most 56,000 bytes
are kept, and of a return value 28,000 bytes: more is C<too_big>. Of a
job with more than 8,000 bytes C<status> does not tell C<argv> and C<context>.

=item *

A job belongs to the submit that runs it: when a signal handler ends that, the job is killed.

=item *

Arguments of functions are recorded as the caller's values, not copied.

=item *

Jobs of a child process that the script forks, and those that a job submits, are recorded in that
process alone.

=back

=head1 SEE ALSO

L<Apache2::Spawn>, L<Apache2::Spawn::Options>

=cut
