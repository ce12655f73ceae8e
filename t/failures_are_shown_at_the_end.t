#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Of a run in which something failed, its end is enough to see what: t/run shows
# there what each file that failed said, not more of it than a screen has, and
# nothing of the others. A test that was left out is counted with its reason.
# Its exit code is prove's.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use SpawnTest::LittleCheckout qw(file run_tests);

file('t/good.t', "use Test::More; ok 1, 'well'; diag 'of another'; done_testing;\n");
file('t/wrong.t', <<'END');
use Test::More;
ok 1, 'well';
subtest 'inside' => sub { is 'this', 'that', 'compared'; done_testing };
diag "line $_" for 1 .. 1000;
diag 'x' x 5000;
diag 'the last words';
done_testing;
END
file('t/left_out.t', <<'END');
use Test::More;
subtest 'with one' => sub { SKIP: { skip 'nothing of it here', 3 } done_testing };
SKIP: { skip 'no root', 1 }
done_testing;
END
file('t/not_here.t', "use Test::More; plan skip_all => 'no root';\n");
file('build/t/unit/left_out.t', <<'END', 0755);
#!/bin/sh
echo 1..1
echo '# left out: no xattr'
echo '    # left out: no MPM worker'
echo 'ok 1 - another'
END
file('t/killed.t', "use Test::More; ok 1; warn qq{about to go\\n}; kill KILL => \$\$;\n");
file('build/t/unit/compiled.t', <<'END', 0755);
#!/bin/sh
echo 1..2
echo 'not ok 1 - a_promise'
echo '# 0x1 != 0x2'
echo 'ok 2 - another'
echo '# of no importance'
exit 1
END

# Exit code, what it said, and of that what stands from the first failed file's
# part on.
sub run {
    my ($jobs, @tests) = @_;
    my ($code, $said) = run_tests({ TEST_JOBS => $jobs }, @tests);
    return ($code, $said, $said =~ /^(---- .*)/ms ? $1 : '');
}

for my $jobs (1, 2) {
    my ($code, $said, $end) = run($jobs);
    is $code, 1, "$jobs at once: the exit code is prove's" or diag $said;
    my %of = $end =~ /^---- (\S+) said\n(.*?)(?=\n----|\n\[\d|\z)/gms;
    is_deeply [ sort map { s{.*/}{}r } keys %of ], [qw(compiled.t killed.t wrong.t)],
        'those that failed' or diag $end;
    like $of{'t/wrong.t'}, qr/^    not ok 1 - compared$/m, 'what was not ok';
    like $of{'t/wrong.t'}, qr/expected: 'that'$/m, 'why';
    like $of{'t/wrong.t'}, qr/^# the last words$/m, 'to the end';
    like $of{'t/wrong.t'}, qr/^\[\.\.\. 9[0-9]+ lines, which stand above \.\.\.\]$/m, 'and not all of it';
    cmp_ok length $of{'t/wrong.t'}, '<', 4000, 'no long lines either';
    like $of{'t/killed.t'}, qr/^about to go$/m, 'the warning of a test that was killed';
    my ($compiled) = map { $of{$_} } grep { /compiled/ } keys %of;
    is $compiled, "not ok 1 - a_promise\n# 0x1 != 0x2\n", 'what a compiled test says to its standard output';
    unlike $end, qr/of another/, 'nothing of those that succeeded';
    like $said, qr/^# of another$/m, 'but where it came';
    like $end, qr/^Result: FAIL$/m, "and prove's own summary";
}

my ($code, $said, $end) = run(2, 't/good.t');
is $code, 0, 'nothing failed';
is $end, '', 'nothing is shown';
unlike $said, qr/Left out/, 'nothing was left out';

($code, $said) = run(1, qw(t/left_out.t t/good.t t/not_here.t build/t/unit/left_out.t));
is $code, 0, 'what was left out is no failure';
my ($left_out) = $said =~ /^Left out:\n((?:[ ]+[0-9].*\n)*)/m;
is $left_out, "    1 x no MPM worker\n    2 x no root\n    1 x no xattr\n    3 x nothing of it here\n", 'it is counted, with its reason';

done_testing;
