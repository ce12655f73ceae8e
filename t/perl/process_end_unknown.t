#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The socket of an Apache2::Spawn::Process ends while it is set up, and the broker, which
# would know why, is away: the error says that, and an event loop is not held by asking
# again and again.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Socket ();
use Test::More;
use Apache2::Spawn ();
use Apache2::Spawn::Error ();
use Apache2::Spawn::Process ();

plan skip_all => 'AnyEvent (package libanyevent-perl) is not installed' if !eval { require AnyEvent; 1 };

my $asked = 0;

{
    package My::Job;
    sub wait {    ## no critic (ProhibitBuiltinHomonyms)
        $asked++;
        die bless { code => 'unreachable', message => 'no broker', step => 'connect', errno => 0, file => '-', line => 0 }, 'Apache2::Spawn::Error';
    }
}

# Its error; asks the process with this code.
sub failed {
    my ($ask) = @_;
    socketpair my $own, my $its, Socket::AF_UNIX(), Socket::SOCK_STREAM(), 0 or die "socketpair: $!\n";
    my $process = Apache2::Spawn::Process->new_from_fh($own, deadline => 60);
    $process->{job} = bless {}, 'My::Job';
    $asked = 0;
    close $its;
    return $ask->($process);
}

my $error = failed(sub { my ($process) = @_; return eval { $process->pid; 1 } ? undef : $@ });
is $error->code, 'call_failed', 'without a loop: code';
is $error->message, 'the process ended while it was set up: nobody knows how: no broker', 'without a loop: text';
is $asked, 1, 'without a loop: asked once';

AnyEvent::detect();
$error = failed(sub {
    my ($process) = @_;
    my $cv = AE::cv();
    my $late = AE::timer(30, 0, sub { $cv->croak('late') });
    $process->{on_error} = sub { $cv->send($_[0]) };
    $process->to_fh(sub { $cv->croak('it was given away') });
    return $cv->recv;
});
is $error->message, 'the process ended while it was set up: nobody knows how: no broker', 'in a loop: text';
cmp_ok $asked, '<=', 2, 'in a loop: asked no more than that';

done_testing;
