package Apache2::Spawn::Test::Runner;

# Runs one job of a test script in a process of its own, and tells how it ended. Runs in a
# process forked from the script when the job is to run, which so has the application's
# code. Must wait for the end of what it forks.

use strict;
use warnings;

our $VERSION = '0.1.0';

use Apache2::Spawn::Test::Broker qw(attribute decode);
use Apache2::Spawn::Template::Value ();
use Cwd ();
use File::Spec ();
use IO::Handle ();
use IO::Select ();
use POSIX ();
use Time::HiRes ();

# As common/spawn_wire.h and common/spawn_error.h have them.
use constant { NULL => 0, PATH => 1, HANDLE => 2, DATA => 3, LOG => 4, CAPTURE => 5, STDOUT_TOO => 6, APPEND => 1 };
our %STEP = (fork => 20, cwd => 29, stdin => 30, stdout => 31, stderr => 32, fds => 33, exec => 36);
use constant { RETURNED => 1, DIED => 2, OBJECTS => 4, LIST => 2, SCALAR => 1 };

use constant ANSWER_MAX => 56_000;    # bytes of output and result in one answer
use constant GRACE_MS => 5000;
use constant LOOKS_AFTER => 40;    # at the pipes when the job is gone: what it has left may go on writing

my $child;     # the process of the job
my $inside;    # this is it

# The submit, or the one that comes over this connection; then this process ends.
sub serve {
    my ($socket, $body) = @_;
    local $SIG{TERM} = sub {
        kill 'KILL', -$child, $child if $child;
        POSIX::_exit(1);
    };
    POSIX::_exit(0) if !defined $body && (!defined recv($socket, $body, 1 << 18, 0) || $body eq '');
    ($body) = $body =~ /\A(.*)\z/s;    # the library has looked at what is tainted
    send $socket, 'test ended ' . run(decode($body)), 0;
    POSIX::_exit(0);
    return;
}

# The attributes of its end.
sub run {
    my ($job) = @_;
    my %pipe;
    for (qw(out err result)) {
        CORE::pipe my $read, my $write or die "Apache2::Spawn::Test: pipe: $!\n";
        $pipe{$_} = [$read, $write];
    }
    my $started = Time::HiRes::time();
    require Apache2::Spawn::Template if defined $job->{function};
    local $SIG{CHLD} = sub { };    # interrupts select
    $child = fork;
    die "Apache2::Spawn::Test: fork: $!\n" if !defined $child;
    if (!$child) {
        $inside = 1;
        _become($job, map { $pipe{$_}[1] } qw(out err result));
        POSIX::_exit(127);
    }
    close $_->[1] for values %pipe;
    my ($status, $timed_out, $read) = _watch($job, map { ($_ => $pipe{$_}[0]) } keys %pipe);
    my $end = _end($job, $status, $timed_out, $read);
    my $ended = Time::HiRes::time();
    my $pid = $child;
    undef $child;
    return join '', $end, attribute(pid => $pid), attribute(started_at => int $started * 1000),
        attribute(ended_at => int $ended * 1000), attribute(elapsed => int(($ended - $started) * 1e6));
}

# ---- beside the job ----

