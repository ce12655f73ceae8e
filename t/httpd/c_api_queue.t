#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Jobs of a module in C run in the queue that SpawnDefaultQueue says where their request
# is, and only where SpawnQueueAccess allows it, as those of $r->spawn do: submitted in
# each mode, and for after the answer.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::CApi;

# spawn_until
use constant { POSTED => 0, FINISHED => 3 };

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::CApi->new(mpm => $mpm, conf => <<'END')->start;
SpawnSubmitTimeout 30s
<SpawnQueue reports>
</SpawnQueue>
<SpawnQueue images>
</SpawnQueue>
<LocationMatch "^/capi/(submit|cleanup)">
    SpawnDefaultQueue reports
    SpawnQueueAccess reports images
</LocationMatch>
END
        my @true = ('/bin/true');
        my $submit = 'submit/' . FINISHED . '/-1';
        my $job = $httpd->capi($submit, @true);
        is $job->{status}, 0, 'it is submitted' or diag explain $job;
        is $job->{queue}, 'reports', 'into the default queue of the request';
        is $httpd->capi("$submit/images", @true)->{queue}, 'images', 'or into the one that it names';
        for my $way ([ 'finished', "$submit/default" ], [ 'posted', 'submit/' . POSTED . '/0/default' ], [ 'after the answer', 'cleanup/-/-/default' ]) {
            my ($name, $path) = @{$way};
            my $refused = $httpd->capi($path, @true);
            is $refused->{code}, 'not_permitted', "$name: one that is not allowed";
            is $refused->{message}, q{queue 'default' may not be used by this request (SpawnQueueAccess); allowed: reports, images},
                '... is refused with the reason';
        }
        my $id = $httpd->capi('cleanup', @true)->{id};
        ok wait_until(sub { ($httpd->capi('status', $id)->{queue} || '') eq 'reports' }, 30), 'the default queue for after the answer';
        is $httpd->capi('function/' . FINISHED . '/-1', 'My::none')->{queue}, 'default', 'elsewhere it is the one of that place';
    }
);
done_testing;
