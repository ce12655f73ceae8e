# SPDX-License-Identifier: Apache-2.0
#
# The frozen part of a process's memory, for tests of frozen templates: read
# from /proc/PID/smaps, in the test or, as text, in a job.

package SpawnTest::Frozen;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT_OK = qw(functions frozen memory_of sizes);

# A file for templates: functions that look at the job from inside, and such that
# need memory.
sub functions { return <<'END' }
package My::Frozen;
use strict;
use warnings;

our $big = 'template' x 1_000_000;    # 8 MB
our %table = map { $_ => "value $_" } 1 .. 20_000;

sub smaps {
    open my $in, '<', '/proc/self/smaps' or die "smaps: $!\n";
    local $/ = undef;
    return scalar <$in>;
}

# Changes what the template has made, waits at the gate, and tells what it sees.
sub changes {
    my ($gate, $word) = @_;
    substr $big, $_ * 4096, 8, sprintf '%-8s', $word for 0 .. 1000;
    $table{$_} = $word for 1 .. 20_000;
    Apache2::Spawn->job->progress(1);
    open my $in, '<', $gate or die "$gate: $!\n";
    sysread $in, my $byte, 1;
    return [ substr($big, 0, 8), substr($big, 4_096_000, 8), $table{1}, $table{20_000}, length $big ];
}
sub unchanged {
    my @other = grep { $table{$_} ne "value $_" } 1 .. 20_000;
    return $big eq 'template' x 1_000_000 && !@other && keys %table == 20_000;
}
sub grows {
    $big .= 'more' x 8_000_000;                       # realloc of a big block
    my $here = substr($big, 8_000_000) eq 'more' x 8_000_000 && substr($big, 7_999_992, 8) eq 'template';
    my @list = map { [ $_ ] } 1 .. 300_000;           # small ones, over the end of the heap
    @list = grep { $_->[0] % 2 } @list;
    push @list, map { "x$_" } 1 .. 300_000;
    return $here && @list == 450_000 && $list[149_999][0] == 299_999 && $list[-1] eq 'x300000';
}
sub depth { my ($n) = @_; no warnings 'recursion'; return $n ? 1 + depth($n - 1) : 0 }
sub forks {
    pipe my $in, my $out or die "pipe: $!\n";
    my $pid = fork;
    die "fork: $!\n" if !defined $pid;
    if (!$pid) {
        $table{1} = 'child';
        syswrite $out, $table{1};
        require POSIX;
        POSIX::_exit(0);
    }
    close $out;
    sysread $in, my $said, 100;
    waitpid $pid, 0;
    return "$said, $table{1}, $?";
}
sub digest { require Digest::SHA; return Digest::SHA::sha1_hex($_[0]) }    # a library that the template has not
sub descriptors {
    opendir my $dir, '/proc/self/fd' or die "fd: $!\n";
    my @all = grep { /\A\d+\z/ && defined readlink "/proc/self/fd/$_" } readdir $dir;
    return scalar grep { readlink("/proc/self/fd/$_") !~ m{\A/proc/\d+/fd\z} } @all;
}
1;
END

# The areas of a text of smaps that show frozen memory: [{ inode, and by name what is
# said of it in kB }].
sub frozen {
    my ($text) = @_;
    my ($area, @areas);
    for (split /\n/, $text) {
        if (/\A[0-9a-f]+-[0-9a-f]+ \S+ [0-9a-f]+ \S+ (\d+)\s*(.*)/) {
            $area = { inode => $1, name => $2 };
            push @areas, $area if $2 =~ m{\A/memfd:spawn-template\b};
        }
        elsif (/\A(\w+):\s+(\d+) kB/) {
            $area->{$1} = $2;
        }
    }
    return @areas;
}

# Sums of kB over such areas.
sub sizes {
    my (@areas) = @_;
    my %sum = map { $_ => 0 } qw(Size Rss Pss Anonymous Private_Dirty);
    for my $name (keys %sum) {
        $sum{$name} += $_->{$name} for @areas;
    }
    return \%sum;
}

# The text of a process; none when it has gone.
sub memory_of {
    my ($pid) = @_;
    open my $in, '<', "/proc/$pid/smaps" or return '';
    local $/ = undef;
    my $text = <$in>;
    return defined $text ? $text : '';
}

1;
