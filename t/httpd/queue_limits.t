#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# SpawnLimit is the most that a job may ask for: more is refused, with both numbers,
# whichever way it comes. A job that waits while the limit becomes lower starts with
# the lower one. SpawnGrace and SpawnLeftovers of a queue do what the options do.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Process qw(alive);
use SpawnTest::Templates ();

each_mpm(
    sub {
        my ($mpm) = @_;
        my $t = SpawnTest::Templates->new(mpm => $mpm);
        my $configure = sub {
            my ($memory, $queues) = @_;
            $t->configure('SpawnTemplate app exec inc=@INC@ preload=My::Work',
                "SpawnLimit files=300\nSpawnGrace 1min\n<SpawnQueue small>\nSpawnMaxJobs 1\nSpawnLimit memory=$memory cpu=60\n</SpawnQueue>\n"
                . "<SpawnQueue free>\nSpawnLimit files=unlimited\nSpawnDirectory $queues\n</SpawnQueue>\n"
                . "<SpawnQueue no_size>\nSpawnLimit filesize=0\n</SpawnQueue>\n<SpawnQueue no_files>\nSpawnLimit files=0\n</SpawnQueue>\n"
                . "<SpawnQueue short>\nSpawnGrace 300ms\nSpawnLeftovers kill\n</SpawnQueue>\n");
            return;
        };
        $configure->('4G', '/usr');
        $t->start;
        my $spawn = $t->spawn;

        my $refused = sub {
            my ($name, $text, $code) = @_;
            ok !eval { $code->(); 1 }, "$name: refused";
            my $error = $@;
            is ref $error && join(' ', $error->code, $error->step), 'not_permitted queue', '... not_permitted, step queue';
            is $error->message, $text, '... with both numbers';
            return;
        };
        my $text = "limits: memory=5G is more than queue 'small' lets a job have: memory=4G (SpawnLimit)";
        my @more = (queue => 'small', limits => { memory => '5G', cpu => 1 });
        $refused->('a program', $text, sub { $spawn->spawn(['/bin/true'], @more) });
        $refused->('run', $text, sub { $spawn->run(['/bin/true'], @more) });
        $refused->('a function', $text, sub { $spawn->call('My::Work::pid', [], @more) });
        $refused->('no limit at all', "limits: cpu=unlimited is more than queue 'small' lets a job have: cpu=60 (SpawnLimit)",
            sub { $spawn->run(['/bin/true'], queue => 'small', limits => { cpu => 'unlimited' }) });
        $refused->('a limit from outside', "limits: files=301 is more than queue 'small' lets a job have: files=300 (SpawnLimit)",
            sub { $spawn->run(['/bin/true'], queue => 'small', limits => { files => 301 }) });
        ok $spawn->run(['/bin/true'], queue => 'free', limits => { files => 301 })->ok, 'a queue lifts it';
        my $limits = sub {
            my (@options) = @_;
            my $out = $spawn->run([ '/bin/cat', '/proc/self/limits' ], @options)->stdout;
            return { map { $out =~ /^Max $_\s+(\S+)/m ? ($_ => $1) : () } 'address space', 'cpu time', 'open files' };
        };
        is_deeply $limits->(queue => 'small'), { 'address space' => 4 << 30, 'cpu time' => 60, 'open files' => 300 }, 'who says nothing';
        is_deeply $limits->(queue => 'small', limits => { memory => '4G', files => 20 }),
            { 'address space' => 4 << 30, 'cpu time' => 60, 'open files' => 20 }, 'as much, and less';

        # 0 is a limit like others
        my $none = $spawn->run([ '/bin/sh', '-c', "echo captured; echo a byte >@{[ $t->httpd->work ]}/byte" ], queue => 'no_size');
        is $none->stdout, "captured\n", 'filesize=0: a pipe is written';
        is $none->signal, 25, '... a file is not: SIGXFSZ';
        ok !eval { $spawn->run(['/bin/true'], queue => 'no_files'); 1 }, 'files=0: no job starts';
        is ref $@ && join(' ', $@->code, $@->step), 'start_failed stdin', '... it cannot open its stdin' or diag $@;

        # a post: nobody waits for the answer
        my $posted = $t->httpd->spawn(['/bin/true'], reply => 'posted', @more);
        is $posted->{error}, undef, 'a post' or diag explain $posted;
        ok $t->httpd->wait_for_log(qr/MS0560: posted job \Q$posted->{id}\E .* is refused: not_permitted: \Q$text\E/), 'is refused in the log';
        is $spawn->job($posted->{id})->wait(20)->outcome, 'start_failed', 'and in its record';

        # lower while one waits
        my $gate = SpawnTest::Gate->new($t->httpd, 'gate');
        my $first = $spawn->spawn($gate->job(''), queue => 'small', reply => 'started');
        my $waits = $spawn->spawn([ '/bin/cat', '/proc/self/limits' ], queue => 'small', stdout => 'capture', limits => { memory => '3G' });
        $configure->('2G', '/etc');
        $t->httpd->graceful;
        ok wait_until(sub { $spawn->run(['/bin/pwd'], queue => 'free')->stdout eq "/etc\n" }, 30), 'a graceful restart';
        $gate->let(1);
        my $is = $waits->wait(30);
        is $is->outcome, 'exited', 'it runs';
        like $is->stdout, qr/^Max address space\s+2147483648 /m, 'with the limit that its queue has now';
        ok $t->httpd->wait_for_log(qr/MS0512: job \Q${\$waits->id}\E starts with lower limits than it asked for/), 'which is told';

        # grace and leftovers
        $is = $spawn->run([ '/bin/sh', '-c', 'trap "" TERM; while :; do /bin/sleep 1 & wait; done' ], queue => 'short', timeout => 5);
        is $is->outcome, 'timed_out', 'a deaf job is ended';
        is $is->signal, 9, 'by KILL';
        cmp_ok $is->elapsed, '<', 60, 'after the grace of its queue, not of others';
        my $left = $spawn->run([ '/bin/sh', '-c', '/bin/sleep 1000 >/dev/null 2>&1 & echo $!' ], queue => 'short')->stdout;
        ok wait_until(sub { !alive($left + 0) }, 20), 'what a job has left in its group is killed';
    }
);
done_testing;
