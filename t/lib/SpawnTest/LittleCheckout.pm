# SPDX-License-Identifier: Apache-2.0
#
# A checkout with nothing in it but t/run, for tests of t/run itself: test files
# are put into it and run. Runs in test scripts.

package SpawnTest::LittleCheckout;

use strict;
use warnings;

use Exporter qw(import);
use File::Copy qw(copy);
use File::Path qw(make_path);
use File::Temp qw(tempdir);

use SpawnTest qw(root_dir);

our @EXPORT_OK = qw(checkout file run_tests);

my $checkout;

# Its directory; it goes with the test.
sub checkout {
    return $checkout if $checkout;
    $checkout = tempdir(CLEANUP => 1);
    chmod 0755, $checkout or die "$checkout: $!\n";
    make_path(map { "$checkout/$_" } qw(t/lib/SpawnTest build/t/unit build/perl/Apache2));
    for my $part ('t/run', 't/lib/SpawnTest/Harness.pm') {
        copy(root_dir() . "/$part", "$checkout/$part") or die "$part: $!\n";
    }
    chmod 0755, "$checkout/t/run" or die "t/run: $!\n";
    file('t/lib/SpawnTest.pm', "1;\n");
    file('build/perl/Apache2/Spawn.pm', "1;\n");
    file('build/t/probe', "#!/bin/sh\n", 0755);
    return $checkout;
}

# Path in it, text, mode (0644).
sub file {
    my ($path, $text, $mode) = @_;
    my $full = checkout() . "/$path";
    open my $out, '>', $full or die "$full: $!\n";
    print {$out} $text;
    close $out or die "$full: $!\n";
    chmod $mode || 0644, $full or die "$full: $!\n";
    return;
}

# Of t/run with this environment ({ name => value }) and these tests: its exit code
# and all that it said.
sub run_tests {
    my ($env, @tests) = @_;
    my $pid = open my $out, '-|';
    defined $pid or die "fork: $!\n";
    if ($pid == 0) {
        delete @ENV{qw(SPAWN_BUILD PERL5LIB TEST_LIMIT)};
        @ENV{ keys %{$env} } = values %{$env};    ## no critic (RequireLocalizedPunctuationVars)
        chdir checkout() or die "$checkout: $!\n";
        open STDERR, '>&', \*STDOUT;
        exec 't/run', @tests;
        die "t/run: $!\n";
    }
    my $said = do { local $/ = undef; <$out> };
    close $out;
    return ($? >> 8, $said);
}

1;
