# SPDX-License-Identifier: Apache-2.0
#
# The surroundings of a soak: an httpd with queues, templates and workers of all kinds,
# its runtime directory on a small disk of its own, and a clock that can be stepped for
# all but the spawner, which does not look at the time of day, and jobs. Runs in the
# soak.

package SpawnTest::Soak::World;

use strict;
use warnings;

use File::Copy qw(copy);
use POSIX ();

use SpawnTest ();
use SpawnTest::Httpd ();
use SpawnTest::Soak::Act ();
use SpawnTest::Soak::Clock ();
use SpawnTest::Soak::Journal ();

use constant DISK => 192 << 20;

# new(seed, mpm): nothing runs yet.
sub new {
    my ($class, $seed, $mpm) = @_;
    my $self = bless { seed => $seed, mpm => $mpm, skipped => {} }, $class;
    my $httpd = $self->{httpd} = SpawnTest::Httpd->new(mpm => $mpm, children => 12);
    my $dir = $httpd->dir;
    $self->{log} = "$dir/soak";
    mkdir $self->{log} or die "$self->{log}: $!\n";
    chmod 0755, $self->{log};
    $self->_disk;
    $self->_clock;
    $self->_programs;
    $httpd->{perl} = <<"END";
use SpawnTest::Soak::Handler ();
use SpawnTest::Soak::Functions ();
\$SpawnTest::Soak::Journal::dir = '$self->{log}';
\$SpawnTest::Soak::Act::program = '$SpawnTest::Soak::Act::program';
\$SpawnTest::Soak::Act::ledger = '$SpawnTest::Soak::Act::ledger';
END
    $httpd->{conf} = <<"END";
SpawnStore $httpd->{runtime}/spawn/store
SpawnHistory 100000 none 64M
SpawnCron "* * * * *" name=tick catch_up=one queue=narrow $SpawnTest::Soak::Act::program $SpawnTest::Soak::Act::ledger cron-tick sleep 700
SpawnCron "* * * * *" name=call catch_up=one SpawnTest::Soak::Functions::run $SpawnTest::Soak::Act::ledger cron-call naps 50
SpawnTemplate report exec preload=SpawnTest::Soak::Functions inc=$dir/perl
<Location /soak>
    SetHandler modperl
    PerlResponseHandler SpawnTest::Soak::Handler
</Location>
<SpawnQueue narrow>
    SpawnMaxJobs 2
    SpawnMaxQueued 40
</SpawnQueue>
<SpawnQueue report>
    SpawnTemplate report
    SpawnMaxJobs 8
</SpawnQueue>
<SpawnQueue rpc>
    SpawnWorkers 1 3
    SpawnWorkerMaxJobs 400
</SpawnQueue>
<SpawnQueue rpcx>
    SpawnTemplate report
    SpawnWorkers 1 2
    SpawnWorkerIdle 500ms
</SpawnQueue>
END
    $self->renew;
    return $self;
}

# Files of the next round.
sub renew {
    my ($self) = @_;
    SpawnTest::Soak::Journal::make($self->{log});
    return;
}

sub start {
    my ($self) = @_;
    $self->{httpd}->start;
    $self->{accepted} = $self->_accepted;
    return;
}

# Which of the newest options this release takes: name => true. The others are told as
# left out.
sub _accepted {
    my ($self) = @_;
    my $spawn = Apache2::Spawn->connect($self->{httpd}->socket);
    my $before = $spawn->spawn(['/bin/true']);
    my %try = (priority => 1, unique => 'a key', after => [ $before->id ], durable => 1);
    my %accepted;
    for my $name (sort keys %try) {
        $accepted{$name} = eval { $spawn->run(['/bin/true'], $name => $try{$name}); 1 } ? 1 : 0;
        $self->{skipped}{ "the option $name: " . (ref $@ ? $@->message : $@) }++ if !$accepted{$name};
    }
    return \%accepted;
}

# ---- the disk ----

