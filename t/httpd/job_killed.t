#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# kill reaches a running job with its group, takes a queued one off the list,
# and says so when the job is over.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use POSIX ();
use Test::More;

use SpawnTest qw(each_mpm is_error wait_until);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, conf => "SpawnMaxJobs 1\n")->start;
        my $gate = SpawnTest::Gate->new($httpd, 'a');

        my $job = $httpd->spawn($gate->job('exit 0'), reply => 'started');
        my $queued = $httpd->spawn(['/bin/true']);
        is $httpd->do('kill', id => $queued->{id})->{done}, 1, 'a queued job';
        is $httpd->wait($queued->{id})->{outcome}, 'cancelled', 'is cancelled';

        is $httpd->do('kill', id => $job->{id}, signal => 'USR1')->{done}, 1, 'a running job';
        my $end = $httpd->wait($job->{id});
        is $end->{signal}, POSIX::SIGUSR1(), 'gets the signal' or diag explain $end;
        is $httpd->do('kill', id => $job->{id})->{done}, 0, 'a job that is over is not killed';

        is_error($httpd->do('kill', id => '01900000-0000-7000-8000-000000000000'), 'no_such_job',
            undef, undef, 'an unknown one');
        is_error($httpd->do('kill', id => $job->{id}, signal => 'NOSUCH'), 'invalid',
            undef, undef, 'no such signal');
    }
);
done_testing;
