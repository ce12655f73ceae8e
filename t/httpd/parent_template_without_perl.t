#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Without Apache2::Spawn in httpd's Perl there is no template to fork: a call
# says so at once, and what to add, instead of waiting for ever. With an exec
# template of the name app there is no default one.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm);
use SpawnTest::ParentTemplate qw(connection templates_of);

each_mpm(sub {
    my ($mpm) = @_;
    my $httpd = SpawnTest::Httpd->new(mpm => $mpm, handlers => 0)->start;
    my $failed = !eval { connection($httpd)->call('My::Loaded::add', [ 1, 2 ]); 1 };
    my $error = $@;
    ok $failed, 'a call fails';
    is $error->code, 'start_failed', 'as not started';
    like $error, qr/PerlModule Apache2::Spawn/, 'and says what to add';
    unlike $httpd->error_log, qr/\[spawn:(?:warn|error)\]/, 'who does not use it hears nothing of it';
    is_deeply [ templates_of($httpd) ], [], 'there is no template';
});
done_testing;
