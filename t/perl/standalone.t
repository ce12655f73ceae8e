#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A pair without httpd: it is started by who names its directory first, all who name it share
# it, programs and functions run as ever, and it ends when nobody uses it.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(wait_until);
use SpawnTest::Alone ();
use SpawnTest::Gate ();

my $alone = SpawnTest::Alone->new;
unshift @INC, $alone->perl;
require Apache2::Spawn;

mkdir $alone->dir . '-lib' or die "lib: $!\n";
mkdir $alone->dir . '-lib/My' or die "lib: $!\n";
open my $out, '>', $alone->dir . '-lib/My/Fine.pm' or die "My/Fine.pm: $!\n";
print {$out} "package My::Fine; sub twice { return 2 * \$_[0] } sub pid { return \$\$ } sub parent { return getppid } 1;\n";
close $out or die "My/Fine.pm: $!\n";

my %options = (program => $alone->program, idle => '1s', preload => 'My::Fine', inc => [ $alone->perl, $alone->dir . '-lib' ], timeout => 30);
my $spawn = Apache2::Spawn->standalone($alone->dir, %options);
my $broker = $alone->broker_pid;
ok $broker, 'a pair is there' or diag $alone->log_text;
is $spawn->run([ '/bin/echo', 'fine' ], stdout => 'capture')->stdout, "fine\n", 'a program runs';
is $spawn->run([ '/usr/bin/id', '-u' ], stdout => 'capture')->stdout, "$>\n", 'as who has started it';
is $spawn->call('My::Fine::twice', [21]), 42, 'a function is called in the template';
my $job = $spawn->spawn([ '/bin/sh', '-c', 'exit 3' ]);
is $job->wait(30)->exit_code, 3, 'a job is submitted and waited for';
is_deeply [ map { (stat $alone->dir . "/$_")[2] & 077 } '', qw(socket store log users) ], [ (0) x 5 ], 'nobody else may enter';

# others share it
my $other = Apache2::Spawn->standalone($alone->dir . '/', %options);
is $other->job($job->id)->status->exit_code, 3, 'another one has the same jobs';
is $alone->broker_pid, $broker, '... and the same pair';
my $text = do {
    local $ENV{SPAWN_STANDALONE} = $alone->dir;
    local $ENV{PATH} = "$alone->{dir}:$ENV{PATH}";
    open my $in, '-|', $^X, '-I' . $alone->perl, '-MApache2::Spawn', '-e', 'print Apache2::Spawn->call("My::Fine::twice", [4])' or die "perl: $!\n";
    local $/ = undef;
    <$in>;
};
is $text, 8, 'so has a script with SPAWN_STANDALONE';

# it is kept while it is used, and ends then
select undef, undef, undef, 0.1 for 1 .. 30;    # three times its idle: what is not to happen
is $alone->broker_pid, $broker, 'it stays while its user lives';
my $pid = fork;
if (!$pid) {
    require POSIX;
    POSIX::_exit(0) if defined $pid;
    die "fork: $!\n";
}
waitpid $pid, 0;
is $alone->broker_pid, $broker, 'a child that ends leaves it';
Apache2::Spawn::Standalone->release($alone->dir);
my $gate = SpawnTest::Gate->new($alone, 'late');
my $late = $spawn->spawn($gate->job('exit 0'));
ok wait_until(sub { $late->status->state eq 'running' }, 20), 'its user has gone, and a job runs';
select undef, undef, undef, 0.1 for 1 .. 30;
is $alone->broker_pid, $broker, 'it stays while a job runs';
$gate->let;
ok $alone->ended, 'and ends when that has ended, too' or diag $alone->log_text;

# the next one
$spawn = Apache2::Spawn->standalone($alone->dir, %options);
is $spawn->job($late->id)->status->exit_code, 0, 'the next one has its history';
is $spawn->call('My::Fine::twice', [5]), 10, '... and works';

# wrong use
for my $case ([ 'invalid', 'here' ], [ 'unknown_option', $alone->dir, idel => 3 ], [ 'invalid', $alone->dir(2), program => $alone->program, idle => 'soon' ],
    [ 'system', '/proc/none' ], [ 'system', '/usr' ], [ 'unreachable', $alone->dir(2), program => '/no/such/program' ])
{
    my ($code, @call) = @{$case};
    ok !eval { Apache2::Spawn->standalone(@call); 1 }, "@call[1 .. $#call] is refused";
    is ref $@ && $@->code, $code, "... as $code" or diag $@;
}
done_testing;
