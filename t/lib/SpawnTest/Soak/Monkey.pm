# SPDX-License-Identifier: Apache-2.0
#
# The trouble of a soak: kills, stops, restarts, a full disk, a clock that is set. The
# deeds are a table; which one comes next follows from the seed. Each is written down with
# the time that it took (Journal.pm), since the audit needs to know what may have come of
# it. Runs in the soak's main process, whose child httpd is.

package SpawnTest::Soak::Monkey;

use strict;
use warnings;

use Time::HiRes qw(usleep);

use SpawnTest::Process qw(alive children_of);
use SpawnTest::Soak::Journal qw(deeds ms);
use SpawnTest::Soak::Random ();
use SpawnTest::Wait qw(wait_until);

use constant TRIES => 4;    # to start httpd on a machine that has no time for it

# weight, name, code: self, random -> pids that it met (none: nothing was done)
my @deeds = (
    [ 10, kill_broker => sub { return _kill($_[0]{httpd}->broker_pid) } ],
    [ 6,  kill_spawner => sub { return _kill($_[0]{httpd}->spawner_pid) } ],
    [ 3,  kill_pair => sub { return _kill($_[0]{httpd}->spawner_pid, $_[0]{httpd}->broker_pid) } ],
    [ 6,  kill_exec_template => sub { return _kill(_one($_[1], $_[0], qr/^mod_spawn template report/)) } ],
    [ 4,  kill_parent_template => sub { return _kill(_one($_[1], $_[0], qr/^mod_spawn template app/)) } ],
    [ 8,  kill_worker => sub { return _kill(_one($_[1], $_[0], qr/^mod_spawn worker/)) } ],
    [ 3,  kill_spare => sub { return _kill(_one($_[1], $_[0], qr/^mod_spawn spare/)) } ],
    [ 4,  kill_scribe => sub { return _kill(_one($_[1], $_[0], qr/^mod_spawn scribe/)) } ],
    [ 6,  kill_job => sub { return _kill(_one($_[1], $_[0], qr{/bin/soakjob })) } ],
    [ 6,  kill_httpd_child => sub { return _kill(_any($_[1], $_[0]->_children)) } ],
    [ 2,  kill_httpd_parent => \&_kill_parent ],
    [ 1,  kill_all => \&_kill_all ],
    [ 6,  stop_broker => sub { return $_[0]->_freeze($_[1], $_[0]{httpd}->broker_pid) } ],
    [ 5,  stop_spawner => sub { return $_[0]->_freeze($_[1], $_[0]{httpd}->spawner_pid) } ],
    [ 4,  stop_template => sub { return $_[0]->_freeze($_[1], _one($_[1], $_[0], qr/^mod_spawn template/)) } ],
    [ 4,  stop_worker => sub { return $_[0]->_freeze($_[1], _one($_[1], $_[0], qr/^mod_spawn worker/)) } ],
    [ 3,  stop_httpd_child => sub { return $_[0]->_freeze($_[1], _any($_[1], $_[0]->_children)) } ],
    [ 5,  graceful => sub { $_[0]->_told('USR1'); return 0 } ],
    [ 3,  restart => sub { $_[0]->_told('HUP'); return 0 } ],
    [ 2,  stop_and_start => sub { $_[0]{httpd}->stop; usleep($_[1]->below(1_500_000)); $_[0]->_start; return 0 } ],
    [ 3,  fill_disk => \&_fill_disk ],
    [ 5,  set_clock => \&_set_clock ],
);

# only: a pattern of names.
sub new {
    my ($class, $world, $name, $only) = @_;
    my @of = defined $only ? grep { $_->[1] =~ /\A(?:$only)\z/ } @deeds : @deeds;
    die "there is no deed $only\n" if !@of;
    return bless {
        world => $world, httpd => $world->{httpd}, name => $name, count => 0, deeds => \@of,
        random => SpawnTest::Soak::Random->new($world->{seed}, $name),
    }, $class;
}

