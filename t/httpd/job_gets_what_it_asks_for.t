#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A job gets the surroundings that it asks for: directory, mask, environment,
# nice, limits, streams, further descriptors, no new privileges.

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
        my $report = $httpd->work . '/asked.json';
        my $out = $httpd->work . '/out';
        my $in = $httpd->file('in', "line\n");
        my $job = $httpd->spawn([ $httpd->probe, $report ],
            reply => 'started',
            cwd => $httpd->work,
            umask => '077',
            env => { PATH => '/bin', OTHER => '' },
            nice => 7,
            ionice => 'idle',
            limits => { core => 0, files => 64, cpu => 30 },
            no_new_privs => 1,
            stdin => $in,
            stdout => ">>$out",
            stderr => 'stdout',
            label => 'a probe',
        );
        is $job->{error}, undef, 'started' or diag explain $job;
        my $seen = $httpd->report($report) or die "no report\n" . $httpd->tail;

        is $seen->{cwd}, $httpd->work, 'directory';
        is $seen->{umask}, '0077', 'umask';
        my %env = map { split /=/, $_, 2 } @{ $seen->{env} };
        is $env{PATH}, '/bin', 'a variable replaced';
        is $env{OTHER}, '', 'an empty variable';
        is $seen->{nice}, 7, 'nice';
        is $seen->{ioprio} >> 13, 3, 'ionice';
        is_deeply $seen->{limits}{files}, [ 64, 64 ], 'limit of files';
        is_deeply $seen->{limits}{core}, [ 0, 0 ], 'limit of core';
        is $seen->{limits}{cpu}[0], 30, 'limit of cpu';
        is $seen->{no_new_privs}, 1, 'no new privileges';
        is_deeply $seen->{fds}, { 0 => $in, 1 => $out, 2 => $out }, 'streams';
        is $httpd->wait($job->{id})->{exit_code}, 0, 'exit code';
    }
);
done_testing;
