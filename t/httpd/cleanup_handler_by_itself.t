#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# SpawnCleanupHandler with no SpawnTemplate: the handler that httpd's startup
# has loaded runs after the answer, in a process forked from httpd itself.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);

my $handler = <<'END';
package My::Visits;
use strict;
use warnings;
our $loaded_in = $$;
sub handler {
    my ($r) = @_;
    my ($file) = $r->args =~ /file=([^&;]+)/;
    open my $out, '>>', $file or die "$file: $!\n";
    print {$out} join(' ', $r->method, $r->uri, $r->status, $$, $loaded_in), "\n";
    close $out;
    return 0;
}
END

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(
            mpm => $mpm,
            perl => $handler,
            conf => "<Location /visited>\nSpawnCleanupHandler My::Visits\n</Location>\n"
        )->start;
        my $file = $httpd->work . '/visits';
        for my $n (1 .. 3) {
            is $httpd->get("/visited/$n?file=$file")->{status}, 404, 'an answer';
        }
        my $lines = sub {
            open my $in, '<', $file or return [];
            return [ map { [split] } <$in> ];
        };
        ok wait_until(sub { @{ $lines->() } == 3 }, 20), 'all are noted' or diag $httpd->tail;
        my @seen = sort { $a->[1] cmp $b->[1] } @{ $lines->() };
        is_deeply [ map { "@{$_}[0 .. 2]" } @seen ], [ map { "GET /visited/$_ 404" } 1 .. 3 ], 'what was asked and answered';
        my %httpd = map { $_ => 1 } $httpd->pid, $httpd->children;
        is_deeply [ grep { $httpd{ $_->[3] } } @seen ], [], 'by processes that are not httpd\'s';
        is_deeply [ grep { $_->[4] != $httpd->pid } @seen ], [], 'with what httpd had loaded';
    }
);
done_testing;
