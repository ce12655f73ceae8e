#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Of a run in which something failed, its end is enough to see what: t/run shows
# there what each file that failed said, not more of it than a screen has, and
# nothing of the others. What was left out is counted with its reason. Its exit
# code is prove's.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Copy qw(copy);
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use Test::More;

use SpawnTest qw(root_dir);

# ---- a checkout with not much in it ----

my $checkout = tempdir(CLEANUP => 1);
chmod 0755, $checkout or die "$checkout: $!\n";
make_path(map { "$checkout/$_" } qw(t/lib/SpawnTest build/t/unit build/perl/Apache2));
for my $part ('t/run', 't/lib/SpawnTest/Harness.pm') {
    copy(root_dir() . "/$part", "$checkout/$part") or die "$part: $!\n";
}

sub file {
    my ($path, $text, $mode) = @_;
    open my $out, '>', "$checkout/$path" or die "$path: $!\n";
    print {$out} $text;
    close $out or die "$path: $!\n";
    chmod $mode || 0644, "$checkout/$path" or die "$path: $!\n";
    return;
}

chmod 0755, "$checkout/t/run" or die "t/run: $!\n";
file('t/lib/SpawnTest.pm', "1;\n");
file('build/perl/Apache2/Spawn.pm', "1;\n");
file('build/t/probe', "#!/bin/sh\n", 0755);
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

# Exit code, and what stands from the first failed file's part on.
sub run {
    my ($jobs, @tests) = @_;
    my $pid = open my $out, '-|';
    defined $pid or die "fork: $!\n";
    if ($pid == 0) {
        delete @ENV{qw(SPAWN_BUILD PERL5LIB)};
        $ENV{TEST_JOBS} = $jobs;    ## no critic (RequireLocalizedPunctuationVars)
        chdir $checkout or die "$checkout: $!\n";
        open STDERR, '>&', \*STDOUT;
        exec 't/run', @tests;
        die "t/run: $!\n";
    }
    my $said = do { local $/ = undef; <$out> };
    close $out;
    return ($? >> 8, $said, $said =~ /^(---- .*)/ms ? $1 : '');
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
is $left_out, "    2 x no root\n    1 x no xattr\n    3 x nothing of it here\n", 'it is counted, with its reason';

done_testing;
