#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The Makefile: says what it does in a line a file, does nothing twice, uses all
# cores unless told otherwise, and every command that compiles or links takes the
# flags of who builds, once. It builds anywhere, for the httpd that apxs is of.
# Nothing but one small program is built here.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use Cwd ();
use File::Temp ();
use Test::More;

use SpawnTest qw(build_dir root_dir);

my $built = build_dir();
my $dir = File::Temp::tempdir('spawn-make-XXXXXXXX', DIR => '/tmp', CLEANUP => 1);

sub make {
    my ($env, @args) = @_;
    my $pid = open my $out, '-|';
    defined $pid or die "fork: $!\n";
    if ($pid == 0) {
        delete @ENV{qw(CC CFLAGS CPPFLAGS LDFLAGS WERROR V MAKEFLAGS MAKELEVEL MFLAGS)};
        %ENV = (%ENV, %{$env});
        open STDERR, '>&', \*STDOUT;
        exec 'make', '--no-print-directory', '-C', root_dir(), @args;
        die "make: $!\n";
    }
    my @said = <$out>;
    close $out;
    chomp @said;
    return ($?, @said);
}

subtest 'what make says' => sub {
    my $tiny = "$dir/quiet/bench/tiny";
    is_deeply [ make({}, "B=$dir/quiet", $tiny) ], [ 0, '  CC bench/c/tiny.c' ], 'a line for a file';
    is_deeply [ make({}, "B=$dir/quiet", $tiny) ], [ 0, "make: '$tiny' is up to date." ], 'and nothing twice';
    is_deeply [ make({}, '-s', "B=$dir/silent", "$dir/silent/bench/tiny") ], [0], '-s: nothing';
    my ($status, @said) = make({}, "B=$dir/loud", 'V=1', "$dir/loud/bench/tiny");
    ok $status == 0 && (grep { /\Agcc .* bench\/c\/tiny[.]c\z/ } @said), 'V=1: the command' or diag explain \@said;
};

subtest 'a second make' => sub {
    my @sanitized = -e "$built/perl-sanitized" ? 'SANITIZE=1' : ();
    is_deeply [ make({}, @sanitized, qw(all unit probe)) ],
        [ 0, map { "make: Nothing to be done for '$_'." } qw(all unit probe) ], 'does nothing';
};

subtest 'how many at once' => sub {
    chomp(my $cores = `nproc`);
    open my $file, '>', "$dir/show.mk" or die "$dir/show.mk: $!\n";
    print {$file} "show-flags: ; \@echo '\$(MAKEFLAGS)'\n";
    close $file or die "$dir/show.mk: $!\n";
    my $jobs = sub {
        my ($env, @args) = @_;
        my ($status, @said) = make($env, '-f', 'Makefile', '-f', "$dir/show.mk", @args, 'show-flags');
        return join q{ }, "@said" =~ /(?<!-)-j\d+/g;
    };
    is $jobs->({}), "-j$cores", 'as many as there are cores';
    is $jobs->({}, '-j1'), '-j1', 'or as make is told';
    is $jobs->({ MAKEFLAGS => '-j1' }), '-j1', 'in its environment too';
};

