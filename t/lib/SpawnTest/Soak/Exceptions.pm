# SPDX-License-Identifier: Apache-2.0
#
# The jobs that may be lost in a soak, or end otherwise than by themselves: all of them,
# and the document that says so. The audit (Audit.pm) asks here before it calls something
# a broken promise, and counts the exceptions. Nothing else is let pass. Runs in the
# audit.

package SpawnTest::Soak::Exceptions;

use strict;
use warnings;

# Each: name, document and its words, code: (deeds, job) -> true. A job is what Audit.pm
# knows of it; deeds answers whether something was done between two moments.
sub _has_ended { return scalar grep { defined $_->{ended} } @{ $_[0]{runs} || [] } }

our @ends = (
    # the fate of a job that has another end than its own
    [
        'killed by its caller', 'Apache2::Spawn::Job, kill',
        sub { return $_[1]{killed} && $_[1]{told}[0] =~ /\A(?:cancelled|signalled|out_of_memory|call_failed)\z/ }
    ],
    [
        'killed by the kernel for want of memory', 'Apache2::Spawn::Result, outcome: out_of_memory, the machine had no memory left',
        sub {
            my ($outcome, undef, $signal) = @{ $_[1]{told} };
            my $last = ($_[1]{runs} || [])->[-1];
            return $outcome eq 'out_of_memory' && ($signal || 0) == 9 && $_[1]{spec}{want} ne 'signalled 9'
                && !($last && defined $last->{ended});
        }
    ],
    [
        'killed from outside', 'Apache2::Spawn::Result, outcome: a signal ended it',
        sub {
            my ($deeds, $job) = @_;
            my ($outcome, undef, $signal, undef, $step) = @{ $job->{told} };
            # a process that was forked and could not tell of itself: docs/messages.md, MS0331
            my $untold = $outcome eq 'start_failed' && ($step || '') eq 'fork' && !$job->{runs};
            return 0 if $outcome !~ /\A(?:call_failed|lost|code_unknown)\z/ && !($outcome eq 'signalled' && $signal == 9) && !$untold;
            for my $run (@{ $job->{runs} || [] }) {
                return 1 if $deeds->met($run->{pid}, $run->{began}, $job->{over}, qr/\Akill_(?:job|worker)\z/);
            }
            return 0 if $job->{runs};
            # before it could write: a process that was just forked has the name of its template
            return $deeds->between($job->{sent}, $job->{last}, qr/\Akill_(?:job|worker|spare|exec_template|parent_template)\z/);
        }
    ],
    [
        'lost with its spawner', 'docs/decisions.md, Crashes: a job that was just starting is lost; the code of one that ran'
            . ' may not be known; result and output are lost',
        sub {
            return $_[1]{told}[0] =~ /\A(?:lost|code_unknown|call_failed)\z/
                && $_[0]->between($_[1]{sent}, $_[1]{over}, qr/\A(?:kill_spawner|kill_pair|kill_all)\z/);
        }
    ],
    [
        'its result was lost with its spawner', 'docs/decisions.md, Limits: result and output are lost, the outcome is kept',
        sub {
            my $last = ($_[1]{runs} || [])->[-1];
            return $_[1]{told}[0] eq 'exited' && $last && defined $last->{code} && $_[1]{told}[1] == $last->{code}
                && $_[1]{spec}{want} =~ /\A(?:returned|died)\z/ && ($_[1]{told}[3] || 'none') eq 'none'
                && $_[0]->between($_[1]{sent}, $_[1]{over}, qr/\A(?:kill_spawner|kill_pair|kill_all)\z/);
        }
    ],
    [
        'code unknown with its parent template', 'docs/decisions.md, Limits: the exit code of its running jobs is told only'
            . ' where the kernel shows it',
        sub {
            return $_[1]{told}[0] =~ /\A(?:code_unknown|call_failed)\z/
                && $_[0]->between($_[1]{sent}, $_[1]{over}, qr/\Akill_(?:parent_template|httpd_parent|all)\z/);
        }
    ],
    [
        'its handles were lost with the pair', 'Apache2::Spawn, fds: fails when httpd is stopped before it starts',
        sub {
            return $_[1]{spec}{has_handle} && $_[1]{told}[0] eq 'start_failed' && ($_[1]{told}[4] || '') =~ /\A(?:fds|stdin|stdout|stderr)\z/
                && $_[0]->between($_[1]{sent}, $_[1]{last}, qr/\A(?:stop_and_start|kill_(?:spawner|pair|all|httpd_parent)\z)/);
        }
    ],
    [
        'a full queue, told in the record', 'Apache2::Spawn, reply posted: faults that only the broker knows are in the'
            . ' job\'s record',
        sub { return $_[1]{posted} && $_[1]{told}[0] eq 'start_failed' && ($_[1]{told}[4] || '') =~ /\A(?:queue|store|check)\z/ }
    ],
    [
        'its template could not be loaded just then', 'docs/directives.md, SpawnTemplate: between two tries Perl jobs fail at once',
        sub {
            return $_[1]{told}[0] eq 'start_failed' && ($_[1]{told}[4] || '') eq 'template'
                && $_[0]->between($_[1]{sent} - 60_000, $_[1]{last}, qr/template|fill_disk|kill_all/);
        }
    ],
);

