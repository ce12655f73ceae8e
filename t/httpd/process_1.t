#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# httpd as process 1 of a container: no job, and nothing that a job leaves
# behind, becomes httpd's child while the spawner lives. An exit code of 15 of a
# direct child would stop httpd, one of 7 would slow it down. A warning at the
# start recommends an init.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm);

my @own = qw(unshare --pid --fork --mount-proc --kill-child=KILL);

plan skip_all => 'a process namespace of its own needs root' if $> != 0;
plan skip_all => 'no process namespace can be made here'
    if system("@own true >/dev/null 2>&1") != 0;

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, wrapper => \@own)->start;
        like $httpd->error_log, qr/MS0200/, 'the warning';

        for my $code (15, 7) {
            is $httpd->run(['/bin/sh', '-c', "exit $code"])->{exit_code}, $code,
                "a job exits with $code";
            my $left = $httpd->run(
                [ '/bin/sh', '-c', "(setsid sh -c 'exit $code' &) ; exit 0" ], leftovers => 'keep');
            is $left->{exit_code}, 0, "another leaves behind what exits with $code";
        }
        # what was left behind has been reaped when a later job is done
        is $httpd->run(['/bin/true'])->{exit_code}, 0, 'httpd serves on';
        unlike $httpd->error_log, qr/AH00050|Apache is exiting/, 'and did not want to exit';
        $httpd->kill9;    # with its namespace goes all that is in it
    }
);
done_testing;
