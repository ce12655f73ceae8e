#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Under -T no form of system, backticks and open of Apache2::Spawn::Instead takes a tainted
# word or a tainted PATH: Perl's exception, with the line of the call, and no job; with a
# broker, and without one but for a form that Perl itself lets through.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use File::Temp ();
use Test::More;
use FakeBroker ();

my @forms = (
    q{system '/bin/true', $x},
    q{system "/bin/true $x"},
    q{system "/bin/true; $x"},
    q{my $y = `/bin/true $x`},
    q{readpipe "/bin/true; $x"},
    q{open my $h, '-|', '/bin/true', $x},
    q{open my $h, '|-', "/bin/true $x"},
    q{open my $h, "/bin/true $x|"},
    q{open my $h, "  /bin/true; $x  |  "},
    q{open my $h, "| /bin/true $x"},
    q{open H, " |/bin/true; $x"},
    q{local $ENV{PATH} = "/bin$e"; system 'true'},
    q{local $ENV{PATH} = "/bin$e"; open my $h, '-|', '/bin/true', 'y'},
);

# What each of them dies of, in a perl of its own.
my $dir = File::Temp->newdir;
my $script = "$dir/tainted";
my $code = "use strict;\nuse warnings;\nuse Apache2::Spawn::Instead;\n"
    . '$ENV{PATH} = "/bin"; delete @ENV{qw(IFS CDPATH ENV BASH_ENV)};' . "\n"
    . 'my $e = substr $^X, 0, 0; my $x = "x$e"; $| = 1; my $got;' . "\n"
    . join '', map { "\$got = eval { $_; 1 } ? \"nothing\\n\" : \$@; print \$got;\n" } @forms;
my $from = $code =~ tr/\n// - @forms + 1;
open my $out, '>', $script or die "$script: $!";
print {$out} $code;
close $out or die "$script: $!";

sub said {
    open my $in, '-|', $^X, '-T', (map {"-I$_"} grep { !ref } @INC), $script or die "perl: $!";
    return <$in>;
}

sub all_die {
    my ($name, $but) = @_;
    my @said = said();
    is scalar @said, scalar @forms, "$name: of each form a line" or diag @said;
    for my $i (grep { !$but || $forms[$_] !~ $but } 0 .. $#forms) {
        like $said[$i], qr/\AInsecure .* while running with -T switch at \Q$script\E line @{[ $from + $i ]}\.$/, "$name: $forms[$i]";
    }
    return;
}

{
    local $ENV{SPAWN_SOCKET};
    delete $ENV{SPAWN_SOCKET};
    all_die('without a broker', qr{'-\|', '/bin/true', \$x});
}
my $broker = FakeBroker->start(submit => sub { return [ accepted => id => $_[0]{id}, state => 1 ] });
{
    local $ENV{SPAWN_SOCKET} = $broker->path;
    all_die('with one');
}
$broker->stop;
is sysread($broker->{log}, my $asked, 1), 0, 'and it got no job';

done_testing;
