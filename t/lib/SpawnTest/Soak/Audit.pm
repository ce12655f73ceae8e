# SPDX-License-Identifier: Apache-2.0
#
# The proof of a soak, from the records of its callers and its jobs (Journal.pm) and from
# the store: each promise is a check below. A violation is a line of text; the figures
# say how much there was to look at. Runs in the soak, when all is calm.

package SpawnTest::Soak::Audit;

use strict;
use warnings;

use Apache2::Spawn ();
use JSON::PP ();

use SpawnTest::Soak::Exceptions ();
use SpawnTest::Soak::Journal qw(journal ms read_lines);
use SpawnTest::Soak::Mix ();
use SpawnTest::Wait qw(wait_until);

use constant {
    SETTLED => 90,    # seconds in which each job has to end when all is calm
    LOOKS => 4,       # one after another, that have to find no job
    STORED => 1000,    # ms after which it is stored on a busy machine
    LATE => 2000,     # ms that an order may be on its way on a busy machine
    ROUNDED => 2,     # ms by which a duration may be short: its begin and its end are whole ms
};

# settle(world): the texts of jobs that do not end. A job changes its state between two
# questions, so one look is not enough.
sub settle {
    my ($world) = @_;
    my $spawn = Apache2::Spawn->connect($world->{httpd}->socket);
    _end_those_of_another_day($spawn);
    my ($empty, @left) = (0);
    wait_until(
        sub {
            my $done = eval { @left = map { $spawn->list(state => $_, rows => 100) } qw(running starting queued delayed); 1 };
            $empty = $done && !@left ? $empty + 1 : 0;
            return $empty == LOOKS;
        },
        SETTLED
    ) and return;
    push @left, undef if $@;
    return map { defined $_ ? "$_->{id} is " . $_->state : "the broker does not answer: $@" } @left;
}

# Jobs that were to start at a time of day that a clock had which was set since.
sub _end_those_of_another_day {
    my ($spawn) = @_;
    my ($was_set, %spec, %at);
    read_lines(deeds => sub { $was_set = 1 if $_[0] eq 'set_clock' });
    return if !$was_set;
    read_lines(
        journal => sub {
            my ($what, $token, undef, $id, @more) = @_;
            $spec{$token} = JSON::PP::decode_json($more[0]) if $what eq 'S';
            $at{$id} = $token if $what =~ /\A[APCU]\z/ && $id ne '-' && defined $spec{$token}{at};
        }
    );
    # a moment for those that are due now
    wait_until(
        sub { my @left = eval { grep { $at{ $_->id } } $spawn->list(state => 'delayed', rows => 1000) }; !$@ && !@left }, 5
    ) and return;
    for my $job (eval { grep { $at{ $_->id } } $spawn->list(state => 'delayed', rows => 1000) }) {
        journal('K', $at{ $job->id }, $job->id, 'TERM');
        eval { $spawn->job($job->id)->kill('TERM'); 1 } or next;    # it is told as one that is left
    }
    return;
}

# audit(ask, lines of the error log): { violations => [...], figures => { name => number }, excuses => {...} }. ask is
# called with a token and an id, and does as Clerk.pm's does.
sub audit {
    my ($ask, @log) = @_;
    my $self = bless { ask => $ask, log => { map { /\b(MS[0-9]+): job ([0-9a-f-]{36}) / ? ($2 => $1) : () } @log }, violations => [], figures => {}, excuses => {}, jobs => {}, deeds => [] }, __PACKAGE__;
    read_lines(deeds => sub { my ($name, $from, $to, @pids) = @_; push @{ $self->{deeds} }, [ $name, $from, $to, { map { $_ => 1 } @pids } ] });
    $self->_read_journal;
    $self->_ask_for_the_rest;
    $self->_read_ledger;
    for my $job (values %{ $self->{jobs} }) {
        $self->{ran}{ $_->{id} } = $job for @{ $job->{runs} || [] };
        push @{ $self->{keys}{"$job->{spec}{queue} $job->{spec}{unique}"} }, $job if $job->{spec} && defined $job->{spec}{unique};
    }
    $self->_check($_, $self->{jobs}{$_}) for sort keys %{ $self->{jobs} };
    $self->_check_limits;
    $self->_check_keys;
    $self->_check_recurring;
    $self->_check_after($_, $self->{jobs}{$_}) for grep { @{ $self->{jobs}{$_}{spec}{after} || [] } } sort keys %{ $self->{jobs} };
    for my $deed (@{ $self->{deeds} }) {
        $self->{figures}{"deed $deed->[0]"}++;
        $self->_wrong("a deed failed: @{[ %{ $deed->[3] } ]}") if $deed->[0] eq 'failed';
    }
    return $self;
}

