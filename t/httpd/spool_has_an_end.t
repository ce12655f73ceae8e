#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The spool is full: no more jobs are written there, the log says so, and a job that can be
# sent another way is. When there is room again, jobs go there as before.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm wait_until);
use SpawnTest::AfterHttpd;

use constant {
    MOST => 64 << 20,
    BIG => 'x' x 200_000,      # no post
};

my $httpd = SpawnTest::AfterHttpd->new(mpm => one_mpm(), children => 1)->start;
my $spool = $httpd->dir . '/run/spawn/store/spool';

# The size counts, not what is written.
open my $filler, '>', "$spool/filler" or die "filler: $!\n";
truncate $filler, MOST - 4096 or die "filler: $!\n";
close $filler or die "filler: $!\n";

$httpd->after(jobs => [ [ $httpd->note('lost'), { stdin_data => BIG } ] ]);
ok $httpd->wait_for_log(qr/MS0180: the spool in \S+ is full \(64 MB\)/, 30), 'the spool is full' or diag $httpd->tail;
ok $httpd->wait_for_log(qr/No buffer space available: MS0211: .* is lost/, 30), 'a job for after the answer is lost';
is_deeply [ grep { !m{/filler(?:\.bad)?\z} } glob "$spool/*" ], [], 'nothing was written';
is $httpd->spawn([qw(/bin/sh -c), 'exit 3'], stdin_data => BIG, reply => 'posted')->{error}, undef,
    'a big post is sent to the broker itself';

unlink glob "$spool/filler*";
my $tries = 0;
ok wait_until(
    sub {
        $httpd->after(jobs => [ [ $httpd->note('big' . $tries++), { stdin_data => BIG } ] ]);
        return $httpd->wait_for_ran(1, 2);
    },
    60
), 'there is room again: jobs run';
done_testing;
