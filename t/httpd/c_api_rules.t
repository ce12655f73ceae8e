#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The rules of a job that a module in C submits: it is tried again, waits for its time
# or for another one, expires, has a priority and a key, and is durable; what makes no
# sense is refused with the reason.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Apache2::Spawn ();
use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::CApi;

# spawn_until
use constant { ACCEPTED => 1, FINISHED => 3 };

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::CApi->new(mpm => $mpm, conf => "SpawnSubmitTimeout 30s\n")->start;
        my $accepted = sub { return $httpd->capi('submit/' . ACCEPTED . '/0', @_) };

        my $job = $httpd->capi('submit/' . FINISHED . '/60000', 'retry=2', 'retry_on=7', 'backoff=100ms', '--', '/bin/sh', '-c', 'exit 7');
        is_deeply [ @{$job}{qw(status exit_code attempt)} ], [ 0, 7, 3 ], 'it is tried again, twice' or diag explain $job;

        my %wait = (delay => '1h', at => '2040-01-01T00:00:00Z');
        my $spawn = $httpd->connection;
        for my $option (sort keys %wait) {
            my $id = $accepted->("$option=$wait{$option}", 'priority=7', '--', '/bin/true')->{id};
            is $spawn->job($id)->status->{state}, 'delayed', "$option: it waits for its time";
            is $httpd->capi('kill/15', $id)->{status}, 0, '... and is killed';
        }
        my $late = $accepted->('delay=1', 'expires=0.2', '--', '/bin/true');
        is $httpd->capi_wait($late->{id})->{job_pid}, 0, 'expires: it does not start';

        my $first = $accepted->('unique=k', 'delay=1h', '--', '/bin/true')->{id};
        my $second = $accepted->('unique=k', '--', '/bin/true');
        is $second->{code}, 'not_unique', 'unique: another one with its key is refused';
        like $second->{message}, qr/\Q$first\E/, '... and the reason names the first';
        my $third = $accepted->('unique=k', 'on_conflict=replace', '--', '/bin/true')->{id};
        is $httpd->capi_wait($third)->{exit_code}, 0, 'on_conflict: one that replaces it runs';
        is $spawn->job($first)->status->{outcome}, 'cancelled', '... and the other one does not';

        my $fails = $accepted->('--', '/bin/false')->{id};
        is $httpd->capi_wait($accepted->("after=$fails", '--', '/bin/true')->{id})->{job_pid}, 0, 'after: it does not start when the other one fails';
        is $httpd->capi_wait($accepted->("after=$fails", 'after_failed=run', '--', '/bin/true')->{id})->{exit_code}, 0, 'after_failed: it does';

        my $watched = $accepted->('on_failure=My::Ops::failed', '--', '/bin/false')->{id};
        ok wait_until(sub { grep { ($_->{failure_of} || '') eq $watched } $spawn->list }, 30), 'on_failure: a job follows when it has failed';

        my %bad = ('retry=x' => qr/retry: 'x' is not allowed/, 'backoff=1' => qr/belong to retry/, 'priority=101' => qr/priority: 101 is not allowed/,
            'on_failure=failed' => qr/on_failure: 'failed' is not a name/);
        for my $option (sort keys %bad) {
            my $refused = $accepted->($option, '--', '/bin/true');
            is $refused->{code}, 'invalid', "$option is refused";
            like $refused->{message}, $bad{$option}, '... with the reason';
        }
        $job = $httpd->capi('submit/' . FINISHED . '/60000', 'durable=1', '--', '/bin/sh', '-c', 'exit 3');
        if (($job->{code} || q{}) eq 'store') {
            like $job->{message}, qr/does not outlive a reboot/, 'durable: refused where the store is memory';
        }
        else {
            is $job->{exit_code}, 3, 'durable: it runs';
            is scalar(my @ledger = glob "$httpd->{runtime}/spawn/store/durable-*.db"), 1, '... and is in the ledger';
        }
    }
);
done_testing;
