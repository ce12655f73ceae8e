# SPDX-License-Identifier: Apache-2.0
#
# The part of SpawnTest::Httpd that finds and ends its spawner and broker. Signals
# only processes whose command line names the test's own directory.

package SpawnTest::Httpd::Pair;

use strict;
use warnings;

use Test::More ();

use SpawnTest::Process qw(all_pids cmdline descendants_of parent_of);
use SpawnTest::Wait qw(wait_until);

# The spawner that serves this httpd's socket, as a child of httpd or lingering
# or adopted: known by its name and the socket's path in its command line.
sub spawner_pid { return ($_[0]->_pair_itself('spawner'))[0] }
sub broker_pid  { return ($_[0]->_pair_itself('broker'))[0] }

sub spawner_pids { return $_[0]->_pair_pids('spawner') }

# Waits until another spawner (or broker) than this pid is there; it may not serve yet.
sub new_process {
    my ($self, $what, $old, $seconds) = @_;
    my $new = wait_until(
        sub {
            my ($pid) = grep { $_ != $old } $self->_pair_itself($what);
            return $pid;
        },
        defined $seconds ? $seconds : 30
    );
    return $new;
}

# The same, and until it serves: whoever asks now need not wait for its store and its
# configuration, for which there may be no time on a busy machine.
sub new_pid {
    my ($self, $what, $old, $seconds) = @_;
    my $new = $self->new_process($what, $old, $seconds) or return;
    return $new if wait_until(sub { $self->_serves }, 60);
    Test::More::diag("the new $what (pid $new) does not serve");
    return;
}

# Not by the broker of a spawner that has gone, nor by one that is being replaced.
sub _serves {
    my ($self) = @_;
    my @spawners = $self->_pair_itself('spawner');
    my @brokers = $self->_pair_itself('broker');
    return @spawners == 1 && @brokers == 1 && parent_of($brokers[0]) == $spawners[0]
        && SpawnTest::Ctl->new($self)->run(qw(--timeout 5 queues))->{code} == 0;
}

# Waits until spawner and broker have gone.
sub pair_gone {
    my ($self, $seconds) = @_;
    return wait_until(
        sub { !$self->_pair_pids('spawner') && !$self->_pair_pids('broker') },
        defined $seconds ? $seconds : 30);
}

# kill -9 of the pair's spawner or broker; returns its pid.
sub kill_pair {
    my ($self, $what) = @_;
    my ($pid) = $self->_pair_itself($what) or die "no $what runs\n";
    kill KILL => $pid or die "kill $pid: $!\n";
    return $pid;
}

# spawner or broker whose command line names our socket.
sub _pair_pids {
    my ($self, $what) = @_;
    my $socket = $self->socket;
    return grep {
        my @argv = cmdline($_);
        @argv >= 2 && $argv[0] eq "mod_spawn $what" && grep { $_ eq $socket } @argv;
    } all_pids();
}

# Without their forks, which have the same command line until they execute a job.
sub _pair_itself {
    my ($self, $what) = @_;
    my @pids = $self->_pair_pids($what);
    my %is = map { $_ => 1 } @pids;
    return grep { my $parent = parent_of($_); $parent && !$is{$parent} } @pids;
}

# Does its command line name our directory?
sub _is_ours {
    my ($self, $pid) = @_;
    my $dir = $self->{dir};
    return $pid != $$ && grep { m{\Q$dir\E(?:/|\z)} } cmdline($pid);
}

# Ends the pair with all its jobs, and what has our directory in its command
# line: jobs that lost their spawner.
sub _end_pair {
    my ($self) = @_;
    my $end_jobs = sub {
        my %jobs = map { $_ => 1 } map { descendants_of($_) } $self->spawner_pids;
        $jobs{$_} = 1 for grep { $self->_is_ours($_) } all_pids();
        delete @jobs{ $self->spawner_pids, $self->_pair_pids('broker') };
        kill KILL => keys %jobs if %jobs;
        return;
    };
    $end_jobs->();
    return if $self->pair_gone(0);
    my $gone = wait_until(
        sub { $end_jobs->(); return $self->pair_gone(0) }, 15);
    return if $gone;
    Test::More::diag('the pair did not end by itself');
    kill KILL => $self->_pair_pids($_) for qw(spawner broker);
    $self->pair_gone(10);
    $end_jobs->();
    return;
}

1;
