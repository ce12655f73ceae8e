# SPDX-License-Identifier: Apache-2.0
#
# Which C file uses which: read from the sources, for t/doc/layers.t. A file is
# named without its suffix (x.c and x.h are one). It uses another when it includes
# the other's header, and when it names a function or a variable that the other
# defines for all: in its code, in a macro, or in an inline function of its header.
# An include of a file of the checkout that is not among those read is an arrow too,
# to a name that the caller has not given.

package SpawnTest::Arrows;

use strict;
use warnings;

use Exporter qw(import);

our @EXPORT_OK = qw(arrows circles unit);

# Every program has its main, and httpd knows a module by the address of its struct.
my %no_call = map { $_ => 1 } qw(main spawn_module);

# Without comments and texts, which are not calls.
sub _bare {
    my ($text) = @_;
    $text =~ s{/\*.*?\*/|//[^\n]*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)+'}{ }gs;
    return $text;
}

# Without preprocessor lines: what can define a name.
sub _no_directives {
    my ($bare) = @_;
    $bare =~ s{^[ \t]*\#(?:[^\n\\]|\\.)*}{}gms;
    return $bare;
}

# The same, with the bodies of macros: what can use a name.
sub _with_macros {
    my ($bare) = @_;
    $bare =~ s{^[ \t]*\#[ \t]*define[ \t]+\w+(?:\([^)]*\))?}{ }gm;
    return _no_directives($bare);
}

# The code in a header: bodies of macros and of inline functions. The rest are
# declarations of what other files define.
sub _code_of_header {
    my ($bare) = @_;
    my @code = $bare =~ /^[ \t]*\#[ \t]*define[ \t]+\w+(?:\([^)]*\))?((?:[^\n\\]|\\.)*)/mgs;
    push @code, _no_directives($bare) =~ /^static[ ]inline[ ][^;{}]*?\)\s*\n(\{.*?^\})/mgs;
    return join "\n", @code;
}

# The names that a text of ours defines for other files: at the left edge, as
# clang-format puts them. XS has none.
sub _defined_in {
    my ($bare, $is_header) = @_;
    my @names;
    while ($bare =~ /^static[ ]inline[ ][\w \t*]*?[\s*](\w+)\([^;{}]*\)\s*\n\{/mg) {
        push @names, $1;
    }
    return @names if $is_header;
    while ($bare =~ /^(?!static\b|typedef\b|extern\b|return\b|else\b)[a-z][\w \t]*?[\s*](\w+)\([^;{}]*\)[^;{}()]*\n\{/mg) {
        push @names, $1;
    }
    while ($bare =~ /^(?!static\b|typedef\b|extern\b|return\b|goto\b)[a-z][\w \t]*?[\s*](\w+)(?:\[[^\]]*\])*[ ]*(?:=|;)/mg) {
        push @names, $1;
    }
    return @names;
}

# A file and its header are one, but at the top: mod_spawn.h is for everybody.
sub unit {
    my ($path) = @_;
    return $path =~ m{/} ? $path =~ s/\.\w+\z//r : $path;
}

# Paths of sources. Returns { user => { used => [names and "include"] } }.
sub arrows {
    my @paths = @_;
    my (%of, %home, %words, %arrow);
    for my $path (@paths) {
        open my $in, '<', $path or die "$path: $!\n";
        my $text = do { local $/ = undef; <$in> };
        my $unit = unit($path);
        push @{ $of{$unit} }, [ $path, $text ];
        next if $path =~ /\.xs\z/;
        my $bare = _no_directives(_bare($text));
        $home{$_} ||= $unit for grep { !$no_call{$_} } _defined_in($bare, $path =~ /\.h\z/);
    }
    for my $unit (keys %of) {
        my %used;
        for my $file (@{ $of{$unit} }) {
            my ($path, $text) = @$file;
            while ($text =~ /^\s*\#\s*include\s+([<"])([^>"]+)[>"]/mg) {
                my ($quote, $name) = ($1, $2);
                my $ours = -e $name || $quote eq '"' && $name =~ m{/};
                $used{ unit($name) }{include} = 1 if $ours || $of{ unit($name) };
            }
            my $bare = $path =~ /\.h\z/ ? _code_of_header(_bare($text)) : _with_macros(_bare($text));
            my %own = map { $_ => 1 } $bare =~ /^static\b[^;{}()=]*?(\w+)[ ]?[(=;\[]/mg;
            for my $word ($bare =~ /(?<![.>\w])(?<!\bstruct[ ])\b([A-Za-z_]\w*)/g) {
                $used{ $home{$word} }{$word} = 1 if $home{$word} && !$own{$word};
            }
        }
        delete $used{$unit};
        $arrow{$unit}{$_} = [ sort keys %{ $used{$_} } ] for keys %used;
    }
    return \%arrow;
}

# The circles of a graph { from => { to => ... } }: a list of lists of names, each
# of which comes to each other (Tarjan).
sub circles {
    my ($graph) = @_;
    my (%number, %low, %on, @stack, @found);
    my $count = 0;
    my $visit;
    $visit = sub {
        my ($node) = @_;
        $number{$node} = $low{$node} = ++$count;
        push @stack, $node;
        $on{$node} = 1;
        for my $next (sort keys %{ $graph->{$node} || {} }) {
            if (!$number{$next}) {
                $visit->($next);
                $low{$node} = $low{$next} if $low{$next} < $low{$node};
            }
            elsif ($on{$next} && $number{$next} < $low{$node}) {
                $low{$node} = $number{$next};
            }
        }
        return if $low{$node} != $number{$node};
        my @circle;
        do {
            push @circle, pop @stack;
            delete $on{ $circle[-1] };
        } while $circle[-1] ne $node;
        push @found, [ sort @circle ] if @circle > 1;
        return;
    };
    for my $node (sort keys %$graph) {
        $visit->($node) if !$number{$node};
    }
    return @found;
}

1;
