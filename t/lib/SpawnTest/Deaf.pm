# SPDX-License-Identifier: Apache-2.0
#
# A job whose leader obeys TERM, and another one of its group is deaf to it: for
# tests of who ends a group when its grace is over.

package SpawnTest::Deaf;

use strict;
use warnings;

use Exporter qw(import);

use SpawnTest qw(wait_until);

our @EXPORT_OK = qw(deaf_code deaf_script has_begun pids_in);

# A package of Perl with the function leader(CHILD, LEADER): in each of the two
# files are the process's id and its parent's, when it is as far as that.
my $code = <<'PERL';
package SpawnTest::Deaf::Job;
sub note { my ($path) = @_; open my $out, '>', "$path.new" or die; print {$out} "$$ ", getppid; close $out; rename "$path.new", $path }
sub leader {
    my ($child, $leader) = @_;
    pipe my $in, my $out or die;
    if (!fork) {
        $SIG{TERM} = 'IGNORE';
        close $in;
        note($child);
        close $out;
        sleep 1 while 1;
    }
    close $out;
    my $ready = <$in>;    # its end: the child is deaf
    $SIG{TERM} = 'DEFAULT';
    note($leader);
    sleep 1 while 1;
}
PERL

sub deaf_code { return $code }

# The same as a program: it takes both paths.
sub deaf_script {
    my ($httpd) = @_;
    return $httpd->script('deaf', "#!/usr/bin/perl\n${code}leader(\@ARGV);\n");
}

# Is it as far as this file before its time is over?
sub has_begun {
    my ($httpd, $id, $path) = @_;
    my $state = q{};
    wait_until(sub { $state = $httpd->status($id)->{state}; -e $path && $state ne 'starting' || $state eq 'done' }, 60);
    return -e $path;
}

# The pids that come to such a file: of the process, of its parent.
sub pids_in {
    my ($path) = @_;
    wait_until(sub { -e $path }, 20) or die "nothing came to $path\n";
    open my $in, '<', $path or die "$path: $!\n";
    return split ' ', <$in>;
}

1;
