#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A job that cannot be started says which step failed and with which errno,
# to who waits for the start and to who asks later.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Errno qw(EACCES ENOENT ENOEXEC ENOTDIR);
use Test::More;

use SpawnTest qw(each_mpm is_error);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm)->start;
        my $plain = $httpd->file('plain', "#!/bin/sh\n", 0644);
        my $crlf = $httpd->script('crlf', "#!/bin/sh\r\nexit 0\r\n");
        my $lost = $httpd->script('lost', "#!/no/such/interpreter\n");
        my $garbage = $httpd->script('garbage', "\x7fnothing");
        my @cases = (
            [ 'program missing', 'exec', ENOENT, ['/no/such/program'] ],
            [ 'not in PATH', 'exec', ENOENT, ['no-such-program-anywhere'] ],
            [ 'not executable', 'exec', EACCES, [$plain] ],
            [ 'a directory', 'exec', EACCES, [ $httpd->work ] ],
            [ 'interpreter missing', 'interpreter', ENOENT, [$lost] ],
            [ 'a first line that ends with CR LF', 'interpreter', ENOENT, [$crlf] ],
            [ 'no program at all', 'exec', ENOEXEC, [$garbage] ],
            [ 'below a file', 'exec', ENOTDIR, ["$plain/x"] ],
            [ 'cwd missing', 'cwd', ENOENT, ['/bin/true'], cwd => '/no/such/directory' ],
            [ 'cwd a file', 'cwd', ENOTDIR, ['/bin/true'], cwd => $plain ],
            [ 'stdin missing', 'stdin', ENOENT, ['/bin/true'], stdin => '/no/such/file' ],
            [ 'stdout nowhere', 'stdout', ENOENT, ['/bin/true'], stdout => '>/no/such/file' ],
            [ 'stderr nowhere', 'stderr', ENOENT, ['/bin/true'], stderr => '>>/no/such/file' ],
        );
        for my $case (@cases) {
            my ($name, $step, $errno, $argv, %options) = @{$case};
            my $answer = $httpd->spawn($argv, %options, reply => 'started');
            is_error($answer, 'start_failed', $step, $errno, "$name: told to who waits for the start");

            my $job = $httpd->spawn($argv, %options);
            my $end = $httpd->wait($job->{id});
            is_deeply
                { map { $_ => $end->{$_} } qw(state outcome step errno) },
                { state => 'done', outcome => 'start_failed', step => $step, errno => $errno },
                "$name: told to who asks later"
                or diag explain $job, $end;
            is_error($httpd->run($argv, %options), 'start_failed', $step, $errno, "$name: told by run");
        }
        is $httpd->run([qw(echo found)])->{stdout}, "found\n", 'a name is looked up in PATH';
    }
);
done_testing;
