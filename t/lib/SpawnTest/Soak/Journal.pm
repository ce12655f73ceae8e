# SPDX-License-Identifier: Apache-2.0
#
# The records of a soak, which Audit.pm reads: three files of lines, each line one
# write at the file's end, so that those of several processes do not mix and a killed
# process has written whole ones. The time is the monotonic clock's, in ms, which the
# soak does not step. Runs in the soak's processes, in httpd children and in Perl
# jobs; must load nothing of mod_spawn.
#
#   ledger   by jobs:     B|E token id pid ms code        they begin, end
#   journal  by callers:  what token ms id more...
#              S  is about to submit; more: the job as JSON
#              A  was promised that it will run or be reported (P: was posted)
#              R  was told that nothing was taken; more: code
#              U  does not know; more: code
#              T  was told the end; more: outcome code signal kind
#              K  is about to signal it; more: signal
#              C  its request will leave it for after the answer; more: pid; W: that has come
#              N, Q  asked, and was not told; more: code     X  has met what cannot be
#   deeds    by the one who kills:  deed ms-begin ms-end pids...

package SpawnTest::Soak::Journal;

use strict;
use warnings;

use Exporter qw(import);
use Fcntl qw(O_WRONLY O_APPEND O_CREAT);
use Time::HiRes qw(CLOCK_MONOTONIC clock_gettime);

our @EXPORT_OK = qw(ms ledger journal deeds read_lines new_lines);

our $dir;    # of the three files
my %file;

sub ms { return int(1000 * clock_gettime(CLOCK_MONOTONIC)) }

# Made in advance, so that every account can write.
sub make {
    my ($in) = @_;
    $dir = $in;
    %file = ();
    for my $name (qw(ledger journal deeds)) {
        open my $out, '>', "$dir/$name" or die "$dir/$name: $!\n";
        close $out or die "$dir/$name: $!\n";
        chmod 0666, "$dir/$name" or die "$dir/$name: $!\n";
    }
    return;
}

sub _line {
    my ($path, @fields) = @_;
    my $line = join("\t", map { my $f = defined $_ ? $_ : '-'; $f =~ tr/\t\n/  /; $f } @fields) . "\n";
    sysopen my $out, $path, O_WRONLY | O_APPEND or die "$path: $!\n";
    syswrite($out, $line) == length $line or die "$path: $!\n";
    close $out or die "$path: $!\n";
    return;
}

# In a job, which is told the path.
sub ledger {
    my ($path, $what, $token, $id, $code) = @_;
    return _line($path, $what, $token, $id, $$, ms(), $code);
}

sub journal {
    my ($what, $token, $id, @more) = @_;
    return _line("$dir/journal", $what, $token, ms(), $id, @more);
}

sub deeds {
    my ($deed, $begin, @pids) = @_;
    return _line("$dir/deeds", $deed, $begin, ms(), @pids);
}

# All lines of a file, as arrays, one at a time.
sub read_lines {
    my ($name, $code) = @_;
    open my $in, '<', "$dir/$name" or die "$dir/$name: $!\n";
    while (my $line = <$in>) {
        chomp $line;
        $code->(split /\t/, $line, -1);
    }
    return;
}

# The whole lines that have come since, of a file that others write. A line that goes over
# the end of a page may be seen in two parts: the first one is kept in rest.
sub new_lines {
    my ($in, $rest) = @_;
    my @lines;
    seek $in, 0, 1;
    while (defined(my $part = <$in>)) {
        ${$rest} .= $part;
        last if ${$rest} !~ s/\n\z//;
        push @lines, ${$rest};
        ${$rest} = '';
    }
    return @lines;
}

1;
