#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A Perl function that tries to become root, or somebody else: it stays who it
# is, all of its ids and groups, without any right, whoever has started httpd.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm);
use SpawnTest::Calls ();

# as another account than httpd's User, so that the two differ
my @starts = $< == 0 ? (undef, 'nobody') : (undef);

each_mpm(
    sub {
        my ($mpm) = @_;
        for my $as (@starts) {
            my $httpd = SpawnTest::Calls->httpd(mpm => $mpm, as => $as,
                conf => "PerlModule SpawnTest::Functions\nSpawnTemplate own parent\n")->start;
            my ($uid, $gid) = ($httpd->uid, $httpd->gid);
            for my $template (qw(app own)) {
                for my $other (0, 1) {
                    my $answer = SpawnTest::Calls->ask($httpd,
                        'my ($t, @to) = @_; scalar Apache2::Spawn->call("SpawnTest::Functions::changes_user", \@to, template => $t)',
                        $template, $other, $other);
                    my $seen = $answer->{values}[0] or diag explain $answer;
                    my $name = ($as || 'started by us') . ", $template, to $other";
                    is_deeply [ grep { $seen->{took}{$_} } sort keys %{ $seen->{took} } ], [], "$name: nothing is taken"
                        or diag explain $seen;
                    is $seen->{Uid}, join("\t", ($uid) x 4), 'all user ids are httpd\'s User';
                    is $seen->{Gid}, join("\t", ($gid) x 4), 'all group ids its Group';
                    unlike " $seen->{Groups}", qr/ 0\b/, 'no group of root';
                    is_deeply [ @{$seen}{qw(CapPrm CapEff)} ], [ ('0' x 16) x 2 ], 'and no capability';
                }
            }
            $httpd->clean;
        }
    }
);
done_testing;
