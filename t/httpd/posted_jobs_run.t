#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A posted job costs no round trip and runs all the same; 500 of them too,
# and none is lost when the broker is killed among them.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm,
            conf => "SpawnMaxQueued 2000\nSpawnSubmitTimeout 20\n")->start;
        my $ran = $httpd->work . '/ran';
        my @argv = ('/bin/sh', '-c', "echo \$SPAWN_JOB_ID >>$ran");
        my @ids;
        for my $round (1 .. 5) {
            my $made = $httpd->do('spawn_many', count => 100, argv => \@argv,
                options => { reply => 'posted' });
            is_deeply $made->{errors}, [], '100 posted';
            push @ids, @{ $made->{ids} };
            if ($round == 3) {
                my $old = $httpd->kill_pair('broker');
                ok $httpd->new_process('broker', $old), 'the broker was killed and came again';
            }
        }
        my %times;
        my $all = wait_until(
            sub {
                open my $in, '<', $ran or return 0;
                my @lines = <$in>;
                return @lines >= 500;
            },
            60
        );
        ok $all, 'all ran';
        open my $in, '<', $ran or die "$ran: $!\n";
        while (my $id = <$in>) {
            chomp $id;
            $times{$id}++;
        }
        is_deeply [ sort keys %times ], [ sort @ids ], 'those that were posted';
        is_deeply [ grep { $_ != 1 } values %times ], [], 'each once';
    }
);
done_testing;
