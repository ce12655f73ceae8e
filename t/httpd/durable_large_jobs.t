#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A durable job may be as large as any other: with all the data, or arguments, that a job may
# have it runs, and so do durable jobs after it.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm);
use SpawnTest::ParentTemplate qw(connection);

my $functions = <<'END';
package My::Loaded;
use strict;
use warnings;
sub size { return length $_[0] }
END

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm(), disk => 1, perl => $functions)->start;

for my $mib (5, 16) {
    my $data = 'x' x ($mib << 20);
    my $run = connection($httpd)->run([ '/bin/sh', '-c', 'wc -c' ], durable => 1, stdin => \$data);
    is $run->stdout + 0, $mib << 20, "a durable job with $mib MiB of data runs";
}
my $call = connection($httpd)->spawn_call('My::Loaded::size', [ 'x' x ((4 << 20) - 100) ], durable => 1);
is $call->result(60), (4 << 20) - 100, 'so does a call with 4 MiB of arguments';
is connection($httpd)->run(['/bin/true'], durable => 1)->exit_code, 0, 'and one that comes after them';
ok $httpd->stop && $httpd->pair_gone, 'httpd stops';
done_testing;
