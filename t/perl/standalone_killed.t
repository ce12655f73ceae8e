#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A pair without httpd while processes start it at once, and while its broker, its spawner and its
# parent are killed: there is one pair, no job is lost, and another one comes.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use POSIX ();
use Test::More;

use SpawnTest qw(wait_until);
use SpawnTest::Alone ();
use SpawnTest::Gate ();
use SpawnTest::Process qw(alive);

my $alone = SpawnTest::Alone->new;
unshift @INC, $alone->perl;
require Apache2::Spawn;
require SpawnTest::Patience;
SpawnTest::Patience->import('patiently');

my %options = (program => $alone->program, idle => '2s', timeout => 30);

# many at once
my @children = map {
    my $pid = fork;
    defined $pid or die "fork: $!\n";
    if (!$pid) {
        my $ok = eval { Apache2::Spawn->standalone($alone->dir, %options)->run(['/bin/true'])->ok };
        print {*STDERR} "# $@" if !$ok;
        POSIX::_exit($ok ? 0 : 1);
    }
    $pid;
} 1 .. 8;
my $failed = grep { waitpid $_, 0; $? != 0 } @children;
is $failed, 0, 'eight start it at once, and all have a pair' or diag $alone->log_text;
my $spawn = Apache2::Spawn->standalone($alone->dir, %options);
is scalar(grep {/\S/} map { $alone->$_ ? 1 : '' } qw(parent_pid spawner_pid broker_pid)), 3, 'it is there';
is scalar($alone->pids), 3, 'and there is one';

# killed
for my $what (qw(broker spawner)) {
    my $gate = SpawnTest::Gate->new($alone, $what);
    my $job = $spawn->spawn($gate->job('exit 5'), reply => 'started');
    my $of = "${what}_pid";
    my $old = $alone->$of;
    kill KILL => $old or die "kill $old: $!\n";
    ok wait_until(sub { my $new = $alone->$of; $new && $new != $old }, 60), "the $what is killed, and another one is there";
    $gate->let;
    my $result = patiently(sub { $job->wait(60) });
    ok $result, '... its job has ended' or next;
    # only a spawner knows how its own children ended
    like join(' ', $result->outcome, $result->exit_code // ''), $what eq 'broker' ? qr/\Aexited 5\z/ : qr/\A(?:exited 5|code_unknown )\z/, '... and was not lost';
    is patiently(sub { $spawn->run(['/bin/true'])->ok }), 1, '... and others run';
}

my $old = $alone->parent_pid;
my $broker = $alone->broker_pid;
kill KILL => $old or die "kill $old: $!\n";
ok wait_until(sub { !alive($old) && !alive($broker) }, 60), 'its parent is killed, and the pair ends, which has no job';
$spawn = Apache2::Spawn->standalone($alone->dir, %options);
is $spawn->run(['/bin/true'])->ok, 1, 'another one is started';

# what does not fit
mkdir $alone->dir(2) or die "mkdir: $!\n";
chmod 0777, $alone->dir(2) or die "chmod: $!\n";
ok !eval { Apache2::Spawn->standalone($alone->dir(2), %options); 1 }, 'a directory where others may write';
like $@, qr/others may write there/, '... is refused';
ok !eval { Apache2::Spawn->standalone($alone->dir . 'x' x 90, %options); 1 }, 'a path that is too long for a socket';
like $@, qr/too long/, '... is refused';
done_testing;
