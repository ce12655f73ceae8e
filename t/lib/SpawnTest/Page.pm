# SPDX-License-Identifier: Apache-2.0
#
# Code of the documents, for tests that run it as it stands there. A block has a line
# before it, <!-- what: name of the file -->; in POD it comes after the first words of
# its paragraph. Runs in test scripts.

package SpawnTest::Page;

use strict;
use warnings;

use SpawnTest qw(root_dir);

# Of a document and these words: { file => text }; blocks of one file are put together.
sub files {
    my ($page, @words) = @_;
    my $text = _slurp($page);
    my %wanted = map { $_ => 1 } @words;
    my %files;
    while ($text =~ /^<!-- ([^:\n]+): (\S+) -->\n\n((?:(?: {4}.*)?\n)+)/mg) {
        my ($word, $file, $code) = ($1, $2, $3);
        next if !$wanted{$word};
        $files{$file} = ($files{$file} || '') . $code =~ s/^ {4}//mgr;
    }
    return \%files;
}

# The code that comes first behind a line of the page that matches.
sub code_after {
    my ($page, $line) = @_;
    my $text = _slurp($page);
    my ($code) = $text =~ /^$line.*?\n\n((?: {4}[^\n]*\n|\n(?= {4}))+)/ms or die "$page has no code after $line\n";
    return $code =~ s/^ {4}//mgr;
}

sub _slurp {
    my ($page) = @_;
    open my $in, '<', root_dir() . "/$page" or die "$page: $!\n";
    local $/ = undef;
    return scalar <$in>;
}

1;
