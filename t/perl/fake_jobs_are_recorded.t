#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Apache2::Spawn::Test records jobs that are right, refuses those that are wrong as the
# library does, and its tests fail where they should, with what was spawned.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl';

use Test::More;
use Test::Builder::Tester;
use Apache2::Spawn::Test 'fake';

package My::Shop {    ## no critic
    sub order {
        my ($id) = @_;
        Apache2::Spawn->spawn([ '/usr/sbin/sendmail', '-t' ], queue => 'mail', stdin => \"to: $id\n");
        return Apache2::Spawn->spawn_call('My::Report::build', [ $id, 'pdf' ], timeout => 5);
    }
    sub look { return }
}

# as in the manual
my $made = My::Shop::order(42);
spawned_ok('/usr/sbin/sendmail', { options => { queue => 'mail' } }, 'a mail is sent');
spawned_ok('My::Report::build', { arguments => [ 42, qr/./ ] });
is scalar(jobs()), 2, 'and no more';
my ($job, $call) = jobs();
job_like($job, { method => 'spawn', argv => [ '/usr/sbin/sendmail', '-t' ] });
isa_ok $made, 'Apache2::Spawn::Job';
is $call->{id}, "$made", 'the record has the id of the job';

# wrong ones
sub refused {
    my ($code, $wrong, $what) = @_;
    ok !eval { $wrong->(); 1 }, "$what: refused";
    my $error = $@;
    isa_ok $error, 'Apache2::Spawn::Error';
    is ref $error ? $error->code : $error, $code, "$what: as $code" or diag $error;
    return;
}
refused(unknown_option => sub { Apache2::Spawn->spawn(['x'], colour => 1) }, 'an option that there is not');
refused(invalid => sub { Apache2::Spawn->spawn(['x'], timeout => 'soon') }, 'a value');
refused(invalid => sub { Apache2::Spawn->spawn('x') }, 'no list');
refused(invalid => sub { Apache2::Spawn->spawn(['x'], until => 'answer') }, 'until what there is not');
refused(invalid => sub { Apache2::Spawn->run(['x'], until => 'request') }, 'run until');
refused(not_sendable => sub { Apache2::Spawn->spawn_call('My::Report::build', [ sub { } ]) }, 'code');
refused(invalid => sub { Apache2::Spawn->run(['x']) }, 'run');
refused(unknown_option => sub { Apache2::Spawn->run(['x'], colour => 1) }, 'run that is wrong');
refused(invalid => sub { Apache2::Spawn->call('My::Report::build') }, 'call');
refused(invalid => sub { Apache2::Spawn->spawn(['x'], reply => 'started') }, 'started');
refused(invalid => sub { Apache2::Spawn->spawn(['x'], stdin => \('y' x 200_000)) }, 'much data');
refused(invalid => sub { $made->wait }, 'wait');
is $made->wait(0), undef, 'it has not ended';
refused(no_such_job => sub { Apache2::Spawn->job(Apache2::Spawn->new_id)->status }, 'status of no job');
is $made->status->state, 'queued', 'it waits';
is(Apache2::Spawn->job($made->id)->status->function, 'My::Report::build', 'found by its id');
ok !eval { Apache2::Spawn->spawn(['x'], colour => 1); 1 }, 'refused';
like $@, qr/colour.* at \Q$0\E line ${\(__LINE__ - 1)}\./, 'at the line of the caller';
is scalar(jobs()), 2, 'and not recorded';

# of a request, which there is not
Apache2::Spawn->spawn(['/bin/until'], until => 'request', label => 'u');
spawned_ok('/bin/until', { options => { until => 'request', label => 'u' } }, 'until the end of a request');

clear_jobs();
My::Shop::look(42);
is scalar(jobs()), 0, 'looking spawns nothing';

Apache2::Spawn->connect('/nowhere/socket')->spawn(['/bin/true']);
spawned_ok('/bin/true', {}, 'through a connection of its own');
clear_jobs();

# a test that fails
test_out('not ok 1 - a mail');
test_fail(+2);
test_diag('nothing was spawned');
spawned_ok('/usr/sbin/sendmail', {}, 'a mail');
test_test('it names the line of the caller');

done_testing;
