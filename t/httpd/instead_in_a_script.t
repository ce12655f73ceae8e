#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A script outside httpd, once with Perl's own system, backticks and open, once with those of
# Apache2::Spawn::Instead: what cannot be compared in httpd, which has PATH, standard handles
# and a tied STDOUT of its own.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use JSON::PP ();
use Test::More;

use SpawnTest qw(build_dir);

# Each: a name, and the code. $dir is a directory that everybody can write to.
my @probes = (
    'STDOUT to a program'        => q{ open my $save, '>&', \*STDOUT or die; open STDOUT, '|-', "cat >$dir/out; exit 3" or die; my $fd = fileno STDOUT; print STDOUT "to it\n"; system 'echo of a child'; my $rv = close STDOUT; my $status = $?; open STDOUT, '>&', $save or die; ($fd, fileno STDOUT, $rv ? 1 : 0, $status, `cat $dir/out`) },
    'STDIN from a program'       => q{ open my $save, '<&', \*STDIN or die; open STDIN, '-|', 'echo first; exec >&-; exit 4' or die; my $fd = fileno STDIN; my @l = <STDIN>; my $rv = close STDIN; my $status = $?; open STDIN, '<&', $save or die; ($fd, @l, $rv ? 1 : 0, $status, fileno STDIN) },
    'STDIN of a file'            => q{ open my $save, '<&', \*STDIN or die; open STDIN, '<', "$dir/lines" or die; my $x = `cat`; open STDIN, '<&', $save or die; $x },
    'STDERR of a file'           => q{ open my $save, '>&', \*STDERR or die; open STDERR, '>>', "$dir/err" or die; system 'echo e >&2'; open STDERR, '>&', $save or die; open my $in, '<', "$dir/err" or die; <$in> },
    'an empty PATH'              => q{ chdir $dir or die; local $ENV{PATH} = ''; my @got = (system('own', 'a'), system('no-such', 'a')); chdir '/'; @got },
    'a relative PATH'            => q{ chdir $dir or die; local $ENV{PATH} = '/nowhere:.'; my @got = system 'own', 'a'; chdir '/'; @got },
    'a PATH that ends with a colon' => q{ chdir $dir or die; local $ENV{PATH} = '/nowhere:'; my @got = system 'own', 'a'; chdir '/'; @got },
    'no PATH'                    => q{ local %ENV = %ENV; delete $ENV{PATH}; (system('true'), `echo x`) },
    'a directory of the name'    => q{ local $ENV{PATH} = "$dir/dirs:/bin:/usr/bin"; system 'true', 'x' },
    'a file that may not run'    => q{ local $ENV{PATH} = $dir; (system('lines', 'x'), $! + 0) },
    'no such interpreter'        => q{ (system("$dir/interpreter", 'y'), $! + 0) },
    'a word that is too long'    => q{ (system('/bin/true', 'x' x 200_000), $! + 0) },
    'values of %ENV'             => q{ local @ENV{qw(X_A X_B X_C)} = ("a\nb=c", "\x{e4}", "\x{e4}\x{2603}"); my $x = `printf '%s|%s|%s' "\$X_A" "\$X_B" "\$X_C"`; unpack 'H*', $x },
    'an undef of %ENV'           => q{ no warnings; local $ENV{X_D} = undef; `printf %s "\${X_D-unset}"` },
    'a core dump, or none'       => q{ system('ulimit -c 0; kill -ABRT $$') & 127 },
    'exit code 255'              => q{ (system('exit 255'), $?) },
    'paragraphs and records'     => q{ my @x = do { local $/ = ''; `printf 'a\nb\n\n\nc\n'` }; local $/ = \2; (@x, `printf abcde`) },
    'the number of the process'  => q{ my $pid = open my $in, '-|', 'echo $$' or die; my $x = <$in>; close $in; $x == $pid ? 1 : 0 },
    'a handle of that name'      => q{ no strict 'refs'; open *{'BY_NAME'}, '-|', 'echo n' or die; my $x = readline *{'BY_NAME'}; close *{'BY_NAME'}; $x },
    'layers'                     => q{ open my $in, '-|:crlf', 'printf', 'a\r\nb\r\n' or die; my @l = <$in>; close $in; open my $raw, ' -| :raw', 'printf', '\303\244' or die; my $x = <$raw>; close $raw; (@l, length $x) },
    'the mode in a variable'     => q{ my $mode = '-|'; open my $in, $mode, 'echo', 'v' or die; my $x = <$in>; close $in; $x },
    'two arguments'              => q{ no warnings; open my $in, "echo 'a|b' |\n" or die; my $x = <$in>; close $in; open my $out, "| cat >$dir/two |" or die; print {$out} 'b'; close $out; ($x, `cat $dir/two`) },
    'select and $|'              => q{ open my $out, '|-', "cat >$dir/select" or die; my $old = select $out; $| = 1; print "s\n"; select $old; (close $out, `cat $dir/select`) },
    'wait for much'              => q{ open my $out, '|-', "wc -c >$dir/much" or die; print {$out} 'x' x 3_000_000; (close $out, `cat $dir/much`) },
    'local $?'                   => q{ $? = 9; { local $?; system 'exit 3' } $? },
    'a program in the middle of an exception' => q{ $? = 5; eval { open my $in, '-|', 'exit 3; true' or die; die "x\n" }; ($@, $?) },
    'the umask'                  => q{ my $old = umask 077; my $x = `umask`; umask $old; $x },
);

