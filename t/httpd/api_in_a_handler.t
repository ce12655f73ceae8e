#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The Perl API tested from inside httpd, where it is used: a handler with
# Apache::Test's plan, whose TAP is handed on. Apache::Test needs no server of
# its own for that: plan takes the request and prints to it.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use TAP::Parser ();
use Test::More;

use SpawnTest qw(each_mpm);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, conf => <<'END')->start;
PerlModule SpawnTest::ApiHandler
<Location /api>
    SetHandler perl-script
    PerlResponseHandler SpawnTest::ApiHandler
</Location>
END
        # Twice, since the second one may meet what the first one left.
        for my $round (1, 2) {
            my $answer = $httpd->get('/api');
            is $answer->{status}, 200, "round $round: the handler came to its end";
            my $parser = TAP::Parser->new({ tap => $answer->{content} });
            while (my $line = $parser->next) {
                if ($line->is_test) {
                    ok $line->is_ok, "round $round " . $line->description;
                } elsif (!$line->is_plan) {
                    note $line->as_string;
                }
            }
            ok !$parser->has_problems, "round $round: all of it was run"
                or diag $answer->{content};
        }
    }
);
done_testing;
