#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A FIFO as a standard stream does not wait for somebody at its other end: to be
# read it is as empty as it is then, to be written without a reader it is a start
# failure that says so. The job gets an ordinary, blocking descriptor. So it is for
# programs, and for Perl functions of both kinds of template and of workers.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Errno qw(ENXIO);
use Fcntl qw(O_NONBLOCK O_RDONLY O_RDWR);
use POSIX ();
use Test::More;

use SpawnTest qw(each_mpm is_error);
use SpawnTest::Calls ();

# A function with that stdin: what it reads there.
sub reads_of {
    my ($httpd, $fifo, @options) = @_;
    my $answer = SpawnTest::Calls->ask($httpd,
        'Apache2::Spawn->call("SpawnTest::Functions::reads_stdin", [], stdin => @_)', $fifo, timeout => 30, @options);
    return $answer->{values} || $answer;
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Calls->httpd(
            mpm => $mpm,
            templates => "SpawnTemplate tools exec preload=SpawnTest::Functions inc=\@INC@\n"
                . "PerlModule SpawnTest::Functions\n",
            conf => "<SpawnQueue rpc>\nSpawnWorkers 1 1\n</SpawnQueue>\n",
        )->start;
        my $fifo = $httpd->work . '/fifo';
        POSIX::mkfifo($fifo, 0666) or die "$fifo: $!\n";
        chmod 0666, $fifo or die "$fifo: $!\n";

        my $result = $httpd->run(['/bin/cat'], stdin => $fifo, stdout => 'capture', timeout => 20);
        is $result->{outcome}, 'exited', 'nobody writes: it runs' or diag explain $result;
        is $result->{stdout}, '', '... and reads nothing';

        for my $stream (qw(stdout stderr)) {
            my $answer = $httpd->spawn(['/bin/true'], $stream => $fifo, reply => 'started', timeout => 20);
            is_error $answer, 'start_failed', $stream, ENXIO, "nobody reads: $stream is a start failure";
            like $answer->{error}{text}, qr/FIFO that nobody reads/, '... which says why';
        }

        my %kind = ('a function of app' => [ template => 'app' ], 'of an exec template' => [ template => 'tools' ],
            'in a queue of workers' => [ queue => 'rpc' ]);
        for my $kind (sort keys %kind) {
            is_deeply reads_of($httpd, $fifo, @{ $kind{$kind} }), [undef], "nobody writes: $kind runs, and reads nothing";
        }

        my $sum = SpawnTest::Calls->ask($httpd, 'Apache2::Spawn->call("SpawnTest::Functions::sum", [2, 3], queue => "rpc", timeout => 30)');
        is_deeply $sum, { values => [5] }, '... and its worker is free';

        sysopen my $both, $fifo, O_RDWR | O_NONBLOCK or die "$fifo: $!\n";
        syswrite $both, "a line\n" or die "$fifo: $!\n";
        $result = $httpd->run([ '/bin/sh', '-c', 'read line; echo "$line"' ],
            stdin => $fifo, stdout => 'capture', timeout => 20);
        is $result->{stdout}, "a line\n", 'somebody writes: it reads that' or diag explain $result;
        for my $kind (sort keys %kind) {
            syswrite $both, "for $kind\n" or die "$fifo: $!\n";
            is_deeply reads_of($httpd, $fifo, @{ $kind{$kind} }), ["for $kind\n"], "somebody writes: $kind, too";
        }

        my $report = $httpd->work . '/report.json';
        $httpd->run([ $httpd->probe, $report ], stdin => $fifo, stdout => $fifo, timeout => 20);
        my $seen = $httpd->report($report, 5);
        is $seen->{fd_flags}{$_} & O_NONBLOCK, 0, "descriptor $_ waits as usual" for 0, 1;

        $result = $httpd->run([ '/bin/echo', 'out' ], stdout => $fifo, timeout => 20);
        is $result->{exit_code}, 0, 'somebody reads: it writes';
        sysread $both, my $line, 100;
        is $line, "out\n", '... what is read there';

        my $file = $httpd->work . '/file';
        $httpd->run([ '/bin/echo', $_ ], stdout => "$file", timeout => 20) for 1, 2;
        $httpd->run([ '/bin/echo', 3 ], stdout => ">>$file", timeout => 20);
        open my $in, '<', $file or die "$file: $!\n";
        is join('', <$in>), "2\n3\n", 'files are cut and appended to as ever';
    }
);
done_testing;