subtest 'flags' => sub {
    my @flags = ('CC=the-compiler', 'CFLAGS=-O1 -Dcflags', 'CPPFLAGS=-Dcppflags -D_FORTIFY_SOURCE=3', 'LDFLAGS=-Wl,ldflags');
    my @targets = qw(all unit probe bench-programs);
    my ($status, @said) = make({}, '-n', '-B', "B=$dir/none", @flags, 'V=1', @targets);
    is $status, 0, 'make -n';
    my @commands = grep { /\Athe-compiler / } @said;
    my @compiles = grep { /[.]c\z/ || / -c / } @commands;
    my @links = grep { !/ -c / } @commands;
    cmp_ok scalar @compiles, '>', 100, 'files are compiled';
    cmp_ok scalar @links, '>', 15, 'and linked';
    is_deeply [ grep { !/ -Dcppflags / || !/ -O1 -Dcflags / } @compiles ], [], 'with CPPFLAGS and CFLAGS';
    is_deeply [ grep { !/ -Wl,ldflags / || !/ -O1 -Dcflags / } @links ], [], 'with LDFLAGS and CFLAGS';
    # a program without a C library takes away what needs one
    is_deeply [ grep { !/ -ffreestanding / && /_FORTIFY_SOURCE.*_FORTIFY_SOURCE|_FORTIFY_SOURCE=2|-O2|-Werror/ } @commands ], [],
        'and with no others of the kind';
    is_deeply [ grep { /shared/ } grep { / -c / && !/-fPIC/ } @compiles ], [], 'shared objects can be anywhere';

    ($status, @said) = make({}, '-n', '-B', "B=$dir/none", 'V=1', 'all');
    my @ours = grep { /\Agcc / && / -c / } @said;
    is_deeply [ grep { !/ -O2 -g -fstack-protector-strong / || !/-D_FORTIFY_SOURCE=2 / || /-Werror/ } @ours ], [],
        'none given: ours, and warnings are warnings';
    ($status, @said) = make({}, '-n', '-B', "B=$dir/none", 'V=1', 'WERROR=1', 'all');
    is_deeply [ grep { !/ -Werror / } grep { /\Agcc / && / -c / } @said ], [], 'WERROR=1: errors';
    ($status, @said) = make({ CFLAGS => '-O1' }, '-n', '-B', "B=$dir/none", 'V=1', 'all');
    is_deeply [ grep { !/ -O1 / || /-O2/ } grep { /\Agcc / && / -c / } @said ], [], 'flags of the environment count';
};

subtest 'out of the sources' => sub {
    my ($status, @said) = make({}, '-n', "B=$dir/out", 'SANITIZE=1', 'V=1', qw(screenshots test-crash all));
    is $status, 0, 'make -n';
    my $root = Cwd::realpath(root_dir());
    is_deeply [ grep { /\Q$root\E\/+\Q$dir\E/ } @said ], [], 'a path that begins with / is whole';
    cmp_ok scalar(grep { /SPAWN_BUILD=\Q$dir\E\/out / } @said), '>=', 2, 'and is what tests are told';
    ($status, @said) = make({}, '-n', 'screenshots');
    ok((grep { /SPAWN_BUILD=\Q$root\E\/build / } @said), 'another one is below the sources') or diag explain \@said;
};

subtest 'the httpd of apxs' => sub {
    mkdir "$dir/httpd" or die "$dir/httpd: $!\n";
    my %is = (
        apxs => 'case $2 in (APR_CONFIG) echo "$0/../apr-config";; (APU_CONFIG) echo "$0/../apu-config";; (*) echo /of/apxs;; esac',
        'apr-config' => 'case $* in (*--libs*) echo -lof-apr;; (*) echo -I/of/apr;; esac',
        'apu-config' => 'echo /of/apu',
    );
    for my $name (sort keys %is) {
        open my $out, '>', "$dir/httpd/$name" or die "$dir/httpd/$name: $!\n";
        print {$out} "#!/bin/sh\n", $is{$name} =~ s{\$0/[.][.]}{$dir/httpd}gr, "\n";
        close $out or die "$dir/httpd/$name: $!\n";
        chmod 0755, "$dir/httpd/$name" or die "$dir/httpd/$name: $!\n";
    }
    my ($status, @said) = make({}, '-n', '-B', "B=$dir/none", 'V=1', "APXS=$dir/httpd/apxs", 'all');
    is $status, 0, 'make -n';
    is_deeply [ grep { !m{ -I/of/apxs -I/of/apr -I/of/apu } } grep { /-o \S+\/module\// && / -c / } @said ], [],
        'the module has its headers, and those of its APR and APR-util';
    is_deeply [ grep { !m{ -lof-apr } } grep { m{-o \S+/broker } && !/ -c / } @said ], [], 'the broker has its APR';
    ($status, @said) = make({}, '-n', '-B', "B=$dir/none", 'V=1', 'APXS=/bin/false', 'all');
    ok((grep { /-lapr-1/ } @said), 'the APR of the system, where apxs names none');
};

done_testing;
