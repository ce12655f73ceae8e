# SPDX-License-Identifier: Apache-2.0
#
# The tests that faults are tried with: which faults each of them reaches, how long
# it takes, and whether it passes with one of them switched on.
#
# Faults are tried several at once, each in a place of its own: a copy of the
# build, since a spawner that httpd starts finds its fault in a file beside itself.

package Mutants::Tests;

use strict;
use warnings;

use File::Path qw(make_path remove_tree);
use POSIX ();
use Time::HiRes qw(time);

# A fault can make a test wait for ever, which is a failure in t/run, too; a good
# one ends long before, even when the machine has become busier since it was looked
# at.
use constant DEADLINE => 60;
use constant SLOWER   => 10;

# Without a fault none hangs: it takes as long as it takes on a busy machine.
use constant LOOK => 600;

# A process that turns in a circle ends earlier: seconds of CPU of one process. It
# is no hard limit, which the broker would look at: it gives its jobs no more than
# it has.
use constant CPU => 5;

# Takes the checkout with the faults, a directory for the places, how many, and
# the tests: t/unit/x.t, t/httpd/x.t, and t/simulation/run with its options.
sub new {
    my ($class, $tree, $dir, $places, @tests) = @_;
    my $self = bless { tree => $tree, dir => $dir, places => $places, tests => [] }, $class;
    make_path("$tree/build/mod_spawn");    # some tests need nothing of it
    for my $place (0 .. $places) {
        my $build = $self->_build($place);
        system("cp -al \Q$tree\E/build \Q$build\E && cp -r --remove-destination \Q$tree\E/build/mod_spawn/. \Q$build\E/mod_spawn/") == 0
            or die "$build cannot be made\n";
        make_path($self->_var_tmp($place));
        chmod 01777, $self->_var_tmp($place) or die "$build: $!\n";
    }
    push @{ $self->{tests} }, map { { command => $_, unit => m{^t/httpd/} ? 0 : 1 } } @tests;
    return $self;
}

sub _build { my ($self, $place) = @_; return "$self->{dir}/place$place" }

# Where /tmp is in memory, tests that want a disk are in /var/tmp: a place has its own.
sub _var_tmp { my ($self, $place) = @_; return $self->_build($place) . '/var-tmp' }

# Runs each test without a fault, some at once: what it reaches of faults up to
# this number. One may be late on a machine that is busy with the others: it is run
# again, alone, and what fails three times so is an error.
sub look {
    my ($self, $highest) = @_;
    my @late = $self->_look_at_once($highest, $self->{places} < 4 ? $self->{places} : 4, @{ $self->{tests} });
    for my $round (1 .. 3) {
        @late = map { $self->_look_at_once($highest, 1, $_) } @late;
    }
    die "mutants: $late[0]{command} fails without any fault\n" if @late;
    return;
}

# So many at once; returns those that failed.
sub _look_at_once {
    my ($self, $highest, $places, @todo) = @_;
    my @free = (1 .. $places);
    my (%running, @failed);
    while (@todo || %running) {
        if (!@todo || !@free) {
            my $pid = waitpid -1, 0;
            my ($place, $of, $start) = @{ delete $running{$pid} || next };
            push @failed, $of if $?;
            $of->{took} = time - $start;
            $of->{reached} = $self->_seen($place);
            push @free, $place;
            next;
        }
        my $test = shift @todo;
        my $place = shift @free;
        my $seen = $self->_make_seen($place, $highest);
        my $pid = fork;
        die "fork: $!\n" if !defined $pid;
        if (!$pid) {
            local $ENV{SPAWN_MUTANT_SEEN} = $seen;
            POSIX::_exit($self->passes($place, 0, $test) ? 0 : 1);
        }
        $running{$pid} = [ $place, $test, time ];
    }
    return @failed;
}

# A byte for each fault; programs that httpd starts find the file beside themselves.
sub _make_seen {
    my ($self, $place, $highest) = @_;
    my $path = $self->_build($place) . '/mod_spawn/mutant-seen';
    open my $file, '>', $path or die "$path: $!\n";
    truncate $file, $highest + 1 or die "$path: $!\n";
    chmod 0666, $path;
    return $path;
}

