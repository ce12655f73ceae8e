#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A store below a directory that the broker's account cannot enter: httpd does
# not start, and says which directory that is, and for whom.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm);

plan skip_all => 'only root starts httpd as another account than its own' if $< != 0;

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm());
my $closed = $httpd->dir . '/closed';
mkdir $closed or die "$closed: $!\n";
mkdir "$closed/below" or die "$closed/below: $!\n";
chmod 0700, $closed or die "$closed: $!\n";
my $uid = $httpd->uid;

$httpd->{conf} = "SpawnStore $closed/below/store\n";
my ($code, $said) = $httpd->start_refused;
isnt $code, 0, 'httpd does not start';
like $said, qr/MS0515: the store cannot be opened: the directory \Q$closed\E cannot be entered by uid $uid\b/,
    'and says which directory cannot be entered';
like $said, qr/chmod o\+x it or choose another SpawnStore/, '... and what to do';

chmod 0755, $closed or die "$closed: $!\n";
ok $httpd->start, 'when it is open, httpd starts';
is $httpd->run([qw(/bin/echo x)])->{stdout}, "x\n", 'and jobs run';
done_testing;
