#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A job with the account of the broker (httpd's User, without SpawnBrokerUser) can neither
# trace the broker nor read its memory, environment or descriptors, nor those of the spawner;
# of another job, which has that account too, it can do all of it. The pair is as closed after a
# graceful restart, a killed broker and a killed spawner.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest ();
use SpawnTest::Httpd ();
use SpawnTest::Reach ();

my $httpd = SpawnTest::Httpd->new(mpm => SpawnTest::one_mpm())->start;
my $reach = SpawnTest::Reach->new($httpd);
my $other = $httpd->spawn([ '/bin/sleep', 600 ], reply => 'started');
is_deeply $reach->can('default', $other->{pid}), [ sort $reach->of_its_own, 'signal 0' ], 'a job looks into another one';

# That they are of one account is seen by the signal that may be sent.
my $root = $< == 0;
sub is_closed {
    my ($when) = @_;
    is_deeply $reach->can('default', $httpd->broker_pid), ['signal 0'], "$when: not into the broker, which has its account";
    is_deeply $reach->can('default', $httpd->spawner_pid), $root ? [] : ['signal 0'], "$when: nor into the spawner";
    return;
}
is_closed('at first');
$httpd->graceful;
is_closed('after a graceful restart');
for my $which (qw(broker spawner)) {
    ok $httpd->new_pid($which, $httpd->kill_pair($which)), "a killed $which: another one has come";
    is $httpd->run(['/bin/true'])->{exit_code}, 0, '... with a broker that runs jobs';
    is_closed("after a killed $which");
}
kill TERM => $other->{pid} or die "kill $other->{pid}: $!\n";
$httpd->stop;
done_testing;
