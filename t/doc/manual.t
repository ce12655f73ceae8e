#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The manual that make docs makes has every document and every public module; each link in it leads
# to a page, and to a place on it, that is there; its pages ask nobody else for anything.

use strict;
use warnings;
use utf8;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Cwd qw(realpath);
use File::Basename qw(dirname);
use File::Find ();
use File::Temp ();
use Test::More;

use SpawnTest qw(root_dir);

for my $tool (qw(cmark-gfm mandoc)) {
    plan skip_all => "this machine has no $tool" if !grep { -x "$_/$tool" } split /:/, $ENV{PATH};
}

my $root = root_dir();
my $to = File::Temp::tempdir('spawn-manual-XXXXXXXX', DIR => '/tmp', CLEANUP => 1);
my $said = `'$root/packaging/manual/build' '$to' 2>&1`;
is $?, 0, 'the manual is made' or BAIL_OUT($said);

sub slurp {
    my ($file) = @_;
    open my $in, '<:encoding(UTF-8)', $file or die "$file: $!\n";
    local $/ = undef;
    return scalar <$in>;
}

my %text;
File::Find::find({ no_chdir => 1, wanted => sub { $text{ substr $_, 1 + length $to } = slurp($_) if /[.]html\z/ } }, $to);
cmp_ok scalar keys %text, '>', 40, 'of many pages';

my $contents = slurp("$root/packaging/manual/contents");
my %listed = map { $_ => 1 } $contents =~ m{^(\S+[.](?:md|pm|pod|\d))\s}mg;
my @documents = map { substr $_, 1 + length $root } glob "$root/docs/*.md $root/ctl/*.1 $root/standalone/*.1 $root/module/*.8";
is_deeply [ grep { !$listed{$_} } @documents ], [], 'every document is in its list';
# those below are parts of these
my @public = map { substr $_, 1 + length $root } glob "$root/perl/lib/Apache2/*.pm $root/perl/lib/Apache2/Spawn/*.pm $root/perl/lib/Apache2/Spawn/*.pod";
cmp_ok scalar @public, '>', 9, 'modules with a synopsis';
is_deeply [ grep { !$listed{$_} } sort @public ], [], 'every module that people use is in its list';

my %title;
for my $page (sort keys %text) {
    my $html = $text{$page};
    my ($title) = $html =~ m{<title>(.*?)</title>};
    $title{ $title // 'none' }++;
    my @heads = $html =~ m{<h1\b}g;
    is scalar @heads, 1, "$page: one heading of the page";
    unlike $html, qr/<(?:script|iframe|link[^>]*https?:|img[^>]*src="https?:)/, "$page: nothing from elsewhere";
}
is_deeply [ grep { $title{$_} > 1 } sort keys %title ], [], 'no title twice';

my %names;
for my $page (keys %text) {
    $names{$page}{$_} = 1 for $text{$page} =~ /\bid="([^"]+)"/g;
}
my @dead;
for my $page (sort keys %text) {
    for my $target ($text{$page} =~ /\b(?:href|src)="([^"]*)"/g) {
        next if $target =~ /\A(?:https?|mailto):/;
        my ($path, $name) = $target =~ /\A([^#]*)#?(.*)\z/;
        my $file = length $path ? realpath("$to/" . dirname($page) . "/$path") : "$to/$page";
        if (!defined $file || !-f $file) {
            push @dead, "$page: $target";
            next;
        }
        $name =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ge;
        my $other = substr $file, 1 + length realpath($to);
        $other = $page if !length $path;
        push @dead, "$page: $target" if length $name && $other =~ /[.]html\z/ && !$names{$other}{$name};
    }
}
is join("\n", @dead), q{}, 'each link leads to something';

done_testing;
