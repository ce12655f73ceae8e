#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Handles travel by fds, the error log has what a function warns of with the
# job's id, and stdout goes where it is asked to.

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
        my $lines = $httpd->file('lines', "one\ntwo\n");
        my $out = $httpd->work . '/out';

        is_deeply $ask->("open my \$in, '<', \$_[0] or die; Apache2::Spawn->call('${f}::reads_fd', [ 7 ], fds => { 7 => \$in })",
            $lines)->{values}, [ "one\n", "two\n" ], 'a handle to read from';
        $ask->("open my \$to, '>', \$_[0] or die; Apache2::Spawn->call('${f}::writes_fd', [ 5, 'said' ], fds => { 5 => \$to }); 1",
            $out);
        open my $in, '<', $out or die "$out: $!";
        is do { local $/ = undef; <$in> }, 'said', 'a handle to write to';
        my $error = $ask->('Apache2::Spawn->call(@_)', "${f}::reads_fd", [8]);
        like $error->{string}, qr/fh: no handle was passed at 8/, 'one that was not passed';

        # text that it prints and warns of
        my $from = length $httpd->error_log;
        my ($id) = @{ $ask->("my \$job = Apache2::Spawn->spawn_call('${f}::warns', [ 'report is long' ]); \$job->wait(30); \$job->id")->{values} };
        ok $httpd->wait_for_log(qr/\Q$id\E(?: \(request \S+\))? stderr: report is long/, 20, $from), 'warn is in the error log, with the id';
        my $answer = $ask->("my \$job = Apache2::Spawn->spawn_call('${f}::prints', [ 'to stdout' ], stdout => 'capture'); \$job->wait(30)->stdout");
        is_deeply $answer->{values}, ['to stdout'], 'captured';
        $ask->("Apache2::Spawn->call('${f}::prints', [ 'to nobody' ]); 1");
        unlike substr($httpd->error_log, $from), qr/to nobody/, 'stdout goes nowhere by default';

        # stdin, environment, directory: as of every job
        is_deeply $ask->("my \$value = Apache2::Spawn->call('CORE::GLOBAL::none', [], load => 'Cwd'); 1")->{error}{code}, 'invalid',
            'names of perl itself are no functions';
        is_deeply $ask->("scalar Apache2::Spawn->call('Cwd::getcwd', [], load => 'Cwd', cwd => '/usr')")->{values}, ['/usr'],
            'directory';
    }
);
done_testing;
