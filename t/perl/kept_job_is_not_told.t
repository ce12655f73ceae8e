#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Another job is kept in the place of one that was sent, and then the broker goes away: that
# is not told as if nothing had been sent, the error's job is the one that is kept, and
# nothing is sent again under its id.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use POSIX ();
use Test::More;
use Apache2::Spawn ();
use FakeBroker ();

my $other = "\x42" x 6 . "\x72\x42\x82" . "\x42" x 7;
my $broker = FakeBroker->start(
    submit => sub { my ($attr) = @_; return [accepted => id => $attr->{id}, state => 2, other => $other] },
    wait => sub { POSIX::_exit(0) },
);
my $spawn = Apache2::Spawn->connect($broker->path);
my $done = eval { $spawn->spawn(['long'], unique => 'k', on_conflict => 'keep', reply => 'started'); 1 };
my $error = $@;
ok !$done, 'nobody tells of it';
is ref $error && $error->code, 'unconfirmed', '... of a job that was sent' or diag $error;
isnt $broker->next_request->{attr}{id}, $other, '... with an id of its own';
my $job = $error->job;
isnt $job, undef, '... which the error has';
my $id = $job->id;
like $error->message, qr/\Q$id\E has the unique key and is kept/, '... and names';
is eval { $job->resubmit->id }, $id, 'there is nothing to send again' or diag $@;
done_testing;