# Until this ms; between two deeds a pause of so many ms on average.
sub work {
    my ($self, $until, $pause) = @_;
    my $random = $self->{random};
    while (ms() < $until) {
        usleep(1000 * $random->between(1, 2 * $pause));
        $self->_start if $self->{httpd}->ended;
        my $row = $random->weighted(@{ $self->{deeds} });
        # numbers of its own: how many it needs must not shift those of the next
        my $own = SpawnTest::Soak::Random->new($self->{world}{seed}, "$self->{name} " . $self->{count}++);
        my $begin = ms();
        my @met = eval { $row->[2]->($self, $own) };
        deeds('failed', $begin, $row->[1], $@) if $@;
        deeds($row->[1], $begin, @met) if @met;
    }
    return;
}

# All goes on as it should, from now on.
sub calm {
    my ($self) = @_;
    my $begin = ms();
    $self->{world}->free;
    if (my $clock = $self->{world}{clock}) {
        $clock->step(0);
        deeds('set_clock', $begin, 0) if $clock->was_set;
    }
    $self->_start if $self->{httpd}->ended;
    return;
}

# ---- inside ----

sub _start {
    my ($self) = @_;
    my $begin = ms();
    for my $try (1 .. TRIES) {
        last if eval { $self->{httpd}->start; 1 };
        die $@ if $try == TRIES || !_is_overloaded();
        deeds('start_was_slow', $begin, 0);
    }
    deeds('start', $begin, $self->{httpd}->pid);
    return;
}

# Then a process of a low priority may get no time for a minute.
sub _is_overloaded {
    open my $in, '<', '/proc/loadavg' or return 0;
    my ($load) = split q{ }, <$in>;
    return $load > 4 * (() = glob '/sys/devices/system/cpu/cpu[0-9]*');
}

sub _any { my ($random, @of) = @_; return @of ? $random->one(@of) : undef }
sub _one { my ($random, $self, $pattern) = @_; return _any($random, $self->{world}->pids($pattern)) }

sub _kill {
    my @pids = grep {defined} @_;
    kill KILL => @pids if @pids;
    return @pids;
}

# Those that serve: not spawner and templates, which httpd has forked, too.
sub _children {
    my ($self) = @_;
    my $pid = $self->{httpd}->pid or return;
    return grep { join(q{ }, SpawnTest::Process::cmdline($_)) !~ /^mod_spawn / } children_of($pid);
}

sub _freeze {
    my ($self, $random, $pid) = @_;
    return if !defined $pid;
    kill STOP => $pid or return;
    usleep(1000 * $random->between(20, $random->percent(15) ? 3000 : 500));
    kill CONT => $pid;
    return $pid;
}

sub _told {
    my ($self, $signal) = @_;
    $self->{httpd}->_again($signal, qr/resuming normal operations/);
    return;
}

# Its children serve for a while without it, and hold the port.
sub _kill_parent {
    my ($self, $random) = @_;
    my $pid = $self->{httpd}->pid or return;
    my @children = $self->_children;
    $self->{httpd}->kill9(keep_children => 1);
    usleep($random->below(700_000));
    $self->_without(@children);
    return $pid;
}

sub _kill_all {
    my ($self) = @_;
    my $httpd = $self->{httpd};
    my @children = $self->_children;
    my @all = _kill($httpd->pid, $httpd->spawner_pid, $httpd->broker_pid);
    $httpd->kill9(keep_children => 1);
    $self->_without(@children);
    return @all;
}

sub _without {
    my ($self, @children) = @_;
    kill KILL => @children;
    wait_until(sub { !grep { alive($_) } @children }, 20);
    return $self->_start;
}

sub _fill_disk {
    my ($self, $random) = @_;
    return if !$self->{world}{disk};
    return if !$self->{world}->fill($random->one(0, 0, 4, 64, 512));
    usleep(1000 * $random->between(200, 2500));
    $self->{world}->free;
    return 0;
}

sub _set_clock {
    my ($self, $random) = @_;
    my $clock = $self->{world}{clock} or return;
    my $seconds = $random->one(0, 1, 3, 59, 600, 86_400) * $random->one(1, -1);
    $clock->step($seconds);
    return $seconds;
}

1;