# One that outlives a reboot, as durable jobs want it; else one in memory.
sub _disk {
    my ($self) = @_;
    my ($where, $image) = ($self->{httpd}{runtime}, $self->{httpd}->dir . '/disk');
    open my $out, '>', $image or die "$image: $!\n";
    truncate $out, DISK or die "$image: $!\n";
    close $out;
    if ($< == 0 && _quiet(qw(mke2fs -q -F -t ext4 -m 0), $image) && _quiet(qw(mount -o loop), $image, $where)) {
        chmod 0755, $where or die "$where: $!\n";
        rmdir "$where/lost+found";
        $self->{disk} = $where;
    } elsif ($< == 0 && _quiet(qw(mount -t tmpfs -o), 'mode=755,size=' . DISK, 'spawn-soak', $where)) {
        $self->{disk} = $where;
    } else {
        $self->{skipped}{'disk full: a small disk cannot be mounted'}++;
    }
    return;
}

# True when the command succeeds.
sub _quiet {
    my (@command) = @_;
    my $pid = fork;
    defined $pid or die "fork: $!\n";
    if (!$pid) {
        open STDERR, '>', '/dev/null';
        exec @command or POSIX::_exit(127);
    }
    waitpid $pid, 0;
    return $? == 0;
}

# Leaves so many kB of it: without writing them all, so that a real disk has nothing to do.
sub fill {
    my ($self, $left) = @_;
    my $file = "$self->{disk}/filled";
    my ($free) = (`df -B1 --output=avail $self->{disk}` || '') =~ /^\s*([0-9]+)\s*\z/m or return 0;
    my $size = $free - 1024 * $left;
    _quiet('fallocate', '-l', $size, $file) if $size > 0;
    open my $out, '>>', $file or return 0;
    if ($left == 0) {
        my $part = 'x' x 4096;
        1 while syswrite $out, $part;
    }
    close $out;
    return 1;
}

sub free { my ($self) = @_; unlink "$self->{disk}/filled" if $self->{disk}; return }

# ---- the clock ----

sub _clock {
    my ($self) = @_;
    if (SpawnTest::sanitized()) {
        $self->{skipped}{'clock steps: a build with sanitizers preloads their libraries'}++;
        return;
    }
    my ($build, $to) = (SpawnTest::build_dir(), $self->{httpd}->dir . '/modules');
    for ($to, "$to/mod_spawn") { mkdir $_ or die "$_: $!\n"; chmod 0755, $_ }
    _copy("$build/mod_spawn.so", "$to/mod_spawn.so");
    _copy("$build/mod_spawn/spawner", "$to/mod_spawn/spawner");
    _copy("$build/t/broker_with_clock", "$to/mod_spawn/broker");
    $self->{httpd}{module} = "$to/mod_spawn.so";
    _copy("$build/t/clock.so", "$to/clock.so");
    # httpd and callers have it preloaded, from here on
    $self->{clock} = SpawnTest::Soak::Clock->new($self->{httpd}, "$to/mod_spawn", "$to/clock.so");
    return;
}

# What is wrong when a step of the clock is not seen: of all who have to.
sub clock_is_wrong {
    my ($self) = @_;
    return if !$self->{clock};
    return ($self->blind, $self->{clock}->wrong($self->{httpd}->url('/soak')));
}

# Those that would not see it, callers (pids) among them.
sub blind {
    my ($self, @callers) = @_;
    return if !$self->{clock};
    return $self->{clock}->blind(sub { $self->{skipped}{ $_[0] }++ }, @callers);
}

# ---- programs ----

sub _programs {
    my ($self) = @_;
    my ($build, $dir) = (SpawnTest::build_dir(), $self->{httpd}->dir);
    _copy("$build/t/soakjob", "$dir/bin/soakjob");
    _copy("$build/spawnctl", "$dir/bin/spawnctl");
    $self->{ctl} = "$dir/bin/spawnctl";
    $SpawnTest::Soak::Act::program = "$dir/bin/soakjob";
    $SpawnTest::Soak::Act::ledger = "$self->{log}/ledger";
    return;
}

sub _copy {
    my ($from, $to) = @_;
    copy($from, $to) or die "$from (make all probe): $!\n";
    chmod 0755, $to or die "$to: $!\n";
    return;
}

# ---- processes ----

# Those whose command line begins so.
sub pids {
    my ($self, $pattern) = @_;
    return grep { join(q{ }, SpawnTest::Process::cmdline($_)) =~ $pattern } SpawnTest::Process::all_pids();
}

sub clean {
    my ($self) = @_;
    $self->{httpd}->stop if $self->{httpd}->pid;
    $self->{httpd}->pair_gone(20);
    system 'umount', '-l', $self->{disk} if $self->{disk};
    return;
}

1;
