# SPDX-License-Identifier: Apache-2.0
#
# Perl functions that tests have called in jobs. Preloaded by the template of
# SpawnTest::Calls; runs in Perl jobs only.

package SpawnTest::Functions;

use strict;
use warnings;

use Apache2::Spawn ();
use POSIX ();

sub echo { return @_ }

sub sum {
    my $sum = 0;
    $sum += $_ for @_;
    return $sum;
}

sub context { return wantarray ? 'list' : defined wantarray ? 'scalar' : 'void' }

sub array { my @array = (4, 5, 6); return @array }

sub nothing { return }

sub pid { return $$ }

# To a file, for what nobody waits for.
sub write_file {
    my ($path, $text) = @_;
    open my $out, '>', "$path.new" or die "$path: $!\n";
    print {$out} $text;
    close $out or die "$path: $!\n";
    rename "$path.new", $path or die "$path: $!\n";
    return;
}

# ---- ways to fail ----

sub dies { my ($with) = @_; die $with }

sub dies_here { die 'no such customer' }

sub dies_with_object {
    die bless { degrees => 451 }, 'SpawnTest::Functions::TooHot';
}

sub returns_handle { return { log => \*STDERR } }

sub returns_object { return bless { n => 1 }, 'SpawnTest::Functions::TooHot' }

sub returns_much { my ($bytes) = @_; return 'x' x $bytes }

sub exits { my ($code) = @_; exit $code }

sub exits_by_core { my ($code) = @_; CORE::exit $code }

sub exits_by_posix { my ($code) = @_; POSIX::_exit($code) }

sub kills_itself { my ($signal) = @_; kill $signal => $$; return 'survived' }

# Tells by its progress that it is deaf, and loops.
sub deaf_loop {
    $SIG{$_} = 'IGNORE' for qw(TERM INT HUP);
    Apache2::Spawn->job->progress(1, undef, 'deaf');
    1 while 1;
    return;
}

sub eats_memory {
    my ($megabytes) = @_;
    my @eaten;
    push @eaten, 'x' x (1 << 20) for 1 .. $megabytes;
    return scalar @eaten;
}

# ---- the job ----

# Progress, then waits at a gate until the test lets it go on.
sub waits_at {
    my ($gate, $answer) = @_;
    Apache2::Spawn->job->progress(3, 10, "row 3 \x{2603}");
    open my $in, '<', $gate or die "$gate: $!\n";
    sysread $in, my $line, 1;    # no more: others wait there too
    return $answer;
}

sub about_itself {
    my $job = Apache2::Spawn->job;
    return { id => $job->id, queue => $job->queue, function => $job->function, context => $job->context, name => $0 };
}

sub warns { my ($text) = @_; warn "$text\n"; return }

sub prints { my ($text) = @_; print $text; return }

# The lines of a handle that was passed.
sub reads_fd {
    my ($number) = @_;
    my $in = Apache2::Spawn->job->fh($number);
    return <$in>;
}

sub writes_fd {
    my ($number, $text) = @_;
    my $out = Apache2::Spawn->job->fh($number);
    print {$out} $text;
    close $out or die "close: $!\n";
    return;
}

# A job of a program from within this one.
sub runs_program {
    my (@argv) = @_;
    my $result = Apache2::Spawn->run(\@argv);
    return { outcome => $result->outcome, exit_code => $result->exit_code, stdout => $result->stdout };
}

sub random { return rand }

package SpawnTest::Functions::TooHot;

use overload '""' => sub { return "too hot: $_[0]{degrees}" }, fallback => 1;

1;
