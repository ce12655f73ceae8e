#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# run and call wait for the end of a job that they have sent: when the broker
# goes away meanwhile, that is not told as if nothing had been sent.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use POSIX ();
use Test::More;
use Apache2::Spawn ();
use FakeBroker ();

my %how = (
    'is killed' => sub { POSIX::_exit(0) },
    'is silent' => sub { return },
);
for my $how (sort keys %how) {
    my $broker = FakeBroker->start(
        submit => sub { return },
        get => sub { my ($attr) = @_; return [job => id => $attr->{id}, state => 3, queue => 'default'] },
        wait => $how{$how},
    );
    my $spawn = Apache2::Spawn->connect($broker->path);
    my $result = eval { $spawn->run(['long']) };
    my $error = $@;
    is $result, undef, "a broker that $how: no result";
    is ref $error && $error->code, 'unconfirmed', '... of what was sent' or diag $error;
    is $broker->next_request->{attr}{id}, $broker->next_request->{attr}{id}, '... and asked for';
    isa_ok $error->job, 'Apache2::Spawn::Job';
    eval { $error->job->status; 1 } and next;
    isnt $@->code, 'invalid', '... which can be asked for';
}
done_testing;