# ---- deeds ----

# How many of this name were done between two moments? The effect of one may be felt a
# moment longer.
sub between {
    my ($self, $from, $to, $name) = @_;
    return scalar grep { $_->[0] =~ $name && $_->[1] <= $to && $_->[2] + 500 >= $from } @{ $self->{deeds} };
}

# The same, of those that met this process.
sub met {
    my ($self, $pid, $from, $to, $name) = @_;
    return scalar grep { $_->[0] =~ $name && $_->[3]{$pid} && $_->[1] <= $to && $_->[2] + 500 >= $from } @{ $self->{deeds} };
}

# When the store had, for certain, what a broker knew in this moment: mostly 20 ms later, if
# the broker is not stopped, and the disk takes it.
sub stored_by {
    my ($self, $known) = @_;
    my $by = $known + STORED;
    for my $deed (sort { $a->[1] <=> $b->[1] } grep { $_->[0] =~ /\A(?:stop_broker|fill_disk)\z/ } @{ $self->{deeds} }) {
        $by = $deed->[2] + STORED if $deed->[1] <= $by && $deed->[2] + STORED > $by;
    }
    return $by;
}

# Were two done so near to each other, in ms, while the job was on its way?
sub both {
    my ($self, $from, $to, $near, $one, $other) = @_;
    my @one = grep { $_->[0] =~ $one && $_->[1] <= $to && $_->[2] + $near >= $from } @{ $self->{deeds} };
    my @other = grep { $_->[0] =~ $other } @{ $self->{deeds} };
    for my $deed (@one) {
        return 1 if grep { $_->[1] <= $deed->[2] + $near && $_->[2] + $near >= $deed->[1] } @other;
    }
    return 0;
}

# ---- other jobs ----

# Those with the key of this one, itself among them.
sub same_key {
    my ($self, $job) = @_;
    return @{ $self->{keys}{"$job->{spec}{queue} $job->{spec}{unique}"} || [] };
}

# Those that it came after.
sub before { my ($self, $job) = @_; return map { $self->{jobs}{$_} } @{ $job->{spec}{after} } }

# As far as somebody was told.
sub ended_well {
    my ($self, $job) = @_;
    my ($outcome, $code, $kind) = @{ $job->{told} || [''] }[ 0, 1, 3 ];
    return $outcome eq 'exited' && ($kind || '') ne 'died' && !$code && ($job->{spec}{want} !~ /\A(?:returned|died)\z/ || ($kind || '') eq 'returned');
}

# ---- reading ----

sub _read_journal {
    my ($self) = @_;
    my ($jobs, $id_of) = ($self->{jobs}, $self->{token_of} = {});
    read_lines(
        journal => sub {
            my ($what, $token, $ms, $id, @more) = @_;
            return $self->_wrong("$token: a caller stopped: @more") if $what eq 'X';
            my $job = $jobs->{$token} ||= {};
            if ($what eq 'S') {
                @{$job}{qw(sent spec)} = ($ms, JSON::PP::decode_json($more[0]));
                return;
            }
            $job->{id} = $id if $id ne '-';
            $job->{last} = $ms;
            if ($what =~ /\A[APC]\z/) {
                $job->{accepted} ||= $ms;
                $job->{posted} = 1 if $what ne 'A';
                $job->{cleanup} = $more[0] if $what eq 'C';
                delete $job->{refused} if $what eq 'A';
            } elsif ($what eq 'R') {
                $job->{refused} = $more[0] if !$job->{accepted} && !$job->{unknown};
            } elsif ($what eq 'U') {
                $job->{unknown} = $more[0];
            } elsif ($what eq 'W') {
                $job->{answered} = $ms;
            } elsif ($what eq 'K') {
                $job->{killed} = $ms;
            } elsif ($what eq 'N') {
                $job->{not_known} = $more[0] if $more[0] eq 'no_such_job';
            } elsif ($what eq 'T') {
                # two that tell a job's end tell the same
                my $told = [ map { defined $_ && $_ ne '-' ? $_ : undef } @more ];
                $self->_contradiction($token, $job, $told);
                $job->{told} = $told;
                $job->{told_at} = $ms;
            }
        }
    );
    return;
}

