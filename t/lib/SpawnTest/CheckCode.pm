# SPDX-License-Identifier: Apache-2.0
package SpawnTest::CheckCode;

# Trees of files, and what Apache2::Spawn::Check says of them, in a Perl of its own.

use strict;
use warnings;

use Exporter 'import';
use File::Basename qw(dirname);
use File::Path qw(make_path);
use File::Temp ();

our @EXPORT_OK = qw(tree check_code found);

sub tree {
    my (%text) = @_;
    my $dir = File::Temp->newdir;
    for my $name (keys %text) {
        make_path(dirname("$dir/$name"));
        open my $out, '>:raw', "$dir/$name" or die "$dir/$name: $!";
        print {$out} $text{$name};
        close $out or die "$dir/$name: $!";
    }
    return $dir;
}

# The number that check returned, and what was on standard output and standard
# error. `inc`: directories before all others; `first`: code to run before.
sub check_code {
    my ($places, %how) = @_;
    my $said = File::Temp->newdir;
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        local $ENV{PERL5LIB} = join ':', grep { !ref } @INC;
        open STDOUT, '>', "$said/out" or die $!;
        open STDERR, '>', "$said/err" or die $!;
        exec $^X, (map {"-I$_"} @{ $how{inc} || [] }), '-MApache2::Spawn::Check', '-e',
            ($how{first} || '') . ';exit check(@ARGV)', '--', map {"$_"} @$places
            or die "exec: $!";
    }
    waitpid $pid, 0;
    my $status = $?;
    my @text = map {
        open my $in, '<', "$said/$_" or die "$said/$_: $!";
        local $/ = undef;
        scalar <$in> // '';
    } qw(out err);
    return ($status & 127 ? "signal $status" : $status >> 8, @text);
}

# "LINE:WHAT" of each place in each of these texts, which are Perl files.
sub found {
    my @texts = @_;
    my $dir = tree(map { ("$_.pl" => "$texts[$_]\n") } 0 .. $#texts);
    my (undef, $out, $err) = check_code([$dir]);
    $err =~ /, not read: 0\n\z/ or die $err;
    my @found = map { [] } @texts;
    for my $line (split /\n/, $out) {
        my ($file, $place, $what) = $line =~ m{/(\d+)\.pl:(\d+): (.+?): } or die $line;
        push @{ $found[$file] }, "$place:$what";
    }
    return map { join ' ', @$_ } @found;
}

1;
