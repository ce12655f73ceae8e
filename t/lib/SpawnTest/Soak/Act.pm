# SPDX-License-Identifier: Apache-2.0
#
# A caller of the soak does with a job (Mix.pm) what it says, and writes the answers into
# the journal. The promise of an answer is decided here and nowhere else. Runs in plain
# clients and in httpd's children.

package SpawnTest::Soak::Act;

use strict;
use warnings;

use Apache2::Spawn ();
use JSON::PP ();
use Scalar::Util qw(blessed);
use Time::HiRes qw(usleep);

use SpawnTest::Soak::Journal qw(journal);

our ($program, $ledger);    # of jobs
my @accepted;               # the last jobs that this process has submitted: [ token, id ]

my $json = JSON::PP->new->canonical;
my $function = 'SpawnTest::Soak::Functions::run';

# Nothing was taken: Apache2::Spawn::Error says so.
my %nothing_taken = map { $_ => 1 } qw(unreachable queue_full unknown_queue invalid unknown_option too_big
    not_permitted not_unique too_old store version protocol not_sendable);

# A job, for the audit, before anything is sent.
sub submits {
    my ($job, $who) = @_;
    my $options = $job->{options};
    journal('S', $job->{token}, undef, $json->encode({
        who => $who, (map { $_ => $job->{$_} } grep { defined $job->{$_} } qw(kind way want least has_handle out err delay at expires retry after)),
        (map { $_ => $options->{$_} } grep { defined $options->{$_} } qw(queue reply unique on_conflict unique_for after_failed durable)),
    }));
    return;
}

# $spawn: the class, a connection, or in a handler $r as the last argument.
sub act {
    my ($spawn, $job, $who, $r) = @_;
    my @after = _after($job);
    submits($job, $who);
    my ($way, %options) = ($job->{way}, options($job), @after);
    my $token = $job->{token};
    my @what = $job->{call}
        ? ($function, [ $ledger, $token, @{ $job->{call} } ])
        : [ $job->{missing} ? "$program.not_there" : $program, $ledger, $token, @{ $job->{words} } ];
    my $done = eval {
        if ($way eq 'run') {
            told($token, $job, $r ? $r->spawn_run(@what, %options) : $spawn->run(@what, %options));
        } elsif ($way eq 'call') {
            my $value = $spawn->call(@what, %options);
            returned($token, $job, undef, $value);
        } elsif ($way eq 'cleanup') {
            my $made = $r->spawn_cleanup(@what, %options);
            journal('C', $token, $made->id, $$);
        } else {
            my $made = $r ? $r->$way(@what, %options) : $spawn->$way(@what, %options);
            my $posted = ($options{reply} || '') eq 'posted' && $r && !$job->{has_handle};
            journal($posted ? 'P' : 'A', $token, $made->id);
            unshift @accepted, [ $token, $made->id ] if ($options{on_conflict} || '') ne 'keep';
            $#accepted = 19 if @accepted > 20;
            _then($job, $made);
        }
        1;
    };
    _failed($job, $@) if !$done;
    return;
}

# So many of the last jobs as it comes after, when there are any: the option.
sub _after {
    my ($job) = @_;
    my $most = delete $job->{options}{after} or return;
    my @some = @accepted > $most ? @accepted[ 0 .. $most - 1 ] : @accepted;
    $job->{after} = [ map { $_->[0] } @some ];
    return (after => [ map { $_->[1] } @some ]) if @some;
    delete $job->{options}{after_failed};
    return;
}

sub options {
    my ($job) = @_;
    my %options = %{ $job->{options} };
    if (defined(my $bytes = delete $options{stdin_bytes})) {
        my $data = 'x' x $bytes;
        $options{stdin} = \$data;
    }
    # of the clock that is stepped
    $options{at} = sprintf '%.3f', Time::HiRes::time() + $options{at} / 1000 if defined $options{at};
    if (my $number = delete $options{handle}) {
        open my $null, '>', '/dev/null' or die "/dev/null: $!\n";
        $options{fds} = { $number => $null };
    }
    return %options;
}

sub _then {
    my ($job, $made) = @_;
    my ($what, $ms) = @{ $job->{then} };
    my $token = $job->{token};
    return if $what eq 'leave';
    if ($what eq 'wait') {
        my $end = $made->wait($ms / 1000);
        told($token, $job, $end) if $end;
        return;
    }
    usleep($ms * 100);
    if ($what eq 'kill') {
        journal('K', $token, $made->id, 'TERM');
        $made->kill('TERM');
    } else {
        my $now = $made->status;
        told($token, $job, $now) if $now->state eq 'done';
    }
    return;
}

# An end, as somebody was told of it.
sub told {
    my ($token, $job, $end) = @_;
    my $wrong = '';
    # An output that is not whole says so.
    for my $stream (grep { defined $job->{$_} } qw(out err)) {
        my $method = "std$stream";
        my ($got, $lost) = ($end->$method, $end->${ \"${method}_lost" });
        next if $end->outcome ne 'exited' || $job->{way} ne 'run' || $lost;
        $wrong = "std$stream has " . (defined $got ? length $got : 'no') . " bytes of $job->{$stream}"
            if !defined $got || length $got != $job->{$stream};
    }
    journal('T', $token, $end->id, $end->outcome, $end->exit_code, $end->signal, $end->result_kind, $end->step,
        defined $end->elapsed ? int(1000 * $end->elapsed) : undef, $wrong);
    return;
}

sub returned {
    my ($token, $job, $id, $value) = @_;
    my ($what, $sent) = @{ $job->{call} };
    my $want = $what eq 'value' ? $sent : $what eq 'naps' ? $token : $what eq 'much' ? 'x' x $sent
        : $what eq 'given' ? length $sent : undef;
    my $wrong = defined $want && (!defined $value || $value ne $want) ? 'another value was returned' : '';
    journal('T', $token, $id, 'exited', 0, undef, 'returned', undef, undef, $wrong);
    return;
}

sub _failed {
    my ($job, $error) = @_;
    my $token = $job->{token};
    if (!blessed $error || !$error->isa('Apache2::Spawn::Error')) {
        return journal('T', $token, undef, 'exited', undef, undef, 'died') if $error eq "$token dies\n";
        return journal('X', $token, undef, "$error");
    }
    my ($code, $id) = ($error->code, $error->job ? $error->job->id : undef);
    return journal('R', $token, $id, $code, $error->step) if $nothing_taken{$code};
    return journal('T', $token, $id, 'start_failed', undef, undef, undef, $error->step) if $code eq 'start_failed';
    return journal('T', $token, $id, 'expired') if $code eq 'expired';
    return journal('T', $token, $id, 'call_failed', undef, undef, undef, undef, undef, '', $error->message)
        if $code eq 'call_failed' || $code eq 'output_gone';
    # accepted, and not yet there, or over its own time: the end is asked for later
    return journal('A', $token, $id, $code) if $code eq 'timed_out' && $id;
    # one that it was to come after is not known any more
    return journal('R', $token, undef, $code) if $code eq 'no_such_job' && $job->{after};
    # a question after the submit failed: A stands in the journal
    return journal('Q', $token, $id, $code) if $code eq 'no_such_job' || $code eq 'not_running';
    journal('U', $token, $id, $code);
    return _again($job, $error->job) if $error->job;
    return;
}

# The same id once more: never twice, says the manual.
sub _again {
    my ($job, $made) = @_;
    for my $try (1 .. $job->{again}) {
        usleep(20_000 * $try);
        next if !eval { $made->resubmit; 1 };
        journal('A', $job->{token}, $made->id, 'resubmit');
        return;
    }
    return;
}

1;
