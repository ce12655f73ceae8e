#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The handle of Apache2::Spawn::Instead's open gives what the program writes while it runs,
# and close waits for the program's end, though its pipe was closed long before.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use POSIX ();
use Test::More;

use SpawnTest qw(each_mpm);

my $package = <<'END';
package MyTalk;
use strict;
use warnings;
use Apache2::Spawn::Instead 'open', { timeout => 120 };
sub release { CORE::open(my $out, '>', $_[0]) or die "$_[0]: $!\n"; return close $out }
sub handler {
    my ($r) = @_;
    my ($gate, $work) = ($r->dir_config('Gate'), $r->dir_config('Work'));
    open my $in, '-|', '/bin/sh', '-c', 'echo first; : <"$1"; echo second; exec >&-; : <"$2"; echo end >"$3"; exit 3', 'sh', "$gate.1", "$gate.2", "$work/ended"
        or die "open: $!\n";
    my $first = <$in>;
    release("$gate.1");                 # had it not begun, nobody would open the other end
    my $second = <$in>;
    my $eof = <$in>;
    my $before = -e "$work/ended" ? 'ended' : 'runs';
    release("$gate.2");
    my $closed = close $in;
    my $after = -e "$work/ended" ? 'ended' : 'runs';
    $r->print(join ',', map { defined $_ ? $_ =~ s/\n//r : 'undef' } $first, $second, $eof, $before, $closed ? 1 : 0, $? >> 8, $after);
    unlink "$work/ended";
    return 0;
}
1;
END

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm);
        my $work = $httpd->work;
        # two: the writer of one may still have it open when the program reads it again
        for my $gate ("$work/gate.1", "$work/gate.2") {
            POSIX::mkfifo($gate, 0666) or die "mkfifo: $!\n";
            chmod 0666, $gate;
        }
        $httpd->file('../perl/MyTalk.pm', $package);
        $httpd->{conf} = <<"END";
PerlModule MyTalk
<Location /talk>
    SetHandler modperl
    PerlResponseHandler MyTalk
    PerlSetVar Gate $work/gate
    PerlSetVar Work $work
</Location>
END
        $httpd->start;
        for (1, 2) {
            is $httpd->get('/talk')->{content}, 'first,second,undef,runs,0,3,ended',
                'read while it runs, to its end of file; close waits';
        }
    }
);
done_testing;
