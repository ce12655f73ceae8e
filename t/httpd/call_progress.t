#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The progress that a function tells is seen by other requests while it runs,
# and stays when it is done.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(wait_until);
use SpawnTest::Calls qw(each_template);

each_template(
    sub {
        my ($mpm, $kind) = @_;
        my $httpd = SpawnTest::Calls->httpd(mpm => $mpm, kind => $kind)->start;
        my $gate = SpawnTest::Gate->new($httpd, 'row');
        my $ask = sub { return SpawnTest::Calls->ask($httpd, @_) };

        my ($id) = @{ $ask->('my $job = $r->spawn_call(@_); $job->id', 'SpawnTest::Functions::waits_at',
            [ $gate->path, 'through' ])->{values} };
        my $progress = wait_until(
            sub { $ask->('Apache2::Spawn->job($_[0])->progress', $id)->{values}[0] }, 30);
        is_deeply $progress, { done => 3, of => 10, text => "row 3 \x{2603}" }, 'progress while it runs';
        my $status = $ask->('Apache2::Spawn->job($_[0])->status', $id)->{values}[0];
        is $status->{state}, 'running', 'it runs';
        is_deeply $status->{progress}, $progress, 'the same in the status';
        ok !exists $status->{result_kind}, 'no result yet';
        my $error = $ask->('Apache2::Spawn->job($_[0])->result(0.01)', $id)->{error};
        is $error->{code}, 'timed_out', 'the result is not there';
        like $error->{text}, qr/has not ended within 0\.01 s; it goes on/, 'text';

        $gate->let;
        is_deeply $ask->('Apache2::Spawn->job($_[0])->result(30)', $id)->{values}, ['through'], 'then it is';
        is_deeply $ask->('Apache2::Spawn->job($_[0])->progress', $id)->{values}[0], $progress, 'the last progress stays';
    }
);
done_testing;