sub _seen {
    my ($self, $place) = @_;
    my $path = $self->_build($place) . '/mod_spawn/mutant-seen';
    open my $file, '<', $path or die "$path: $!\n";
    unlink $path;
    return do { local $/ = undef; <$file> };
}

# Those that reach this fault of this file: the quickest first, but before them
# those that notice much there for their time, which the simulation is taken for at
# first.
sub reaching {
    my ($self, $number, $path) = @_;
    my %worth = map { $_ => ($_->{noticed}{$path} || $_->{command} =~ / /) / ($_->{took} + 0.1) } @{ $self->{tests} };
    my @those = sort { $b->{unit} <=> $a->{unit} || $worth{$b} <=> $worth{$a} || $a->{took} <=> $b->{took} }
        grep { ord substr $_->{reached}, $number, 1 } @{ $self->{tests} };
    return @those;
}

sub noticed {
    my ($self, $path, $test) = @_;
    $test->{noticed}{$path}++;
    return;
}

# All that a test started ends with it: also, where there can be a namespace for it,
# a process that has made a session of its own. The files of a test that was ended go
# with its /tmp and /var/tmp, unless the build is in there. The first process in the
# namespace is a shell: no limit ends a first process.
sub _alone {
    my ($self, $place) = @_;
    return if $< != 0;
    my $tmp = $self->{dir} =~ m{^/(?:var/)?tmp/} ? '' : 'mount -t tmpfs -o mode=1777 tmpfs /tmp && mount --bind "$0" /var/tmp && ';
    return (qw(unshare --pid --fork --kill-child --mount-proc sh -c), $tmp . '"$@"; exit $?', $self->_var_tmp($place));
}

# In this place and with this fault; it is ended at its first failure. Whether it
# hung and was ended stands in hung() then.
my $hung;
sub hung { return $hung }

sub passes {
    my ($self, $place, $number, $test) = @_;
    my $build = $self->_build($place);
    # how much it needs is known when it has been run without a fault
    my @limit = $number ? ('prlimit', '--cpu=' . (CPU + 2 * POSIX::ceil($test->{took} || 0)) . ':') : ();
    my @command = (@limit, $self->_alone($place), $test->{unit} ? split(/ /, "$build/$test->{command}") : ("$self->{tree}/t/run", "$self->{tree}/$test->{command}"));
    open my $which, '>', "$build/mod_spawn/mutant" or die "$build: $!\n";
    print {$which} $number;
    close $which or die "$build: $!\n";
    pipe my $read, my $write or die "pipe: $!\n";
    my $pid = fork;
    die "fork: $!\n" if !defined $pid;
    if (!$pid) {
        setpgrp;
        @ENV{qw(SPAWN_MUTANT SPAWN_BUILD SPAWN_MPMS CMOCKA_MESSAGE_OUTPUT LANG LC_ALL)} =
            ($number, $build, 'prefork', 'TAP', 'C', 'C');    ## no critic (RequireLocalizedPunctuationVars)
        open STDIN,  '<',  '/dev/null' or POSIX::_exit(126);
        open STDOUT, '>&', $write or POSIX::_exit(126);
        open STDERR, '>',  '/dev/null' or POSIX::_exit(126);
        chdir $self->{tree} or POSIX::_exit(126);    # a file that a fault makes in passing is none of the checkout
        exec { $command[0] } @command or POSIX::_exit(127);
    }
    close $write;
    my $failed = $hung = 0;
    local $SIG{ALRM} = sub { $failed = $hung = 1; kill 'KILL', -$pid };
    alarm($number ? DEADLINE + SLOWER * POSIX::ceil($test->{took} || 0) : LOOK);
    while (my $line = <$read>) {
        $failed = 1, last if $line =~ /^not ok|^Result: FAIL/;
        last if $line =~ /^Result: PASS/;
    }
    kill 'KILL', -$pid if $failed;
    1 while waitpid($pid, 0) < 0;
    my $status = $?;
    alarm 0;
    kill 'KILL', -$pid;
    # one that was ended has not tidied up
    remove_tree($self->_var_tmp($place), { keep_root => 1, error => \my $left });
    return $status == 0 && !$failed;
}

1;
