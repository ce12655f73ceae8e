#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A job's time is over, its leader obeys TERM, others of its group are deaf to it
# and have their grace. The process that would end them then, the spawner or the
# template that httpd forked, is killed meanwhile: they are ended all the same.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Calls ();
use SpawnTest::Deaf qw(deaf_code deaf_script has_begun pids_in);
use SpawnTest::Process qw(alive);
use SpawnTest::Wait qw(in_time);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Calls->httpd(mpm => $mpm, kind => 'parent', perl => deaf_code(),
            conf => "<SpawnQueue w>\nSpawnWorkers 1 1\n</SpawnQueue>\n")->start;
        my $n = 0;
        # A job of this code, whose leader has ended: the deaf child, the parent.
        my $in_its_grace = sub {
            my ($submit) = @_;
            my ($id, @paths) = in_time(
                sub {
                    my ($timeout) = @_;
                    my @new = map { $httpd->work . "/$_" . $n } qw(child leader);
                    $n++;
                    (my $code = $submit) =~ s/TIMEOUT/$timeout/;
                    my $job = SpawnTest::Calls->ask($httpd, $code, @new)->{values}[0] or die "not submitted\n";
                    return has_begun($httpd, $job, $new[1]) ? ($job, @new) : ();
                }
            );
            my ($deaf) = pids_in($paths[0]);
            my ($leader, $parent) = pids_in($paths[1]);
            wait_until(sub { !alive($leader) }, 20) or die "$leader does not obey TERM\n";
            ok alive($deaf), 'the leader has gone, and the deaf one has its grace';
            return ($id, $deaf, $parent);
        };
        my $function = q{Apache2::Spawn->spawn_call('SpawnTest::Deaf::Job::leader', [@_], timeout => TIMEOUT, grace => 4)->id};
        my $script = deaf_script($httpd);
        my $program = "Apache2::Spawn->spawn([ '$script', \@_ ], timeout => TIMEOUT, grace => 2)->id";

        (my $call = $function) =~ s/grace => 4/grace => 4, queue => 'w'/;
        my ($id, $deaf, $template) = $in_its_grace->($function);
        my ($call_id, $call_deaf) = $in_its_grace->($call);
        kill KILL => $template or die "$template: $!\n";
        ok wait_until(sub { !alive($deaf) }, 30), 'a Perl function whose template was killed: its group is ended'
            or kill KILL => $deaf;
        ok wait_until(sub { !alive($call_deaf) }, 30), 'a call in a worker whose template was killed: its group is ended'
            or kill KILL => $call_deaf;
        is $httpd->wait($_)->{outcome}, 'timed_out', 'and so is the job, which timed out' for $id, $call_id;
        unlike $httpd->error_log, qr/MS0650/, 'nothing is said to hang';

        ($id, $deaf) = $in_its_grace->($program);
        my $spawner = $httpd->kill_pair('spawner');
        ok wait_until(sub { !alive($deaf) }, 30), 'a program whose spawner was killed: its group is ended'
            or kill KILL => $deaf;
        ok $httpd->new_pid('spawner', $spawner), 'a new spawner comes';
        ok $httpd->wait($id)->{outcome}, 'and tells of the job';
    }
);
done_testing;
