#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The status page is where SetHandler is, and for whom Require says: for nobody else,
# neither the page nor one of its files. It may stand at any address, also below a
# directory that is there.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm);

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm(), handlers => 0, conf => <<'END')->start;
SpawnSubmitTimeout 30s
<Location /closed>
    SetHandler spawn-status
    Require all denied
</Location>
<Location /some/where/else>
    SetHandler spawn-status
    Require all granted
</Location>
<Location /other>
    SetHandler no-such-handler
</Location>
END
mkdir $httpd->dir . '/htdocs/some' or die "some: $!\n";
for my $query ('', '?view=jobs', '?format=json', '?file=style.css') {
    is $httpd->get("/closed$query")->{status}, 403, "denied: $query";
    is $httpd->get("/some/where/else$query")->{status}, 200, "granted: $query";
    is $httpd->get("/some/where/else/deeper$query")->{status}, 200, "below it: $query";
    is $httpd->get("/other$query")->{status}, 404, "another handler: $query";
}
done_testing;
