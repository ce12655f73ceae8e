#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A Perl function that kills its parent. Where root has started httpd, that is a
# spawner of another account, which it cannot. Where all is one account it can:
# the pair comes back, the function goes on, its end is told as far as it is
# known, and calls are served. The same for a template that httpd has forked.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Errno qw(EPERM);
use Test::More;

use SpawnTest qw(each_mpm one_mpm wait_until);
use SpawnTest::Calls ();
use SpawnTest::ParentTemplate qw(templates_of);

my $function = 'SpawnTest::Functions::kills_its_parent';

sub start {
    my (%options) = @_;
    my $httpd = SpawnTest::Calls->httpd(%options, conf => <<'END')->start;
SpawnSubmitTimeout 20
PerlModule SpawnTest::Functions
SpawnTemplate own parent
END
    my $ask = sub { return SpawnTest::Calls->ask($httpd, @_) };
    # templates are there
    is_deeply $ask->('map { scalar Apache2::Spawn->call("SpawnTest::Functions::sum", [1, 2], template => $_) } qw(app own)')->{values},
        [ 3, 3 ], 'calls are served';
    return ($httpd, $ask);
}

# Its end is told as it was, or said not to be known; and calls are served.
sub told {
    my ($ask, $id, $template) = @_;
    my $seen = wait_until(
        sub {
            my $answer = $ask->('my $s = Apache2::Spawn->job($_[0])->status; [ $s->state, $s->outcome, $s->exit_code ]', $id);
            return $answer->{values} && $answer->{values}[0][0] eq 'done' ? $answer->{values}[0] : 0;
        },
        30
    ) or return fail 'its end is seen';
    like join(q{ }, map { defined ? $_ : 'none' } @{$seen}[ 1, 2 ]), qr/\A(?:exited 0|code_unknown none)\z/,
        'its end is told, and not wrongly';
    return is_deeply $ask->('scalar Apache2::Spawn->call("SpawnTest::Functions::sum", [ 4, 5 ], template => $_[0], timeout => 30)',
        $template)->{values}, [9], 'and calls are served';
}

my @held;

sub begin {
    my ($httpd, $ask, $gate, $template) = @_;
    my $before = SpawnTest::Gate->new($httpd, 'before');
    my ($id) = @{ $ask->('my ($f, $t, @gates) = @_; Apache2::Spawn->spawn_call($f, \@gates, template => $t)->id',
        $function, $template, $before->path, $gate->path)->{values} };
    # one that is just starting when the spawner dies is lost, and said to be
    wait_until(sub { $ask->('Apache2::Spawn->job($_[0])->status->state', $id)->{values}[0] eq 'running' }, 30)
        or die "it does not run\n";
    $before->let;
    # a pipe that nobody holds forgets what it has been given
    push @held, $before;
    return $id;
}

each_mpm(
    sub {
        my ($mpm) = @_;

        subtest 'root has started httpd' => sub {
            plan skip_all => 'this is not root' if $< != 0;
            my ($httpd, $ask) = start(mpm => $mpm);
            my $spawner = $httpd->spawner_pid;
            is_deeply $ask->('Apache2::Spawn->call($_[0])', $function)->{values}, [ $spawner, 0, EPERM ],
                'the spawner cannot be killed';
            is $httpd->spawner_pid, $spawner, 'and is there';
            $httpd->clean;
        };

        subtest 'all is one account' => sub {
            my ($httpd, $ask) = start(mpm => $mpm, as => 'nobody');
            my $spawner = $httpd->spawner_pid;
            my $gate = SpawnTest::Gate->new($httpd, 'after');
            my $id = begin($httpd, $ask, $gate, 'app');
            my $new = $httpd->new_pid('spawner', $spawner);
            ok $new, 'the spawner is killed, and another one is there';
            is_deeply $ask->('Apache2::Spawn->job($_[0])->status->state', $id)->{values}, ['running'],
                'whose broker knows it';
            $gate->let;
            told($ask, $id, 'app');
            my $answer = $ask->('Apache2::Spawn->job($_[0])->result(10)', $id);
            like $answer->{error}{code} . ': ' . $answer->{error}{text},
                qr/\Acall_failed: \S+ (?:has no result: its exit code is unknown: its parent had|ended its process, exit code 0, and has no result: its spawner was killed)/,
                'its result is lost, and who asks is told' or diag explain $answer;
            is $httpd->spawner_pid, $new, 'the new one stays';
            $httpd->clean;
        };

        # httpd looks for it every ten seconds
        return if $mpm ne one_mpm();
        subtest 'a template that httpd has forked' => sub {
            my ($httpd, $ask) = start(mpm => $mpm);
            my ($template) = templates_of($httpd, 'own');
            my $gate = SpawnTest::Gate->new($httpd, 'after');
            my $id = begin($httpd, $ask, $gate, 'own');
            my $next = wait_until(sub { my ($pid) = grep { $_ != $template } templates_of($httpd, 'own'); $pid }, 30);
            ok $next, 'is killed, and another one is forked';
            $gate->let;
            is_deeply $ask->('scalar Apache2::Spawn->job($_[0])->wait(30)->state', $id)->{values}, ['done'], 'it ends';
            is_deeply $ask->('Apache2::Spawn->job($_[0])->result(10)', $id)->{values}, [ $template, 1, 0 ], 'and returns';
            told($ask, $id, 'own');
            $httpd->clean;
        };
    }
);
done_testing;
