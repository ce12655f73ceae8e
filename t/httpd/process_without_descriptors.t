#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A caller that has no descriptor left when the news of a copy come is told so: the copy is
# not said to have ended, and what was not received is not waited for.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Errno ();
use IO::Select ();
use Test::More;

use SpawnTest ();
use SpawnTest::Processes qw(process line failure);

system('prlimit --version >/dev/null 2>&1') == 0 or plan skip_all => 'prlimit (package util-linux) is not installed';

my $root = process()->eval('sub tell { syswrite $_[0], "$$\n" } sub nap { select undef, undef, undef, 120 }');
ok $root->pid, 'there is a process';

# As many as the limit has are open while the code runs; it gets nothing else.
sub without_descriptors {
    my ($code) = @_;
    my @taken;
    while (open my $null, '<', '/dev/null') {
        push @taken, $null;
    }
    my $came = eval { $code->(); 1 } ? undef : $@;
    return $came;
}

system('prlimit', '--nofile=200:', '--pid', $$) == 0 or die "prlimit: $?\n";

for my $method (qw(wait kill pid)) {
    my $fork = $root->fork(deadline => 20);
    $fork->eval('1');    # its waiter's socket is on its way
    IO::Select->new($fork->{fh})->can_read(60) or die "no news of the copy\n";
    my $error = without_descriptors(sub { $method eq 'wait' ? $fork->wait(10) : $fork->$method });
    isa_ok $error, 'Apache2::Spawn::Error', "$method: an error" or next;
    is $error->code, 'system', "$method: its code";
    is $error->errno, Errno::EMFILE(), "$method: its errno";
    my $again = eval { $method eq 'wait' ? $fork->wait(0) : $fork->$method; 1 } ? 'done' : $@;
    isa_ok $again, 'Apache2::Spawn::Error', "$method: the next call is told, too";
}
my $fh = $root->fork->run('tell');
like line($fh), qr/\A\d+\z/, 'with descriptors the next copy does what it is told';

done_testing;
