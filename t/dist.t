#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# make dist, out of a small checkout: the tarball has what git knows and nothing else, with
# fixed owners, modes and times; made again, or made out of the tarball, it is the same.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use File::Copy qw(copy);
use File::Path qw(make_path);
use File::Temp ();
use Test::More;

use SpawnTest qw(root_dir);

plan skip_all => 'there is no git' if system('git --version >/dev/null 2>&1') != 0;

my $dir = File::Temp::tempdir('spawn-dist-XXXXXXXX', DIR => '/tmp', CLEANUP => 1);
my $checkout = "$dir/checkout";

sub file {
    my ($path, $text, $mode) = @_;
    make_path("$checkout/$path" =~ s{/[^/]*\z}{}r);
    open my $out, '>', "$checkout/$path" or die "$path: $!\n";
    print {$out} $text;
    close $out or die "$path: $!\n";
    chmod $mode, "$checkout/$path" or die "$path: $!\n";
    return;
}

sub run {
    my (@command) = @_;
    my $pid = open my $out, '-|';
    defined $pid or die "fork: $!\n";
    if ($pid == 0) {
        delete @ENV{ 'SOURCE_DATE_EPOCH', grep { /\AGIT_/ } keys %ENV };
        open STDERR, '>&', \*STDOUT;
        exec @command;
        die "$command[0]: $!\n";
    }
    my $said = do { local $/ = undef; <$out> };
    close $out;
    return ($?, $said);
}

my $name = 'mod_spawn-4.5.6';

# Makes one; its SHA-256.
sub dist {
    my ($from, $to) = @_;
    my ($status, $said) = run("$from/packaging/dist", "$dir/$to");
    is $status, 0, "made in $to" or diag $said;
    open my $in, '<', "$dir/$to/$name.tar.gz.sha256" or die "$to: $!\n";
    return (split ' ', <$in>)[0];
}

make_path("$checkout/packaging");
for my $script (qw(dist cpan)) {
    copy(root_dir() . "/packaging/$script", "$checkout/packaging/$script") or die "$script: $!\n";
    chmod 0755, "$checkout/packaging/$script" or die "$script: $!\n";
}
file('common/spawn_release.h', qq{#define SPAWN_RELEASE "4.5.6"\n#define SPAWN_RELEASED "2031-02-03"\n}, 0644);
file('b/with a space', "text\n", 0600);
file('a.c', "text\n", 0644);
for my $words ([qw(init -q)], [qw(add -A)]) {
    my ($status, $said) = run('git', '-C', $checkout, @{$words});
    is $status, 0, "git $words->[0]" or diag $said;
}
file('not known', "text\n", 0644);
file('build/mod_spawn.so', "text\n", 0755);

my $first = dist($checkout, 'first');
my (undef, $listed) = run('tar', '--utc', '-tvf', "$dir/first/$name.tar.gz");
my $list = join '', map { "$_->[0] 0/0 2031-02-03 12:00 $name/$_->[1]\n" } [ '-rw-r--r--', 'a.c' ],
    [ '-rw-r--r--', 'b/with a space' ], [ '-rw-r--r--', 'common/spawn_release.h' ], [ '-rwxr-xr-x', 'packaging/cpan' ], [ '-rwxr-xr-x', 'packaging/dist' ],
    map { [ '-rw-r--r--', $_ ] } qw(MANIFEST META.json META.yml);
is $listed =~ s/ +\d+ (?=2031)/ /gr, $list, 'what git knows, and what CPAN reads, with the time of the release';

utime 1, 1, "$checkout/a.c" or die "a.c: $!\n";
chmod 0660, "$checkout/a.c" or die "a.c: $!\n";
is dist($checkout, 'second'), $first, 'again: the same bytes';

my ($status, $said) = run('tar', '-C', $dir, '-xf', "$dir/first/$name.tar.gz");
is $status, 0, 'it is unpacked' or diag $said;
make_path("$dir/$name/build/dist");
is dist("$dir/$name", "$name/build/dist"), $first, 'out of the tarball, without git: the same bytes';

# a file that git knows, and that is not there
unlink "$checkout/a.c" or die "a.c: $!\n";
($status, $said) = run("$checkout/packaging/dist", "$dir/first");
isnt $status, 0, 'a file is missing: it fails';
like $said, qr/\ba\.c\b/, '... and says which';
is system("cd $dir/first && sha256sum --status -c ./*.sha256"), 0, '... and the tarball of before is whole';
is_deeply [ map { s{.*/}{}r } sort glob "$dir/first/*" ], [ "$name.tar.gz", "$name.tar.gz.sha256" ], '... and nothing is beside it';

done_testing;
