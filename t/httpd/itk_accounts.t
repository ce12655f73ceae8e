#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# With mpm_itk requests have the account of their virtual host, and jobs httpd's
# User: httpd says so at its start, and all ways to start a job work from there.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(wait_until);
use SpawnTest::Calls ();

chomp(my $modules = `apxs -q LIBEXECDIR`);
plan skip_all => 'only root can start httpd with mpm_itk' if $< != 0;
plan skip_all => 'mpm_itk is not installed' if !-e "$modules/mpm_itk.so";

my $httpd = SpawnTest::Calls->httpd(
    templates => '',
    mpm => 'prefork',
    conf => "LoadModule mpm_itk_module $modules/mpm_itk.so\nAssignUserID nobody nogroup\n"
);
$httpd->start;
like $httpd->error_log, qr/MS0242: mpm_itk is loaded[^\n]* run as @{[ $httpd->user ]},/, 'the start says it';
is_deeply +SpawnTest::Calls->ask($httpd, '$<')->{values}, [ scalar getpwnam 'nobody' ], 'a request has the account of its virtual host';

my $ran = $httpd->run([ '/usr/bin/id', '-u' ]);
is $ran->{stdout}, $httpd->uid . "\n", 'a job has httpd\'s' or diag explain $ran;
my $file = $httpd->work . '/posted';
my $posted = $httpd->spawn([ '/bin/sh', '-c', "id -u >$file.part; mv $file.part $file" ], reply => 'posted');
is $posted->{error}, undef, 'one can be posted' or diag explain $posted;
ok wait_until(sub { -e $file }, 20), 'and runs';
unlike $httpd->error_log, qr/MS0620/, 'nothing that was posted is dropped';
done_testing;
