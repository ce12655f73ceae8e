#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A process of httpd's User can put a symbolic link in the place of the store.
# httpd, which is root, then makes and empties nothing where the link leads,
# neither at a graceful restart nor at a start, and takes nobody else's file for
# its own.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm);

plan skip_all => 'only root opens what others cannot' if $< != 0;

sub content {
    my ($path) = @_;
    open my $in, '<', $path or return;
    local $/ = undef;
    return scalar <$in>;
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm)->start;
        my ($store, $secret) = ($httpd->dir . '/run/spawn/store', $httpd->dir . '/roots');
        my $in_it = sub {
            opendir my $dir, $secret or die "$secret: $!\n";
            return [ sort grep { !/^[.]/ } readdir $dir ];
        };
        mkdir $secret, 0700 or die "$secret: $!\n";
        is $httpd->run([qw(/bin/echo a)])->{stdout}, "a\n", 'jobs run';

        # httpd, which looks now and then, does not make it anew in between
        kill STOP => $httpd->pid or die "httpd: $!\n";
        rename $store, "$store.away" or die "$store: $!\n";
        symlink $secret, $store or die "$store: $!\n";
        kill CONT => $httpd->pid or die "httpd: $!\n";
        my $from = length $httpd->error_log;
        $httpd->graceful;
        is_deeply $in_it->(), [], 'a graceful restart makes nothing where the link leads';
        like substr($httpd->error_log, $from), qr/MS0121: /, 'and says what it does not use';
        is $httpd->run([qw(/bin/echo b)])->{stdout}, "b\n", 'jobs run on';

        my $file = "$secret/kept.log";
        open my $out, '>', $file or die "$file: $!\n";
        print {$out} "what root has written\n";
        close $out or die "$file: $!\n";
        $httpd->graceful;
        is content($file), "what root has written\n", 'a file there is not emptied';
        unlike $httpd->error_log, qr/what root has written/, 'nor told';

        $httpd->stop;
        $httpd->pair_gone;
        my ($code, $said) = $httpd->start_refused;
        ok $code, 'httpd does not start with it';
        like $said, qr/MS0121: /, 'and says why';
        is_deeply $in_it->(), ['kept.log'], 'nothing was made';

        unlink $store or die "$store: $!\n";
        rename "$store.away", $store or die "$store: $!\n";
        unlink "$store/kept.log";
        open $out, '>', "$store/kept.log" or die "$store/kept.log: $!\n";
        print {$out} "what another account says\n";
        close $out or die "$store/kept.log: $!\n";
        chown $httpd->uid, $httpd->gid, "$store/kept.log" or die "chown: $!\n";
        $httpd->start;
        unlike $httpd->error_log, qr/what another account says/, 'a file of another account is not read';
        like $httpd->error_log, qr/MS0204: [^\n]*kept[.]log/, 'which is told';
        is $httpd->run([qw(/bin/echo c)])->{stdout}, "c\n", 'and jobs run';
    }
);
done_testing;
