#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The same code, once with Perl's own system, backticks and open, once with those of
# Apache2::Spawn::Instead: what it returns, $?, $!, contexts and what programs see are the
# same, and the client's answer is what the handler has printed.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use JSON::PP ();
use Test::More;

use SpawnTest qw(each_mpm);

# Each: a name, and the code. $dir is a directory that everybody can write to.
my @probes = (
    'system: a list'            => q{ my $rv = system '/bin/sh', '-c', 'exit 3'; ($rv, $?, ${^CHILD_STATUS_NATIVE}) },
    'system: well'              => q{ (system('/bin/true'), $?) },
    'system: a signal'          => q{ (system('/bin/sh', '-c', 'kill -KILL $$'), $?) },
    'system: one word'          => q{ (system('true'), system('false'), $?) },
    'system: words, no shell'   => q{ (system('test a = a'), system("  test  a = b \n")) },
    'system: a shell'           => q{ (system('exit 4; true'), system('test "$PPID" -gt 0 && exit 6')) },
    'system: VAR=value'         => q{ system 'X_Y=5 /bin/sh -c "exit \$X_Y"' },
    'system: exec, and a dot'   => q{ (system('exec false'), system(". $dir/dotted")) },
    'system: an array of one'   => q{ my @one = ('exit 7; true'); system @one },
    'system: not there'         => q{ no warnings; my $rv = system '/nowhere/x', 'y'; ($rv, $?, $! + 0) },
    'system: not there in PATH' => q{ no warnings; (system('no-such-program'), $! + 0, system('no-such-program | cat')) },
    'system: a directory'       => q{ no warnings; (system($dir, 'x'), $! + 0) },
    'system: not executable'    => q{ no warnings; (system("$dir/plain", 'x'), $! + 0) },
    'system: no first line'     => q{ (system("$dir/noline", 'a b'), $?, `cat $dir/noline.out`) },
    'system: bytes and text'    => q{ system('/bin/sh', '-c', 'printf %s "$1" >"$2"', 'sh', "\x{e4}\x{2603}", "$dir/text"); `cat $dir/text` },
    'system: an undef'          => q{ no warnings; system('/usr/bin/test', '-z', undef) },
    'system: in void context'   => q{ system 'false'; $? },
    'system: what is written comes before' => q{ open my $out, '>', "$dir/early" or die; print {$out} 'written'; my $got = `cat $dir/early`; close $out; $got },
    'system: $! of before'      => q{ $! = 5; system 'true'; my $e = $! + 0; system 'false', 'x'; ($e, $! + 0) },
    'qx: scalar'                => q{ my $x = `printf 'a\nb\n'`; ($x, $?) },
    'qx: list'                  => q{ my @x = `printf 'a\nb\nc'`; (scalar(@x), @x, $?) },
    'qx: list, with $/'         => q{ local $/ = 'b'; my @x = `printf abcb`; @x },
    'qx: nothing'               => q{ my $x = `true`; my @x = `true`; (defined $x ? "[$x]" : 'undef', scalar @x) },
    'qx: void'                  => q{ `exit 9; true`; $? },
    'qx: status'                => q{ my $x = `echo out; exit 5`; ($x, $? >> 8) },
    'qx: a signal'              => q{ my $x = `echo so; kill -9 \$\$`; ($x, $?) },
    'qx: not there'             => q{ no warnings; my $x = `/nowhere/x`; my @x = `/nowhere/x`; (defined $x ? 1 : 0, scalar @x, $?, $! + 0) },
    'qx: stderr is not taken'   => q{ my $x = `echo out; echo err >&2`; $x },
    'qx: 2>&1 without a shell'  => q{ my $x = `$dir/both 2>&1`; $x },
    'qx: readpipe by name'      => q{ local $_ = 'echo dollar underscore'; (readpipe('echo named'), readpipe) },
    'qx: much'                  => q{ my $x = `head -c 3000000 /dev/zero`; length $x },
    'qx: layers of use open'    => q{ use open IN => ':utf8'; my $x = `printf '\303\244'`; (length $x, ord $x) },
    'qx: $. is left alone'      => q{ open my $in, '<', "$dir/lines" or die; my $l = <$in>; $l = <$in>; my @x = `printf 'a\nb\nc\n'`; my $n = $.; $l = <$in>; ($n, $., $l) },
    'open: reads, a list'       => q{ my $pid = open my $in, '-|', '/bin/sh', '-c', 'echo "$1"; exit 2', 'sh', 'a  b' or die; my @l = <$in>; my $n = $.; my $rv = close $in; ($pid > 1, @l, $n, $rv ? 1 : 0, $?, $! + 0) },
    'open: reads, a line'       => q{ open my $in, '-|', 'echo one; echo two' or die; my $first = <$in>; my $eof = eof $in; my $rest = <$in>; ($first, $eof ? 1 : 0, $rest, eof $in ? 1 : 0, close $in, $?) },
    'open: writes'              => q{ open my $out, '|-', "cat >$dir/in; exit 3" or die; print {$out} "a\n"; printf {$out} '%s', 'b'; my $rv = close $out; ($rv ? 1 : 0, $?, $! + 0, `cat $dir/in`) },
    'open: writes, a list'      => q{ open my $out, '|-', 'tee', "$dir/tee" or die; print {$out} 'x' x 100_000; (close $out, $?, -s "$dir/tee") },
    'open: two arguments'       => q{ open(FH, "echo old style |") or die; my $x = <FH>; close FH; open(FH, "| cat >$dir/old") or die; print FH "to it"; close FH; ($x, $?, `cat $dir/old`) },
    'open: two, with spaces'    => q{ open(my $in, "  echo  spaced  |  ") or die; my $x = <$in>; close $in; $x },
    'open: local *FH'           => q{ open(local *IN, '-|', 'echo local') or die; my $x = <IN>; close IN; $x },
    'open: a glob, its reference, an element' => q{ my @got; my %h; open *G1, '-|', 'echo g' or die; push @got, <G1>; close G1; open \*G2, '-|', 'echo r' or die; push @got, <G2>; close G2; open $h{in}, '-|', 'echo e' or die; push @got, readline $h{in}; push @got, close $h{in}; @got },
    'open: a name in a scalar'  => q{ no strict 'refs'; my $name = 'NAMED'; open $name, '-|', 'echo by name' or die; my $x = <NAMED>; close NAMED; $x },
    'open: layers'              => q{ open my $in, '-|:encoding(UTF-8)', 'printf', '\303\244' or die; my $x = <$in>; close $in; (length $x, ord $x) },
    'open: use open'            => q{ use open IN => ':utf8', OUT => ':utf8'; open my $in, '-|', 'printf', '\303\244' or die; my $x = <$in>; close $in; open my $out, '|-', "cat >$dir/utf" or die; print {$out} "\x{2603}"; close $out; (length $x, -s "$dir/utf") },
    'open: binmode'             => q{ open my $in, '-|', 'printf', '\303\244' or die; binmode $in, ':utf8'; my $x = <$in>; close $in; length $x },
    'open: not there'           => q{ no warnings; my $rv = open my $in, '-|', '/nowhere/x', 'y'; my $e = $! + 0; (defined $rv ? 1 : 0, $e, ref \$in, defined fileno $in ? 1 : 0) },
    'open: not there, by a shell' => q{ open my $in, '-|', '/nowhere/x 2>/dev/null; exit 1' or die; my @l = <$in>; (scalar @l, close($in) ? 1 : 0, $? >> 8) },
    'open: not there, in a list' => q{ no warnings; my @rv = open my $in, '-|', '/nowhere/x', 'y'; my @no = open my $no, '-|', ''; (scalar @rv, defined $rv[0] ? 1 : 0, scalar @no) },
    'open: no such layer'       => q{ no warnings; my $rv = open my $in, '-|:nonesuch', 'true'; my $e = $! + 0; my $rv2 = open my $in2, '-|:encoding(nonesuch)', 'true'; (defined $rv ? 1 : 0, $e, defined fileno $in ? 1 : 0, defined $rv2 ? 1 : 0, $! + 0) },
    'open: a temporary file'    => q{ open my $file, '+>', undef or die; print {$file} 'abc'; seek $file, 0, 0; scalar <$file> },
    'open: a duplicate, by name' => q{ open FOO, '<', "$dir/lines" or die; open my $dup, '<&FOO' or die; close FOO; scalar <$dup> },
    'open: no command'          => q{ no warnings; my $rv = open my $in, '-|', ''; ($rv ? 1 : 0, $! + 0) },
    'open: the old file goes'   => q{ open my $fh, '>', "$dir/was" or die; print {$fh} 'kept'; open $fh, '-|', 'echo new' or die; my $x = <$fh>; close $fh; ($x, -s "$dir/was") },
    'open: sysread, fileno, -p' => q{ open my $in, '-|', 'printf abc; exec 1>&-; true' or die; sysread $in, my $x, 3; my @is = (fileno($in) > 2, -p $in); close $in; ($x, @is) },
    'open: the pipe is closed'  => q{ local $SIG{PIPE} = 'IGNORE'; open my $in, '-|', 'yes' or die; my $x = <$in>; my $rv = close $in; ($x, $rv ? 1 : 0, $? ? 1 : 0) },
    'open: nobody reads'        => q{ local $SIG{PIPE} = 'IGNORE'; open my $out, '|-', 'true' or die; select undef, undef, undef, 0.01 while syswrite $out, 'x'; my $e = $! + 0; (close $out, $e) },
    'open: goes out of scope'   => q{ $? = 77; { open my $out, '|-', "cat >$dir/scope; echo end >>$dir/scope; exit 3" or die; print {$out} "text\n"; } my $status = $?; ($status, `cat $dir/scope`) },
    'open: opened anew'         => q{ $? = 77; open my $in, '-|', "echo a; exec 1>&-; echo end >$dir/anew; exit 3" or die; my $x = <$in>; open $in, '<', "$dir/anew" or die; ($x, scalar(<$in>), $?) },
    'open: closed twice'        => q{ no warnings; open my $in, '-|', 'exit 3; true' or die; close $in; my $first = $?; (close($in) ? 1 : 0, $first) },
    'open: IO::Handle'          => q{ require IO::Handle; open my $in, '-|', 'echo m; exit 4' or die; my $x = $in->getline; my $rv = $in->close; ($x, $rv ? 1 : 0, $? >> 8) },
    'open: files are files'     => q{ open my $out, '>', "$dir/file" or die; print {$out} "a\nb\n"; close $out or die; open my $in, '<', "$dir/file" or die; my @l = <$in>; close $in; open(F2, "$dir/file") or die; my $x = <F2>; close F2; open my $dup, '<&', \*STDIN; open my $mem, '<', \ 'in memory'; (@l, $x, defined $dup ? 1 : 0, <$mem>) },
    'open: one argument'        => q{ our $ONE = "$dir/lines"; open(ONE) or die; my $x = <ONE>; close ONE; $x },
    'open: a file that is not there' => q{ my $rv = open my $in, '<', '/nowhere/x'; (defined $rv ? 1 : 0, $! + 0) },
    'open: an unknown mode'     => q{ eval { open my $in, '|+', 'x'; 1 } ? 'taken' : $@ =~ /\A(Unknown open\(\) mode '[^']*')/ },
    'around: the directory'     => q{ chdir $dir or die; my $x = `pwd`; chdir '/'; $x },
    'around: a relative path'   => q{ chdir $dir or die; my $x = `./both 2>/dev/null`; chdir '/'; $x },
    'around: umask'             => q{ my $old = umask 027; my $x = `umask; true`; umask $old; $x },
    'around: stdin is empty'    => q{ my $x = `cat; echo end`; $x },
    'around: arguments'         => q{ my $x = `$dir/args 'a  b' "c" d`; $x },
);

my $source = '';
for (my $i = 0; $i < @probes; $i += 2) {
    $source .= "sub p$i { my (\$dir) = \@_;$probes[ $i + 1 ]}\n";
}

my $handler = <<'END';
sub handler {
    my ($r) = @_;
    my $dir = $r->dir_config('Out');
    my %got;
    for my $i (map { 2 * $_ } 0 .. $r->dir_config('Probes') - 1) {
        no strict 'refs';
        ($?, $!) = (0, 0);
        my @got = eval { &{ __PACKAGE__ . "::p$i" }($dir) };
        $got{$i} = $@ ? "died: $@" : [ map { defined $_ ? "$_" : undef } @got ];
    }
    my $text = JSON::PP->new->canonical->ascii->encode(\%got);
    $r->print('[');
    print STDOUT $text if $r->dir_config('Print');
    $r->print($text) if !$r->dir_config('Print');
    system 'echo to descriptor 1; cat';
    $r->print(']');
    return 0;
}
1;
END

my %files = (
    both   => "#!/bin/sh\necho out\necho err >&2\n",
    args   => "#!/bin/sh\nfor a; do echo \"[\$a]\"; done\n",
    noline => "echo \"\$1\" >\$0.out; exit 8\n",
    dotted => "exit 5\n",
);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm);
        my ($dir, %out) = ($httpd->dir);
        $httpd->file('../perl/MyOwn.pm', "package MyOwn;\nuse strict;\nuse warnings;\nuse JSON::PP ();\n$source$handler");
        $httpd->file('../perl/MyJobs.pm',
            "package MyJobs;\nuse strict;\nuse warnings;\nuse JSON::PP ();\nuse Apache2::Spawn::Instead qw(system readpipe open);\n$source$handler");
        for my $which (qw(MyOwn MyJobs)) {
            my $out = $out{$which} = $httpd->work . "/$which";
            mkdir $out or die "$out: $!\n";
            chmod 0777, $out;
            $httpd->script("../work/$which/$_", $files{$_}) for keys %files;
            $httpd->file("../work/$which/plain", 'no program');
            $httpd->file("../work/$which/lines", "l1\nl2\nl3\n");
        }
        my $probes = @probes / 2;
        $httpd->{conf} = "PerlModule MyOwn MyJobs\nPerlSetVar Probes $probes\n" . join '', map { <<"END" } qw(MyOwn MyJobs);
<Location /plain/$_>
    SetHandler modperl
    PerlResponseHandler $_
    PerlSetVar Out $out{$_}
</Location>
<Location /script/$_>
    SetHandler perl-script
    PerlResponseHandler $_
    PerlSetVar Out $out{$_}
    PerlSetVar Print 1
</Location>
END
        $httpd->start;
        for my $kind (qw(plain script)) {
            my %got;
            for my $which (qw(MyOwn MyJobs)) {
                my $answer = $httpd->get("/$kind/$which")->{content};
                $answer =~ s{\Q$out{$which}\E}{DIR}g;
                $got{$which} = eval { JSON::PP->new->decode($answer) };
                ok $got{$which} && @{ $got{$which} } == 1, "$kind, $which: the answer is what the handler has printed"
                    or diag $answer;
            }
            for my $i (map { 2 * $_ } 0 .. $probes - 1) {
                my ($own, $jobs) = map { $got{$_}[0]{$i} } qw(MyOwn MyJobs);
                is_deeply $jobs, $own, "$kind: $probes[$i]" or diag explain [ own => $own, jobs => $jobs ];
                isnt ref $own, '', "... where Perl's own did not die" or diag $own;
            }
        }
    }
);
done_testing;
