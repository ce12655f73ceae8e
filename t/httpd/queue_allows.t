#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# SpawnAllow: a queue runs the programs and functions that it names, whichever way a
# job comes, and by whichever name or link a program is called. A job that it does
# not run is refused, with queue, rule and caller, in the caller's error and in the
# log; one that waits while the list changes never runs, and its record says why.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Ctl ();
use SpawnTest::Gate ();
use SpawnTest::Templates ();

each_mpm(
    sub {
        my ($mpm) = @_;
        my $t = SpawnTest::Templates->new(mpm => $mpm);
        my $httpd = $t->httpd;
        my $work = $httpd->work;
        my $configure = sub {
            my ($tools, $more) = @_;
            $t->configure('SpawnTemplate app exec inc=@INC@ preload=My::Work', <<"END");
SpawnAllow none
<SpawnQueue tools>
    SpawnMaxJobs 1
    SpawnAllow $tools
    SpawnAllow !$work/bin/admin
</SpawnQueue>
<SpawnQueue others>
    SpawnAllow $tools
    SpawnAllow !$work/bin/admin
</SpawnQueue>
<SpawnQueue calls>
    SpawnAllow My::Work::* !My::Work::version
</SpawnQueue>
<SpawnQueue workers>
    SpawnWorkers 1
    SpawnAllow My::Work::*
</SpawnQueue>
<SpawnQueue free>
    SpawnAllow all
</SpawnQueue>
@{[ $more || '' ]}
END
            return;
        };
        mkdir "$work/bin" or die "$work/bin: $!\n";
        chmod 0755, "$work/bin";
        my $script = sub {
            my ($path, $text) = @_;
            open my $out, '>', $path or die "$path: $!\n";
            print {$out} "#!/bin/sh\n$text\n";
            close $out or die "$path: $!\n";
            chmod 0755, $path or die "$path: $!\n";
            return $path;
        };
        $script->("$work/bin/tool", 'echo tool $0 $1');
        $script->("$work/bin/admin", "echo ran >>$work/ran");
        $script->("$work/evil", "echo ran >>$work/ran");
        symlink "$work/bin/tool", "$work/way" or die "symlink: $!\n";
        symlink "$work/evil", "$work/bin/link" or die "symlink: $!\n";
        $configure->("/bin/cat $work/bin/*");
        $t->start;
        my $spawn = $t->spawn;

        # ---- what runs ----

        my @tools = (queue => 'tools');
        is $spawn->run([ '/bin/cat', '/dev/null' ], @tools)->exit_code, 0, 'a program that is named';
        is $spawn->run([ 'cat', '/dev/null' ], @tools)->exit_code, 0, '... without its directory';
        is $spawn->run([ '/usr/bin/cat', '/dev/null' ], @tools)->exit_code, 0, '... by its other path';
        is $spawn->run([ "$work/bin/tool", 'a' ], @tools)->stdout, "tool $work/bin/tool a\n", 'one that a pattern names';
        is $spawn->run([ "$work/way", 'b' ], @tools)->stdout, "tool $work/bin/tool b\n", '... by a link: it has its real name';
        is $spawn->run([ './tool', 'c' ], @tools, cwd => "$work/bin")->stdout, "tool $work/bin/tool c\n", '... from its directory';
        is $spawn->run([ '/bin/sh', '-c', 'echo free' ], queue => 'free')->stdout, "free\n", 'a queue that allows all';
        is $spawn->call('My::Work::echo', ['x'], queue => 'calls'), 'x', 'a function';
        is $spawn->call('My::Work::echo', ['y'], queue => 'workers'), 'y', '... of a worker';

        # ---- what does not ----

        # A function, and any program where the list has none, is refused at once. A file is refused at
        # once, or by the job's process where the broker would have to wait for a file system to know it,
        # which is the kernel's matter. Then there is a record.
        my $at_once = qr/not_permitted/;
        my $refused = sub {
            my ($name, $what, $code, @options) = @_;
            my $from = length $httpd->error_log;
            my $error;
            if (ref $what) {
                my $result = eval { $spawn->run($what, @options) };
                $error = $@ if !$result;
            }
            else {
                $error = $@ if !eval { $spawn->call($what, [], @options); 1 };
            }
            my %option = @options;
            my $queue = $option{queue} || 'default';
            ok ref $error, "$name: refused" or return;
            like $error->code, qr/\A$code\z/, '... as it should be';
            is $error->step, 'allow', '... step allow';
            my $text = qr/queue '$queue' does not run .*; SpawnAllow: \S.*; asked for by uid $>/;
            like $error->message, $text, '... with queue, rule and who asked';
            my $id = $error->job->id;
            ok $httpd->wait_for_log(qr/MS0514: job \Q$id\E is refused: $text/, 60, $from), '... and in the log';
            my $is = eval { $error->job->status };
            is $is ? $is->outcome : 'none', $error->code eq 'start_failed' ? 'start_failed' : 'none', '... its record, when it was taken';
            return $error;
        };
        my $or_later = qr/not_permitted|start_failed/;
        # a line of the log is written five times a minute for a queue
        my @others = (queue => 'others');
        $refused->('a program that is not named', ['/bin/sh', '-c', "echo ran >>$work/ran"], $or_later, @tools);
        $refused->('without its directory', ['sh', '-c', "echo ran >>$work/ran"], $or_later, @others);
        $refused->('a link to another one', ["$work/bin/link"], $or_later, @tools);
        $refused->('one that is excluded', ["$work/bin/admin"], $or_later, @others);
        $refused->('by a way round', ["$work/bin/../evil"], $or_later, @tools);
        $refused->('in the queue default, as outside of the queues', ['/bin/cat'], $at_once);
        $refused->('a program among functions', ['/bin/cat'], $at_once, queue => 'calls');
        $refused->('a function among programs', 'My::Work::pid', $at_once, @others);
        my $error = $refused->('a function that is excluded', 'My::Work::version', $at_once, queue => 'calls');
        like $error->message, qr/SpawnAllow: !My::Work::version;/, '... with the rule that excludes it';
        $refused->('by its other name', 'main::My::Work::version', $at_once, queue => 'calls');
        $refused->('a function of a worker', 'POSIX::getpid', $at_once, queue => 'workers');
        $refused->('another module', 'My::Work::pid', $at_once, queue => 'calls', load => 'POSIX');
        for my $variable (qw(LD_PRELOAD PATH)) {
            ok !eval { $spawn->run(['/bin/cat'], @tools, env => { $variable => '/tmp/evil' }); 1 }, "$variable is refused";
            like $@->message, qr/queue 'tools' has SpawnAllow, and its jobs may not set $variable/, '... and why';
        }
        ok !-e "$work/ran", 'nothing of it ran';

        # a post: nobody waits for the answer
        my $posted = $httpd->spawn(['/bin/sh', '-c', 'true'], reply => 'posted', queue => 'calls');
        ok $httpd->wait_for_log(qr/MS0560: posted job \Q$posted->{id}\E .* is refused: not_permitted: queue 'calls' does not run '\/bin\/sh'; SpawnAllow: My::Work::\* .*asked for by uid \d+/),
            'a post is refused in the log, with who asked';
        is $spawn->job($posted->{id})->wait(20)->outcome, 'start_failed', 'and in its record';

        # from inside of a job
        is $spawn->call('My::Work::echo', ['z'], queue => 'calls'), 'z', 'a job of a function';
        my $ctl = SpawnTest::Ctl->new($httpd);
        my $of_ctl = $ctl->run('run', '--queue', 'calls', '/bin/cat');
        isnt $of_ctl->{code}, 0, 'spawnctl run is refused';
        like $of_ctl->{err}, qr/queue 'calls' does not run '\/bin\/cat'/, '... with the text';

        # what people see
        like $ctl->run('queues', 'tools')->{out}, qr{allow=/bin/cat allow=\Q$work\E/bin/\* allow=!\Q$work\E/bin/admin}, 'spawnctl queues shows the list';
        is_deeply +($ctl->json('queues', 'tools'))[0][0]{rules}{allow}, [ '/bin/cat', "$work/bin/*", "!$work/bin/admin" ], '... in JSON, too';

        # ---- the rule changes while a job waits ----

        my $gate = SpawnTest::Gate->new($httpd, 'gate');
        my $first = $spawn->spawn([ '/bin/cat', $gate->path ], @tools, reply => 'started');
        my $waits = $spawn->spawn(["$work/bin/tool"], @tools);
        $configure->('/bin/cat /usr/bin/true');
        $httpd->graceful;
        ok wait_until(sub { $ctl->run('queues', 'tools')->{out} =~ m{allow=/usr/bin/true} }, 30), 'a graceful restart';
        $first->kill('KILL');
        ok wait_until(sub { $waits->status->state eq 'done' }, 30), 'what waits ends';    # nobody waits: that is told in the log
        my $is = $waits->wait(30);
        is $is->outcome, 'start_failed', 'it does not start';
        is $is->step, 'allow', '... step allow';
        like $is->message, qr/queue 'tools' does not run/, '... which its record says';
        ok $httpd->wait_for_log(qr/MS0683: job \Q${\$waits->id}\E .*could not be started: .*queue 'tools' does not run/), '... and the log';
        is $spawn->run(['/usr/bin/true'], @tools)->exit_code, 0, 'what is named now runs';
    }
);
done_testing;
