#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# run gives data to stdin and brings stdout and stderr back, binary and whole
# up to the limit; what is over is counted, and does not hold the job.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm)->start;

        my $result = $httpd->run([ '/bin/sh', '-c', 'cat; echo problem >&2; exit 2' ],
            stdin_data => "a line\nno end");
        is $result->{error}, undef, 'data for stdin' or diag explain $result;
        is $result->{stdout}, "a line\nno end", 'stdout is what stdin was';
        is $result->{stderr}, "problem\n", 'stderr apart';
        is $result->{exit_code}, 2, 'exit code';

        is $httpd->run([ '/bin/sh', '-c', 'echo a; echo b >&2; echo c' ], stderr => 'stdout')->{stdout},
            "a\nb\nc\n", 'stderr into stdout, in order';

        my $much = $httpd->run([ '/bin/sh', '-c', 'head -c 300000 /dev/zero; exit 5' ],
            capture_limit => 100_000);
        is length $much->{stdout}, 100_000, 'cut at the limit' or diag explain $much->{error};
        is $much->{stdout_lost}, 200_000, 'the rest is counted';
        is $much->{exit_code}, 5, 'the job ran to its end';

        my $megabyte = $httpd->run([ '/bin/sh', '-c', 'cat | wc -c' ], stdin_data => 'x' x 1_000_000);
        like $megabyte->{stdout}, qr/\A\s*1000000\s*\z/, 'a megabyte on stdin'
            or diag explain $megabyte->{error};
    }
);
done_testing;
