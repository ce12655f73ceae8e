#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A job's time is over, its leader obeys TERM, others of its group are deaf to it
# and have their grace. Who would end them then, the spawner or the template that
# httpd forked, is killed meanwhile: they are ended all the same.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Calls ();
use SpawnTest::Process qw(alive);

my $code = <<'PERL';
package SpawnTest::Deaf;
sub note { my ($path) = @_; open my $out, '>', "$path.new" or die; print {$out} "$$ ", getppid; close $out; rename "$path.new", $path }
sub leader {
    my ($child, $leader) = @_;
    pipe my $in, my $out or die;
    if (!fork) {
        $SIG{TERM} = 'IGNORE';
        close $in;
        note($child);
        close $out;
        sleep 1 while 1;
    }
    close $out;
    my $ready = <$in>;    # its end: the child is deaf
    $SIG{TERM} = 'DEFAULT';
    note($leader);
    sleep 1 while 1;
}
PERL

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Calls->httpd(mpm => $mpm, kind => 'parent', perl => $code,
            conf => "<SpawnQueue w>\nSpawnWorkers 1 1\n</SpawnQueue>\n")->start;
        my $n = 0;
        # A job of this code, whose leader has ended: the deaf child, the parent.
        my $in_its_grace = sub {
            my ($submit) = @_;
            my @paths = map { $httpd->work . "/$_" . $n } qw(child leader);
            $n++;
            my $id = SpawnTest::Calls->ask($httpd, $submit, @paths)->{values}[0] or die "not submitted\n";
            my @pids = map {
                my $path = $_;
                wait_until(sub { -e $path }, 20) or die "nothing came to $path\n";
                open my $in, '<', $path or die "$path: $!\n";
                [ split ' ', <$in> ];
            } @paths;
            my ($leader, $parent) = @{ $pids[1] };
            wait_until(sub { !alive($leader) }, 20) or die "$leader does not obey TERM\n";
            ok alive($pids[0][0]), 'the leader has gone, and the deaf one has its grace';
            return ($id, $pids[0][0], $parent);
        };
        my $function = q{Apache2::Spawn->spawn_call('SpawnTest::Deaf::leader', [@_], timeout => 1.5, grace => 4)->id};
        my $script = $httpd->script('deaf', "#!/usr/bin/perl\n${code}leader(\@ARGV);\n");
        my $program = "Apache2::Spawn->spawn([ '$script', \@_ ], timeout => 1.5, grace => 2)->id";

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
