#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A spawner that was started while httpd runs and never gets ready is spoken
# of in the error log. The broker that hangs is yes(1), put in its place.

use strict;
use warnings;

use File::Copy qw(copy);
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(build_dir one_mpm);

my ($yes) = grep { -x } qw(/usr/bin/yes /bin/yes) or plan skip_all => 'no yes here';

sub place {
    my ($from, $to) = @_;
    unlink $to;
    copy($from, $to) or die "$to: $!";
    chmod 0755, $to or die "$to: $!";
    return;
}

my $dir = tempdir(CLEANUP => 1);
chmod 0755, $dir or die "$dir: $!";
make_path("$dir/mod_spawn");
place(build_dir() . "/$_", "$dir/$_") for qw(mod_spawn.so mod_spawn/spawner mod_spawn/broker);

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm(), module => "$dir/mod_spawn.so")->start;
place($yes, "$dir/mod_spawn/broker");
$httpd->kill_pair('spawner');
ok $httpd->wait_for_log(qr/MS0190/, 30), 'a new spawner is started';
ok $httpd->wait_for_log(qr/MS0194: .*not ready after \d+ s/, 40), 'and is missed';

# yes does not see its spawner's end, as a broker does
place(build_dir() . '/mod_spawn/broker', "$dir/mod_spawn/broker");
my $length = length $httpd->error_log;
my $hung = $httpd->broker_pid;
$httpd->kill_pair('spawner');
kill KILL => $hung;
ok $httpd->wait_for_log(qr/MS0192/, 40, $length), 'one that gets ready is told';
is $httpd->run([qw(/bin/echo x)])->{stdout}, "x\n", 'and works';
done_testing;
