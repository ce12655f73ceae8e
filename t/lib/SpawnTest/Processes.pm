# SPDX-License-Identifier: Apache-2.0
#
# For tests of Apache2::Spawn::Process: an httpd with nothing configured, the
# modules that a test has its processes load, and lines from handles with a
# deadline. Runs in test scripts.

package SpawnTest::Processes;

use strict;
use warnings;

use lib SpawnTest::build_dir() . '/perl';

use Apache2::Spawn ();
use Apache2::Spawn::Process ();
use Exporter qw(import);
use IO::Select ();
use Test::More ();

use SpawnTest qw(one_mpm sanitized);

our @EXPORT_OK = qw(httpd process module line lines at_end failure);

# A process has a small environment, and so not what sanitized libraries need.
$Apache2::Spawn::Process::PERL = sanitized();

my ($httpd, $spawn);

# A started httpd, one for the test.
sub httpd {
    my (%options) = @_;
    return $httpd if $httpd;
    $httpd = SpawnTest::Httpd->new(mpm => one_mpm(), %options)->start;
    $spawn = $httpd->connection;
    return $httpd;
}

# A new process of it, with more options; new_exec by exec => 1.
sub process {
    my (%options) = @_;
    httpd();
    my $new = delete $options{exec} ? 'new_exec' : 'new';
    my $process = Apache2::Spawn::Process->$new(via => $spawn, %options);
    return $process->eval('unshift @INC, @_', $httpd->dir . '/perl');
}

# Writes a module where processes find it.
sub module {
    my ($name, $text) = @_;
    (my $file = httpd()->dir . "/perl/$name.pm") =~ s{::}{/}g;
    my ($dir) = $file =~ m{(.*)/};
    File::Path::make_path($dir, { mode => 0755 });
    open my $out, '>', $file or die "$file: $!\n";
    print {$out} $text;
    close $out or die "$file: $!\n";
    return;
}

# The next line, without its end; undef at the end of file.
sub line {
    my ($fh) = @_;
    my $line = '';
    while ($line !~ /\n\z/) {
        IO::Select->new($fh)->can_read(30) or die "no line within 30 s; so far: '$line'\n";
        my $got = sysread $fh, my $byte, 1;
        next if !defined $got && $!{EAGAIN};
        return length $line ? $line : undef if !$got;
        $line .= $byte;
    }
    chomp $line;
    return $line;
}

# All of them, to the end.
sub lines {
    my ($fh) = @_;
    my @lines;
    while (defined(my $line = line($fh))) {
        push @lines, $line;
    }
    return @lines;
}

# The other side has let go.
sub at_end {
    my ($fh, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return Test::More::is(line($fh), undef, $name);
}

# The error that the code throws must have this code and text.
sub failure {
    my ($sub, $code, $text, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $done = eval { $sub->(); 1 };
    my $error = $@;
    return Test::More::fail("$name: nothing was thrown") if $done;
    return Test::More::fail("$name: no error object: $error") if !ref $error;
    Test::More::is($error->code, $code, "$name: code");
    Test::More::unlike($error->file, qr{/Apache2/Spawn}, "$name: the caller's file");
    return Test::More::like($error->message, $text, "$name: text");
}

1;
