#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# SpawnTest::Arrows, which t/doc/layers.t trusts, sees each way in which a file can
# use another, and each circle; and nothing in a declaration, a comment or a text.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use File::Path qw(make_path);
use File::Temp qw(tempdir);
use Test::More;

use SpawnTest::Arrows qw(arrows circles unit);

my $dir = tempdir(CLEANUP => 1);
chdir $dir or die "$dir: $!\n";
END { chdir '/' }

my %text = (
    'low/base.h' => "#define BASE_MAX 3\nint base_add(int a);\nextern int base_count;\n",
    'low/base.c' => "#include \"low/base.h\"\nint base_count;\n\nint base_add(int a)\n{\n    return a;\n}\n",

    'low/calls.c'   => "int calls(void)\n{\n    return high_top();\n}\n",
    'low/macro.c'   => "#define TOP \\\n    high_top()\n\nint macro(void)\n{\n    return TOP;\n}\n",
    'low/inline.h'  => "static inline int inlined(void)\n{\n    return high_top();\n}\n",
    'low/bang.h'    => "#define BANG(a) \\\n    do { high_top(); } while (a)\n",
    'low/reads.c'   => "int reads(void)\n{\n    return high_state;\n}\n",
    'low/foreign.c' => "#include \"other/own.h\"\n#include <low/elsewhere.h>\n#include <stdio.h>\n#include \"perl.h\"\n",
    'low/nothing.h' => "int high_top(void);\ntypedef int high_fn(int high_state);\n",
    'low/nothing.c' => "/* high_top() */\nstatic const char *said = \"high_top()\";\n\n"
        . "int nothing(struct high_state *x)\n{\n    return x->high_state;\n}\n",

    'low/ring1.c' => "int ring1(void)\n{\n    return ring2();\n}\n",
    'low/ring2.c' => "int ring2(void)\n{\n    return ring3();\n}\n",
    'low/ring3.c' => "int ring3(void)\n{\n    return ring1() + base_add(1);\n}\n",

    'high/top.h' => "int high_top(void);\n",
    'high/top.c' => "#include \"low/base.h\"\n#include \"high/top.h\"\nint high_state;\n\n"
        . "int high_top(void)\n{\n    return base_add(BASE_MAX);\n}\n",
);
my %not_read = ('other/own.h' => "int own(void);\n", 'low/elsewhere.h' => "int elsewhere(void);\n");
make_path(qw(low high other));
for my $path (keys %text, keys %not_read) {
    open my $out, '>', $path or die "$path: $!\n";
    print {$out} $text{$path} || $not_read{$path};
    close $out or die "$path: $!\n";
}

is unit('low/base.h'), unit('low/base.c'), 'a file and its header are one';
my $arrows = arrows(sort keys %text);
is_deeply $arrows, {
    'low/calls'   => { 'high/top' => ['high_top'] },
    'low/macro'   => { 'high/top' => ['high_top'] },
    'low/inline'  => { 'high/top' => ['high_top'] },
    'low/bang'    => { 'high/top' => ['high_top'] },
    'low/reads'   => { 'high/top' => ['high_state'] },
    'low/foreign' => { 'other/own' => ['include'], 'low/elsewhere' => ['include'] },
    'low/ring1'   => { 'low/ring2' => ['ring2'] },
    'low/ring2'   => { 'low/ring3' => ['ring3'] },
    'low/ring3'   => { 'low/ring1' => ['ring1'], 'low/base' => ['base_add'] },
    'high/top'    => { 'low/base' => [ 'base_add', 'include' ] },
}, 'calls, macros, inline functions, variables and includes';
is_deeply [ circles($arrows) ], [ [qw(low/ring1 low/ring2 low/ring3)] ], 'the one circle';

delete $arrows->{'low/ring2'}{'low/ring3'};
is_deeply [ circles($arrows) ], [], 'and none';
done_testing;