sub _contradiction {
    my ($self, $token, $job, $told) = @_;
    my $before = $job->{told} or return;
    return if $told->[0] eq 'call_failed' || $before->[0] eq 'call_failed';
    return if !defined $told->[1] || !defined $before->[1];
    $self->_wrong("$token: was told $before->[0] $before->[1], then $told->[0] $told->[1]")
        if "$before->[0] $before->[1]" ne "$told->[0] $told->[1]";
    return;
}

# Those that nobody has asked for.
sub _ask_for_the_rest {
    my ($self) = @_;
    my $asked = 0;
    for my $token (sort keys %{ $self->{jobs} }) {
        my $job = $self->{jobs}{$token};
        next if $job->{told} || !$job->{id};
        for my $try (1 .. 3) {
            my $known = $self->{ask}->($token, $job->{id});
            last if $known eq 'done' || $known eq 'no_such_job' || $known eq 'waits';
        }
        $asked++;
    }
    $self->{jobs} = {};
    $self->{violations} = [];
    $self->_read_journal;
    $self->{figures}{'asked for at the end'} = $asked;
    return;
}

sub _read_ledger {
    my ($self) = @_;
    my $place = 0;
    read_lines(
        ledger => sub {
            my ($what, $token, $id, $pid, $ms, $code) = @_;
            $place++;
            my $job = $self->{jobs}{$token};
            return $self->_read_recurring($token, $what, $id, $place, $ms) if $token =~ /\Acron-/;
            return $self->_wrong("$token: ran, and nobody has submitted it") if !$job;
            if ($what eq 'B') {
                push @{ $job->{runs} }, { began => $ms, pid => $pid, id => $id, from => $place };
                return;
            }
            # a worker can run it twice: the last one that has not ended
            my ($run) = grep { $_->{pid} == $pid && !defined $_->{ended} } reverse @{ $job->{runs} || [] };
            return $self->_wrong("$token: ended, and has not begun") if !$run;
            @{$run}{qw(ended code to)} = ($ms, $code, $place);
        }
    );
    return;
}

# Of an entry of SpawnCron. One that the round before has left may end here.
sub _read_recurring {
    my ($self, $token, $what, $id, $place, $ms) = @_;
    my $runs = $self->{recurring}{$token} ||= [];
    if ($what eq 'B') {
        push @{$runs}, { id => $id, from => $place, began => $ms };
    } else {
        $_->{to} = $place for grep { $_->{id} eq $id } @{$runs};
    }
    return;
}

sub _wrong { my ($self, $text) = @_; push @{ $self->{violations} }, $text; return }

# The number of the last message about it in the error log.
sub in_the_log { my ($self, $id) = @_; return $self->{log}{$id} || '' }

# ---- one job ----

