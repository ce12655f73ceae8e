#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# What httpd's new children call after a graceful restart runs with the code of that restart, from
# the first call on: it waits for the new template. A request of before has the old one meanwhile. So it is
# with templates that are executed and those that httpd forks, with workers and without, also
# when broker or spawner are killed just then, and when a new httpd adopts the pair. When the
# new template fails, the old one serves.
# TEST_LIMIT: 300 s more

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use IO::Select ();
use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Gate ();
use SpawnTest::Versions ();

# Requests whose calls wait, so many in all, and are not answered.
sub held {
    my ($httpd, $count, @sockets) = @_;
    my $spawn = $httpd->connection;
    my $select = IO::Select->new(@sockets);
    return wait_until(sub {
        return 'answered early' if $select->can_read(0);
        my @waiting;
        return eval { @waiting = $spawn->list(state => 'queued'); 1 } && @waiting == $count && 'held';
    }, 45);
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $code = SpawnTest::Versions->new($mpm);
        my $httpd = $code->httpd;
        my $work = $httpd->work;
        my $load = SpawnTest::Gate->new($httpd, 'load');
        my $all_have_it = sub {
            my ($name, @sockets) = @_;
            is_deeply [ map { $code->answer($_) } @sockets ], [ ([ $code->version, $code->version ]) x @sockets ], $name;
            return;
        };

        $httpd->start;
        $all_have_it->('calls run', $code->calls);

        # a request runs while httpd is restarted
        my $gate = SpawnTest::Gate->new($httpd, 'old');
        my $old = $code->begin(<<'END', "$work/there", $gate->path, $code->queues);
my ($there, $gate, @queues) = @_;
my @got = map { scalar Apache2::Spawn->call('My::Conf::version', [], queue => $_) } @queues;
open my $out, '>', $there or die "$there: $!\n";
open my $in, '<', $gate or die "$gate: $!\n";
sysread $in, my $byte, 1;
push @got, map { scalar Apache2::Spawn->call('My::Conf::version', [], queue => $_) } @queues;
return [ @got, $r->spawn_call('My::Conf::version', [], queue => 'calls', until => 'request', reply => 'started')->result(60) ];
END
        ok wait_until(sub { -e "$work/there" }, 60), 'a request runs';
        $code->loading('slow');
        $code->another;
        $httpd->graceful;
        my @new = $code->calls;
        my $posts = $code->begin(<<'END', "$work/posted");
my ($file) = @_;
Apache2::Spawn->spawn_call("My::Conf::note_$My::Conf::version", [$file], reply => 'posted');
return $My::Conf::version;
END
        is $code->answer($posts), 2, 'a new child has posted a call';
        is held($httpd, 5, @new), 'held', 'this and the first calls of new children wait for the new templates';
        $gate->let;
        is_deeply $code->answer($old), [ (1) x 9 ], 'the request of before has the old ones meanwhile, also for a job that is bound to it';
        $load->let(2);
        $all_have_it->('then they run with the new code', @new);
        ok wait_until(sub { -s "$work/posted" }, 60), 'and so does the one that was posted';
        is do { open my $in, '<', "$work/posted" or die; readline $in }, "2\n", '... with the new code';

        # the broker is killed meanwhile
        $code->another;
        $httpd->graceful;
        @new = $code->calls;
        is held($httpd, 4, @new), 'held', 'they wait';
        $httpd->new_pid('broker', $httpd->kill_pair('broker'));
        is held($httpd, 4, @new), 'held', 'for the next broker they wait, too';
        $load->let(2);
        $all_have_it->('and then have the new code', @new);

        # and the spawner: httpd forks one more template then
        $code->another;
        $httpd->graceful;
        @new = $code->calls;
        is held($httpd, 4, @new), 'held', 'they wait';
        $httpd->new_pid('spawner', $httpd->kill_pair('spawner'));
        is held($httpd, 4, @new), 'held', 'for the next spawner they wait, too';
        $load->let(3);
        $all_have_it->('and then have the new code', @new);

        # a stop, and a start
        my $had = $code->version;
        $code->another;
        my $stays = SpawnTest::Gate->new($httpd, 'stays');
        my $job = $httpd->connection->spawn_call('My::Conf::at_gate', [ $stays->path ]);
        ok wait_until(sub { $job->progress }, 60), 'a job runs';
        my $spawner = $httpd->spawner_pid;
        $httpd->stop;
        $httpd->start;
        is $httpd->spawner_pid, $spawner, 'another httpd adopts the pair';
        @new = $code->calls;
        is held($httpd, 4, @new), 'held', 'its calls wait for its templates';
        $load->let(2);
        $all_have_it->('and have their code', @new);
        $stays->let;
        is $job->result(60), $had, 'the job has its own';

        # the new ones fail
        $had = $code->version;
        $code->loading('broken');
        my $not_there = $code->another;
        my $from = length $httpd->error_log;
        $httpd->graceful;
        for my $name (qw(app code)) {
            ok $httpd->wait_for_log(qr/MS0601: template $name cannot be loaded; .* jobs are forked from the old one/, 60, $from),
                "the log tells that $name fails, and that the old one serves";
        }
        my $age = qr/the template was loaded at \S+ \S+: when httpd was restarted since, the new one has failed/;
        like $code->answer($_), qr/no function My::Conf::of_$not_there in template \w+; .*; $age/, 'a call of what it does not have is told so'
            for $code->calls;
        my $which = 'return scalar Apache2::Spawn->call("My::Conf::version", [], queue => $_[0])';
        is_deeply [ map { $code->answer($code->begin($which, $_)) } $code->queues ], [ ($had) x 4 ], 'others run with the old code';
        $code->loading(undef);
        $code->another;
        $httpd->graceful;
        $all_have_it->('mended, and restarted', $code->calls);
        is_deeply [ grep { /MS0(?:603|522)/ } split /\n/, $httpd->error_log ], [], 'nothing was lost on the way';
    }
);
done_testing;
