#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Apache2::Spawn::Test 'inline': a submit that the script's own signal handler ends leaves
# no job behind, and the next one runs.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl';

use Test::More;
use File::Temp ();
use Time::HiRes ();
use Apache2::Spawn::Test 'inline';

my $dir = File::Temp->newdir;

# Says which process it is, and stays.
sub My::hold {
    my ($path) = @_;
    open my $out, '>', "$path.new" or die $!;
    print {$out} $$;
    close $out or die $!;
    rename "$path.new", $path or die $!;
    sleep 600;
    return;
}

my $ended = eval {
    local $SIG{ALRM} = sub {
        -s "$dir/pid" ? die "interrupted\n" : alarm 1;    # the job is there
    };
    alarm 1;
    my $got = Apache2::Spawn->call('My::hold', ["$dir/pid"], timeout => 300);
    1;
};
alarm 0;
ok !$ended, 'the submit has not returned';
is $@, "interrupted\n", 'the handler has ended it';
open my $in, '<', "$dir/pid" or die $!;
my $pid = <$in>;
my $until = time + 60;
Time::HiRes::sleep(0.02) while kill(0, $pid) && time < $until;
ok !kill(0, $pid), 'the job is gone';
is(Apache2::Spawn->run(['/bin/echo'])->exit_code, 0, 'the next one runs');

done_testing;
