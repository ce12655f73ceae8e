#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# mod_status's page has a part about jobs: as HTML, and as lines with ?auto. When the broker
# does not answer it says so, soon, and the page is there.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);

plan skip_all => 'this httpd has no mod_status' if !SpawnTest::Httpd->has_module('status');
my $load = SpawnTest::Httpd::Conf::_load('status');

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, conf => <<"END")->start;
$load
ExtendedStatus On
SpawnSubmitTimeout 30s
<SpawnQueue images>
    SpawnMaxJobs 1
</SpawnQueue>
<Location /server-status>
    SetHandler server-status
</Location>
END
        my $lines = sub { my $text = $httpd->get('/server-status?auto')->{content}; return ({ $text =~ /^(Spawn\w+): (\d+)$/mg }, $text) };
        my $gate = SpawnTest::Gate->new($httpd, 'gate');
        $httpd->spawn($gate->job('exit 0'), queue => 'images', reply => 'started');
        $httpd->spawn(['/bin/true'], queue => 'images') for 1 .. 2;
        $httpd->run(['/bin/false']);

        my ($is, $all);
        my %wanted = (SpawnUp => 1, SpawnRunning => 1, SpawnWaiting => 2, SpawnDelayed => 0, SpawnSubmitted => 4, SpawnEnded => 1, SpawnFailed => 1,
            SpawnBrokerPid => $httpd->broker_pid, SpawnSpawnerPid => ($httpd->spawner_pids)[0]);
        ok wait_until(sub { ($is, $all) = $lines->(); join(',', %{$is}{ sort keys %wanted }) eq join(',', %wanted{ sort keys %wanted }) }, 60),
            'lines for programs';
        is_deeply $is, \%wanted, '... which are these';
        like $all, qr/^BusyWorkers: /m, '... beside those of mod_status';

        # it waits for the broker half a second, which can be too little on a busy machine
        my $page;
        ok wait_until(sub { $page = $httpd->get('/server-status'); $page->{content} =~ /Spawner: process/ }, 60), 'the page tells of the pair';
        is $page->{status}, 200, 'the page';
        like $page->{content}, qr/<h2>Jobs of mod_spawn</, '... has its part';
        like $page->{content}, qr{Spawner: process $wanted{SpawnSpawnerPid}\. Broker: process $wanted{SpawnBrokerPid}\.}, '... with who does it';
        like $page->{content}, qr{<tr><td>images</td><td>open</td><td>1</td><td>2</td><td>0</td><td>0</td><td>0</td></tr>}, '... and each queue';
        like $page->{content}, qr{</html>\s*\z}, '... and its end';
        ok wait_until(sub { $httpd->get('/server-status?notable')->{content} =~ m{<dt>Queue images: open, 1 running, 2 waiting, 0 delayed; 0 ended, 0 failed</dt>} }, 60),
            'without tables';
        SpawnTest::Ctl->new($httpd)->run('pause', 'images');
        ok wait_until(sub { $httpd->get('/server-status')->{content} =~ m{<td>images</td><td>paused</td>} }, 60), 'a paused queue';

        # the spawner would replace a broker that hangs
        my ($spawner) = $httpd->spawner_pids;
        my $broker = $httpd->broker_pid;
        kill 'STOP', $spawner, $broker;
        ($is, $all) = $lines->();
        is_deeply $is, { SpawnUp => 0 }, 'no broker: a line';
        like $all, qr/^BusyWorkers: /m, '... beside the others';
        $page = $httpd->get('/server-status');
        like $page->{content}, qr/The broker does not answer/, 'no broker: a sentence';
        like $page->{content}, qr{</html>\s*\z}, '... on a whole page';
        unlike $httpd->error_log, qr/\[(?:crit|alert|emerg)\]/, 'nothing breaks';
        kill 'CONT', $broker, $spawner;
        ok wait_until(sub { ($lines->())[0]{SpawnUp} }, 60), 'it is there again';
        $gate->let(1);
    }
);
done_testing;