# Its wait status, whether it was ended, and what came out of the pipes.
sub _watch {
    my ($job, %from) = @_;
    my %read = map { $_ => '' } keys %from;
    my $select = IO::Select->new(values %from);
    my %what = map { $from{$_} => $_ } keys %from;
    my $until = $job->{timeout} ? Time::HiRes::time() + $job->{timeout} / 1000 : undef;
    my ($status, $signal);
    my $looks = 0;
    while (1) {
        my $gone = defined $status ? 0 : waitpid $child, POSIX::WNOHANG();
        $status = $? if $gone;
        for my $handle ($select->can_read(defined $status ? 0 : 0.05)) {
            next if sysread $handle, $read{ $what{$handle} }, 65_536, length $read{ $what{$handle} };
            $select->remove($handle);
        }
        if (defined $status) {
            last if ++$looks > LOOKS_AFTER || !$select->count || !$select->can_read(0);
            next;
        }
        Time::HiRes::sleep(0.005) if !$select->count;
        next if !defined $until || Time::HiRes::time() < $until;
        my $next = defined $signal ? 'KILL' : 'TERM';
        $signal = $next;
        kill $signal, -$child, $child;
        $until += ($job->{grace} // GRACE_MS) / 1000;
    }
    return ($status, defined $signal, \%read);
}

sub _end {
    my ($job, $status, $timed_out, $read) = @_;
    my $said = $read->{result};
    if ($said =~ /\AF/) {
        my (undef, $step, $errno) = unpack 'AVV', $said;
        return join '', attribute(outcome => $Apache2::Spawn::Test::Broker::OUTCOME{start_failed}),
            attribute(step => $step), attribute(errno => $errno);
    }
    my $signal = $status & 127;
    my $outcome = $timed_out ? 'timed_out' : $signal ? 'signalled' : 'exited';
    my $end = attribute(outcome => $Apache2::Spawn::Test::Broker::OUTCOME{$outcome})
        . ($signal ? attribute(signal => $signal) : attribute(exit_code => $status >> 8 & 255));
    my $room = ANSWER_MAX;
    if ($said =~ /\AR/) {
        my (undef, $kind) = unpack 'AC', $said;
        my $document = substr $said, 2;
        $room -= length $document;
        $end .= attribute(result_kind => $kind) . attribute(result => $document);
    }
    elsif (defined $job->{function}) {
        $end .= attribute(result_kind => 0);
    }
    return $end . _output($job, $read, $room);
}

sub _output {
    my ($job, $read, $room) = @_;
    my $end = '';
    for (['err', 'stderr', int $room / 2], ['out', 'stdout', $room]) {
        my ($what, $stream, $most) = @{$_};
        next if ($job->{$stream} || [0])->[0] != CAPTURE;
        $most = $job->{capture_limit} if defined $job->{capture_limit} && $job->{capture_limit} < $most;
        $most = $room if $most > $room;
        my $kept = substr $read->{$what}, 0, $most;
        $room -= length $kept;
        $end .= attribute($what => $kept) . attribute("${what}_lost" => length($read->{$what}) - length $kept);
    }
    return $end;
}

# ---- the process of the job ----

my $result;    # the pipe for what it returns, and why it does not start

sub _fail {
    my ($step) = @_;
    syswrite $result, pack 'AVV', 'F', $STEP{$step}, $! + 0;
    POSIX::_exit(127);
    return;
}

sub _become {
    my ($job, $out, $err);
    ($job, $out, $err, $result) = @_;
    POSIX::setsid();
    delete @SIG{ grep { defined $SIG{$_} } keys %SIG };
    my ($here) = Cwd::getcwd() =~ /\A(.*)\z/s;
    @INC = map { ref $_ ? $_ : File::Spec->rel2abs($_, $here) } @INC;
    POSIX::nice($job->{nice}) if $job->{nice};
    umask($job->{umask} // oct '022');
    chdir($job->{cwd} // '/') or _fail('cwd');
    _streams($job, $out, $err);
    %ENV = _environment($job);    ## no critic (RequireLocalizedPunctuationVars)
    _call($job) if defined $job->{function};
    _execute(@{ $job->{argv} });
    return;
}

# As common/spawn_child.c: in these directories, whatever PATH the job has, and with no shell for a
# file that has no first line. exec of Perl's would look into PATH, and take one.
sub _execute {
    my (@argv) = @_;
    my $errno = POSIX::ENOENT();
    no warnings 'exec';    ## no critic (ProhibitNoWarnings)
    for my $file ($argv[0] =~ m{/} ? $argv[0] : map {"$_/$argv[0]"} qw(/usr/local/bin /usr/bin /bin)) {
        $! = POSIX::ENOEXEC();
        exec {$file} @argv if !_is_text($file);
        $errno = $! + 0 if $! != POSIX::ENOENT() && $! != POSIX::ENOTDIR();
    }
    $! = $errno;
    _fail('exec');
    return;
}

# A file that may be executed, and that the kernel does not know how to.
sub _is_text {
    my ($file) = @_;
    return 0 if !-f $file || !-x _ || !open my $in, '<:raw', $file;
    read $in, my $first, 128;
    $! = POSIX::ENOEXEC();
    return $first !~ /\A#!/ && $first !~ /\0/;
}

sub _environment {
    my ($job) = @_;
    my ($user, $home) = (getpwuid $>)[0, 7];
    my %env = (PATH => '/usr/local/bin:/usr/bin:/bin', HOME => $home // '/', USER => $user // '',
        LOGNAME => $user // '', LANG => 'C.UTF-8', SPAWN_JOB_ID => _id($job),
        SPAWN_QUEUE => $job->{queue} // 'default');
    for (@{ $job->{env} || [] }) {
        my ($name, $value) = split /=/, $_, 2;
        if (defined $value) { $env{$name} = $value }
        else                { delete $env{$name} }
    }
    return %env;
}

sub _id {
    my ($job) = @_;
    return join '-', unpack 'A8 A4 A4 A4 A12', unpack 'H*', $job->{id};
}

sub _streams {
    my ($job, $out, $err) = @_;
    my ($in, $path);
    my ($how, undef, undef, $file) = @{ $job->{stdin} || [NULL] };
    if ($how == DATA) {
        open $in, '+>', undef or _fail('stdin');
        binmode $in;
        print {$in} $job->{stdin_data} // '';
        $in->flush;
        sysseek $in, 0, 0;
    }
    else {
        open $in, '<', $how == PATH ? $file : File::Spec->devnull or _fail('stdin');
    }
    open my $script, '>&', 2 or _fail('stderr');    ## no critic (RequireBriefOpen)
    my $log = defined $job->{function} ? [LOG] : [NULL];
    POSIX::dup2(fileno $in, 0);
    _writes(1, 'stdout', $job->{stdout} || [NULL], $out, $script);
    _writes(2, 'stderr', $job->{stderr} || $log, $err, $script);
    return;
}

sub _writes {
    my ($fd, $step, $where, $captured, $script) = @_;
    my ($how, $flags, undef, $file) = @{$where};
    my $to = $how == CAPTURE ? $captured : $how == LOG ? $script : undef;
    if ($how == STDOUT_TOO) {
        POSIX::dup2(1, $fd);
        return;
    }
    if (!$to) {
        my $mode = $how == PATH && !($flags & APPEND) ? '>' : '>>';
        open $to, $mode, $how == PATH ? $file : File::Spec->devnull or _fail($step);    ## no critic (RequireBriefOpen)
    }
    POSIX::dup2(fileno $to, $fd);
    return;
}

# ---- a Perl function ----

# In place of what looks at a template, which there is none of.
sub _be_current {
    my ($job) = @_;
    no strict 'refs';      ## no critic (ProhibitNoStrict)
    no warnings 'redefine';
    *{"Apache2::Spawn::Template::$_"} = sub { return 0 } for qw(_put_progress _cancelled _end_blocks);
    $Apache2::Spawn::Current::current = bless {
        id => _id($job), queue => $job->{queue} // 'default', label => $job->{label}, function => $job->{function},
        context => { map { split /=/, $_, 2 } @{ $job->{context} || [] } }, attempt => 1, template => 'test', pid => $$,
        fds => [], handles => {},
    }, 'Apache2::Spawn::Current';
    return;
}

sub _call {
    my ($job) = @_;
    Apache2::Spawn::Template::Run::set_template('test', 0);
    Apache2::Spawn::Template::Run::open_handles();
    _be_current($job);
    my ($kind, $document) = (RETURNED, undef);
    if (!eval { $document = _returned($job); 1 }) {
        my $error = $@;
        ($kind, $document) = (DIED, Apache2::Spawn::Template::Value::obituary($error));
        $document = Apache2::Spawn::Template::Value::obituary(substr "$error", 0, 1000)
            if length $document > ANSWER_MAX / 2;
        Apache2::Spawn::Template::Run::_print(Apache2::Spawn::Template::Value::text_of($error));
    }
    my $left = pack('AC', 'R', $kind) . $document;
    while (length $left) {
        my $n = syswrite $result, $left or last;
        substr $left, 0, $n, '';
    }
    _leave($kind == DIED ? 255 : 0);
    return;
}

# The document of what it returned.
sub _returned {
    my ($job) = @_;
    my $want = $job->{want} || 0;
    my $objects = $want & OBJECTS ? 1 : 0;
    my $function = Apache2::Spawn::Template::Run::_function($job->{function}, $job->{load});
    my $arguments = Apache2::Spawn::Template::Value::arguments($job->{args}, $objects);
    my @values;
    if    (($want & 3) == LIST)   { @values = $function->(@{$arguments}) }
    elsif (($want & 3) == SCALAR) { $values[0] = $function->(@{$arguments}) }
    else                          { $function->(@{$arguments}) }
    my $document = Apache2::Spawn::Template::Value::document(\@values, $objects);
    Apache2::Spawn::Template::Value::refuse('too_big',
        sprintf 'the return value has %d bytes when encoded; in a test at most %d travel', length $document,
        ANSWER_MAX / 2)
        if length $document > ANSWER_MAX / 2;
    return $document;
}

sub _leave {
    my ($code) = @_;
    $_->flush for *STDOUT{IO}, *STDERR{IO};
    POSIX::_exit($code);
    return;
}

# exit in a function: the script's own END blocks are not for a job
END { _leave($?) if $inside }

1;

__END__

=encoding UTF-8

=head1 NAME

Apache2::Spawn::Test::Runner - the process of one job of a test script

=head1 SYNOPSIS

    use Apache2::Spawn::Test 'inline';    # uses this by itself

=head1 DESCRIPTION

Runs a program or a Perl function as a job is run: in a process and a session of its own, with the small
clean environment, its streams, directory, umask, nice and timeout. It has no functions for applications.

=head1 SEE ALSO

L<Apache2::Spawn::Test>

=cut
