#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# With mpm_itk a CGI script has the account of its virtual host: it is told of the broker's socket where
# SpawnAccess names that account, or a group of it, and not else.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest;

chomp(my $modules = `apxs -q LIBEXECDIR`);
plan skip_all => 'only root can start httpd with mpm_itk' if $< != 0;
plan skip_all => 'mpm_itk (package libapache2-mpm-itk) is not installed' if !-e "$modules/mpm_itk.so";
plan skip_all => 'httpd has no mod_cgi' if !SpawnTest::Httpd->has_module('cgi');

for my $case (
    [ 'no SpawnAccess', '', 0 ],
    [ 'of another account', "SpawnAccess user=daemon all\n", 0 ],
    [ 'none', "SpawnAccess none\n", 0 ],
    [ 'of the account', "SpawnAccess user=nobody submit,see\n", 1 ],
    [ 'of its group', "SpawnAccess group=nogroup see\n", 1 ],
    [ 'in a queue', "<SpawnQueue other>\nSpawnAccess user=nobody submit\n</SpawnQueue>\n", 1 ],
) {
    my ($name, $access, $told) = @{$case};
    my $httpd = SpawnTest::Httpd->new(mpm => 'prefork');
    my $dir = $httpd->dir;
    $httpd->script('find.cgi', "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\nid -un\necho \"\${SPAWN_SOCKET-none}\"\n");
    $httpd->{conf} = join '', (map { SpawnTest::Httpd::Conf::_load($_) } qw(alias cgi)),
        "LoadModule mpm_itk_module $modules/mpm_itk.so\nAssignUserID nobody nogroup\nScriptAlias /cgi-bin/ $dir/bin/\nSpawnSocketMode 0666\n$access";
    $httpd->start;
    is $httpd->get('/cgi-bin/find.cgi')->{content}, "nobody\n" . ($told ? $httpd->socket : 'none') . "\n", $name or diag $httpd->tail;
    $httpd->stop;
}
done_testing;
