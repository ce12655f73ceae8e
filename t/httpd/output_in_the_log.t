#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Output of a job to 'log' stands in the error log, each line with the job's id,
# and cannot pretend to be another line or command a terminal.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm)->start;
        my $job = $httpd->spawn(
            [ '/bin/sh', '-c', q{printf 'one\ntwo \033[31m\nlast'; echo wrong >&2} ],
            stdout => 'log', stderr => 'log');
        my $id = $job->{id};
        is $httpd->wait($id)->{outcome}, 'exited', 'the job ends' or diag explain $job;
        ok $httpd->wait_for_log(qr/\Q$id\E stdout: \Q$_\E/), "its line $_" for qw(one two last);
        ok $httpd->wait_for_log(qr/\Q$id\E stderr: wrong/), 'its error';
        unlike $httpd->error_log, qr/\x1b/, 'no control characters';
        like $httpd->error_log, qr/\Q$id\E stdout: two \\x1b\[31m$/m, 'they are escaped';

        # C1 as bytes and as characters, DEL; and text that is to be read
        $id = $httpd->spawn(
            [ '/bin/sh', '-c', q{printf '\233A\302\233B\177C\tD Gr\303\274\303\237e\n' >&2} ],
            stderr => 'log')->{id};
        $httpd->wait($id);
        my $line = qr/\Q$id\E stderr: \\x9bA\\xc2\\x9bB\\x7fC\\tD Gr\xc3\xbc\xc3\x9fe$/m;
        ok $httpd->wait_for_log($line), 'what a terminal obeys is escaped, and UTF-8 stays';

        # A line without end is cut between characters, and none of it is lost.
        $id = $httpd->spawn(
            [ $^X, '-e', q{print STDERR 'x', "\xc3\xbc" x 30_000} ], stderr => 'log')->{id};
        $httpd->wait($id);
        my ($all, $wanted) = ('', 'x' . "\xc3\xbc" x 30_000);
        wait_until(sub { $all = join '', $httpd->error_log =~ /\Q$id\E stderr: (.*)$/mg; length $all >= length $wanted }, 20);
        ok $all eq $wanted, 'a line of 60 kB is all there' or diag length $all;
        is $httpd->run([qw(/bin/echo after)])->{stdout}, "after\n", 'all goes on';
    }
);
done_testing;
