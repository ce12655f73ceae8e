#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# t/mutants/run tells which faults no test notices: those that have a reason in
# t/mutants/reasons when the tests are good, all of them with a test of something
# else, and those that a test has reached and let pass. Each reason has its fault. And
# the simulation notices a broken promise: another job with an id that is known is refused.
#
# TEST_LIMIT: 900 s more

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Temp qw(tempdir);
use Test::More;

use SpawnTest qw(root_dir);

chdir root_dir() or die 'root_dir: ' . root_dir() . ": $!\n";
system('unshare --pid --fork --kill-child --mount-proc true 2>/dev/null') == 0
    or plan skip_all => 'no namespaces for processes here'
    if $< == 0;

my $dir = tempdir(CLEANUP => 1);

# Exit code and what was printed.
sub mutants {
    my (@options) = @_;
    my $pid = open my $out, '-|';
    defined $pid or die "fork: $!\n";
    if ($pid == 0) {
        @ENV{qw(MUTANT_DIR MUTANT_JOBS MUTANT_UNIT_ONLY)} = ($dir, 2, 1);    ## no critic (RequireLocalizedPunctuationVars)
        delete $ENV{SPAWN_BUILD};
        open STDERR, '>', '/dev/null';
        exec 't/mutants/run', @options;
        die "t/mutants/run: $!\n";
    }
    my $said = do { local $/ = undef; <$out> };
    close $out;
    return ($? >> 8, $said);
}

# ---- what is tried by itself ----

# The list names files that are left out, so a file that is new, or was split, is tried.
my %why = do {
    open my $in, '<', 't/mutants/left-out' or die "t/mutants/left-out: $!\n";
    map { /^([^#\s]\S*)\s+## (.{20,})$/ ? ($1 => $2) : () } <$in>;
};
my @all = sort glob 'spawner/*.c common/*.c broker/*.c broker/*/*.c';
my ($status, $listed) = mutants('--files');
is $status, 0, 'it tells its files';
is_deeply [ sort split /\n/, $listed ], [ grep { !$why{$_} } @all ], 'all but those that are left out';
is_deeply [ grep { my $file = $_; !grep { $_ eq $file } @all } sort keys %why ], [], '... which are there';
cmp_ok scalar keys %why, '<', 6, '... and few';
my %listed = map { $_ => 1 } split /\n/, $listed;
my @promises = map {"broker/$_.c"} qw(life spawner_says caller/take caller/check caller/accept caller/waiter caller/spool
    caller/access caller/connection caller/request job/state run/requeue run/launch process/orphan process/perl store/write);
is_deeply [ grep { !$listed{$_} } @promises ], [], 'those that keep promises are tried';

# ---- reasons ----

($status, my $stale) = mutants('--reasons');
is $status, 0, 'each reason has its fault' or diag $stale;
{
    my $there = 'common/spawn_board.c | READ_TRIES | 50 | 51';
    my @gone = ('common/spawn_board.c | READ_TRIES | 49 | 50', 'common/spawn_none.c | ... | 1 | 2');
    open my $out, '>', "$dir/reasons" or die "$dir/reasons: $!\n";
    print {$out} map {"$_  ## some reason\n"} $gone[0], $there, $gone[1];
    close $out or die "$dir/reasons: $!\n";
    local $ENV{MUTANT_REASONS} = "$dir/reasons";
    ($status, $stale) = mutants('--reasons');
    is $status, 1, 'one that has none is an error';
    is_deeply [ $stale =~ /^t\/mutants\/reasons (line \d+): there is no such fault any more: (.+)$/mg ],
        [ 'line 1', $gone[0], 'line 3', $gone[1] ], '... and is told';
}

# ---- what a run tells ----

my ($code, $said) = mutants(qw(--with fd common/spawn_fd.c));
is $code, 0, 'nothing is left without a reason' or diag $said;
my ($all, $missed, $left) = $said =~ /^(\d+) faults in 1 files, (\d+) not noticed, (\d+) of them without a reason$/m;
cmp_ok $all, '>', 20, 'there are faults';
cmp_ok $missed, '>', 0, 'what has a reason was not noticed';
cmp_ok $missed, '<', $all, 'and others were';
is $left, 0, 'none is without';

($code, $said) = mutants(qw(--with id common/spawn_fd.c));
is $code, 1, 'a test of something else notices nothing';
like $said, qr/^$all faults in 1 files, $all not noticed/m, 'of all of them';
like $said, qr/\(no test comes here\)$/m, 'and it does not come there';

# it uses what is in there, and looks at little of it
($code, $said) = mutants(qw(--with proto common/spawn_error.c));
is $code, 1, 'nor does one of others that use it';
like $said, qr/^common\/spawn_error.c:\d+: [^(\n]+$/m, 'though it comes there';
unlike $said, qr/^(\d+) faults in 1 files, \1 not noticed/m, 'but for those that it cannot go on with';

# ---- the simulation accuses ----

my $compared = 'if (known.digest != in->digest)';
open my $take, '<', 'broker/caller/take.c' or die "broker/caller/take.c: $!\n";
my $line;
while (<$take>) {
    $line = $. if /\Q$compared\E/;
}
close $take;
$line or die "broker/caller/take.c has no longer: $compared\n";
($code, $said) = mutants('--with', 'simulation', '--line', "broker/caller/take.c:$line");
like $said, qr/^(?!0)\d+ faults in 1 files, 0 not noticed/m, 'the simulation notices that content is not compared'
    or diag $said;

done_testing;