sub _check {
    my ($self, $token, $job) = @_;
    my $figures = $self->{figures};
    return $self->_wrong("$token: is known, and nobody has submitted it") if !$job->{spec};
    my @runs = @{ $job->{runs} || [] };
    # its caller was answered with the job that has the key
    return $figures->{'kept another'}++ if ($job->{spec}{on_conflict} || '') eq 'keep' && !@runs && $job->{id} && $self->_of_another($job);
    my ($began, $ended) = (scalar @runs, scalar grep { defined $_->{ended} } @runs);
    my $about = sub { return "$token ($job->{spec}{who} $job->{spec}{way} $job->{spec}{kind} in $job->{spec}{queue}, id " . ($job->{id} || '?') . "): $_[0]" };
    $job->{last} ||= $job->{sent};
    # when it was over, and that was stored, for certain: later when the broker could not
    $job->{over} = $job->{last};
    if ($began && $ended == $began) {
        my $end = $runs[-1]{ended};
        $job->{over} = $end + ($self->between($end - 3000, $end + 3000, qr/\A(?:fill_disk|stop_|kill_|start\z|restart|graceful)/) ? 10_000 : 2000);
    }
    $figures->{submitted}++;
    $figures->{ran}++ if $began;

    my $most = 1 + ($job->{spec}{retry} || 0);
    $self->_wrong($about->("ran $began times: pids @{[ map { $_->{pid} } @runs ]}")) if $began > $most;
    $figures->{'ran again'} += $began - 1 if $began > 1;
    for my $run (@runs) {
        $self->_wrong($about->("ran with another id: $run->{id}")) if $job->{id} && $run->{id} ne $job->{id};
    }
    $self->_check_begin($about, $job, $runs[0]) if $began;
    $self->_check_again($about, $job, @runs[ $_ - 1, $_ ]) for 1 .. $#runs;
    if ($job->{told}) {
        $figures->{told}++;
        $figures->{"outcome $job->{told}[0]"}++;
        $self->_check_end($about, $job, $began, $ended);
    } elsif ($job->{refused}) {
        $figures->{"refused $job->{refused}"}++;
        $self->_wrong($about->("ran, and its caller was told that nothing was taken ($job->{refused})")) if $began;
    } elsif ($job->{accepted}) {
        return $figures->{'accepted, and lost as it may be'}++
            if SpawnTest::Soak::Exceptions::excuse(\@SpawnTest::Soak::Exceptions::missing, $self, $job, $self->{excuses});
        $self->_wrong($about->('was ' . ($job->{cleanup} ? 'left for after the answer' : $job->{posted} ? 'posted' : 'accepted')
                . ', and is ' . ($job->{not_known} ? 'not known' : 'not done') . "; it began $began times and ended $ended times"));
    } else {
        $figures->{'nobody was told'}++;
    }
    return;
}

# It is tried again when an attempt has failed, and not before that has ended.
sub _check_again {
    my ($self, $about, $job, $run, $next) = @_;
    return if !defined $run->{ended};
    my $well = !$run->{code} && $job->{spec}{want} =~ /\A(?:exited 0|returned)\z/;
    my $beside = $next->{from} < $run->{to};
    return if !$well && !$beside;
    return if SpawnTest::Soak::Exceptions::excuse(\@SpawnTest::Soak::Exceptions::again, $self,
        { runs => [$run], spec => $job->{spec}, next => $next->{began} }, $self->{excuses});
    $self->_wrong($about->($beside ? "ran again while pid $run->{pid} ran" : "ran again, and pid $run->{pid} had ended well"));
    return;
}

# Not too early, and not too late.
sub _check_begin {
    my ($self, $about, $job, $run) = @_;
    my $spec = $job->{spec};
    my $after = $run->{began} - $job->{sent};
    $self->_wrong($about->("began after $after ms, with a delay of $spec->{delay}")) if $spec->{delay} && $after + ROUNDED < $spec->{delay} && !$self->_of_a_post($job, $run->{began});
    $self->_wrong($about->("began after $after ms, and it was to be $spec->{at}"))
        if $spec->{at} && $after + ROUNDED < $spec->{at} && !$self->between($job->{sent} - 50, $run->{began}, qr/\Aset_clock\z/);
    # when it was accepted is not known to the ms, nor how long its order was on its way
    $self->_wrong($about->("began after $after ms, and expired after $spec->{expires}"))
        if $spec->{expires} && !$job->{unknown} && $run->{began} > ($job->{accepted} || $job->{last}) + $spec->{expires} + LATE
        && !$self->between($job->{sent}, $run->{began}, qr/\A(?:stop_|kill_|start\z|restart|graceful|fill_disk)/);
    return;
}

# The durations of a post count by the time of day until the broker has read it: docs/protocol.md.
sub _of_a_post { my ($self, $job, $to) = @_; return $job->{posted} && $self->between($job->{sent} - 50, $to, qr/\Aset_clock\z/) }

