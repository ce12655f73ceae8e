#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A CGI script starts jobs as docs/migrating.md and perldoc Apache2::Spawn show it: with
# the socket's name from mod_spawn, and no request. A job runs on when it has ended.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm sanitized wait_until);
use SpawnTest::Page;

my $mpm = one_mpm();
my $cgi = $mpm eq 'prefork' ? 'cgi' : 'cgid';
plan skip_all => "httpd has no mod_$cgi" if !SpawnTest::Httpd->has_module($cgi);

my $page = SpawnTest::Page::files('docs/migrating.md', qw(scripts cgi));
my $code = SpawnTest::Page::code_after('perl/lib/Apache2/Spawn.pm', qr/B<CGI[.]>/);

my $httpd = SpawnTest::Httpd->new(mpm => $mpm);
my $dir = $httpd->dir;
mkdir "$dir/perl/My" or die "My: $!\n";
$httpd->file('../perl/My/Report.pm', $page->{'My/Report.pm'});
# readers have Apache2::Spawn where their perl looks
my $perl = sanitized() || '/usr/bin/perl';
my $begin = "#!$perl -I$dir/perl\n";
$httpd->script('report.cgi', $page->{'report.cgi'} =~ s{\A#!/usr/bin/perl\n}{$begin}r =~ s{timeout => \d+}{timeout => 60}gr);
$httpd->script('pod.cgi', "${begin}use strict;\nuse warnings;\nuse Apache2::Spawn ();\n$code");
$httpd->{conf} = join '', (map { SpawnTest::Httpd::Conf::_load($_) } qw(alias env), $cgi),
    $cgi eq 'cgid' ? "ScriptSock $dir/run/cgisock\n" : '',
    $page->{'httpd.conf'} =~ s{/usr/lib/cgi-bin/}{$dir/bin/}r;
$httpd->start;

# The script's 2 s for a connection and an answer are too few on a busy machine: then it
# dies of that, and is asked again.
sub answer_of {
    my ($path) = @_;
    my $answer;
    wait_until(sub { $answer = $httpd->get($path); return $answer->{status} == 200 }, 60) or diag $httpd->tail;
    return $answer->{content};
}

my ($id, $total, $user) = split /\n/, answer_of('/cgi-bin/report.cgi');
is $total, 'total 7', 'a function was called' or diag $httpd->tail;
is $user, 'jobs run as ' . $httpd->user, 'a program, over a connection of its own';
like $id, qr/\A[0-9a-f-]{36}\z/, 'a job was submitted';
my $job = $httpd->wait($id);
is $job->{exit_code}, 0, 'and runs on' or diag explain $job;
is_deeply $job->{context} || {}, {}, 'of no request' or diag explain $job;

is answer_of('/cgi-bin/pod.cgi/june'), "total 7\n", 'the code of the manual' or diag $httpd->tail;
ok $httpd->wait_for_log(qr{/june: 7$}m, 30), 'and its job' or diag $httpd->tail;
done_testing;
