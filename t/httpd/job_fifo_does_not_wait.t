#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A FIFO as a standard stream does not wait for somebody at its other end: to be
# read it is as empty as it is then, to be written without a reader it is a start
# failure that says so. The job gets an ordinary, blocking descriptor.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Errno qw(ENXIO);
use Fcntl qw(O_NONBLOCK O_RDONLY O_RDWR);
use POSIX ();
use Test::More;

use SpawnTest qw(each_mpm is_error);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm)->start;
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

        sysopen my $both, $fifo, O_RDWR | O_NONBLOCK or die "$fifo: $!\n";
        syswrite $both, "a line\n" or die "$fifo: $!\n";
        $result = $httpd->run([ '/bin/sh', '-c', 'read line; echo "$line"' ],
            stdin => $fifo, stdout => 'capture', timeout => 20);
        is $result->{stdout}, "a line\n", 'somebody writes: it reads that' or diag explain $result;

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
