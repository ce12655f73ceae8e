# SPDX-License-Identifier: Apache-2.0
#
# The processes of a calm soak, their descriptors and memory, and its files. A soak has
# a PID namespace of its own (t/soak/run), so each process in it comes from it. Runs in
# the soak.

package SpawnTest::Soak::Census;

use strict;
use warnings;

use File::Find ();

use SpawnTest::Process qw(all_pids alive children_of cmdline descendants_of open_files parent_of rss_kb state_of);
use SpawnTest::Wait qw(wait_until);

use constant {
    MOST_FDS => { spawner => 120, broker => 120, httpd => 60 },    # with all templates and workers
    MOST_KB => { spawner => 3000, broker => 60_000, httpd => 200_000 },
    # from the first calm after trouble to the last: templates, workers and callers that there happen to be
    MORE_FDS => 25,
    MORE_KB => { spawner => 600, broker => 12_000, httpd => 20_000 },
    WITHIN => 20,                                       # seconds in which things settle
};

# (world, audit): { wrong => [...], fds and kb of spawner, broker and httpd's parent, processes }
sub take {
    my ($world, $audit) = @_;
    my %census = (wrong => []);
    my @wrong;
    wait_until(sub { @wrong = _strange($world, $audit); return !@wrong }, WITHIN);
    push @{ $census{wrong} }, @wrong, $world->blind;
    my $httpd = $world->{httpd};
    for my $what (qw(spawner broker httpd)) {
        my $pid = $what eq 'httpd' ? $httpd->pid : $what eq 'spawner' ? $httpd->spawner_pid : $httpd->broker_pid;
        next if !$pid;
        my ($fds, %open) = (0);
        wait_until(sub { %open = open_files($pid); $fds = keys %open; return $fds <= MOST_FDS->{$what} }, WITHIN);
        my $kb = rss_kb($pid);
        $fds ? $census{"$what fds"} = $fds : $world->{skipped}{"descriptors of $what: they may not be looked at"}++;
        $census{"$what kb"} = $kb;
        my %kinds;
        for (values %open) { (my $kind = $_) =~ s/[0-9]+//g; $kinds{$kind}++ }
        push @{ $census{wrong} }, "$what has $fds descriptors: " . join ', ', map {"$kinds{$_} x $_"} sort keys %kinds
            if $fds > MOST_FDS->{$what};
        push @{ $census{wrong} }, "$what has $kb kB" if !SpawnTest::sanitized() && $kb > MOST_KB->{$what};
    }
    $census{processes} = scalar all_pids();
    return \%census;
}

# The growth between two of them that is too much.
sub grown {
    my ($first, $last) = @_;
    my @wrong;
    for my $what (qw(spawner broker httpd)) {
        my %more = map { $_ => ($last->{"$what $_"} || 0) - ($first->{"$what $_"} || 0) } qw(fds kb);
        push @wrong, "$what has $more{fds} descriptors more than at the first calm"
            if $first->{"$what fds"} && $more{fds} > MORE_FDS;
        push @wrong, "$what has $more{kb} kB more than at the first calm"
            if !SpawnTest::sanitized() && $first->{"$what kb"} && $more{kb} > MORE_KB->{$what};
    }
    return @wrong;
}

# Processes that should not be there.
sub _strange {
    my ($world, $audit) = @_;
    my $httpd = $world->{httpd}->pid || 0;
    my %known = map { $_ => 1 } 1, $$, children_of($$);
    my (%count, @wrong);
    for my $pid (all_pids()) {
        my $parent = parent_of($pid) or next;
        if (state_of($pid) eq 'Z') {
            push @wrong, "process $pid, a child of $parent (@{[ cmdline($parent) ]}), is a zombie";
            next;
        }
        my $name = join q{ }, cmdline($pid);
        next if $known{$pid} || !length $name;
        if ($audit && may_be_left($audit, $name)) {
            kill KILL => $pid;
        } elsif ($name =~ /^mod_spawn (spawner|broker)/) {
            $count{$1}++;
        } elsif ($name =~ /^mod_spawn closer/ && join(q{ }, cmdline($parent)) =~ /^mod_spawn (?:spawner|broker)/) {
            next;    # it leaves when it has had nothing to do for 10 s
        } elsif ($name !~ /^mod_spawn (?:template|worker|spare|scribe)\b/ && $parent != $httpd) {
            push @wrong, "process $pid is left: $name, a child of $parent";
        }
    }
    for my $what (qw(spawner broker)) {
        my $n = $count{$what} || 0;
        push @wrong, "there are $n processes of the name $what" if $n != 1;
    }
    return @wrong;
}

# Is a process of this command line a job, a program or a function, that may be left?
sub may_be_left {
    my ($audit, $name) = @_;
    return $audit->left($1) if $name =~ m{/bin/soakjob \S+ (\S+)};
    return $audit->left_of_id($1) if $name =~ /\Aspawn \S+ ([0-9a-f-]{36})\s*\z/;
    return 0;
}

# When httpd has been stopped and its pair has gone: what is left. The audit is the last one.
sub after_the_end {
    my ($world, $audit) = @_;
    my @wrong;
    wait_until(
        sub {
            my %known = map { $_ => 1 } 1, $$, children_of($$);
            @wrong = map { "process $_ is left: " . (join(q{ }, cmdline($_)) || state_of($_)) . ', a child of ' . parent_of($_) }
                grep { !$known{$_} && parent_of($_) } all_pids();
            return !@wrong;
        },
        WITHIN
    );
    my $top = $world->{httpd}{runtime};
    my @files;
    File::Find::find({ no_chdir => 1, wanted => sub { push @files, substr $_, 1 + length $top if $_ ne $top && !-d } }, $top);
    my %kept = map { $_ => 1 } map {"spawn/$_"}
        qw(socket store/jobs.db store/jobs.db-wal store/jobs.db-shm store/launches store/broker.lock store/in_use store/lock store/control
        store/kept.log store/reserve);
    @files = grep { !$kept{$_} && !m{\Aspawn/store/durable(?:\.lock|-[0-9]+\.db(?:-wal|-shm)?)\z} } @files;
    push @wrong, map {"the file $_ is left"} grep { !$audit || !$audit->may_be_left($_) } @files;
    return @wrong;
}

# Lines of the error log that no trouble explains.
sub log_lines {
    my ($world, $from) = @_;
    my $log = substr $world->{httpd}->error_log, $from;
    return grep { /MS0690|exit signal (?!Killed)|AddressSanitizer|runtime error:|panic:|Assertion|assertion/ }
        split /\n/, $log;
}

1;
