#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The clock of a machine is set ahead and back while httpd runs, in its default
# configuration: the jobs that were submitted before each step, and those that are
# submitted after it, over the socket, in a handler and behind its answer, run once
# each. None is refused for ever, before or after a restart.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use File::Copy qw(copy);
use Test::More;

use SpawnTest qw(each_mpm not_sanitized wait_until);
use SpawnTest::Calls ();

not_sanitized('their libraries are preloaded, as the clock is');

use constant DAY => 86_400;

my ($httpd, $clock, $ledger, $steps);

# httpd with the clock preloaded, and a broker that is linked with it (it has a small
# environment). The file of the clock lies beside that broker.
sub with_clock {
    my ($mpm) = @_;
    $httpd = SpawnTest::Calls->httpd(mpm => $mpm, templates => "PerlModule SpawnTest::Functions\n");
    my ($build, $to) = (SpawnTest::build_dir(), $httpd->dir . '/modules');
    for ($to, "$to/mod_spawn") {
        mkdir $_ or die "$_: $!\n";
        chmod 0755, $_;
    }
    my %copy = (
        "$build/mod_spawn.so" => "$to/mod_spawn.so",
        "$build/mod_spawn/spawner" => "$to/mod_spawn/spawner",
        "$build/t/broker_with_clock" => "$to/mod_spawn/broker",
        "$build/t/clock.so" => "$to/clock.so",
    );
    for my $from (keys %copy) {
        copy($from, $copy{$from}) or die "$from (make all probe): $!\n";
        chmod 0755, $copy{$from};
    }
    $clock = "$to/mod_spawn/clock";
    step(0);
    $httpd->{module} = "$to/mod_spawn.so";
    $httpd->{wrapper} = [ 'env', "LD_PRELOAD=$to/clock.so", "TEST_CLOCK=$clock" ];
    $ledger = $httpd->work . '/ledger';
    return $httpd->start;
}

# The time of day is so many seconds ahead from now on. The file is mapped: it keeps its
# size.
sub step {
    my ($seconds) = @_;
    open my $out, -e $clock ? '+<' : '>', $clock or die "$clock: $!\n";
    syswrite $out, pack 'q5', $seconds, (0) x 4;
    close $out or die "$clock: $!\n";
    chmod 0644, $clock;    # broker and children have other accounts, and read it
    return;
}

sub line_of { my ($name) = @_; return [ '/bin/sh', '-c', "echo $name >>$ledger" ] }

# How often each ran.
sub ran {
    my %ran;
    open my $in, '<', $ledger or return {};
    while (my $line = <$in>) {
        chomp $line;
        $ran{$line}++;
    }
    return \%ran;
}

# In a handler: a job, one behind the answer, a Perl function. What they were given.
sub submits {
    my ($name) = @_;
    my $answer = SpawnTest::Calls->ask($httpd, <<'CODE', $name, map { line_of("$name-$_") } qw(submitted posted cleanup));
my ($name, $submitted, $posted, $cleanup) = @_;
my $id = Apache2::Spawn->spawn($submitted)->id;
my $post = Apache2::Spawn->spawn($posted, reply => 'posted')->id;
$r->spawn_cleanup($cleanup);
return ($id, $post, Apache2::Spawn->call('SpawnTest::Functions::echo', [$name]), (Apache2::Spawn->call('SpawnTest::Functions::clock'))[0]);
CODE
    ok $answer->{values}, "$name: a handler submits" or diag explain $answer;
    return $answer->{values};
}

each_mpm(
    sub {
        my ($mpm) = @_;
        with_clock($mpm);
        my (%wanted, $values);
        my $both = sub {
            my ($name) = @_;
            $values = submits($name);
            is $values->[2], $name, "$name: a function is called";
            $wanted{"$name-$_"} = 1 for qw(submitted posted cleanup);
            ok wait_until(sub { my $ran = ran(); !grep { !$ran->{$_} } keys %wanted }, 60), "$name: all that were submitted have run"
                or diag explain ran();
        };
        my $gate = SpawnTest::Gate->new($httpd, 'gate');
        my $here = $httpd->spawn($gate->job('exit 7'), reply => 'started');
        my $waits = $httpd->spawn(line_of('waits'), after => $here->{id}, after_failed => 'run');
        ok $waits->{id}, 'one waits for another, before the first step' or diag explain $waits;
        $both->('before');
        for my $step ([ ahead => 30 * DAY ], [ back => -30 * DAY ], [ here => 0 ]) {
            my ($name, $seconds) = @{$step};
            my $before = time + $seconds;
            step($seconds);
            $both->($name);
            cmp_ok abs($values->[3] - $before), '<', DAY, "$name: a job sees the stepped clock" if defined $values->[3];
            $httpd->restart;
            $both->("$name-restarted");
        }
        $gate->let(1);
        is $httpd->wait($here->{id})->{exit_code}, 7, 'a job that ran over all of it ends as it should';
        is $httpd->wait($waits->{id})->{exit_code}, 0, '... and the one that waited for it runs';
        $wanted{waits} = 1;
        is_deeply ran(), \%wanted, 'each has run once';
        unlike $httpd->error_log, qr/too_old/, 'and none was refused as too old';
    }
);
done_testing;
