#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Jobs with an account of their own outlive what other jobs outlive: a broker that is
# killed, a graceful restart, a stop of httpd; and a spawner that is killed: the broker that
# follows them then has another account, and has them signalled by the new spawner.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Process qw(alive);

plan skip_all => 'only root can give jobs other accounts' if $< != 0;

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, conf => <<'END')->start;
SpawnBrokerUser #61000 #61000
<SpawnQueue media>
    SpawnUser #61001
    SpawnGroup #61001
</SpawnQueue>
END
        my $sleep = sub { return $httpd->spawn([ '/bin/sleep', 600 ], queue => 'media', reply => 'started', @_) };
        my $killed = sub {
            my ($job, $name) = @_;
            ok alive($job->{pid}), "$name: it runs on";
            $httpd->do('kill', id => $job->{id}, signal => 'KILL');
            my $end = $httpd->wait($job->{id});
            is $end->{state}, 'done', '... and can be killed' or diag explain $end;
            ok wait_until(sub { !alive($job->{pid}) }, 20), '... and is';
            return;
        };

        my $job = $sleep->();
        my $old = $httpd->kill_pair('broker');
        ok $httpd->new_pid('broker', $old), 'another broker';
        $killed->($job, 'a broker that was killed');
        is $httpd->run([ '/usr/bin/id', '-u' ], queue => 'media')->{stdout}, "61001\n", 'the next one has the account, too';

        $job = $sleep->();
        $httpd->graceful;
        $killed->($job, 'graceful');

        $job = $sleep->();
        my $late = $sleep->(timeout => 3, grace => 0.1);
        $old = $httpd->kill_pair('spawner');
        ok $httpd->new_pid('spawner', $old), 'another spawner';
        ok wait_until(sub { !$httpd->status($job->{id})->{error} }, 30), 'with a broker';
        $killed->($job, 'a spawner that was killed');
        ok wait_until(sub { !alive($late->{pid}) }, 30), 'the time-out of another one counts';
        is $httpd->wait($late->{id})->{outcome}, 'timed_out', '... as that';
        is $httpd->run([ '/usr/bin/id', '-u' ], queue => 'media')->{stdout}, "61001\n", 'jobs of the new spawner have the account';

        $job = $sleep->();
        $httpd->stop;
        $httpd->start;
        like $httpd->error_log, qr/MS0173: adopted the spawner/, 'stop and start: adopted';
        $killed->($job, 'stop and start');
        unlike $httpd->error_log, qr/MS0371|MS0372|MS0580/, 'nothing was refused';
        $httpd->stop;
    }
);
done_testing;
