#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Templates, httpd's own and exec ones, have loaded what each process of new needs,
# with nothing configured.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest ();
use SpawnTest::Processes qw(httpd process module lines);

httpd(conf => 'SpawnTemplate other exec inc=' . SpawnTest::build_dir() . "/perl\n");
module('My::Look', 'package My::Look; sub look { return join " ", sort grep { m{Spawn/Process|IO/FDPass|Fcntl|^Socket} } keys %INC } 1;');
my $spawn = httpd()->connection;
is $spawn->call('My::Look::look', [], load => 'My::Look'), 'Apache2/Spawn/Process/Fork.pm Apache2/Spawn/Process/Handle.pm Apache2/Spawn/Process/Serve.pm Apache2/Spawn/Process/Wire.pm Socket.pm',
    'httpd\'s own template';
for my $template ('app', 'other') {
    my $process = process(template => $template)->eval('sub loaded { print {$_[0]} "$loaded\n" } $loaded = join " ", sort grep { m{^/|Errno|POSIX|HiRes} } keys %INC')->fork;
    my ($loaded) = lines($process->run('loaded'));
    unlike $loaded, qr/HiRes/, "$template: and its processes load no more" or diag $loaded;
    ok $process->wait(30), "$template: it ends";
    is $process->exit_status, 0, "$template: as it should";
}
done_testing;
