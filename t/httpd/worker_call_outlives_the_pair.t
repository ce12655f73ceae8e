#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# kill -9 of broker and spawner, and with them of a worker's ticket, in the moment in
# which a call runs and the store does not have it yet: the call runs once. Its caller,
# whose library sends it again, is told how it ended, or that nobody knows; the worker
# runs it to its end and leaves.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use POSIX ();
use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Patience qw(patiently);
use SpawnTest::Process qw(alive);
use SpawnTest::Templates ();

my $function = <<'PERL';
package My::Moment;
sub passes {
    my ($ran, $began, $gate) = @_;
    open my $out, '>>', $ran or die "$ran: $!\n";
    syswrite $out, "began\n";
    open my $say, '>', $began or die "$began: $!\n";
    syswrite $say, "$$\n";
    open my $in, '<', $gate or die "$gate: $!\n";
    sysread $in, my $line, 1;
    syswrite $out, "ended\n";
    return 'through';
}
1;
PERL

sub slurp {
    my ($path) = @_;
    open my $in, '<', $path or return q{};
    local $/ = undef;
    return scalar <$in>;
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $t = SpawnTest::Templates->new(mpm => $mpm, files => { 'My/Moment.pm' => $function },
            conf => "SpawnSubmitTimeout 20\n<SpawnQueue rpc>\nSpawnWorkers 1 1\n</SpawnQueue>\n",
            templates => 'SpawnTemplate app exec inc=@INC@ preload=My::Moment,My::Work')->start;
        my $httpd = $t->httpd;
        my $ran = $httpd->work . '/ran';
        my $gate = SpawnTest::Gate->new($httpd, 'gate');
        my $began = SpawnTest::Gate->new($httpd, 'began');
        is $t->spawn->call('My::Work::echo', ['x'], queue => 'rpc'), 'x', 'a worker serves';
        my ($spawner, $broker) = ($httpd->spawner_pid, $httpd->broker_pid);

        my $pid = open my $answer, '-|';
        defined $pid or die "fork: $!\n";
        if (!$pid) {
            my $said = eval { $httpd->connection
                    ->call('My::Moment::passes', [ $ran, $began->path, $gate->path ], queue => 'rpc') } // $@;
            print "$said\n";
            STDOUT->flush;
            POSIX::_exit(0);
        }
        chomp(my $worker = readline $began->{pipe});
        kill STOP => $broker;
        kill KILL => $spawner, $broker;
        ok $httpd->new_pid('broker', $broker), 'a new pair comes';
        ok alive($worker), 'the call runs on';
        my $job;
        wait_until(sub { ($job) = patiently(sub { $t->spawn->list(state => 'running') }) }, 60);
        is $job && $job->function, 'My::Moment::passes', 'and is known to';
        is $job && $job->pid, $worker, 'with the process of its worker';
        $gate->let;
        chomp(my $said = <$answer>);
        close $answer;
        like $said, qr/My::Moment::passes (?:has no result: its exit code is unknown|ended its process, exit code 0, and has no result)/,
            'its caller is told that there is no result';
        ok wait_until(sub { !alive($worker) }, 20), 'the worker leaves';
        is slurp($ran), "began\nended\n", 'it ran once, to its end';
        is $t->spawn->call('My::Work::echo', ['y'], queue => 'rpc'), 'y', 'another worker serves';
    }
);
done_testing;
