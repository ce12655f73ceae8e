#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A signal handler that Perl runs at once, and that dies, as time-outs made with
# POSIX::sigaction do: what each call holds is free again, and the next one works.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use POSIX ();
use Test::More;
use Time::HiRes qw(ualarm);
use Apache2::Spawn ();
use FakeBroker ();

# Answers late enough for the signal to come while it is waited for.
sub later { select undef, undef, undef, 0.03; return }

my $job = sub { my ($attr) = @_; later(); return [job => id => $attr->{id}, state => 4, queue => 'q', outcome => 1, exit_code => 0] };
my $broker = FakeBroker->start(
    forget => 1,
    get    => $job,
    wait   => $job,
    kill   => sub { my ($attr) = @_; later(); return [done => id => $attr->{id}] },
    list   => sub { later(); return [end => rows => 0] },
    submit => sub {
        my ($attr) = @_;
        later();
        return [refused => code => 4, step => 7, text => 'full'] if ($attr->{label} || '') eq 'full';
        return ($attr->{reply} || 0) == 3 ? $job->($attr) : [accepted => id => $attr->{id}, state => 1];
    },
);
my $spawn = $broker->connection;
my $known = $spawn->job('019aa6a0-0000-7000-8000-00000000abcd');
eval { $spawn->spawn(['x'], label => 'full', stdin => \*STDIN) };
my $failed = $@->job;
$spawn->run(['x']);    # so that its connection is there

my %calls = (
    status   => sub { $known->status },
    wait     => sub { $known->wait(5) },
    kill     => sub { $known->kill },
    list     => sub { $spawn->list },
    spawn    => sub { $spawn->spawn(['x']) },
    run      => sub { $spawn->run(['x']) },
    resubmit => sub { $failed->resubmit },
);

sub descriptors {
    opendir my $dir, '/proc/self/fd' or die "/proc/self/fd: $!";
    return scalar(grep { /\A\d/ } readdir $dir) - 1;
}

my $handler = POSIX::SigAction->new(sub { die "late\n" }, POSIX::SigSet->new, 0);
ok !$handler->safe, 'handlers of this kind run at once';
my $old = POSIX::SigAction->new;
POSIX::sigaction(POSIX::SIGALRM(), $handler, $old) or die "sigaction: $!";

for my $name (sort keys %calls) {
    $known->status;
    my $before = descriptors();
    my $died = 0;
    for (1 .. 5) {
        eval { ualarm(8000); $calls{$name}->(); 1 } or $died++;
        ualarm(0);
        POSIX::sigprocmask(POSIX::SIG_UNBLOCK(), POSIX::SigSet->new(POSIX::SIGALRM()));
    }
    is $died, 5, "$name: each call was ended by its alarm";
    cmp_ok descriptors(), '<=', $before, "$name: no descriptor is left behind";
    is $known->status->state, 'done', "$name: and the next call works";
}
my $blocked = POSIX::SigSet->new;
POSIX::sigprocmask(POSIX::SIG_BLOCK(), POSIX::SigSet->new, $blocked);
is_deeply [ grep { $blocked->ismember($_) } 1 .. 31 ], [], 'no signal stays blocked';
done_testing;
