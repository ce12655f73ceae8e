package Apache2::Spawn::Test::Broker;

# The process of Apache2::Spawn::Test that accepts jobs, keeps them and answers questions
# about them. Forked from a test script. Must end with it, and must never run a job: the
# application's code is not loaded here.

use strict;
use warnings;

our $VERSION = '0.1.0';

use Apache2::Spawn ();
use Exporter qw(import);
use IO::Select ();
use POSIX ();
use Socket qw(SOL_SOCKET SO_PEERCRED);
use Time::HiRes ();

our @EXPORT_OK = qw(attribute decode);

# Numbers of the wire, as common/spawn_proto.h and common/spawn_error.h have them.
our %MESSAGE = (hello => 1, submit => 2, wait => 4, get => 5, kill => 7);
our %ANSWER = (welcome => 20, accepted => 21, job => 22, refused => 23, done => 25);
our %KIND = (U64 => 1, I64 => 2, STR => 3, BYTES => 4, STRV => 5, ID => 7, STDIO => 8);
our %ATTRIBUTE = (
    id => [1, 'ID'], argv => [2, 'STRV'], queue => [3, 'STR'], cwd => [4, 'STR'], env => [5, 'STRV'],
    umask => [6, 'U64'], stdin => [9, 'STDIO'], stdout => [10, 'STDIO'], stderr => [11, 'STDIO'],
    stdin_data => [12, 'BYTES'], timeout => [14, 'U64'], grace => [15, 'U64'], nice => [16, 'I64'],
    reply => [21, 'U64'], label => [22, 'STR'], context => [23, 'STRV'], capture_limit => [24, 'U64'],
    function => [25, 'STR'], args => [26, 'BYTES'], load => [27, 'STR'], want => [29, 'U64'],
    priority => [30, 'I64'], delay => [31, 'U64'], at => [32, 'U64'], expires => [33, 'U64'],
    after => [39, 'BYTES'], state => [40, 'U64'], pid => [41, 'U64'], outcome => [42, 'U64'],
    exit_code => [43, 'U64'], signal => [44, 'U64'], step => [46, 'U64'], errno => [47, 'U64'],
    submitted_at => [48, 'U64'], started_at => [49, 'U64'], ended_at => [50, 'U64'], out => [52, 'BYTES'],
    err => [53, 'BYTES'], out_lost => [54, 'U64'], err_lost => [55, 'U64'], elapsed => [57, 'U64'],
    result => [58, 'BYTES'], result_kind => [59, 'U64'], code => [60, 'U64'], text => [61, 'STR'],
    release => [66, 'STR'], wait_for => [70, 'U64'], wait_ms => [71, 'U64'], with_output => [77, 'U64'],
    due_at => [163, 'U64'], expires_at => [164, 'U64'],
);
our %STATE = (queued => 1, running => 3, done => 4, delayed => 5);
our %OUTCOME = (exited => 1, signalled => 2, timed_out => 3, cancelled => 4, start_failed => 5, expired => 6);
our @CODES = qw(
    ok unreachable unconfirmed deadline queue_full unknown_queue invalid unknown_option too_big not_permitted
    no_such_job too_old start_failed timed_out stopping version protocol store system conflict not_running
    output_gone call_failed not_sendable expired not_dead not_unique not_delayed
);
my %code = map { $CODES[$_] => $_ } 0 .. $#CODES;
my %name = map { $ATTRIBUTE{$_}[0] => $_ } keys %ATTRIBUTE;
my %output = map { $_ => 1 } qw(out err out_lost err_lost result);

use constant MOMENT => 1 << 63;    # in EXPIRES: it is a time of day
use constant STEP_FDS => 33;
use constant TOLD_MAX => 8000;    # bytes of a job up to which its argv is told: an answer has room for output

my $inline;      # jobs run at their submit
my $ahead = 0;   # the clock, in ms
my %jobs;        # by id
my $number = 0;  # of submits
my %fail;        # by the number of the submit: the code
my %runners;     # by the pid of the submitter: the connection that runs its job
my %running;     # by a runner's connection: its job

# ---- the wire ----

