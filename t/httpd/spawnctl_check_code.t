#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# spawnctl check-code is Apache2::Spawn::Check: the same lines, the same exit code, and
# whatever a path looks like it is no option and no code.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(build_dir);
use SpawnTest::CheckCode qw(tree);

plan skip_all => 'PPI (package libppi-perl) is not installed' if !eval { require PPI; 1 };

my $program = build_dir() . '/spawnctl';
local $ENV{PERL5LIB} = build_dir() . '/perl';

sub said {
    my ($dir, @words) = @_;
    my $pid = open(my $in, '-|') // die "fork: $!";
    if (!$pid) {
        chdir $dir or die "$dir: $!";
        open STDERR, '>&', \*STDOUT or die $!;
        exec $program, '--socket', '/none/here', 'check-code', @words or die "exec: $!";
    }
    my $text = do { local $/ = undef; <$in> };
    close $in;
    return ($? >> 8, $text);
}

my $dir = tree('a.pl' => "fork;\n", '-e' => "#!/usr/bin/perl\nfork;\n", 'b/b.pm' => "1;\n");

my ($code, $text) = said($dir, 'a.pl', 'b');
is $code, 1, 'something was found';
like $text, qr/^a\.pl:1: fork: \$r->spawn_call/m, '... it is printed';
like $text, qr/^check: files read: 2, places found: 1, not read: 0$/m, '... and counted';

($code, $text) = said($dir, 'b');
is $code, 0, 'nothing was found';

($code, $text) = said($dir, '--', '-e');
is $code, 1, 'a file that is called like an option';
like $text, qr/^-e:2: fork: /m, '... is read';

($code, $text) = said($dir, '--max-bytes', 5, 'a.pl', 'b');
is $code, 2, 'a file is too large';
like $text, qr/^a\.pl: not read: it has 6 bytes, more than 5$/m, '... by --max-bytes';

{
    local $ENV{PATH} = "$dir";
    ($code, $text) = said($dir, 'a.pl');
    is $code, 125, 'no perl';
    is $text, "spawnctl: perl: No such file or directory\n", '... is told';
}

done_testing;
