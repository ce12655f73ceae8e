#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A process object's handle can be given to another process, which goes on with
# it: to_fh and new_from_fh.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest ();
use SpawnTest::Processes qw(httpd process lines failure);

for my $exec (0, 1) {
    my $process = process(exec => $exec)->eval('sub tell { my $fh = shift; print {$fh} "$$ @_\n" }')->send_arg('before');
    my $pid = $process->pid;
    my $handed;
    my $same = $process->to_fh(sub { ($handed) = @_ });
    is $same, $handed, 'both forms give the handle';
    failure(sub { $process->send_arg('x') }, 'invalid', qr/to_fh was called/, 'the object is of no use any more');

    # the other process: one of ours
    my $other = process()->require('Apache2::Spawn::Process')->eval(<<'END')->send_fh($handed);
sub go_on {
    my ($fh, $handed) = @_;
    my $process = Apache2::Spawn::Process->new_from_fh($handed);
    my $fork = $process->fork->send_arg('of a fork');
    my $number = $fork->pid;
    my $one = $process->send_arg('after')->run('tell');
    my $two = $fork->run('tell');
    $_->blocking(1) for $one, $two;
    print {$fh} $process->pid, "\n", scalar(<$one>), "$number\n", scalar(<$two>);
    print {$fh} eval { $process->wait(0); 1 } ? "known\n" : $@->code . "\n";
    print {$fh} $fork->wait(30) ? $fork->exit_status : 'late', "\n";
}
END
    undef $handed;
    undef $same;
    my @said = lines($other->run('go_on'));
    is $said[0], $pid, 'the same process';
    is $said[1], "$pid before after", 'with what it was sent before and after';
    is $said[3], "$said[2] before of a fork", 'it can be forked';
    is_deeply [ @said[4, 5] ], [ 'invalid', '0' ], 'the fork\'s end is known there, its own not'
        or diag explain \@said;
    ok $process->wait(30), 'its own end is known here';
    is $process->exit_status, 0, 'with its exit status';
}
failure(sub { Apache2::Spawn::Process->new_from_fh('x') }, 'invalid', qr/wanted: an open handle/, 'no handle');
done_testing;
