#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Apache2::Spawn::Test 'inline' runs no program that production would not: PATH of env does not
# count, nor does a shell take a file without a first line. The umask is that of jobs.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl';

use File::Temp ();
use POSIX ();
use Test::More;
use Apache2::Spawn::Test 'inline';

my $dir = File::Temp->newdir;

sub script {
    my ($name, $text, $mode) = @_;
    open my $out, '>', "$dir/$name" or die "$name: $!\n";
    print {$out} $text;
    close $out or die "$name: $!\n";
    chmod $mode, "$dir/$name" or die "$name: $!\n";
    return;
}

sub fails {
    my ($errno, $argv, %options) = @_;
    my $error = eval { Apache2::Spawn->run($argv, %options); 1 } ? 'it ran' : $@;
    is ref $error ? join(' ', $error->code, $error->step, $error->errno) : $error, "start_failed exec $errno", "@{$argv}";
    return;
}

script('only-here', "#!/bin/sh\necho here\n", 0755);
script('no-first-line', "echo read by a shell\n", 0755);
script('no-first-line-closed', "echo read by a shell\n", 0644);
script('empty', '', 0755);
is(Apache2::Spawn->run(["$dir/only-here"])->stdout, "here\n", 'a script, by its path');
is(Apache2::Spawn->run([ 'echo', 'x' ], env => { PATH => '/nowhere' })->stdout, "x\n", 'a program without a slash');
{
    local $ENV{PATH} = "$dir:$ENV{PATH}";
    fails(POSIX::ENOENT(), ['only-here'], env => { PATH => "$dir" });
}
fails(POSIX::ENOEXEC(), ["$dir/no-first-line"]);
fails(POSIX::ENOEXEC(), ["$dir/empty"]);
fails(POSIX::EACCES(), ["$dir/no-first-line-closed"]);
fails(POSIX::EACCES(), ["$dir"]);
fails(POSIX::ENOENT(), ["$dir/nothing"]);

my $old = umask 077;
is(Apache2::Spawn->run([ '/bin/sh', '-c', 'umask' ])->stdout, "0022\n", 'the umask of jobs');
is(Apache2::Spawn->run([ '/bin/sh', '-c', 'umask' ], umask => 027)->stdout, "0027\n", '... or the one that was asked for');
umask $old;

done_testing;
