#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# After a graceful restart calls are served by workers with the new code; a call
# that runs meanwhile ends as it began, and its worker goes. No call fails. With
# templates that are executed, and with those that httpd forks.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::ParentTemplate qw(httpd_with_functions connection);
use SpawnTest::Process qw(alive);
use SpawnTest::Templates ();

my $queue = "<SpawnQueue rpc>\nSpawnWorkers 1 2\n</SpawnQueue>\n";

each_mpm(
    sub {
        my ($mpm) = @_;
        my $t = SpawnTest::Templates->new(conf => $queue, mpm => $mpm)->start;
        my $spawn = $t->spawn;
        my $gate = SpawnTest::Gate->new($t->httpd, 'a');
        is $spawn->call('My::Work::version', [], queue => 'rpc'), 1, 'the first version';
        my $held = $spawn->spawn_call('My::Work::at_gate', [ $gate->path, 'held' ], queue => 'rpc');
        ok $t->all_at_gate($held), 'a call runs';
        my $pid = $held->pid;
        $t->new_version(2);
        $t->httpd->graceful;
        my ($failed, $version) = (0, 0);
        ok wait_until(sub {
            $version = eval { $spawn->call('My::Work::version', [], queue => 'rpc') } or $failed++;
            return $version == 2;
        }, 30), 'then the second';
        is $failed, 0, 'and no call fails on the way';
        ok alive($pid), 'the call of the first one runs on';
        $gate->let(1);
        is $held->result(20), 'held', 'and returns';
        ok wait_until(sub { !alive($pid) }, 20), 'then its worker goes';
        $t->configure('SpawnTemplate app exec inc=@INC@ preload=My::Work', '');
        $t->httpd->graceful;
        ok $t->has_workers('rpc', 0), 'a queue that is not configured any more has no workers';
        is_deeply [ grep { /MS0603|MS0611/ } split /\n/, $t->httpd->error_log ], [], 'none had to be killed';
    }
);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = httpd_with_functions(mpm => $mpm, conf => $queue)->start;
        my $spawn = connection($httpd);
        is $spawn->call('My::Loaded::add', [ 1, 2 ], queue => 'rpc'), 3, 'workers of a template that httpd forked';
        my $look = $spawn->call('My::Loaded::look', [], queue => 'rpc');
        is $spawn->call('My::Loaded::look', [], queue => 'rpc')->{pid}, $look->{pid}, 'stay';
        $httpd->graceful;
        my $failed = 0;
        ok wait_until(sub {
            my $new = eval { $spawn->call('My::Loaded::look', [], queue => 'rpc') } or $failed++;
            return $new && $new->{pid} != $look->{pid};
        }, 30), 'and are followed by new ones after a graceful restart';
        is $failed, 0, 'no call fails';
        ok wait_until(sub { !alive($look->{pid}) }, 20), 'the old one goes';
        my $template = $spawn->call('My::Loaded::look', [], queue => 'rpc')->{parent};
        my $pid = $spawn->call('My::Loaded::look', [], queue => 'rpc')->{pid};
        kill KILL => $template;
        is $spawn->call('My::Loaded::add', [ 2, 2 ], queue => 'rpc', timeout => 40), 4,
            'when that template is killed there is another one';
        ok wait_until(sub { !alive($pid) }, 40), 'and its worker goes';
    }
);
done_testing;
