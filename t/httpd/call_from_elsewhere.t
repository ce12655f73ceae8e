#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A Perl function submits jobs itself; a posted call runs though nobody waits; and
# spawnctl shows functions.

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
        my $ask = sub { return SpawnTest::Calls->ask($httpd, @_) };
        my $f = 'SpawnTest::Functions';

        my ($inner) = @{ $ask->("scalar Apache2::Spawn->call('${f}::runs_program', \\\@_)", '/bin/echo', 'hello')->{values} };
        is_deeply $inner, { outcome => 'exited', exit_code => 0, stdout => "hello\n" }, 'a program job within';

        my $path = $httpd->work . '/posted';
        is_deeply $ask->("\$r->spawn_call('${f}::write_file', \\\@_, reply => 'posted'); 1", $path, 'here')->{values}, [1],
            'posted';
        ok wait_until(sub { -e $path }, 30), 'and run';

        my $ctl = SpawnTest::Ctl->new($httpd);
        my $gate = SpawnTest::Gate->new($httpd, 'ctl');
        my ($id) = @{ $ask->('my $job = $r->spawn_call(@_); $job->id', "${f}::waits_at", [ $gate->path, 'x' ],
            label => 'slow')->{values} };
        wait_until(sub { $ask->('Apache2::Spawn->job($_[0])->progress', $id)->{values}[0] }, 30);
        like $ctl->run('show', $id)->{out}, qr/^  function   \Q${f}::waits_at()\E$/m, 'show: function';
        like $ctl->run('show', $id)->{out}, qr/^  progress   3 of 10: row 3 /m, 'show: progress';
        like $ctl->run('ps')->{out}, qr/running +default +\d+ +\S+ +\[slow\] \Q${f}::waits_at()\E/, 'ps';
        my ($job) = $ctl->json('show', $id);
        is $job->{function}, "${f}::waits_at", 'json: function';
        is_deeply $job->{progress}, { done => 3, of => 10, text => "row 3 \x{2603}" }, 'json: progress';
        $gate->let;
        $ctl->run('wait', $id);
        like $ctl->run('show', $id)->{out}, qr/^  result     returned/m, 'show: result';
        like $ctl->run(qw(show -o), $id)->{out}, qr/^  result     returned, \d+ bytes$/m, 'show -o: its size';
        like $ctl->run(qw(ps -a))->{out}, qr/returned +default .*\Q${f}::waits_at()\E/, 'ps: returned';
        ($job) = $ctl->json(qw(show -o), $id);
        is $job->{result_kind}, 'returned', 'json: result_kind';
        ok $job->{result_base64}, 'json: result_base64';
        is $ctl->run('kill', $id)->{code}, 1, 'kill: it is over';
    }
);
done_testing;
