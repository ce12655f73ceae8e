# SPDX-License-Identifier: Apache-2.0
#
# The handler of a soak: POST /soak with a JSON array of jobs (Mix.pm), which it submits as
# a request does; GET tells the time of day here (Clock.pm). Runs in httpd's children,
# which a soak kills at any moment: so what it was told is in the journal and not only in
# its answer.

package SpawnTest::Soak::Handler;

use strict;
use warnings;

use Apache2::RequestIO ();
use Apache2::RequestRec ();
use APR::Table ();
use JSON::PP ();
use Time::HiRes ();

use SpawnTest::Soak::Act ();

sub handler {
    my ($r) = @_;
    my $body = '';
    while ($r->read(my $part, 65_536)) {
        $body .= $part;
    }
    my $text = $r->method eq 'GET' ? Time::HiRes::time() : _submits($r, @{ JSON::PP::decode_json($body) });
    $r->content_type('text/plain');
    $r->headers_out->set('Content-Length' => length $text);
    $r->print($text);
    return 0;
}

# How many there were.
sub _submits {
    my ($r, @jobs) = @_;
    SpawnTest::Soak::Act::act('Apache2::Spawn', $_, 'httpd', $r) for @jobs;
    return scalar @jobs;
}

1;
