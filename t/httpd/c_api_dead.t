#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A module in C lists jobs, by their queue and state, finds the dead ones, and has them
# tried again: by that they run, under their id; what is not dead is refused.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::CApi;

use constant { ACCEPTED => 1, DONE => 4, APR_SUCCESS => 0 };

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::CApi->new(mpm => $mpm, conf => "SpawnSubmitTimeout 30s\n<SpawnQueue mail>\n</SpawnQueue>\n")->start;
        my ($ledger, $repaired) = map { $httpd->work . "/$_" } qw(ledger repaired);
        # the module's answer has a line for each job: id, state, dead, queue
        my $list = sub {
            my $answer = $httpd->get($httpd->capi_path("list/$_[0]"));
            like $answer->{content}, qr/^status=0$/m, "list/$_[0]" or diag explain $answer;
            return [ $answer->{content} =~ /^job=(.*)$/mg ];
        };
        is_deeply $list->('0/0'), [], 'there is no job yet';

        my @fails = ('/bin/sh', '-c', "echo \$SPAWN_JOB_ID >>$ledger; [ -e $repaired ]");
        # each when the one before has ended: those that come at once may be stored in another order
        my $ends = sub { my $id = $httpd->capi('submit/' . ACCEPTED . '/0', @_)->{id}; $httpd->capi_wait($id); return $id };
        my @dead = map { $ends->('queue=mail', 'retry=1', 'backoff=1ms', '--', @fails) } 1 .. 3;
        my $well = $ends->('/bin/true');
        my $runs = sub {
            my ($id) = @_;
            open my $in, '<', $ledger or return 0;
            return scalar grep {/\A\Q$id\E\n/} <$in>;
        };
        is_deeply [ map { $runs->($_) } @dead ], [ 2, 2, 2 ], 'three have failed, twice each';

        my @rows = map {"$_ 4 1 mail"} reverse @dead;
        is_deeply $list->('dead/0'), \@rows, 'the dead ones, the newest first';
        is_deeply $list->('dead/2'), [ @rows[ 0, 1 ] ], '... two of them';
        is_deeply $list->('dead/0/mail'), \@rows, '... of their queue';
        is_deeply $list->('dead/0/default'), [], '... and of another one none';
        is_deeply $list->(DONE . '/0'), [ "$well 4 0 default", @rows ], 'all that have ended';
        is_deeply $list->(DONE . '/0/default'), ["$well 4 0 default"], '... of a queue';
        is_deeply $list->('3/0'), [], 'none runs';
        is $httpd->capi('list/0/0/nowhere')->{code}, 'unknown_queue', 'a queue that does not exist is no empty list';

        is $httpd->capi('revive', $well)->{code}, 'not_dead', 'one that has ended well is not tried again';
        is $httpd->capi('revive', '0190a5b4-4c6e-7cde-8f01-23456789abcd')->{code}, 'no_such_job', 'nor one that nobody knows';
        open my $out, '>', $repaired or die "$repaired: $!\n";
        close $out;
        is $httpd->capi('revive', $dead[1])->{status}, APR_SUCCESS, 'a dead one is';
        is $httpd->capi_wait($dead[1])->{exit_code}, 0, '... and ends well';
        is_deeply [ map { $runs->($_) } @dead ], [ 2, 3, 2 ], '... it ran once more, and no other one did';
        is_deeply $list->('dead/0'), [ @rows[ 0, 2 ] ], '... and is dead no more';
        is $httpd->capi('revive', $dead[1])->{code}, 'not_dead', '... so it is not tried again';
    }
);
done_testing;