my $source = '';
for (my $i = 0; $i < @probes; $i += 2) {
    $source .= "sub p$i { my (\$dir) = \@_;$probes[ $i + 1 ]}\n";
}
my $main = <<'END';
chdir '/';
umask 022;
my %got;
for my $i (map { 2 * $_ } 0 .. $ARGV[1] - 1) {
    no strict 'refs';
    ($?, $!) = (0, 0);
    my @got = eval { &{"p$i"}($ARGV[0]) };
    $got{$i} = $@ ? "died: $@" : [ map { defined $_ ? "$_" : undef } @got ];
}
CORE::open my $out, '>', "$ARGV[0]/got" or die "got: $!\n";
print {$out} JSON::PP->new->ascii->encode(\%got);
CORE::close $out or die "got: $!\n";
END

my $httpd = SpawnTest::Httpd->new(mpm => SpawnTest::one_mpm())->start;
my $probes = @probes / 2;
my %got;
for my $which (qw(own jobs)) {
    my $dir = $httpd->work . "/$which";
    for my $path ($dir, "$dir/dirs", "$dir/dirs/true") {
        mkdir $path or die "$path: $!\n";
        chmod 0777, $path or die "$path: $!\n";
    }
    $httpd->script("../work/$which/own", "#!/bin/sh\nexit 6\n");
    $httpd->script("../work/$which/interpreter", "#!/nowhere/interpreter\n");
    $httpd->file("../work/$which/lines", "l1\nl2\n");
    $httpd->file("../work/$which/script", "use strict;\nuse warnings;\nuse JSON::PP ();\n"
            . ($which eq 'jobs' ? "use Apache2::Spawn::Instead;\n" : '') . $source . $main);
    local $ENV{SPAWN_SOCKET} = $httpd->socket;
    local $ENV{PERL5LIB} = build_dir() . '/perl';
    local $ENV{PATH} = '/usr/bin:/bin';
    is system("$^X $dir/script $dir $probes </dev/null >/dev/null 2>$dir/said"), 0, "$which: the script ends";
    my ($text, $said) = map { open my $in, '<', "$dir/$_" or die "$_: $!\n"; local $/ = undef; scalar <$in> } qw(got said);
    diag $said if $said =~ /panic|Segmentation/;
    $got{$which} = JSON::PP->new->decode($text =~ s{\Q$dir\E}{DIR}gr);
}
for my $i (map { 2 * $_ } 0 .. $probes - 1) {
    my ($own, $jobs) = map { $got{$_}{$i} } qw(own jobs);
    is_deeply $jobs, $own, $probes[$i] or diag explain [ own => $own, jobs => $jobs ];
    isnt ref $own, '', "... where Perl's own did not die" or diag $own;
}
done_testing;