# The told end is the true one.
sub _check_end {
    my ($self, $about, $job, $began, $ended) = @_;
    my ($outcome, $code, $signal, $kind, $step, $elapsed, $wrong) = @{ $job->{told} };
    my $want = $job->{spec}{want};
    my $is = $outcome eq 'exited' && ($kind || '') =~ /\A(?:returned|died)\z/ ? $kind
        : $outcome eq 'exited' ? "exited $code" : $outcome eq 'signalled' ? "signalled $signal" : $outcome;
    $self->_wrong($about->($wrong)) if $wrong;
    # a call that failed says how in words only
    my $fits = $is eq $want || $is eq 'call_failed' && $want =~ /\A(?:exited|signalled|out_of_memory|timed_out)/;
    my $excuse = $fits ? undef
        : SpawnTest::Soak::Exceptions::excuse(\@SpawnTest::Soak::Exceptions::ends, $self, $job, $self->{excuses});
    if ($is eq 'expired' && $job->{spec}{expires}) {
        my $after = $job->{told_at} - $job->{sent};
        $self->_wrong($about->("expired after $after ms of $job->{spec}{expires}"))
            if $after + ROUNDED < $job->{spec}{expires} && !$self->_of_a_post($job, $job->{told_at});
        $self->_wrong($about->('expired, and ran')) if $began && !$job->{spec}{retry};
        return;
    }
    return $self->_wrong($about->("should be $want and is $is" . (defined $step ? " (step $step)" : ''))) if !$fits && !$excuse;

    $self->_wrong($about->("is $is and never ran")) if $is =~ /\A(?:exited|returned|died)/ && !$began;
    $self->_wrong($about->("is $is and did not come to its end")) if $is =~ /\A(?:exited|returned|died)/ && !$ended;
    $self->_wrong($about->("is $is and ran")) if $is eq 'start_failed' && $began;
    my ($least, $last) = ($job->{spec}{least}, ($job->{runs} || [])->[-1]);
    if ($fits && defined $least && $last && defined $last->{ended}) {
        my $took = $last->{ended} - $last->{began};
        $self->_wrong($about->("took $took ms of $least")) if $took + ROUNDED < $least;
    }
    my $retry = $job->{spec}{retry};
    # one that was lost, or killed, before it could write has not begun as far as we know
    my $tries = $began + $self->between($job->{sent}, $job->{over}, qr/\Akill_(?:spawner|pair|all|job|worker|spare|exec_template|parent_template)\z/);
    $self->_wrong($about->("is $is after $began tries of " . ($retry + 1)))
        if $retry && ($fits || $is eq 'out_of_memory') && $is =~ /\A(?:exited [1-9]|signalled|out_of_memory|died)/ && $tries <= $retry && !$job->{killed} && !$job->{spec}{expires};
    # by another clock than ours, of a job that another signal may have ended
    $self->_wrong($about->("timed out after $elapsed ms of $least"))
        if $is eq 'timed_out' && $fits && defined $elapsed && $elapsed + 5 < $least && !$job->{killed}
        && !$self->between($job->{sent} - 1000, $job->{last}, qr/set_clock/);
    return;
}

# A process of this job is there when all is calm: may it be?
sub left {
    my ($self, $token) = @_;
    return $self->_left($self->{jobs}{$token});
}

# The same of one whose process has its id in its name, and not its token.
sub left_of_id { my ($self, $id) = @_; return $self->_left($self->{ran}{$id}) }

sub _left {
    my ($self, $job) = @_;
    return 0 if !$job;
    return SpawnTest::Soak::Exceptions::excuse(\@SpawnTest::Soak::Exceptions::left, $self, $job, $self->{excuses});
}

# A file is there when all has ended: may it be?
sub may_be_left {
    my ($self, $path) = @_;
    return SpawnTest::Soak::Exceptions::excuse(\@SpawnTest::Soak::Exceptions::files, $self, { path => $path, now => ms() }, $self->{excuses});
}

# ---- all jobs ----

