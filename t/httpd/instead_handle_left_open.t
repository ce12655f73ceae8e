#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A handle of Apache2::Spawn::Instead's open that is still open when its httpd child ends, or
# at a graceful restart: nobody waits, nothing crashes, and the program sees end of file.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);

my $package = <<'END';
package MyKept;
use strict;
use warnings;
use Apache2::Spawn::Instead;
our @kept;
sub handler {
    my ($r) = @_;
    my $file = $r->dir_config('Work') . '/' . ($r->args || 'none');
    open my $out, '|-', "cat >$file.part; mv $file.part $file" or die "open: $!\n";
    print {$out} "text\n";
    push @kept, $out;
    open my $in, '-|', 'cat' or die "open: $!\n";
    push @kept, $in;
    $r->print('kept');
    return 0;
}
1;
END

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm);
        my $work = $httpd->work;
        $httpd->file('../perl/MyKept.pm', $package);
        $httpd->{conf} = "PerlModule MyKept\n<Location /kept>\nSetHandler modperl\nPerlResponseHandler MyKept\n"
            . "PerlSetVar Work $work\n</Location>\n";
        $httpd->start;
        is $httpd->get('/kept?graceful')->{content}, 'kept', 'a program waits for its input';
        $httpd->graceful;
        ok wait_until(sub { -s "$work/graceful" }, 60), 'at a graceful restart it gets it, and its end of file';
        is $httpd->get('/kept?stop')->{content}, 'kept', 'the next generation, too';
        ok $httpd->stop, 'httpd stops';
        ok wait_until(sub { -s "$work/stop" }, 60), '... and the program has ended well';
        unlike $httpd->error_log, qr/exit signal|Segmentation|panic/, 'nothing has crashed';
    }
);
done_testing;