sub attribute {
    my ($what, $value) = @_;
    my ($id, $kind) = @{ $ATTRIBUTE{$what} };
    my $data
        = $kind eq 'U64' ? pack 'Q<', $value
        : $kind eq 'I64' ? pack 'q<', $value
        : $kind eq 'STR' ? "$value\0"
        :                  $value;
    return pack('vCCV', $id, $KIND{$kind}, 0, length $data) . $data . "\0" x (-length($data) & 7);
}

# The attributes of a message without its header, by name.
sub decode {
    my ($body) = @_;
    my %got;
    for (my $at = 0; $at < length $body;) {    ## no critic (ProhibitCStyleForLoops)
        my ($id, undef, undef, $n) = unpack 'vCCV', substr $body, $at, 8;
        my $data = substr $body, $at + 8, $n;
        $at += 8 + (($n + 7) & ~7);
        my $what = $name{$id} or next;
        my $kind = $ATTRIBUTE{$what}[1];
        $got{$what}
            = $kind eq 'U64'   ? unpack 'Q<', $data
            : $kind eq 'I64'   ? unpack 'q<', $data
            : $kind eq 'STR'   ? unpack 'Z*', $data
            : $kind eq 'STRV'  ? [ unpack '(Z*)*', substr $data, 4 ]
            : $kind eq 'STDIO' ? [ unpack 'CCvZ*', $data ]
            :                    $data;
    }
    return \%got;
}

sub _message {
    my ($seq, $type, @attributes) = @_;
    my $body = join '', @attributes;
    return pack('vCCvvVV', 0x5053, 1, 0, $ANSWER{$type}, 0, $seq, length $body) . $body;
}

sub _refused {
    my ($seq, $why, $text) = @_;
    return _message($seq, 'refused', attribute(code => $code{$why}), attribute(text => "Apache2::Spawn::Test: $text"));
}

# ---- jobs ----

sub _now { return int(Time::HiRes::time() * 1000) + $ahead }

sub _state {
    my ($job) = @_;
    return $STATE{ $job->{state} } if $job->{state} ne 'queued';
    return $STATE{ $job->{due} > _now() ? 'delayed' : 'queued' };
}

