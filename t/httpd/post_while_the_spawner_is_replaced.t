#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# While a killed spawner is replaced every post is taken, whatever its size and
# however many there are, and runs when the new one is there.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Calls ();

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Calls->httpd(mpm => $mpm, templates => '', conf => "SpawnSubmitTimeout 100ms\n")->start;
        my $work = $httpd->work;
        my $post = sub {
            my ($name, $bytes, $count) = @_;
            return SpawnTest::Calls->ask($httpd, <<'END', $work, $name, $bytes, $count)->{values};
my ($work, $name, $bytes, $count) = @_;
my $data = 'x' x $bytes;
my @failed;
for my $n (1 .. $count) {
    eval { $r->spawn(['/bin/cat'], stdin => \$data, stdout => "$work/$name.$n", reply => 'posted'); 1 }
        or push @failed, "$@";
}
(scalar @failed, $failed[0]);
END
        };

        # nobody replaces it as long as httpd's parent stands still
        kill STOP => $httpd->pid or die "kill: $!\n";
        my $gone = $httpd->kill_pair('spawner');
        ok wait_until(sub { !defined $httpd->broker_pid }, 20), 'spawner and broker are gone';
        my %posted = (small => [ 10, 1 ], big => [ 70_000, 1 ], huge => [ 15 << 20, 1 ], many => [ 60_000, 260 ]);
        for my $name (sort keys %posted) {
            is_deeply $post->($name, @{ $posted{$name} }), [ 0, undef ], "$name: taken";
        }
        ok !-e "$work/$_.1", "$_: it has not run" for sort keys %posted;
        kill CONT => $httpd->pid or die "kill: $!\n";
        ok $httpd->new_pid('spawner', $gone, 30), 'a new spawner is there';
        for my $name (sort keys %posted) {
            my ($bytes, $count) = @{ $posted{$name} };
            ok wait_until(sub { !grep { (-s "$work/$name.$_" || 0) != $bytes } 1 .. $count }, 40), "$name: all ran, whole";
        }
        my @left = glob $httpd->dir . '/run/spawn/store/spool/*';
        ok wait_until(sub { @left = grep { -e } @left; !@left }, 20), 'nothing is left in the spool' or diag "@left";
    }
);
done_testing;
