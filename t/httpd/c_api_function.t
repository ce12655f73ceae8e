#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A module in C calls a Perl function with texts, and learns whether it returned.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm);
use SpawnTest::CApi;

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::CApi->new(
            mpm => $mpm,
            handlers => 1,
            conf => "SpawnSubmitTimeout 30s\n",
            perl => <<'END',
package CApiTest;
sub note {
    my ($file, @words) = @_;
    open my $out, '>', $file or die "$file: $!\n";
    print {$out} join '|', scalar(@words), @words;
    close $out or die "$file: $!\n";
    return 'for nobody';
}
sub dies { die "as it was told to: @_\n" }
END
        )->start;
        my $file = $httpd->work . '/noted';
        my $job = $httpd->capi('function/3/-1', 'CApiTest::note', $file, 'one', "t\xc3\xa4xt", 'x' x 200);
        is $job->{status}, 0, 'it is called' or diag explain $job;
        is "$job->{end} $job->{exit_code}", '1 0', 'and has returned';
        open my $in, '<', $file or die "$file: $!\n";
        is scalar <$in>, "3|one|t\xc3\xa4xt|" . 'x' x 200, 'with its arguments';

        $job = $httpd->capi('function/3/-1', 'CApiTest::dies', 'now');
        is $job->{status}, 0, 'one that dies has ended, too';
        isnt "$job->{end} $job->{exit_code}", '1 0', 'and not well';
        $job = $httpd->capi('function/3/-1', 'CApiTest::nobody');
        is $job->{code}, 'ok', 'one that is not there';
        isnt "$job->{end} $job->{exit_code}", '1 0', 'does not end well';
        $job = $httpd->capi('function/3/-1', 'no name');
        is $job->{code}, 'invalid', 'a name that is none is refused';
    }
);
done_testing;