sub _job {
    my ($seq, $job, $with_output) = @_;
    my $is = $job->{is};
    my @told = map { $job->{raw}{$_} // () } qw(label function argv context);
    my $end = $job->{end} || {};
    return _message($seq, 'job', attribute(id => $is->{id}), attribute(state => _state($job)),
        attribute(queue => $is->{queue} // 'default'), attribute(submitted_at => $job->{submitted}),
        ($job->{due} > $job->{submitted} ? attribute(due_at => $job->{due}) : ()),
        ($job->{expires} ? attribute(expires_at => $job->{expires}) : ()), @told,
        map { attribute($_ => $end->{$_}) } grep { $with_output || !$output{$_} } sort keys %{$end});
}

sub _take {
    my ($is, $body) = @_;
    my $now = _now();
    my $expires = $is->{expires} || 0;
    my %told = map { $_ => 1 } qw(label function), length $body > TOLD_MAX ? () : qw(argv context);
    return $jobs{ $is->{id} } = {
        is => $is, body => $body, number => $number, state => 'queued', submitted => $now,
        due => $is->{delay} ? $now + $is->{delay} : $is->{at} && $is->{at} > $now ? $is->{at} : $now,
        expires => !$expires ? 0 : $expires >= MOMENT ? $expires - MOMENT : $now + $expires,
        raw => _raw($body, \%told),
    };
}

# Attributes as they came.
sub _raw {
    my ($body, $which) = @_;
    my %raw;
    for (my $at = 0; $at < length $body;) {    ## no critic (ProhibitCStyleForLoops)
        my ($id, undef, undef, $n) = unpack 'vCCV', substr $body, $at, 8;
        my $size = 8 + (($n + 7) & ~7);
        $raw{ $name{$id} } = substr $body, $at, $size if $name{$id} && $which->{ $name{$id} };
        $at += $size;
    }
    return \%raw;
}

sub _ended {
    my ($job, %end) = @_;
    $job->{state} = 'done';
    $job->{end} = \%end;
    delete $job->{body};
    _send($_->{peer}, $_->{answer}->()) for @{ delete $job->{waiters} || [] };
    return;
}

# A caller may be gone.
sub _send {
    my ($peer, $answer) = @_;
    send $peer, $answer, 0 if defined fileno $peer;
    return;
}

# To be told when the job has ended, or when that takes longer than so many ms.
sub _waits {
    my ($job, $peer, $seq, $answer, $ms) = @_;
    my $until = defined $ms ? Time::HiRes::time() + $ms / 1000 : undef;
    push @{ $job->{waiters} }, { peer => $peer, seq => $seq, answer => $answer, until => $until };
    return;
}

# Those that have waited long enough; returns how long the next one may wait.
sub _tell_late {
    my $now = Time::HiRes::time();
    my $next;
    for my $job (grep { $_->{waiters} } values %jobs) {
        my @late = grep { defined $_->{until} && $_->{until} <= $now } @{ $job->{waiters} };
        _send($_->{peer}, _refused($_->{seq}, 'timed_out', 'the job has not ended')) for @late;
        @{ $job->{waiters} } = grep { !defined $_->{until} || $_->{until} > $now } @{ $job->{waiters} };
        for (map { $_->{until} // () } @{ $job->{waiters} }) { $next = $_ if !defined $next || $_ < $next }
    }
    return defined $next ? $next - $now : undef;
}

# Whether all that it comes after have ended.
sub _comes_next {
    my ($job) = @_;
    my @before = grep { defined } map { $jobs{$_} } unpack '(a16)*', $job->{is}{after} // '';
    return !grep { $_->{state} ne 'done' } @before;
}

# The job that is to run now; undef: none is due.
sub _next {
    my $now = _now();
    for (grep { $_->{state} eq 'queued' && $_->{expires} && $_->{expires} <= $now } values %jobs) {
        _ended($_, outcome => $OUTCOME{expired}, ended_at => $now);
    }
    my ($job) = sort {
        ($b->{is}{priority} || 0) <=> ($a->{is}{priority} || 0) || $a->{number} <=> $b->{number}
    } grep { $_->{state} eq 'queued' && $_->{due} <= $now && _comes_next($_) } values %jobs;
    return if !$job;
    if ($job->{handles}) {
        _ended($job, outcome => $OUTCOME{start_failed}, step => STEP_FDS, errno => POSIX::EBADF(), ended_at => $now);
        return _next();
    }
    $job->{state} = 'running';
    return $job;
}

# ---- what callers ask ----

sub _submit {
    my ($peer, $seq, $body, $handles) = @_;
    $number++;
    my $fails = delete $fail{$number};
    return _refused($seq, $fails, "fail_nth: this submit is refused as $fails") if $fails;
    my $is = decode($body);
    my $known = $jobs{ $is->{id} };
    my $reply = $is->{reply} // 1;
    return _refused($seq, 'invalid', 'handles cannot be given to a job in a test; paths and data can')
        if $inline && $handles;
    my $accepted = _message($seq, 'accepted', attribute(id => $is->{id}), attribute(state => $STATE{queued}));
    my $answer = sub { return $reply >= 2 ? _job($seq, $jobs{ $is->{id} }, 1) : $accepted };
    return _waits($known, $peer, $seq, $answer) if $known && $known->{state} eq 'running';
    return $answer->() if $known;
    my ($pid) = unpack 'i', getsockopt($peer, SOL_SOCKET, SO_PEERCRED) || pack 'i', 0;
    my $runner = $inline ? $runners{$pid} : undef;
    return _refused($seq, 'invalid', q{a recorded job does not run by itself; use 'inline' for run, call and replies}
            . ' that tell of its start or end')
        if !$runner && $reply >= 2;
    my $job = _take($is, $body);
    $job->{handles} = $handles;
    return $accepted if !$runner || $job->{due} > $job->{submitted} && $reply < 2;
    delete $runners{$pid};
    $job->{state} = 'running';
    $running{$runner} = $job;
    send $runner, $body, 0;
    return _waits($job, $peer, $seq, $answer);
}

sub _question {
    my ($peer, $seq, $type, $body) = @_;
    my $asked = decode($body);
    my $job = defined $asked->{id} ? $jobs{ $asked->{id} } : undef;
    return _refused($seq, 'no_such_job', 'no job with this id is known') if !$job && defined $asked->{id};
    if ($job && $type == $MESSAGE{kill}) {
        return _refused($seq, 'not_running', 'the job has ended') if $job->{state} ne 'queued';
        _ended($job, outcome => $OUTCOME{cancelled}, ended_at => _now());
        return _message($seq, 'done', attribute(id => $asked->{id}));
    }
    return _refused($seq, 'invalid', 'the job has not run; drain runs those that are due')
        if $job && $type == $MESSAGE{wait} && $job->{state} eq 'queued';
    return _waits($job, $peer, $seq, sub { return _job($seq, $job, $asked->{with_output}) }, $asked->{wait_ms})
        if $job && $type == $MESSAGE{wait} && $job->{state} ne 'done' && ($asked->{wait_for} // 3) >= 3;
    return _job($seq, $job, $asked->{with_output})
        if $job && ($type == $MESSAGE{wait} || $type == $MESSAGE{get});
    return _refused($seq, 'invalid', 'this needs a broker');
}

sub _answer {
    my ($peer, $packet) = @_;
    my (undef, undef, $flags, $type, $handles, $seq) = unpack 'vCCvvV', $packet;
    my $body = substr $packet, 16;
    return _message($seq, 'welcome', attribute(release => Apache2::Spawn::_release())) if $type == $MESSAGE{hello};
    return _refused($seq, 'invalid', 'the job has too much data to be recorded') if $flags & 1;
    return _submit($peer, $seq, $body, $handles) if $type == $MESSAGE{submit};
    return _question($peer, $seq, $type, $body);
}

# ---- what the test script asks ----

my %order = (
    runner => sub { my ($peer, $pid) = @_; $runners{$pid} = $peer; return 'ok' },
    idle   => sub { delete $runners{ $_[1] }; return 'ok' },
    clock  => sub { $ahead += $_[1]; return 'ok' },
    fail   => sub { $fail{ $number + $_[1] } = $_[2]; return 'ok' },
    clear  => sub {
        delete @jobs{ grep { $jobs{$_}{state} eq 'queued' } keys %jobs };
        %fail = ();
        return 'ok';
    },
    next => sub {
        my $job = _next() or return 'none';
        $running{ $_[0] } = $job;
        return $job->{body};
    },
);

# The end of a job, from what runs it.
sub _told {
    my ($runner, $end) = @_;
    my $job = delete $running{$runner} or return;
    _ended($job, %{ decode($end) });
    return 'ok';
}

sub _gone {
    my ($peer) = @_;
    delete @runners{ grep { $runners{$_} == $peer } keys %runners };
    my $text = 'Apache2::Spawn::Test: the process that was to run it has ended';
    _told($peer, attribute(outcome => $OUTCOME{start_failed}) . attribute(text => $text)) if $running{$peer};
    close $peer;
    return;
}

# Until the script is gone, however it ends: then $life is at its end.
sub serve {
    (my ($listener, $life), $inline) = @_;
    my $select = IO::Select->new($listener, $life);
    local $SIG{PIPE} = 'IGNORE';
    while (1) {
        for my $peer ($select->can_read(_tell_late())) {
            return if $peer == $life;
            if ($peer == $listener) {
                my $new = $listener->accept;
                $select->add($new) if $new;
                next;
            }
            my $packet = '';
            if (!defined recv($peer, $packet, 1 << 18, 0) || $packet eq '') {
                $select->remove($peer);
                _gone($peer);
                next;
            }
            my $answer
                = $packet =~ /\Atest (\w+)(?: (.*))?\z/s
                ? $1 eq 'ended' ? _told($peer, $2) : $order{$1}->($peer, split / /, $2 // '')
                : _answer($peer, $packet);
            send $peer, $answer, 0 if defined $answer;
        }
    }
    return;
}

1;

__END__

=encoding UTF-8

=head1 NAME

Apache2::Spawn::Test::Broker - the process that keeps the jobs of a test script

=head1 SYNOPSIS

    use Apache2::Spawn::Test 'inline';    # uses this by itself

=head1 DESCRIPTION

L<Apache2::Spawn::Test> forks a process that answers the library as a broker does, over the same
wire. It keeps jobs, their order, their ends and the clock. It has no functions for applications.

=head1 SEE ALSO

L<Apache2::Spawn::Test>

=cut