push @ends, (
    [
        'its result was dropped from a full disk', 'docs/directives.md, SpawnHistory: when the disk is full, outputs go',
        sub {
            return ($_[1]{told}[7] || '') =~ /not kept any more/ && $_[1]{runs}
                && $_[0]->between($_[1]{sent}, $_[1]{last}, qr/\Afill_disk\z/);
        }
    ],
    [
        'replaced by another with its key', 'docs/rules-of-jobs.md, Unique: those with the key that wait end as cancelled',
        sub {
            my ($deeds, $job) = @_;
            return ($job->{told}[0] eq 'cancelled' || ($job->{told}[7] || '') =~ /was cancelled: .* replaces it/) && defined $job->{spec}{unique}
                && grep { $_ != $job && ($_->{spec}{on_conflict} || '') eq 'replace' && $_->{sent} <= $job->{told_at} } $deeds->same_key($job);
        }
    ],
    [
        'came after one that has not ended well', 'docs/rules-of-jobs.md, After: the job ends as cancelled',
        sub {
            my ($deeds, $job) = @_;
            return $job->{told}[0] eq 'cancelled' && !$job->{runs} && ($job->{spec}{after_failed} || '') eq 'cancel'
                && grep { !$deeds->ended_well($_) } $deeds->before($job);
        }
    ],
    [
        'a key that another has, told in the record', 'docs/rules-of-jobs.md, Unique: of a post it is a job that could not be started',
        sub { return $_[1]{posted} && defined $_[1]{spec}{unique} && !$_[1]{runs} && $_[1]{told}[0] =~ /\A(?:start_failed|cancelled)\z/ }
    ],
);

