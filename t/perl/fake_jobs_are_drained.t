#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Apache2::Spawn::Test 'fake': drain runs what was recorded by its rules, submits can be
# made to fail, and the clock can be moved.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl';

use Test::More;
use File::Temp ();
use Apache2::Spawn::Test 'fake';

my $dir = File::Temp->newdir;

package My::Shop {    ## no critic
    sub note { my ($what) = @_; open my $out, '>>', "$dir/log" or die $!; print {$out} $what; close $out; return $what }
    sub further { Apache2::Spawn->spawn_call('My::Shop::note', ['f']); return }
}

# What has run since the last look.
sub noted {
    open my $in, '<', "$dir/log" or return '';
    my $text = <$in>;
    unlink "$dir/log";
    return $text;
}

sub order { my ($what, @options) = @_; return Apache2::Spawn->spawn_call('My::Shop::note', [$what], @options) }

order('a');
my $b = order('b', priority => -5);
order('c', priority => 5);
my $d = order('d');
is noted(), '', 'nothing runs by itself';
is drain(), 4, 'drain runs them';
is noted(), 'cadb', 'by priority, then in order';
is drain(), 0, 'once';
is scalar($b->result), 'b', 'the result';
is $b->wait->outcome, 'exited', 'wait';

# jobs submitted by jobs
Apache2::Spawn->spawn_call('My::Shop::further');
is drain(), 2, 'and what they submit';
is noted(), 'f', 'runs, too';

# order
my $first = order('1', priority => -9);
order('2', after => $first, priority => 9);
is drain(), 2, 'after';
is noted(), '12', 'waits for the other one';

# the clock
my $later = order('l', delay => 60);
my $expires = order('e', expires => 30);
order('n');
my $at = order('t', at => time + 3600);
is $later->status->state, 'delayed', 'delayed';
advance_clock(59);
is drain(), 1, 'one is due';
is noted(), 'n', 'which has no delay';
is $expires->status->outcome, 'expired', 'one was too late';
ok !eval { $expires->result; 1 }, 'it has no result';
is ref $@ ? $@->code : $@, 'expired', 'and says why';
advance_clock(1.5);
is drain(), 1, 'one more is due';
is noted(), 'l', 'the delayed one';
is $at->status->state, 'delayed', 'that of a time of day is not';
advance_clock(3600);
is drain(), 1, 'then it is';
is noted(), 't', 'and runs';

# kill
my $killed = order('k');
ok $killed->kill, 'one that waits can be killed';
is drain(), 0, 'and does not run';
is $killed->status->outcome, 'cancelled', 'it is cancelled';
ok !$killed->kill, 'once';

# handles
open my $handle, '<', $0 or die $!;
my $with = Apache2::Spawn->spawn([ '/bin/cat' ], stdin => $handle);
is drain(), 0, 'one with a handle cannot run';
is $with->status->outcome, 'start_failed', 'and says so';

# failures of submits
clear_jobs();
fail_nth(2, 'queue_full');
fail_nth(3, 'not_permitted');
my @codes = map { eval { order($_); 1 } ? 'ok' : $@->code } 1 .. 4;
is "@codes", 'ok queue_full not_permitted ok', 'those that are to fail do';
is scalar(jobs()), 2, 'and are not recorded';
fail_nth(1, 'queue_full');
clear_jobs();
is drain(), 0, 'what is cleared does not run';
ok eval { order('x'); 1 }, 'nor fails' or diag $@;
for my $wrong ([ 0, 'queue_full' ], [ 1, 'bad_luck' ], ['x'], [ 1, 'ok' ]) {
    ok !eval { fail_nth(@{$wrong}); 1 }, 'not wanted';
    like $@, qr/\Afail_nth|Apache2::Spawn::Test: fail_nth: .* at \Q$0\E line /, 'it says why, and where';
}
ok !eval { advance_clock(-1); 1 }, 'the clock goes on only';

done_testing;
