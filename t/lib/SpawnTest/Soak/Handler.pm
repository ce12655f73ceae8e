# SPDX-License-Identifier: Apache-2.0
#
# The handler of a soak: POST /soak with a JSON array of jobs (Mix.pm), which it submits as
# a request does. Runs in httpd's children, which a soak kills at any moment: so what it
# was told is in the journal and not only in its answer.

package SpawnTest::Soak::Handler;

use strict;
use warnings;

use Apache2::RequestIO ();
use Apache2::RequestRec ();
use APR::Table ();
use JSON::PP ();

use SpawnTest::Soak::Act ();

sub handler {
    my ($r) = @_;
    my $body = '';
    while ($r->read(my $part, 65_536)) {
        $body .= $part;
    }
    my $jobs = JSON::PP::decode_json($body);
    SpawnTest::Soak::Act::act('Apache2::Spawn', $_, 'httpd', $r) for @{$jobs};
    my $text = scalar @{$jobs};
    $r->content_type('text/plain');
    $r->headers_out->set('Content-Length' => length $text);
    $r->print($text);
    return 0;
}

1;
