# SPDX-License-Identifier: Apache-2.0
#
# Which jobs a soak submits: tables of programs, of Perl functions, and of options that
# any job may have. A job is plain data (it goes to httpd's children as JSON):
#
#   token    its name in ledger and journal
#   way      spawn, run, spawn_call, call, cleanup
#   words    of t/probe/soakjob.c, for a program; no program at all when missing is true
#   call     name of a function of Functions.pm, and its arguments, for the others
#   options  of Apache2::Spawn; stdin_bytes and handle stand for what JSON cannot have
#   want     how it ends when nobody disturbs it: "exited 0", "returned", ...
#   least    ms that it runs at least, when it ends so
#   delay, at, expires    ms from the submit, of the options
#   retry    how often it is tried again
#   after    how many of the jobs that its caller has submitted before it comes after, and
#            after_failed
#   then     what its caller does after a spawn: leave, wait, kill, status; and after
#            how many ms
#
# A new option of jobs is a row in @more. One that this release does not know is left out
# (%accepted, which World.pm finds out). Runs in the soak's clients.

package SpawnTest::Soak::Mix;

use strict;
use warnings;

our %accepted;    # options of new releases, by name
my $own_nice = getpriority 0, 0;    # a soak may be run at a low priority, and its jobs get no higher one

use constant PARALLEL => { narrow => 2, rpc => 3, rpcx => 2 };    # of queues; as World.pm configures them

# weight, name, code: random number source -> fields of the job
my @programs = (
    [ 60, quick => sub { return { words => [] } } ],
    [
        12, fails => sub {
            my $code = $_[0]->between(1, 90);
            return { words => [ exit => $code ], want => "exited $code" };
        }
    ],
    [ 15, short => sub { my $ms = $_[0]->between(1, 30); return { words => [ sleep => $ms ], least => $ms } } ],
    [ 4, long => sub { my $ms = $_[0]->between(100, 800); return { words => [ sleep => $ms ], least => $ms } } ],
    [
        10, output => sub {
            my ($out, $err) = ($_[0]->skewed(300_000), $_[0]->skewed(20_000));
            return {
                words => [ out => $out, err => $err ],
                options => { stdout => 'capture', stderr => 'capture' },
                out => $out, err => $err,
            };
        }
    ],
    [
        6, input => sub {
            my $bytes = $_[0]->skewed(1_500_000);
            return { words => [ in => $bytes ], options => { stdin_bytes => $bytes } };
        }
    ],
    [
        4, handle => sub {
            return { words => [ fd => 5 ], options => { handle => 5 }, has_handle => 1 };
        }
    ],
    [
        5, signalled => sub {
            my $signal = $_[0]->one(1, 9, 10, 15);
            return { words => [ signal => $signal, sleep => 5000 ], want => "signalled $signal" };
        }
    ],
    [
        2, times_out => sub {
            my $ms = $_[0]->between(50, 300);
            return {
                words => [ sleep => 60_000 ], options => { timeout => "${ms}ms", grace => '500ms' },
                want => 'timed_out', least => $ms
            };
        }
    ],
    [
        2, deaf => sub {
            my $ms = $_[0]->between(50, 250);
            return {
                words => [ deaf => 1, sleep => 60_000 ], options => { timeout => "${ms}ms", grace => '200ms' },
                want => 'timed_out', least => $ms
            };
        }
    ],
    [ 3, missing => sub { return { missing => 1, words => [], want => 'start_failed' } } ],
    [
        3, leaves => sub {
            return { words => [ child => $_[0]->between(50, 800) ], options => { leftovers => $_[0]->one(qw(keep kill)) } };
        }
    ],
    [ 3, big => sub { return { words => [], options => { env => { BIG => 'x' x $_[0]->between(1, 100_000) } } } } ],
);

my @functions = (
    [ 60, value => sub { return { call => [ value => $_[0]->below(1_000_000) ] } } ],
    [ 12, naps => sub { my $ms = $_[0]->between(1, 40); return { call => [ naps => $ms ], least => $ms } } ],
    [ 3, works => sub { my $ms = $_[0]->between(100, 500); return { call => [ naps => $ms ], least => $ms } } ],
    [ 10, dies => sub { return { call => ['dies'], want => 'died' } } ],
    [ 5, exits => sub { my $code = $_[0]->between(1, 90); return { call => [ exits => $code ], want => "exited $code" } } ],
    [ 5, signalled => sub { my $signal = $_[0]->one(9, 15); return { call => [ signalled => $signal ], want => "signalled $signal" } } ],
    [ 8, much => sub { return { call => [ much => $_[0]->skewed(400_000) ] } } ],
    [ 8, given => sub { return { call => [ given => 'x' x $_[0]->skewed(400_000) ] } } ],
    [ 4, submits => sub { return { call => ['submits'] } } ],
    [
        2, times_out => sub {
            my $ms = $_[0]->between(50, 300);
            return {
                call => [ naps => 60_000 ], options => { timeout => "${ms}ms", grace => '500ms' },
                want => 'timed_out', least => $ms
            };
        }
    ],
);

