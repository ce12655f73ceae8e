#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Under -t what is tainted is told, and sent; under -T it is refused, and not sent.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Test::More;
use Apache2::Spawn ();
use FakeBroker ();

my $broker = FakeBroker->start(submit => sub { return [accepted => id => $_[0]{id}, state => 1] });

sub under {
    my ($switch) = @_;
    my $path = $broker->path;
    my $code = q{my $w = substr($^X, 0, 0) . 'word';}
        . q{eval { Apache2::Spawn->connect('PATH')->spawn(['/x', $w]); print "sent\n"; 1 } or print $@->code, " $@";};
    $code =~ s/PATH/$path/;
    my $pid = open(my $out, '-|');
    defined $pid or die "fork: $!";
    if (!$pid) {
        open STDERR, '>&', \*STDOUT;
        exec $^X, $switch, (map {"-I$_"} grep { !ref } @INC), '-MApache2::Spawn', '-e', $code or die "exec: $!";
    }
    my $said = do { local $/ = undef; <$out> };
    close $out;
    return $said;
}

like under('-T'), qr/\Ainvalid .*Insecure dependency in argv\[1\] while running with -T switch/, '-T: refused';
like under('-t'), qr/Insecure dependency in argv\[1\] while running with -t switch at -e line 1\..*^sent/ms, '-t: told, and sent';
is_deeply $broker->next_request->{attr}{argv}, [ '/x', 'word' ], 'only the second one came';
like under('-w'), qr/\Asent/, 'neither: sent';
done_testing;
