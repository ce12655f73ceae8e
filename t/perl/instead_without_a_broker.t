#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Where a process has no broker, Apache2::Spawn::Instead leaves system, backticks and open
# to Perl. What it cannot replace is an error when the code is compiled.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Test::More;
use Apache2::Spawn ();
use FakeBroker ();

BEGIN { delete $ENV{SPAWN_SOCKET} }

package Own {    ## no critic
    use Apache2::Spawn::Instead;
    sub parents {
        open my $in, '-|', 'echo $PPID; exit 2' or die;
        my $opened = <$in>;
        my $closed = close $in;
        my $status = $? >> 8;
        return (`echo \$PPID`, $opened, $closed ? 1 : 0, $status);
    }
    sub ended { return (system('exit 3; true') >> 8, $? >> 8) }
    sub text { use open IN => ':utf8'; my $x = `printf '\\303\\244'`; return length $x }
    sub file { open(IN, '<', $_[0]) or die; my $x = <IN>; close IN; return $x }
}

chomp(my @parents = Own::parents());
is_deeply \@parents, [ $$, $$, 0, 2 ], 'programs are our children';
is_deeply [ Own::ended() ], [ 3, 3 ], 'with their exit code';
is Own::text(), 1, 'the pragmas of the package count';
is Own::file($0), "#!/usr/bin/perl\n", 'files are files';

# what Perl's own system says has the line and the pragmas of the package
package Loud {    ## no critic
    use Apache2::Spawn::Instead;
    sub silent { no warnings; return (system('/nowhere/x', 'y'), $! + 0) }
#line 7 "loud"
    sub warns { my $rv = system '/nowhere/x', 'y'; return ($rv, $! + 0) }
    sub lives { use warnings FATAL => 'exec'; my $rv = system '/nowhere/x y'; return ($rv, $! + 0) }
}
{
    my @said;
    local $SIG{__WARN__} = sub { push @said, $_[0] };
    is_deeply [ Loud::silent(), @said ], [ -1, 2 ], 'no warning where there are to be none';
    is_deeply [ Loud::warns(), @said ], [ -1, 2, "Can't exec \"/nowhere/x\": No such file or directory at loud line 7.\n" ], 'one, with the line';
    is_deeply [ Loud::lives(), scalar @said ], [ -1, 2, 2 ], 'no exception where they are fatal: Perl\'s own come from its child';
}

sub compiled {
    my ($code) = @_;
    no warnings;
    local $SIG{__WARN__} = sub { };
    return eval "package New" . ++$main::count . ";\n#line 5 \"there\"\n$code\n; 1" ? 'compiled' : $@;
}
like compiled('use Apache2::Spawn::Instead qw(exec);'), qr/Instead: exec cannot be replaced: .*this process.* at .* line 5\./,
    'exec is refused';
like compiled("use Apache2::Spawn::Instead qw($_);"), qr/Instead: $_ cannot be replaced/, "$_ is refused" for qw(fork wait waitpid close qx);
like compiled('use Apache2::Spawn::Instead qw(opendir);'), qr/'opendir' is not known here; wanted: open, readpipe, system/, 'another name, too';
like compiled('use Apache2::Spawn::Instead { colour => 1 };'), qr/no option 'colour' here; there are .*queue/, 'and an option';
like compiled('use Apache2::Spawn::Instead; system { "sh" } "x", "y";'), qr/syntax error/, 'system with a block is no longer Perl';
is compiled('use Apache2::Spawn::Instead (); system { "true" } "x";'), 'compiled', 'an empty list takes nothing';
like compiled('use Apache2::Spawn::Instead "system"; exit if 0; my $x = `true`; open my $in, "-|" if 0; 1'), qr/compiled/, 'what is not named stays';

# in a script with a broker
my $broker = FakeBroker->start(submit => sub { return [ accepted => id => $_[0]{id}, state => 1 ] });
{
    local $ENV{SPAWN_SOCKET} = $broker->path;
    my @fork = ('open my $in, "-|"', 'open my $in, "-|", "-"', 'open(my $out, "|-")', 'open(my $out, " | - ")');
    like compiled("use Apache2::Spawn::Instead; $_;"), qr/open with '-' forks.* at .* line 5\./, "$_: refused" for @fork;
}

my $code = 'use Apache2::Spawn::Instead; $ENV{PATH} = "/bin"; delete @ENV{qw(IFS CDPATH ENV BASH_ENV)};'
    . 'my $word = substr($^X, 0, 0) . "x"; eval { system "/bin/true", $word; 1 } or print $@;';
my $said = do {
    local $ENV{SPAWN_SOCKET} = $broker->path;
    open my $out, '-|', $^X, '-T', (map {"-I$_"} grep { !ref } @INC), '-e', $code or die "perl: $!";
    local $/ = undef;
    <$out>;
};
like $said, qr/\AInsecure dependency in argv\[1\] while running with -T switch at -e line 1\.$/, 'tainted words are refused, as by Perl';

done_testing;