# Options that any job may have: percent of the jobs, name, code: random, job -> value
# (undef: not this one), and whether a call that workers serve may have it, too. A value
# that the audit has to know is a field of the job.
my @more = (
    [ 20, label => sub { return 'soak' } ],
    [ 5, nice => sub { my $nice = $_[0]->below(20); return $nice > $own_nice ? $nice : $own_nice } ],
    [ 5, cwd => sub { return '/tmp' } ],
    [ 3, umask => sub { return '077' } ],
    [ 5, limits => sub { return { files => 200 } } ],
    [ 5, no_new_privs => sub { return 1 } ],
    [
        5, delay => sub {
            my ($random, $job) = @_;
            return if !_can_wait($job);
            $job->{delay} = $random->skewed(3000);
            return "$job->{delay}ms";
        }, 1
    ],
    [
        2, at => sub {
            my ($random, $job) = @_;
            return if !_can_wait($job) || $job->{delay};
            $job->{at} = $random->skewed(3000);    # from now: Act.pm makes a moment of it
            return $job->{at};
        }, 1
    ],
    [
        4, expires => sub {
            my ($random, $job) = @_;
            return if $job->{at} || $job->{want} eq 'start_failed';
            $job->{expires} = ($job->{delay} || 0) + $random->between(5, 2000);
            return "$job->{expires}ms";
        }, 1
    ],
    [
        6, retry => sub {
            my ($random, $job) = @_;
            return if $job->{has_handle};
            $job->{options}{backoff} = $random->between(1, 80) . 'ms';
            return $job->{retry} = $random->between(1, 3);
        }, 1
    ],
    [ 10, priority => sub { return $_[0]->between(-100, 100) }, 1 ],
    [ 5, unique => \&_unique, 1 ],
    [
        5, after => sub {
            my ($random, $job) = @_;
            return if $job->{way} !~ /\A(?:spawn|spawn_call)\z/ || $job->{at} || $job->{delay} || $job->{options}{on_conflict};
            $job->{options}{after_failed} = $random->one(qw(cancel run));
            return $random->between(1, 3);    # Act.pm makes ids of it
        }, 1
    ],
    [
        5, durable => sub {
            my ($random, $job) = @_;
            return if $job->{has_handle} || $job->{way} eq 'cleanup' || ($job->{options}{reply} || '') eq 'posted';
            return 1;
        }, 1
    ],
);

# Few keys, so that they meet. A caller that is answered with another job (keep) leaves
# it at that.
sub _unique {
    my ($random, $job) = @_;
    return if $job->{has_handle};
    my $conflict = $random->one(qw(reject after after replace keep));
    return if $conflict eq 'keep' && ($job->{way} !~ /\Aspawn/ || ($job->{options}{reply} || '') =~ /finished|posted/);
    $job->{then} = ['leave'] if $conflict eq 'keep';
    @{ $job->{options} }{qw(on_conflict unique_for)} = ($conflict, $random->one(qw(ended ended waiting 300ms)));
    return 'key' . $random->below(3);
}

# Its caller does not wait for it, and no handle does.
sub _can_wait {
    my ($job) = @_;
    return $job->{way} =~ /\A(?:spawn|spawn_call|cleanup)\z/ && !$job->{has_handle}
        && ($job->{options}{reply} || 'accepted') =~ /\A(?:accepted|posted)\z/;
}

# A job. where: perl (any caller in Perl), httpd (cleanups, too), ctl (programs only).
sub job {
    my ($random, $token, $where) = @_;
    my $is_program = $where eq 'ctl' || $random->percent(60);
    my $row = $random->weighted($is_program ? @programs : @functions);
    my $job = {
        want => $is_program ? 'exited 0' : 'returned', options => {},
        %{ $row->[2]->($random) }, token => $token, kind => $row->[1],
    };
    $job->{way} = _way($random, $job, $is_program, $where);
    $job->{options}{queue} = $is_program
        ? $random->one(qw(default default default narrow))
        : $random->one(qw(default report rpc rpc rpcx));
    if ($job->{way} =~ /^spawn/) {
        my $reply = $random->weighted([ 50, 'accepted' ], [ 20, 'posted' ], [ 15, 'started' ], [ 15, 'finished' ])->[1];
        $job->{options}{reply} = $reply if $where ne 'ctl';
        $job->{then} = [ $random->weighted([ 65, 'leave' ], [ 15, 'wait' ], [ 10, 'kill' ], [ 10, 'status' ])->[1],
            $random->skewed(600) ];
    }
    my $is_served = $job->{options}{queue} =~ /^rpc/;
    for my $row (@more) {
        my ($percent, $name, $value_of, $for_workers) = @{$row};
        next if exists $accepted{$name} && !$accepted{$name};
        next if !$random->percent($percent) || ($is_served && !$for_workers) || $job->{options}{$name};
        my $value = $value_of->($random, $job);
        $job->{options}{$name} = $value if defined $value;
    }
    $job->{options}{timeout} = '60s' if !$job->{options}{timeout};
    $job->{again} = $random->between(0, 3);    # so often it is sent again when that is not known
    return $job;
}

sub _way {
    my ($random, $job, $is_program, $where) = @_;
    return 'cleanup' if $where eq 'httpd' && !$job->{has_handle} && $random->percent(25);
    return $random->percent(40) ? 'run' : 'spawn' if $is_program;
    return $random->percent(60) ? 'call' : 'spawn_call';
}

1;
