#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# An application below Plack's handler starts jobs as docs/migrating.md and perldoc
# Apache2::Spawn show it; the record of a job says which request it was, and the cleanup
# runs when the answer is out.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm);
use SpawnTest::Page;

# It can be loaded in mod_perl only.
plan skip_all => 'Plack (package libplack-perl) is not installed'
    if !grep { -e "$_/Plack/Handler/Apache2.pm" } @INC;

my $page = SpawnTest::Page::files('docs/migrating.md', qw(scripts plack));
my $code = SpawnTest::Page::code_after('perl/lib/Apache2/Spawn.pm', qr/B<Plack[.]>/);

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm());
my $dir = $httpd->dir;
mkdir "$dir/perl/My" or die "My: $!\n";
$httpd->file('../perl/My/Report.pm', $page->{'My/Report.pm'});
# a busy machine needs more time
$httpd->file('report.psgi', $page->{'report.psgi'} =~ s{timeout => \d+}{timeout => 60}gr);
$httpd->file('pod.psgi', $code);
$httpd->{conf} = $page->{'httpd.conf'} =~ s{/srv/perl/}{$dir/bin/}r;
my ($section) = $httpd->{conf} =~ m{(<Location .*</Location>\n)}s or die "no section\n";
$httpd->{conf} .= $section =~ s{report}{pod}gr;
$httpd->start;

my ($id, $total) = split /\n/, $httpd->get('/report/april')->{content};
is $total, 'total 7', 'a function was called';
like $id, qr/\A[0-9a-f-]{36}\z/, 'a job was submitted' or diag $httpd->tail;
my $job = $httpd->status($id);
is $job->{context}{uri}, '/report/april', 'its record has the request' or diag explain $job;
ok $httpd->wait_for_log(qr{/april: 7$}m, 30), 'the cleanup ran' or diag $httpd->tail;

is $httpd->get('/pod/may')->{content}, "total 7\n", 'the code of the manual';
ok $httpd->wait_for_log(qr{/may: 7$}m, 30), 'and its cleanup' or diag $httpd->tail;
done_testing;
