#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Neither broker nor spawner asks the name service, which may block for as long
# as it likes (a directory server that is away): names come from the httpd
# parent, which asks when the configuration is read.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(is_error one_mpm);

# getgroups is a system call
my $asks = qr/\b((?:get(?:pw|gr(?!oups\b)|sp|serv|proto|host|net|addrinfo|nameinfo)\w*|initgroups|res_\w+))\b/;
for my $program (qw(broker spawner)) {
    my $path = SpawnTest::build_dir() . "/mod_spawn/$program";
    my @symbols = grep { /\s[UTWw]\s/ } map { qx(nm $_ '$path' 2>/dev/null) } qw(-D -a);
    cmp_ok scalar @symbols, '>', 20, "$program: what it calls is known";
    is_deeply [ map { /$asks/ ? $1 : () } @symbols ], [], "$program: nothing of the name service";
}

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm())->start;
my ($user, $group) = ($httpd->user, scalar getgrgid $httpd->gid);
ok $httpd->run(['/bin/true'], user => $user, group => $group)->{ok}, 'the names of account and group are known';
ok $httpd->run(['/bin/true'], group => $httpd->gid)->{ok}, '... and the number';
is_error($httpd->run(['/bin/true'], group => 'nosuchgroup'), 'not_permitted', 'check', undef, '... and no other');
$httpd->graceful;
ok $httpd->run(['/bin/true'], group => $group)->{ok}, '... after a graceful restart too';
done_testing;
