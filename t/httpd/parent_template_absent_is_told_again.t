#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Without Apache2::Spawn in httpd's Perl, calls are refused at once also by a
# broker that follows a killed one, and below a spawner that follows a killed
# one, and after a graceful restart. When the configuration
# has the module at last, calls run.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::ParentTemplate qw(connection);

# A call made now is refused, with the reason, and does not wait.
sub refused {
    my ($httpd, $when) = @_;
    my $failed = !eval { connection($httpd)->call('My::Loaded::add', [ 1, 2 ]); 1 };
    my $error = $@;
    ok $failed, "$when: a call fails";
    is ref $error && $error->code, 'start_failed', '... as not started' or diag $error;
    like $error, qr/PerlModule Apache2::Spawn/, '... and says what to add';
    return;
}

each_mpm(sub {
    my ($mpm) = @_;
    my $httpd = SpawnTest::Httpd->new(mpm => $mpm, handlers => 0)->start;
    refused($httpd, 'at first');
    for my $round (1 .. 2) {
        my $old = $httpd->kill_pair('broker');
        ok $httpd->new_pid('broker', $old), 'the broker is killed, and another one is there';
        refused($httpd, "after death $round of a broker");
    }
    my $old = $httpd->kill_pair('spawner');
    ok $httpd->new_pid('spawner', $old), 'the spawner is killed, and another one is there';
    refused($httpd, 'below the new spawner');
    $old = $httpd->kill_pair('broker');
    ok $httpd->new_pid('broker', $old), 'the broker of the new spawner is killed';
    refused($httpd, 'after that');
    $httpd->graceful;
    refused($httpd, 'after a graceful restart');
    $old = $httpd->kill_pair('broker');
    ok $httpd->new_pid('broker', $old), 'its broker is killed';
    refused($httpd, 'after that, too');
    unlike $httpd->error_log, qr/MS0601|MS0233/, 'who does not use it hears nothing of it';

    @{$httpd}{qw(handlers perl)} = (1, 'package My::Loaded; sub add { return $_[0] + $_[1] }');
    $httpd->write_conf;
    $httpd->graceful;
    ok wait_until(sub { eval { connection($httpd)->call('My::Loaded::add', [ 1, 2 ]) == 3 } || 0 }, 30), 'with the module calls run';
    $old = $httpd->kill_pair('broker');
    ok $httpd->new_pid('broker', $old), 'the broker is killed';
    is connection($httpd)->call('My::Loaded::add', [ 3, 4 ]), 7, 'and calls run on';
});
done_testing;
