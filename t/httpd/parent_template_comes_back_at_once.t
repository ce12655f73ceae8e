#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Another template follows one that httpd had forked and that was killed, within
# about a second (httpd's parent looks for ended children once a second); also
# when that one is killed just then, and when it was killed with the spawner.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::ParentTemplate qw(httpd_with_functions connection templates_of);
use SpawnTest::Wait qw(now);

# Seconds until another than that one is there.
sub comes_back {
    my ($httpd, $old) = @_;
    my $began = now();
    wait_until(sub { my @now = templates_of($httpd); @now == 1 && $now[0] != $old }, 40)
        or return 1000;
    return now() - $began;
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = httpd_with_functions(mpm => $mpm, conf => "SpawnSubmitTimeout 20\n")->start;
        my $spawn = connection($httpd);
        is $spawn->call('My::Loaded::add', [ 2, 3 ]), 5, 'it serves';

        my ($old, $took);
        for my $time (1 .. 3) { # each the first, and the others young
            ($old) = templates_of($httpd);
            kill KILL => $old or die "kill: $!\n";
            $took = comes_back($httpd, $old);
            cmp_ok $took, '<', 30, "another is there ($took s)";
            is $spawn->call('My::Loaded::add', [ 2, 4 ]), 6, 'and serves';
            like $httpd->error_log, qr/MS0230: template 'app' \(pid $old\) ended; another is forked at once/, 'the log says so';
        }

        ($old) = templates_of($httpd);
        my $spawner = $httpd->kill_pair('spawner');
        $took = comes_back($httpd, $old);
        cmp_ok $took, '<', 30, "one that ends with its spawner is there again, too ($took s)";
        ok $httpd->new_pid('spawner', $spawner), 'with another spawner';
        is $spawn->call('My::Loaded::add', [ 2, 5 ]), 7, 'and serves';
        unlike $httpd->error_log, qr/MS0232/, 'none was forked for a spawner that had gone';
    }
);
done_testing;
