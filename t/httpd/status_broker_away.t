#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# When the broker does not answer, the status page says so, with 503, after
# SpawnSubmitTimeout, and holds nobody for longer; it is there again with the broker, and
# with the next broker when that one was killed.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, handlers => 0, conf => <<'END')->start;
SpawnSubmitTimeout 300ms
<Location /spawn-status>
    SetHandler spawn-status
</Location>
END
        my $status = sub { return $httpd->get("/spawn-status$_[0]")->{status} };
        my $there = sub { my ($when) = @_; return ok wait_until(sub { $status->('') == 200 }, 60), "$when: the page is there" };
        $there->('at first');

        # the spawner would replace a broker that hangs
        my ($spawner) = $httpd->spawner_pids;
        my $broker = $httpd->broker_pid;
        kill 'STOP', $spawner, $broker;
        for my $query ('', '?view=jobs', '?job=01890000-0000-7000-8000-000000000000') {
            my $is = $httpd->get("/spawn-status$query");
            is $is->{status}, 503, "no broker: $query";
            like $is->{content}, qr/The broker does not answer/, '... and a sentence';
            like $is->{content}, qr{</html>\s*\z}, '... on a whole page';
            is $is->{headers}{'retry-after'}, 5, '... with a time';
            is $is->{headers}{'x-content-type-options'}, 'nosniff', '... and the headers of the others';
        }
        my $json = $httpd->get('/spawn-status?format=json');
        is $json->{status}, 503, 'no broker: JSON';
        my $told = JSON::PP->new->utf8->decode($json->{content});
        like $told->{error}{code}, qr/\A(?:deadline|unreachable)\z/, '... which says so';
        kill 'CONT', $broker, $spawner;
        $there->('the broker goes on');

        kill 'KILL', $httpd->broker_pid;
        $there->('another broker');
    }
);
done_testing;
