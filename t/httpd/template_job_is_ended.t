#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Ending Perl jobs: a kill and a time-out are told to the function, which can
# still return; one that does not listen is killed; handles of a waiting job
# survive until it is forked.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(wait_until);
use SpawnTest::Templates ();
use SpawnTest::Wait qw(in_time);

my $t = SpawnTest::Templates->new(files => { 'My/End.pm' => <<'END' },
package My::End;
sub deaf { local $SIG{TERM} = 'IGNORE'; Apache2::Spawn->job->progress(1); 1 while 1 }
sub reads { my ($n) = @_; my $in = Apache2::Spawn->job->fh($n); local $/ = undef; return scalar <$in> }
1;
END
    templates => 'SpawnTemplate app exec inc=@INC@ preload=My::Work,My::End')->start;
my $spawn = $t->spawn;
my $done = sub { my ($job) = @_; return wait_until(sub { $job->status->{state} eq 'done' }, 30) };

my $job = $spawn->spawn_call('My::Work::until_cancelled', []);
ok $t->all_at_gate($job), 'a job runs';
$job->kill;
is $job->result(20), 'cancelled', 'it is told of the kill, and returns';
is $job->status->{outcome}, 'exited', 'so it is not cancelled';

sub begun_in_time {
    my ($function, %options) = @_;
    return in_time(
        sub {
            my $called = $spawn->spawn_call($function, [], %options, timeout => $_[0]);
            wait_until(sub { defined $called->progress || $called->status->{state} eq 'done' }, 60);
            return defined $called->progress ? $called : ();
        }
    );
}

$job = begun_in_time('My::Work::until_cancelled', grace => 20);
is eval { $job->result(20) }, 'cancelled', 'a time-out is told too' or diag $@;
is $job->status->{outcome}, 'timed_out', 'and is the outcome';

$job = begun_in_time('My::End::deaf', grace => 0.2);
ok $done->($job), 'a loop that ignores signals ends';
is $job->status->{outcome}, 'timed_out', '... timed out';
is $job->status->{signal}, 9, '... killed';

$job = $spawn->spawn_call('My::End::deaf', []);
ok $t->all_at_gate($job), 'another one';
$t->httpd->kill_pair('broker');
ok wait_until(sub { eval { $job->kill('KILL') } }, 20), 'is killed through the next broker';
ok $done->($job), '... and ends';
is $job->status->{outcome}, 'cancelled', '... cancelled';

# handles
my ($template) = $t->pids('app');
kill STOP => $template or die "stop: $!\n";
pipe my $out, my $in or die "pipe: $!\n";
$job = $spawn->spawn_call('My::End::reads', [7], fds => { 7 => $out });
close $out;
syswrite $in, 'through the second template';
close $in;
ok wait_until(sub { $job->status->{state} eq 'starting' }, 30), 'a job with a handle is ordered';
$t->kill_template('app');
is eval { $job->result(30) }, 'through the second template', 'its template is killed: the next one has the handle'
    or diag $@;

done_testing();
