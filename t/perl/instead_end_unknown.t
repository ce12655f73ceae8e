#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# A program whose end nobody knows is for Apache2::Spawn::Instead what a child is that
# somebody else has waited for: -1, and ECHILD. One that was cancelled before its turn came
# could not be started.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use POSIX ();
use Test::More;
use Apache2::Spawn ();
use FakeBroker ();

# as common/spawn_error.h has them
my ($cancelled, $start_failed, $lost) = (4, 5, 7);

package Own {    ## no critic
    use Apache2::Spawn::Instead;
    no warnings;
    sub by_system { ($?, $!) = (0, 0); return (system('true'), $?, $! + 0) }
    sub by_backticks { ($?, $!) = (0, 0); my @x = `true`; return (scalar @x, $?, $! + 0) }
    sub opened { ($?, $!) = (0, 0); return (open(my $in, '-|', 'true') ? 1 : 0, $! + 0) }
    sub fatal { use warnings FATAL => 'exec'; return system 'true' }
    sub closed {
        open my $in, '-|', 'true' or die "open: $!\n";
        ($?, $!) = (0, 0);
        return (close $in ? 1 : 0, $?, $! + 0);
    }
}

sub broker_of {
    my (@end) = @_;
    return FakeBroker->start(
        forget => 1,
        submit => sub { return [ accepted => id => $_[0]{id}, state => 1 ] },
        wait   => sub { return [ job => id => $_[0]{id}, state => 4, queue => 'default', argv => ['true'], @end ] });
}

my @warned;
local $SIG{__WARN__} = sub { push @warned, $_[0] };
my ($echild, $ecanceled, $eio) = (POSIX::ECHILD(), POSIX::ECANCELED(), POSIX::EIO());
{
    my $broker = broker_of(outcome => $lost, pid => 77);
    local $ENV{SPAWN_SOCKET} = $broker->path;
    is_deeply [ Own::by_system() ], [ -1, -1, $echild ], 'system';
    is_deeply [ Own::by_backticks() ], [ 0, -1, $echild ], 'backticks';
    is_deeply [ Own::closed() ], [ 0, -1, $echild ], 'close';
}
for ([ cancelled => $ecanceled, outcome => $cancelled ], [ 'no reason' => $eio, outcome => $start_failed, errno => 0 ]) {
    my ($name, $errno, @end) = @{$_};
    my $broker = broker_of(@end);
    local $ENV{SPAWN_SOCKET} = $broker->path;
    is_deeply [ Own::by_system() ], [ -1, -1, $errno ], "$name before the start: system";
    is_deeply [ Own::by_backticks() ], [ 0, -1, $errno ], '... backticks';
    is_deeply [ Own::opened() ], [ 0, $errno ], '... open';
    is Own::fatal(), -1, '... and it throws nothing where warnings are fatal, as Perl\'s own';
    like pop @warned, qr/\ACan't exec "true": .* at \Q$0\E line \d+\.$/, '... but warns';
}
{
    my $broker = broker_of(outcome => $cancelled, pid => 77, signal => 15);
    local $ENV{SPAWN_SOCKET} = $broker->path;
    is_deeply [ (Own::by_system())[ 0, 1 ] ], [ 15, 15 ], 'cancelled while it runs: its signal';
}
is_deeply \@warned, [], 'no warning';

done_testing;
