#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A test file that hangs does not keep a run for ever: after TEST_LIMIT seconds it
# is ended, with what it started, and has failed; the others go on. So it is with
# one that ends after a while and leaves behind who holds its output. What it left in the
# place of the unit tests is removed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use SpawnTest::LittleCheckout qw(checkout file run_tests);
use SpawnTest::Process qw(alive);
use SpawnTest::Wait qw(now wait_until);

file('t/good.t', "use Test::More; ok 1, 'well'; done_testing;\n");
# what it started holds its standard output, too
file('t/hangs.t', <<'END');
use Test::More;
ok 1, 'well';
$SIG{TERM} = $SIG{ALRM} = 'IGNORE';
mkdir "$ENV{TEST_PLACE}/mine" or die;
open my $place, '>', 'place' or die;
print {$place} $ENV{TEST_PLACE};
close $place;
if (my $pid = fork) { open my $out, '>', 'child' or die; print {$out} $pid; close $out }
sleep 1000;
END

file('t/long.t', "# TEST_LIMIT: 300 s more\nuse Test::More; sleep 8; ok 1, 'well'; done_testing;\n");

file('t/leaves.t', <<'END');
use Test::More;
if (my $pid = fork) { open my $out, '>', 'left' or die; print {$out} $pid; close $out; sleep 2; ok 1; done_testing; exit }
sleep 1000;
END

my $start = now();
my ($code, $said) = run_tests({ TEST_JOBS => 2, TEST_LIMIT => 4 }, qw(t/hangs.t t/leaves.t t/good.t t/long.t));
is $code, 1, 'it has failed' or diag $said;
cmp_ok now() - $start, '<', 300, 'and is not waited for';
like $said, qr{^t/run: ended after 4 s \(TEST_LIMIT\): .*t/hangs\.t}m, 'which and why is said';
like $said, qr{t/good\.t \.+ ok}, 'the others go on';
like $said, qr{t/long\.t \.+ ok}, 'also one that takes longer, and says so';

{
    open my $in, '<', checkout() . '/place' or die "place: $!\n";
    my $place = <$in>;
    like $place, qr{^/(?:var/)?tmp/t-\w+\z}, 'there was a place for what it makes';
    ok !-e $place, '... which has gone with all that it left';
}

for my $name (qw(child left)) {
    open my $in, '<', checkout() . "/$name" or die "$name: $!\n";
    my $child = <$in>;
    ok wait_until(sub { !alive($child) }, 10), "what it started has gone with it: $name";
}

done_testing;
