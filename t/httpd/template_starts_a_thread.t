#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A startup file that leaves a thread running. A template that loads it is
# refused, since a process with threads cannot be forked safely, and says so.
# One that is forked from httpd itself, which has the thread, has none and
# serves.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Config;
use Test::More;

use SpawnTest qw(each_mpm);
use SpawnTest::Calls ();

plan skip_all => 'this perl has no threads' if !$Config{useithreads};

# The thread runs when the file has been loaded, and for good. Not in the first
# pass of httpd, at whose end mod_perl takes down a Perl that a thread still runs
# in, which perl does not always survive; so httpd is not restarted either.
my $startup = <<'END';
return 1 if $INC{'Apache2/ServerUtil.pm'} && Apache2::ServerUtil::restart_count() < 2;
use threads ();
pipe my $in, my $out or die "pipe: $!\n";
threads->create(sub { syswrite $out, 'x'; select undef, undef, undef, 1000 while 1 })->detach;
sysread $in, my $byte, 1;
1;
END

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Calls->httpd(mpm => $mpm);
        my $file = $httpd->file('threads.pl', $startup);
        $httpd->{conf} .= "SpawnTemplate threads exec inc=$httpd->{dir}/perl require=$file\n"
            . "PerlModule SpawnTest::Functions Apache2::ServerUtil\nPerlRequire $file\nSpawnTemplate own parent\n";
        $httpd->start;
        my $error = SpawnTest::Calls->ask($httpd, 'Apache2::Spawn->call("A::b", [], template => "threads")')->{error};
        is $error->{code}, 'start_failed', 'a call fails' or diag explain $error;
        is $error->{step}, 'template', '... at the template';
        like $error->{text}, qr/template threads cannot be loaded: .*1 thread that it started still runs/, '... and is told why';
        ok $httpd->wait_for_log(qr/MS0601: template threads cannot be loaded; .*1 thread that it started still runs/),
            'the log says so';
        for my $template (qw(app own)) {
            my $sums = SpawnTest::Calls->ask($httpd, <<'PERL', $template);
                my ($template) = @_;
                return map { scalar Apache2::Spawn->call('SpawnTest::Functions::sum', [ $_, 2 ], template => $template,
                    timeout => 10) } 1 .. 20;
PERL
            is_deeply $sums->{values}, [ 3 .. 22 ], "template $template serves" or diag explain $sums;
        }
        my @threads = glob '/proc/' . $httpd->pid . '/task/*';
        cmp_ok scalar @threads, '>', 1, 'httpd has the thread';
    }
);
done_testing;