# The id of a job that was not taken is that of another with its key.
sub _of_another {
    my ($self, $job) = @_;
    my $ran = $self->{ran}{ $job->{id} };
    return $ran && $ran != $job if $ran;
    return grep { $_ != $job && ($_->{id} || '') eq $job->{id} } $self->same_key($job);
}

# Nothing goes on of it that the broker does not know of.
sub _is_known { my ($self, $job) = @_; return !SpawnTest::Soak::Exceptions::excuse(\@SpawnTest::Soak::Exceptions::left, $self, $job, {}) }

# No planned run twice, and never two at once of those that the broker knows of.
sub _check_recurring {
    my ($self) = @_;
    for my $name (sort keys %{ $self->{recurring} || {} }) {
        my (%ids, $to);
        for my $run (@{ $self->{recurring}{$name} }) {
            $self->{figures}{"runs of $name"}++;
            $self->_wrong("$name: $run->{id} ran twice") if $ids{ $run->{id} }++;
            $self->_wrong("$name: $run->{id} began while another one ran") if defined $to && $run->{from} < $to;
            $to = $self->_is_known({ runs => [$run] }) ? $run->{to} : undef;
        }
    }
    return;
}

# While a job runs that has its key until it has ended, no other with this key begins.
sub _check_keys {
    my ($self) = @_;
    for my $key (sort keys %{ $self->{keys} || {} }) {
        my @jobs = grep { $_->{runs} && $self->_is_known($_) } @{ $self->{keys}{$key} };
        my @begins = sort { $a->[0] <=> $b->[0] } map { my $job = $_; map { [ $_->{from}, $job ] } @{ $job->{runs} } } @jobs;
        $self->{figures}{'ran with a key'} += @begins;
        for my $job (grep { $_->{spec}{unique_for} ne 'waiting' } @jobs) {
            for my $run (grep { defined $_->{ended} } @{ $job->{runs} }) {
                $self->_wrong("$job->{id} runs with the $key, and $_->[1]{id} began")
                    for grep { $_->[1] != $job && $_->[0] > $run->{from} && $_->[0] < $run->{to} } @begins;
            }
        }
    }
    return;
}

# It begins when those that it comes after have ended, well unless it is to run in any case.
sub _check_after {
    my ($self, $token, $job) = @_;
    my ($first) = @{ $job->{runs} || [] } or return;
    $self->{figures}{'ran after others'}++;
    for my $before (grep { $_->{runs} && $self->_is_known($_) } $self->before($job)) {
        my $id = $before->{id};
        $self->_wrong("$token: began before $id had ended") if grep { $_->{from} > $first->{from} || defined $_->{to} && $_->{to} > $first->{from} } @{ $before->{runs} };
        $self->_wrong("$token: began, and $id has not ended well: @{[ map { defined $_ ? $_ : '-' } @{ $before->{told} }[ 0, 1 ] ]}")
            if ($job->{spec}{after_failed} || 'cancel') eq 'cancel' && $before->{told} && !$self->ended_well($before);
    }
    return;
}

# No more of a queue at once than may. The order is that of the ledger's lines. A process
# that nobody knows any more takes no place.
sub _check_limits {
    my ($self) = @_;
    my $most = SpawnTest::Soak::Mix::PARALLEL();
    for my $queue (sort keys %{$most}) {
        my @edges;
        for my $job (values %{ $self->{jobs} }) {
            next if !$job->{spec} || $job->{spec}{queue} ne $queue;
            next if !$self->_is_known($job);
            for my $run (grep { defined $_->{ended} } @{ $job->{runs} || [] }) {
                push @edges, [ $run->{from}, 1 ], [ $run->{to}, -1 ];
            }
        }
        my ($now, $top) = (0, 0);
        for my $edge (sort { $a->[0] <=> $b->[0] } @edges) {
            $now += $edge->[1];
            $top = $now if $now > $top;
        }
        my $figure = "most at once in $queue";
        $self->{figures}{$figure} = $top;
        $self->_wrong("$top jobs of the queue $queue ran at once; it has $most->{$queue}") if $top > $most->{$queue};
    }
    return;
}

1;
