#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Each configuration that a document shows is taken by `httpd -t` when it is copied: no
# comment behind a directive, no directive where it may not stand, no option that there is
# not. Directories and accounts that it names are made, or others stand for them.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Cwd qw(realpath);
use File::Path qw(make_path);
use Test::More;

use SpawnTest qw(build_dir one_mpm);
use SpawnTest::Login qw(login_modules);

plan skip_all => 'mod_spawn.so is not built' if !-e build_dir() . '/mod_spawn.so';

my $root = realpath("$FindBin::Bin/../..");
chomp(my $modules = `apxs -q LIBEXECDIR`);

# Accounts that any Debian has.
my %stands_for = (media => 'games', spawn => 'daemon', report => 'news', ops => 'adm', backup => 'backup');

# [line, text] of each block of a page that is a configuration, or ends in one.
sub configurations {
    my ($page) = @_;
    open my $in, '<', "$root/$page" or die "$page: $!\n";
    my (@blocks, @block);
    while (my $line = <$in>) {
        if ($line =~ s/^ {4}// || (@block && $line =~ /^\s*$/)) {
            push @block, $. if !@block;
            push @block, $line;
            next;
        }
        push @blocks, [@block] if @block;
        @block = ();
    }
    my @found;
    for my $block (@blocks, \@block) {
        my ($number, @lines) = @{$block} or next;
        my $text = join('', @lines) =~ s/\A.*^\s*# httpd[.]conf$//rsm;
        my @code = grep { /\S/ && !/^\s*#/ } split /\n/, $text;
        next if !grep { /^\s*(?:<SpawnQueue\b|Spawn[A-Z]\w+ )/ } @code;
        next if grep { !/^\s*(?:<|[A-Z][A-Za-z]+ )/ } @code;
        push @found, [ $number, $text ];
    }
    return @found;
}

sub write_file {
    my ($path, $text) = @_;
    open my $out, '>', $path or die "$path: $!\n";
    print {$out} $text;
    close $out or die "$path: $!\n";
    return;
}

# Queues and templates that it names, and the broker's account, which stand elsewhere.
sub others {
    my ($text) = @_;
    my %queue = map { $_ => 1 } qw(default all none), $text =~ /^\s*<SpawnQueue (\S+)>/mg;
    my %template = map { $_ => 1 } qw(app none), $text =~ /^\s*SpawnTemplate\s+(\S+)\s+\S/mg;
    my @queues = ($text =~ /\bqueue=(\S+)/g, map { split ' ' } $text =~ /^\s*Spawn(?:DefaultQueue|QueueAccess)\s+(.+)$/mg);
    my @templates = $text =~ /^\s*SpawnTemplate\s+(\S+)$/mg;
    my $account = $text =~ /^\s*SpawnUser /m && $text !~ /^\s*SpawnBrokerUser /m ? "SpawnBrokerUser daemon\n" : '';
    return join '', "\n$account", (map {"<SpawnQueue $_>\n</SpawnQueue>\n"} grep { !$queue{$_}++ } @queues),
        map {"SpawnTemplate $_ exec\n"} grep { !$template{$_}++ } @templates;
}

# Where they would have to be on the reader's machine.
sub as_here {
    my ($httpd, $text) = @_;
    my $dir = $httpd->dir;
    $text =~ s/^\s*(?:LoadModule|PerlSwitches|SpawnCgroup) .*\n//mg;    # of its machine
    $text =~ s/^(\s*(?:SpawnUser|SpawnBrokerUser|SpawnGroup)\s+)(\w+)/$1 . ($stands_for{$2} || $2)/mge;
    $text =~ s/\b((?:user|group)=)(\w+)/$1 . ($stands_for{$2} || $2)/ge;
    $text =~ s{(?<![\w.])/(?:var|srv|sys|etc)/[\w./-]+}{
        my $path = "$dir/there$&";
        my $is_file = $path =~ m{\.\w+\z};
        make_path($is_file ? $path =~ s{/[^/]*\z}{}r : $path);
        write_file($path, "1;\n") if $is_file;
        $path;
    }ge;
    for my $module ($text =~ /^\s*PerlModule (My::\S+)/mg) {
        my $path = "$dir/perl/" . ($module =~ s{::}{/}gr) . '.pm';
        make_path($path =~ s{/[^/]*\z}{}r);
        write_file($path, "package $module;\nsub handler { return 0 }\n1;\n");
    }
    return $text . others($text);
}

my $blocks = 0;
for my $page (map { s{\Q$root\E/}{}r } "$root/README.md", sort glob "$root/docs/*.md") {
    for my $found (configurations($page)) {
        my ($line, $text) = @{$found};
        my $where = "$page:$line";
        $blocks++;
    SKIP: {
            skip "$where: only root can have accounts for jobs", 1
                if $< != 0 && $text =~ /^\s*(?:SpawnUser|SpawnBrokerUser)\b/m;
            my $httpd = SpawnTest::Httpd->new(mpm => one_mpm(), spawn => 0);
            $httpd->{conf} = join '', login_modules(), "LoadModule authz_host_module $modules/mod_authz_host.so\n", 'LoadModule spawn_module ' . build_dir() . "/mod_spawn.so\n" , as_here($httpd, $text);
            my ($code, $said) = $httpd->check_conf;
            is $code, 0, $where or diag "$said\n$httpd->{conf}";
        }
    }
}
cmp_ok $blocks, '>', 30, 'configurations were found';

done_testing;
