#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# An Apache2::Spawn::Process that the kernel kills for want of memory while it is set
# up: its error says so, and has the signal, whether it is a function or a program.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Socket ();
use Test::More;
use Apache2::Spawn ();
use Apache2::Spawn::Process ();
use Apache2::Spawn::Process::Failure ();
use Apache2::Spawn::Result ();

my @asked;

{
    package My::Job;
    sub wait { push @asked, 'wait'; return $_[0]{result} }    ## no critic (ProhibitBuiltinHomonyms)
    sub result { push @asked, 'result'; die "not asked for\n" }
}

# Its error.
sub failed {
    my (%result) = @_;
    my $job = bless { result => bless {%result}, 'Apache2::Spawn::Result' }, 'My::Job';
    socketpair my $own, my $its, Socket::AF_UNIX(), Socket::SOCK_STREAM(), 0 or die "socketpair: $!\n";
    my $process = Apache2::Spawn::Process->new_from_fh($own);
    $process->{job} = $job;
    @asked = ();
    eval { Apache2::Spawn::Process::Failure::_ended($process, 0, 0) };
    return $@;
}

for my $what ([ function => 'My::run', result_kind => 'none' ], [ argv => ['/bin/true'] ]) {
    my $error = failed(@{$what}, outcome => 'out_of_memory', signal => 9);
    is $error->code, 'call_failed', "$what->[0]: code";
    like $error->message, qr/\Athe process ended while it was set up: signal KILL, by the kernel, for want of memory\z/, "$what->[0]: text";
    is "@asked", 'wait', "$what->[0]: its result is not asked for";
    $error = failed(@{$what}, outcome => 'signalled', signal => 9);
    like $error->message, qr/: signal KILL\z/, "$what->[0]: killed by somebody else";
}
like failed(argv => ['/bin/true'], outcome => 'exited', exit_code => 3)->message, qr/: exit code 3\z/, 'one that ended itself';

done_testing;
