#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Who looks at a job sees the last lines that it has written to the error log, while it
# runs and when it has failed: on its page, as JSON, by spawnctl show and logs. Each call
# of a worker has its own. What it prints cannot become a part of the page.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use JSON::PP ();
use Test::More;

use SpawnTest qw(build_dir each_mpm wait_until);
use SpawnTest::Gate ();

use lib SpawnTest::build_dir() . '/perl';
use Apache2::Spawn ();

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm);
        my $inc = $httpd->dir . '/perl';
        $httpd->{conf} = <<"END";
SpawnSubmitTimeout 30s
SpawnTemplate app exec preload=SpawnTest::Functions inc=$inc
<SpawnQueue rpc>
    SpawnWorkers 1 1
</SpawnQueue>
<Location /spawn-status>
    SetHandler spawn-status
</Location>
END
        $httpd->start;
        my $spawn = Apache2::Spawn->connect($httpd->socket);
        my $gate = SpawnTest::Gate->new($httpd, 'gate');
        my $job = $spawn->spawn($gate->job("echo '<b>second</b>' >&2; exit 3"), stdout => 'log', stderr => 'log', reply => 'started');
        is seen($httpd, $job->id), undef, "$mpm: it has written nothing";
        unlike page($httpd, $job->id), qr/Error log/, 'and its page says nothing of it';

        $job = $spawn->spawn(
            [ '/bin/sh', '-c', "echo first >&2; echo one; " . $gate->job("echo '<b>second</b>' >&2; exit 3")->[2] ],
            stdout => 'log', stderr => 'log', reply => 'started');
        ok wait_until(sub { lines(seen($httpd, $job->id)) eq "first\none\n" }, 60), 'its lines are there while it runs'
            or diag explain seen($httpd, $job->id);
        like page($httpd, $job->id), qr{<h2>Error log <small>[^<]*</small></h2>\s*<pre[^>]*>(?:first\none|one\nfirst)\n</pre>}, 'on its page';
        $gate->let(2);
        $job->wait(60);
        ok wait_until(sub { lines(seen($httpd, $job->id)) eq "<b>second</b>\nfirst\none\n" }, 60), 'and when it has failed'
            or diag explain seen($httpd, $job->id);
        like page($httpd, $job->id), qr{&lt;b>second&lt;/b>|&lt;b&gt;second&lt;/b&gt;}, 'as text';
        like ctl($httpd, 'show', '--output', $job->id), qr/^--- its last lines in the error log ---\n.*^<b>second<\/b>$/ms, 'spawnctl show has them';
        is lines(JSON::PP->new->utf8->decode(ctl($httpd, 'show', '--output', '--json', $job->id))->{log_tail}), "<b>second</b>\nfirst\none\n", '... as JSON';
        unlike ctl($httpd, 'show', $job->id), qr/last lines/, '... only with --output';
        like ctl($httpd, 'logs', $job->id), qr/its last lines below;.*^first$/ms, 'and logs, of a job that captures nothing';

        my $other = $spawn->run([ '/bin/sh', '-c', 'echo out; echo err >&2' ]);
        is seen($httpd, $other->id), undef, 'what is captured is not there';

        my @calls = map { $spawn->spawn_call('SpawnTest::Functions::warns', ["of $_"], queue => 'rpc', reply => 'finished') } qw(one two);
        is $calls[0]->status->pid, $calls[1]->status->pid, 'two calls of a worker';
        for my $n (0, 1) {
            my ($call, $line) = ($calls[$n], (qw(one two))[$n]);
            ok wait_until(sub { lines(seen($httpd, $call->id)) eq "of $line\n" }, 60), "each has its own: $line"
                or diag explain seen($httpd, $call->id);
        }

        kill KILL => $httpd->broker_pid;
        ok wait_until(sub { my $said = eval { said($httpd, $job->id) }; $said && $said->{job} && !exists $said->{job}{log_tail} }, 60),
            'another broker has the job without them';
        $httpd->stop;
    }
);
done_testing;

sub said { my ($httpd, $id) = @_; return JSON::PP->new->utf8->decode($httpd->get("/spawn-status?format=json&output=1&job=$id")->{content}) }
sub seen { my ($httpd, $id) = @_; return said($httpd, $id)->{job}{log_tail} }
sub page { my ($httpd, $id) = @_; return $httpd->get("/spawn-status?job=$id")->{content} }

# Two streams are two pipes: their lines come in any order.
sub lines { my ($text) = @_; return join '', sort split /(?<=\n)/, defined $text ? $text : '' }

sub ctl {
    my ($httpd, @argv) = @_;
    my @all = (build_dir() . '/spawnctl', '--timeout', '60', '--socket', $httpd->socket, @argv);
    my $command = join ' ', map {"'$_'"} @all;
    return scalar qx{$command 2>&1};
}
