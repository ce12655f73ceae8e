#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A template of the kind parent that is shared leaves the memory that httpd has freed, in
# many small pieces, as it is: nearly all of its pages are httpd's too.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm not_sanitized wait_until);
use SpawnTest::Calls ();
use SpawnTest::ParentTemplate qw(templates_of);

not_sanitized('a sanitizer\'s memory is another');

# Some 24 MB that are used, and as much that is free, a piece on each page. It is so for
# the template where httpd has no threads; else its copies of the Perl take the pieces.
my $startup = <<'END';
package My::Pieces;
our @pieces = map { 'x' x 3000 } 1 .. 16_000;
undef $pieces[ 2 * $_ ] for 0 .. 7_999;
1;
END

# Pages that no other process has, in kB. Without spares no process was forked from it.
sub own_pages {
    my ($pid) = @_;
    open my $in, '<', "/proc/$pid/smaps_rollup" or die "smaps_rollup: $!\n";
    my ($kb) = map { /\APrivate_Dirty:\s+(\d+) kB/ } <$in>;
    return $kb;
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Calls->httpd(mpm => $mpm, templates => '');
        my $file = $httpd->file('pieces.pl', $startup);
        $httpd->{conf} .= "PerlRequire $file\nPerlModule SpawnTest::Functions\n"
            . "SpawnTemplate app parent spares=0\n";
        $httpd->start;
        ok wait_until(sub { templates_of($httpd, 'app') == 1 }, 20), 'there is a template' or return;
        ok $httpd->wait_for_log(qr/MS0604: template app is ready/), '... which is ready';
        cmp_ok own_pages(templates_of($httpd, 'app')), '<', 12_000, '... and shares its memory with httpd';
        my $answer = SpawnTest::Calls->ask($httpd, 'Apache2::Spawn->call("SpawnTest::Functions::sum", [ 1 .. 4 ])');
        is_deeply $answer->{values}, [10], '... and serves' or diag explain $answer;
    }
);
done_testing;
