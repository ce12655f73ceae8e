#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# t/run in a checkout that only root can enter, or in a path with a space: tests
# find what was built, t/lib and the rest where every account can reach it, and by
# a path without surprises; what a fuzzer has found is kept in the checkout;
# nothing is left.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use File::Copy qw(copy);
use File::Path qw(make_path);
use File::Temp ();
use Test::More;

use SpawnTest qw(root_dir);

my $home = File::Temp::tempdir('spawn-home-XXXXXXXX', DIR => '/tmp', CLEANUP => 1);
my $checkout = $< == 0 ? "$home/of-root" : "$home/with a space";
umask 0077;
make_path(map { "$checkout/$_" } qw(t/lib build/t build/fuzz build/perl/Apache2));

sub file {
    my ($path, $text, $mode) = @_;
    open my $out, '>', "$checkout/$path" or die "$path: $!\n";
    print {$out} $text;
    close $out or die "$path: $!\n";
    chmod $mode, "$checkout/$path" or die "$path: $!\n";
    return;
}

file('t/lib/SpawnTest.pm', "1;\n", 0600);
file('build/perl/Apache2/Spawn.pm', "1;\n", 0600);
file('build/t/probe', "#!/bin/sh\necho probed\n", 0700);
file('t/sees.t', <<'END', 0600);
use Test::More;
use Cwd;
open my $found, '>', "$ENV{SPAWN_BUILD}/fuzz/wire-crash" or die;
close $found;
if ($< == 0) {
    $( = 65534; $) = '65534 65534';
    $< = $> = 65534;
}
is `"$ENV{SPAWN_BUILD}/t/probe"`, "probed\n", 'the probe runs';
ok -r $_, $_ for 't/lib/SpawnTest.pm', getcwd() . '/t/lib/SpawnTest.pm', "$ENV{SPAWN_BUILD}/perl/Apache2/Spawn.pm";
diag getcwd();
done_testing;
END
mkdir "$checkout/t/lib/SpawnTest", 0700 or die "SpawnTest: $!\n";
for my $part ('t/run', 't/lib/SpawnTest/Harness.pm') {
    copy(root_dir() . "/$part", "$checkout/$part") or die "$part: $!\n";
}
chmod 0700, "$checkout/t/run" or die "t/run: $!\n";

sub run {
    my (@tests) = @_;
    my $pid = open my $out, '-|';
    defined $pid or die "fork: $!\n";
    if ($pid == 0) {
        delete @ENV{qw(SPAWN_BUILD PERL5LIB)};
        chdir $checkout or die "$checkout: $!\n";
        open STDERR, '>&', \*STDOUT;
        exec 't/run', @tests;
        die "t/run: $!\n";
    }
    my $said = do { local $/ = undef; <$out> };
    close $out;
    return ($?, $said);
}

for my $test ('t/sees.t', "$checkout/t/sees.t") {
    my ($status, $said) = run($test);
    is $status, 0, 'tests reach what they need' or diag $said;
    my ($copy) = $said =~ m{^# (/tmp/spawn-checkout-\w+)$}m;
    ok defined $copy && !-e $copy, 'in a copy, which is removed' or diag $said;
    ok unlink("$checkout/build/fuzz/wire-crash"), 'what was found is in the checkout';
}
if ($< == 0) {
    rename $checkout, "$home/with a space" or die "$checkout: $!\n";
    $checkout = "$home/with a space";
    chmod 0755, $home or die "$home: $!\n";
    system('chmod', '-R', 'go=rX', $checkout) == 0 or die "chmod: $?\n";
    my ($status, $said) = run('t/sees.t');
    is $status, 0, 'a space is no trouble' or diag $said;
    like $said, qr{^# /tmp/spawn-checkout-\w+$}m, 'in a copy, too';
}
file('t/sees.t', "use Test::More; ok 0; done_testing;\n", 0600);
isnt((run('t/sees.t'))[0], 0, 'a failure is one');

done_testing;
