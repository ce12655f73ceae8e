#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The example site in a browser, 400, 900 and 1600 pixels wide, in light and dark:
# nothing has to be scrolled sideways, and light is another colour than dark. With
# jobs of each page on it: thumbnails, long ones, failed ones, Perl functions,
# mails, downloads.
#
# TEST_LIMIT: 600 s more

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use HTTP::Tiny ();
use POSIX ();
use Test::More;

use SpawnTest qw(build_dir root_dir wait_until);
use SpawnTest::Browser ();

my $missing = SpawnTest::Browser::missing();
plan skip_all => $missing if $missing;

my $port = SpawnTest::Httpd::free_port();
my $url = "http://127.0.0.1:$port";
my $http = HTTP::Tiny->new(timeout => 60, keep_alive => 0, max_redirect => 5);

my $pid = open my $out, '-|';
defined $pid or die "fork: $!\n";
if ($pid == 0) {
    @ENV{qw(PORT SPAWN_BUILD)} = ($port, build_dir());
    open STDERR, '>&', \*STDOUT;
    exec root_dir() . '/examples/run' or POSIX::_exit(127);
}
my $said = '';
while (my $line = <$out>) {
    $said .= $line;
    last if $line =~ /error log follows/;
}
like $said, qr{\Q$url\E/}, 'the site runs' or die "examples/run: $said\n";

# A page, once it shows no job that runs.
sub settled {
    my ($path) = @_;
    my $page = '';
    wait_until(sub { $page = $http->get("$url$path")->{content}; return $page !~ /data-again/ }, 120);
    return $page;
}

$http->post_form("$url/thumbnails", { sample => 'evening' });
$http->post_form("$url/failing", {});
$http->post_form("$url/mail", { way => $_, to => 'Ada' }) for qw(request after);
$http->get("$url/download/pictures.tar.gz");
$http->post_form("$url/perl", { what => 'fail' });
$http->post_form("$url/perl", { what => 'report' });
like settled($_->[0]), $_->[1], "$_->[0]: its jobs are there"
    for [ '/thumbnails', qr/exited 0/ ], [ '/failing', qr/unknown_queue/ ], [ '/perl', qr/17740 words/ ],
    [ '/mail', qr/after [\d.]+ s.*after [\d.]+ s/s ], [ '/download', qr/exited 0/ ];
$http->post_form("$url/long", { what => 'start' });

my $sideways = <<'END';
const d = document.documentElement;
return d.scrollWidth > d.clientWidth
    ? Array.from(document.querySelectorAll('body *')).filter(e => e.getBoundingClientRect().right > d.clientWidth + 1).slice(0, 5).map(e => e.outerHTML.slice(0, 150))
        .concat(d.scrollWidth + ' pixels')
    : [];
END
my $background = 'return getComputedStyle(document.body).backgroundColor + getComputedStyle(document.documentElement).backgroundColor;';

my $browser = SpawnTest::Browser->new;
for my $path (qw(/ /thumbnails /long /failing /perl /mail /download)) {
    $browser->go("$url$path");
    my %colour;
    for my $scheme (qw(light dark)) {
        for my $width (400, 900, 1600) {
            $browser->scheme($scheme)->width($width);
            is_deeply $browser->script($sideways), [], "$path, $scheme, $width: nothing is wider than the page";
        }
        $colour{$scheme} = $browser->script($background);
    }
    isnt $colour{dark}, $colour{light}, "$path: dark is not light";
}

# the look at the width works: it finds what is put in for it
$browser->script('document.body.insertAdjacentHTML("beforeend", "<p style=\"width: 3000px\">wide</p>")');
like join(' ', @{ $browser->script($sideways) }), qr/3000px/, 'and what is too wide is found';

kill TERM => $pid;
while (my $line = <$out>) {
    kill TERM => $pid if $line =~ /\Astopping httpd/;
}
close $out;
is $? >> 8, 0, 'the site ends';
undef $browser;
done_testing;