our @missing = (
    # a job that was promised and is not known
    [
        'a cleanup of a request that was cut off', 'Apache2::Spawn::Httpd, spawn_cleanup: the job is posted when the client has'
            . ' the whole answer',
        sub {
            my ($deeds, $job) = @_;
            return 0 if !$job->{cleanup};
            return 1 if !$job->{answered};
            my ($from, $to) = ($job->{answered} - 500, $job->{answered} + 500);
            # the client may have the answer long before its child comes to what is after it
            return $deeds->met($job->{cleanup}, $from, $to + 10_000, qr/\Akill_httpd_child\z/)
                || $deeds->between($from, $to, qr/\A(?:kill_httpd_parent|kill_all|restart|stop_and_start)\z/);
        }
    ],
    [
        'posted, and all of httpd was killed', 'docs/decisions.md, Crashes: such jobs are lost when both are killed before one'
            . ' was started again',
        sub {
            my ($deeds, $job) = @_;
            return $job->{posted} && ($deeds->between($job->{sent}, $job->{last}, qr/\Akill_all\z/)
                || $deeds->both($job->{sent}, $job->{last}, 15_000, qr/\Akill_httpd_parent\z/, qr/\Akill_(?:spawner|pair)\z/));
        }
    ],
    [
        'accepted, and all of httpd was killed before the store had it', 'docs/decisions.md, Life, Submit: lost only when httpd\'s'
            . ' parent, spawner and broker are all killed before the store has it, mostly 20 ms',
        sub {
            my ($deeds, $job) = @_;
            return 0 if $job->{spec}{durable};    # it is on the disk before it is accepted: docs/durable.md
            my ($from, $to) = ($job->{accepted} - 50, $deeds->stored_by($job->{accepted}));
            # the pair in this moment, and httpd before there was another one
            return $deeds->between($from, $to, qr/\Akill_all\z/)
                || $deeds->both($from, $to, 15_000, qr/\Akill_(?:spawner|pair)\z/, qr/\Akill_(?:httpd_parent|all)\z/);
        }
    ],
    [
        'a call that was answered, and not stored before its broker was killed', 'docs/decisions.md, Workers: the history\'s'
            . ' lines of calls are lost that had been answered in the last 20 ms',
        sub {
            my ($deeds, $job) = @_;
            return ($job->{spec}{reply} || '') eq 'finished' && $job->{spec}{queue} =~ /^rpc/ && _has_ended($job)
                && $deeds->between($job->{accepted} - 100, $deeds->stored_by($job->{accepted}), qr/\Akill_(?:broker|spawner|pair|all)\z/);
        }
    ],
    [
        'neither post socket nor spool had room, as the error log says', 'docs/messages.md, MS0211',
        sub { return $_[1]{cleanup} && $_[0]->in_the_log($_[1]{id}) eq 'MS0211' }
    ],
    [
        'given up by the history on a full disk', 'docs/directives.md, SpawnHistory: when the disk is full, outputs go, then the jobs',
        sub { return _has_ended($_[1]) && $_[0]->between($_[1]{sent}, $_[1]{last} + 60_000, qr/\Afill_disk\z/) }
    ],
);

our @again = (
    # a job that has ended well, or goes on, and runs again: { runs => [the one run], spec, next => when }
    [
        'its end was lost with its spawner or its template', 'docs/rules-of-jobs.md, Retry: what is lost is tried again',
        sub {
            my ($deeds, $job) = @_;
            return $deeds->between($job->{runs}[0]{began}, $job->{next}, qr/\A(?:kill_(?:spawner|pair|all|httpd_parent|(?:exec|parent)_template)|stop_(?:spawner|template)|stop_and_start)\z/);
        }
    ],
    [
        'killed from outside, after its last line', 'docs/rules-of-jobs.md, Retry: what failed is tried again',
        sub {
            my ($deeds, $job) = @_;
            return $deeds->met($job->{runs}[0]{pid}, $job->{runs}[0]{began}, $job->{next}, qr/\A(?:kill_(?:job|worker)|stop_worker)\z/);
        }
    ],
);

our @left = (
    # a process that goes on when its job is over, as far as anybody knows
    [
        'began as its spawner was killed', 'docs/decisions.md, Limits: nobody knows the process of a job that is lost as it was being'
            . ' started',
        sub {
            my ($deeds, $job) = @_;
            return 0 if $job->{told} && $job->{told}[0] ne 'lost' && !$job->{spec}{retry};
            return scalar grep {
                $deeds->between($_->{began} - 500, $_->{began} + 500, qr/\A(?:kill_spawner|kill_pair|kill_all)\z/)
            } @{ $job->{runs} || [] };
        }
    ],
);

our @files = (
    # a file that is there when all has ended: { path, now }
    [
        'a child was killed as it wrote to the spool, and no broker has seen it for a minute', 'docs/messages.md, MS0593',
        sub {
            my ($deeds, $file) = @_;
            return $file->{path} =~ m{\Aspawn/store/spool/new-}
                && $deeds->between($file->{now} - 60_000, $file->{now}, qr/\A(?:start|stop_and_start|kill_(?:broker|spawner|pair|all))\z/);
        }
    ],
);

# The name of the first that holds; undef: a promise is broken.
sub excuse {
    my ($of, $deeds, $job, $count) = @_;
    for my $row (@{$of}) {
        next if !$row->[2]->($deeds, $job);
        $count->{ $row->[0] }++;
        return $row->[0];
    }
    return;
}

1;
