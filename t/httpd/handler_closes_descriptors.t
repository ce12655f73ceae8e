#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A handler's fork that closes all descriptors, and opens files of its own at
# their numbers, keeps its files: nothing of ours is sent to them or closes them,
# and its jobs run all the same.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Calls ();

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Calls->httpd(mpm => $mpm, templates => '')->start;
        my $work = $httpd->work;
        my $answer = SpawnTest::Calls->ask($httpd, <<'END', $work);
my ($work) = @_;
require POSIX;
$r->spawn(['/bin/true']);    # so that there is a connection
my $pid = fork;
defined $pid or die "fork: $!";
if (!$pid) {
    POSIX::close($_) for 3 .. 1023;
    my @own = map { POSIX::open("$work/own", POSIX::O_RDWR() | POSIX::O_CREAT() | POSIX::O_APPEND(), 0600) } 3 .. 200;
    my @said;
    for my $reply (qw(posted accepted)) {
        push @said, eval { $r->spawn(['/usr/bin/touch', "$work/$reply"], reply => $reply); 1 } ? "$reply sent" : "$reply: $@";
    }
    my $open = grep { my $text = "x"; POSIX::read($_, $text, 1); defined POSIX::lseek($_, 0, 0) } @own;
    push @said, "$open of " . @own . ' open', -s "$work/own" ? 'written to' : 'untouched';
    my $fd = POSIX::open("$work/said.new", POSIX::O_WRONLY() | POSIX::O_CREAT(), 0600);
    my $text = join "\n", @said;
    POSIX::write($fd, $text, length $text);
    rename "$work/said.new", "$work/said";
    POSIX::_exit(0);
}
waitpid $pid, 0;
$?;
END
        is_deeply $answer->{values}, [0], 'the child came to its end' or diag explain $answer;
        open my $in, '<', "$work/said" or die "said: $!\n";
        is join('', <$in>), "posted sent\naccepted sent\n198 of 198 open\nuntouched", 'its files are its own';
        ok wait_until(sub { -e "$work/$_" }, 20), "$_: the job ran" for qw(posted accepted);
    }
);
done_testing;
