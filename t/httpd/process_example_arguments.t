#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Example: strings and handles are sent to a template; what is forked from it
# has them, in order, and what was sent to itself after that.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest ();
use SpawnTest::Processes qw(httpd process module lines);

my $one = httpd()->file('one', "of the first file\n");
my $two = httpd()->work . '/two';
module('Some', <<'END');
package Some;
sub function {
    my ($fh, $str1, $str2, $fh1, $fh2, $str3) = @_;
    $fh2->autoflush(1);
    print {$fh2} "$str1 $str2 $str3 ", scalar <$fh>;
    print {$fh} scalar <$fh1>;
}
1;
END

for my $exec (0, 1) {
    unlink $two;
    open my $fh1, '<', $one or die "$one: $!";
    open my $fh2, '>>', $two or die "$two: $!";
    my $pool = process(exec => $exec)->require('Some')->send_arg('str1', 'str2')->send_fh($fh1, $fh2);
    for (1 .. 2) {
        sysseek $fh1, 0, 0;
        $pool->fork->send_arg("str3-$_")->run('Some::function', sub {
            my ($fh) = @_;
            syswrite $fh, "hi #$_\n";
            is_deeply [ lines($fh) ], ['of the first file'], 'the handle to read from';
        });
    }
    open my $in, '<', $two or die "$two: $!";
    is_deeply [ <$in> ], [ "str1 str2 str3-1 hi #1\n", "str1 str2 str3-2 hi #2\n" ], 'all arguments, in order';
}
done_testing;
