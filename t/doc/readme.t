#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# All that README and CONTRIBUTING tell people to type or to read is there:
# targets of make, verbs of spawnctl, files. The packages that they name are
# those of packaging/install-deps. README's httpd.conf and handler do what they
# say when they are copied.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(build_dir mpms wait_until);

my $root = "$FindBin::Bin/../..";

sub slurp {
    my ($file) = @_;
    open my $in, '<', "$root/$file" or die "$file: $!\n";
    local $/ = undef;
    return scalar <$in>;
}

my $makefile = slurp('Makefile');
my ($phony) = $makefile =~ /^\.PHONY: (.*)$/m;
my %target = map { $_ => 1 } grep { $makefile =~ /^\Q$_\E:/m } split ' ', $phony;
is_deeply [ grep { !$target{$_} } split ' ', $phony ], [], 'each target of .PHONY has a rule';

my ($verbs) = slurp('ctl/main.c') =~ /\bverbs\[\] = \{(.*?)\};/s;
my %verb = map { $_ => 1 } $verbs =~ /\{"([\w-]+)",/g;

for my $page (qw(README.md CONTRIBUTING.md)) {
    my $text = slurp($page);

    # A line of code, or code within a line; "# ..." explains.
    my @code = map { s/\s#.*//r } $text =~ /^ {4}(.*)$/mg, $text =~ /`([^`]+)`/g;
    my @targets = map { grep { /\A[a-z]+\z/ } split ' ' }
        map { /\A(?:\w+=\S+ )*make\b(.*)\z/ ? $1 : () } @code;
    ok @targets, "$page: commands were found";
    ok $target{$_}, "$page: make $_" for do { my %seen; grep { !$seen{$_}++ } @targets };
    ok $verb{$_}, "$page: spawnctl $_" for map { /\Aspawnctl ([a-z-]*[a-z])\b/ ? $1 : () } @code;

    my %files = map { $_ => 1 } $text =~ /\]\(([^):#]+)\)/g,
        grep { m{\A(?:t|docs|common|ctl|module|spawner|broker)/[\w/]+\.\w+\z} } @code;
    ok -e "$root/$_", "$page: $_ is there" for sort keys %files;
}

my $readme = slurp('README.md');

subtest 'packages' => sub {
    my $script = slurp('packaging/install-deps');
    my %list = map {
        my ($packages) = $script =~ /^${_}_packages=\((.*?)^\)/ms;
        ($_ => { map { $_ => 1 } split ' ', $packages =~ s/#.*//gr })
    } qw(run test all);
    my %row = map {
        my ($cells) = $readme =~ /^\| to $_\b[^|]*\| (.*) \|$/m;
        ($_ => [ map { split ' ' } grep { !/::/ } $cells =~ /`([^`]+)`/g ])
    } qw(build run);
    ok scalar @{ $row{$_} }, "to $_: README names packages" for qw(build run);

    # a library comes with what it is linked by; the package apache2 is left to users
    my %with = (
        'libsqlite3-0' => 'libsqlite3-dev', 'libjansson4' => 'libjansson-dev', 'apache2' => 'apache2-bin');
    my %named = map { ($with{$_} || $_) => 1 } map { @{$_} } values %row;
    my %example = map { $_ => 1 } $readme =~ /\(and `(\S+)`, for the example site\)/;
    is_deeply [ sort keys %{ { %named, %example } } ], [ sort keys %{ $list{run} } ],
        'those that make run installs, and no others';

    my ($without) = slurp('CONTRIBUTING.md') =~ /^(`make test` installs none of .*?)\n\n/ms;
    my ($not) = $without =~ /^`make test` installs none of (.*?):/s;
    my @not = $not =~ /`([\w-]+)`/g;
    is_deeply [ sort @not ], [ sort keys %{ $list{all} } ], 'CONTRIBUTING names those that test-all adds';
    is_deeply [ grep { $list{run}{$_} || $list{test}{$_} } @not ], [], '... which make test does not install';

    # a test says which package it misses; each Debian has util-linux
    my @tests = grep {
        grep { !/\(package ([\w-]+)\) is not/ || !$list{test}{$1} && $1 ne 'util-linux' } slurp($_) =~ /^(.*is not installed.*)$/mg
    } grep { $_ ne 't/doc/readme.t' } map { s{\Q$root\E/}{}r } glob "$root/t/{doc,httpd,perl}/*.t";
    is_deeply [ sort $without =~ m{`(t/\w+/\w+\.t)`}g ], [ sort @tests ], '... and the tests that miss something';
};

my %copied;
while ($readme =~ /^<!-- file: (\S+) -->\n\n((?:(?: {4}.*)?\n)+)/mg) {
    my ($file, $text) = ($1, $2);
    $copied{$file} = $text =~ s/^ {4}//mgr;
}
is_deeply [ sort keys %copied ], [ 'My/First.pm', 'httpd.conf' ], 'a configuration and a handler to copy';

subtest 'the handler, copied' => sub {
    my $httpd = SpawnTest::Httpd->new(mpm => (mpms())[0], spawn => 0, handlers => 0);
    my $dir = $httpd->dir;
    mkdir "$dir/perl/My" or die "$dir/perl/My: $!\n";
    chmod 0755, "$dir/perl/My" or die "$dir/perl/My: $!\n";
    $httpd->file('../perl/My/First.pm', $copied{'My/First.pm'});
    my $conf = $copied{'httpd.conf'};
    my $here = build_dir();
    ok $conf =~ s{(?<=spawn_module )/usr/lib/apache2/modules/mod_spawn\.so}{$here/mod_spawn.so}, 'its LoadModule';
    ok $conf =~ s{(?<=-I)/srv/perl\b}{$dir/perl}, 'and its library';
    $httpd->{conf} = "PerlSwitches -I$dir/perl\n$conf";
    $httpd->start;
    my $answer = $httpd->get('/first');
    is $answer->{status}, 200, 'an answer' or diag $httpd->tail;
    my $user = $httpd->user;
    like $answer->{content}, qr/\Ajob [0-9a-f-]{36} is accepted\njobs run as \Q$user\E\n2 \+ 3 = 5\nand 4 = 9\n\z/, 'all of it';
    ok $httpd->wait_for_log(qr{job [0-9a-f-]{36} \(request \S+\) stderr: /first gave 9}, 30), 'and what comes after it';
    unlike $httpd->error_log, qr/:(?:error|crit|alert|emerg)\](?!.*gave 9)/, 'without complaints';
    $httpd->clean;
};

done_testing;
