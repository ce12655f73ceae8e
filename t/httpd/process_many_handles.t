#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# More handles than the kernel takes at once arrive, each as itself and in order, with
# strings between them; in an event loop, too, where they can be closed before the loop has
# sent them, and what cannot be passed is refused there as well.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest ();
use SpawnTest::Process qw(open_files);
use SpawnTest::Processes qw(httpd process lines failure);

use constant MANY => 300;    # the kernel takes 253

my $tell = 'sub tell { my $fh = shift; syswrite $fh, join(" ", map { ref $_ ? sysseek($_, 0, 1) + 0 : "text:$_" } @_) . "\n" }';

# A file; handles differ by where they stand in it.
my $file = httpd()->dir . '/numbers';
open my $out, '>', $file or die "$file: $!\n";
print {$out} 'x' x 1000;
close $out or die "$file: $!\n";

sub at {
    my ($place) = @_;
    open my $handle, '<', $file or die "$file: $!\n";
    sysseek $handle, $place, 0 or die "$file: $!\n";
    return $handle;
}

sub sent_to {
    my ($process) = @_;
    for my $i (1 .. MANY) {
        my $handle = at($i);
        $process->send_fh($handle);
        close $handle or die $!;
        $process->send_arg("after $i") if $i == 20;
    }
    my @three = map { at($_) } 701 .. 703;
    $process->send_fh(@three)->send_arg('a', 'b')->send_arg('c');
    return $process;
}
my $expected = join ' ', 1 .. 20, 'text:after 20', 21 .. MANY, 701 .. 703, map { "text:$_" } qw(a b c);

for my $exec (0, 1) {
    my $what = $exec ? 'new_exec' : 'new';
    is_deeply [ lines(sent_to(process(exec => $exec)->eval($tell))->run('tell')) ], [$expected], "$what: handles and strings";
    my $root = process(exec => $exec)->eval($tell);
    is_deeply [ lines(sent_to($root->fork)->run('tell')) ], [$expected], "$what: of a copy";
}

SKIP: {
    skip 'AnyEvent (package libanyevent-perl) is not installed', 14 if !eval { require AnyEvent; 1 };
    AnyEvent::detect();
    my $within = sub {
        my ($process) = @_;
        my $cv = AE::cv();
        my $late = AE::timer(60, 0, sub { $cv->croak('late') });
        $process->run('tell', $cv);
        return lines($cv->recv);
    };
    for my $exec (0, 1) {
        my $what = $exec ? 'new_exec' : 'new';
        is_deeply [ $within->(sent_to(process(exec => $exec)->eval($tell))) ], [$expected], "$what: in an event loop";
        my $before = open_files($$);
        {
            my $process = process(exec => $exec)->eval($tell);
            failure(sub { $process->send_fh(\*STDIN, 'x') }, 'invalid', qr/send_fh: wanted: an open handle/, "$what: a bad handle");
            $process->send_fh(\*STDIN);
            failure(sub { $process->send_fh(\*STDIN, 'x') }, 'invalid', qr/send_fh: wanted: an open handle/, "$what: another one, when others wait");
            failure(sub { $process->send_arg("\x{2603}") }, 'invalid', qr/wide characters/, "$what: a bad text then");
            failure(sub { $process->require('a b') }, 'invalid', qr/is not the name/, "$what: a bad name then");
            is_deeply [ $within->($process) ], ['0'], "$what: only the good one has come";
        }
        cmp_ok scalar(open_files($$)), '<=', $before + 1, "$what: no duplicate is left here";
    }
}
done_testing;
