#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# What README and CONTRIBUTING tell people to type or to read is there: targets
# of make, verbs of spawnctl, files. README's httpd.conf and handler do what they
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
my %verb = map { $_ => 1 } $verbs =~ /\{"(\w+)",/g;

for my $page (qw(README.md CONTRIBUTING.md)) {
    my $text = slurp($page);

    # A line of code, or code within a line; "# ..." explains.
    my @code = map { s/\s#.*//r } $text =~ /^ {4}(.*)$/mg, $text =~ /`([^`]+)`/g;
    my @targets = map { grep { /\A[a-z]+\z/ } split ' ' }
        map { /\A(?:\w+=\S+ )*make\b(.*)\z/ ? $1 : () } @code;
    ok @targets, "$page: commands were found";
    ok $target{$_}, "$page: make $_" for do { my %seen; grep { !$seen{$_}++ } @targets };
    ok $verb{$_}, "$page: spawnctl $_" for map { /\Aspawnctl ([a-z]+)/ ? $1 : () } @code;

    my %files = map { $_ => 1 } $text =~ /\]\(([^):#]+)\)/g,
        grep { m{\A(?:t|docs|common|ctl|module|spawner|broker)/[\w/]+\.\w+\z} } @code;
    ok -e "$root/$_", "$page: $_ is there" for sort keys %files;
}

my $readme = slurp('README.md');
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
