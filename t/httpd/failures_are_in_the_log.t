#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A job that fails with nobody waiting for its end leaves one line in the error log,
# with all that is needed to find out what it was; so does one after the answer. A
# job that somebody waited for leaves none.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::AfterHttpd;
use SpawnTest::ParentTemplate qw(httpd_with_functions connection);

my $conf = <<'END';
LogLevel warn
<SpawnQueue mail>
</SpawnQueue>
<SpawnQueue many>
</SpawnQueue>
<SpawnQueue workers>
SpawnWorkers 1
</SpawnQueue>
END

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = httpd_with_functions(mpm => $mpm, conf => $conf)->start;
        my $line = sub {
            my ($id, $pattern, $name) = @_;
            ok $httpd->wait_for_log(qr/\Q$id\E $pattern$/m), $name;
            return;
        };
        my @sh = ('/bin/sh', '-c');
        my $id = $httpd->spawn([ @sh, 'exit 3', 'a secret' ], queue => 'mail', label => "a\xc3\xbc\xc2\x9b1m")->{id};
        $line->($id, qr{exited with code 3 \(queue mail, /bin/sh, label "a\xc3\xbc\\xc2\\x9b1m"\)}, 'an exit code');
        like $httpd->error_log, qr/\[spawn:warn\] \[pid \d+\] MS0682: job \Q$id\E/, 'at warn';

        my $job = $httpd->do('request_spawn', argv => [ @sh, 'kill -9 $$' ]);
        $line->($job->{id}, qr{was killed by signal 9 \(Killed\) \(queue default, /bin/sh, request [^ ()]+\)},
            'a signal, and the request');
        $job = $httpd->do('request_spawn', argv => [ @sh, 'exit 2' ],
            options => { context => { request_id => 'aX3' } });
        $line->($job->{id}, qr{exited with code 2 \(queue default, /bin/sh, request aX3\)}, 'or its id');

        $id = $httpd->spawn([ '/bin/sleep', 60 ], timeout => 0.2)->{id};
        $line->($id, qr{timed out after 0\.2 s \(queue default, /bin/sleep\)}, 'a time-out');

        $id = $httpd->spawn(['/none/such'])->{id};
        $line->($id, qr{could not be started: exec: No such file or directory \(queue default, /none/such\)},
            'a start that failed');
        like $httpd->error_log, qr/\[spawn:error\] \[pid \d+\] MS0683: job \Q$id\E/, 'at error';

        $id = $httpd->spawn([ @sh, 'exit 4' ], reply => 'posted')->{id};
        $line->($id, qr{exited with code 4 \(queue default, /bin/sh\)}, 'a posted one');

        my $connection = connection($httpd);
        $id = $connection->spawn_call('My::Loaded::leave', [5])->id;
        $line->($id, qr{exited with code 5 \(queue default, My::Loaded::leave\)}, 'a Perl function');
        $id = $connection->spawn_call('My::Loaded::none_such', ['a secret'])->id;
        $line->($id, qr{died: its function threw, it exited with code 255 \(queue default, My::Loaded::none_such\)},
            'one that died');

        $id = $connection->spawn_call('My::Loaded::none_such', [], queue => 'workers')->id;
        $line->($id, qr{died: its function threw.* \(queue workers, My::Loaded::none_such\)}, 'one of a worker');
        $id = $connection->spawn_call('My::Loaded::leave', [6], queue => 'workers')->id;
        $line->($id, qr{exited with code 6 \(queue workers, My::Loaded::leave\)}, 'one that ended it');

        # Those that somebody knows of, and those that went well.
        my %known = map { ($_->{id} || $_->{error}{id} || die explain $_) => 1 } (
            $httpd->run([ @sh, 'exit 6' ]),
            $httpd->spawn(['/none/such'], reply => 'started'),
        );
        eval { $connection->call('My::Loaded::none_such'); 1 } and fail 'it dies';
        $known{ $@->job->id } = 1;
        for my $function (qw(none_such leave)) {
            eval { $connection->call("My::Loaded::$function", [7], queue => 'workers'); 1 } and fail 'it fails';
            $known{ $@->job->id } = 1;
        }
        $id = $httpd->spawn([ @sh, 'exit 0' ])->{id};
        $httpd->wait($id);
        $known{$id} = 1;
        $job = $httpd->spawn([ '/bin/sleep', 60 ], reply => 'started');
        $httpd->do('kill', id => $job->{id}, signal => 'TERM');
        $httpd->wait($job->{id});
        $known{ $job->{id} } = 1;
        is_deeply [ grep { $httpd->error_log =~ /MS068\d: job $_/ } keys %known ], [], 'no others';
        unlike $httpd->error_log, qr/a secret/, 'no arguments';

        # Many that fail alike.
        my @ids = @{ $httpd->do('spawn_many', argv => [ @sh, 'exit 7' ], count => 50,
                options => { queue => 'many' })->{ids} };
        $httpd->stop;
        ok $httpd->pair_gone, 'all is done';
        my $lines = () = $httpd->error_log =~ /MS0682: .* exited with code 7 /g;
        is $lines, 30, 'some have their line';
        like $httpd->error_log, qr/MS0375: 20 more lines like MS0682 .*\(queue many, exited\)$/m, 'the rest a count';
    }
);

subtest 'after the answer' => sub {
    each_mpm(
        sub {
            my ($mpm) = @_;
            my $httpd = SpawnTest::AfterHttpd->new(mpm => $mpm, conf => $conf . <<'END');
PerlModule SpawnTest::Handled
<Location /page>
    SetHandler modperl
    PerlResponseHandler SpawnTest::Handled::answer
    SpawnDefaultQueue mail
    SpawnCleanupHandler SpawnTest::Handled::dies
</Location>
END
            $httpd->start;
            my %options = (queue => 'mail', label => 'later');
            my $context = { context => { request_id => 'aX4' } };
            my @ids = @{ $httpd->after(jobs => [
                [ [ '/bin/sh', '-c', 'exit 3', 'a secret' ], {%options} ],
                [ 'SpawnTest::Handled::dies', ['a secret'], { %options, %{$context} } ],
                [ ['/none/such'], {%options} ],
            ])->{ids} };
            my $line = sub {
                my ($level, $number, $rest, $name) = @_;
                return ok $httpd->wait_for_log(qr{\[spawn:$level\] \[pid \d+\] $number: job $rest$}m), $name;
            };
            $line->('warn', 'MS0682',
                qr{\Q$ids[0]\E exited with code 3 \(queue mail, /bin/sh, request [^ ()]+, label "later"\)}, 'a program');
            $line->('warn', 'MS0682',
                qr{\Q$ids[1]\E died: its function threw, it exited with code 255 \(queue mail, SpawnTest::Handled::dies, request aX4, label "later"\)},
                'a function');
            $line->('error', 'MS0683',
                qr{\Q$ids[2]\E could not be started: exec: No such file or directory \(queue mail, /none/such, request [^ ()]+, label "later"\)},
                'one that cannot be started');
            is $httpd->get('/page')->{status}, 200, 'a page';
            $line->('warn', 'MS0682',
                qr{[0-9a-f-]{36} died: its function threw, it exited with code 255 \(queue mail, Apache2::Spawn::Cleanup::run, request [^ ()]+, label "SpawnCleanupHandler SpawnTest::Handled::dies"\)},
                'and its handler for what comes after it');
            unlike $httpd->error_log, qr/a secret/, 'no arguments';
        }
    );
};

subtest 'one that outlives its spawner' => sub {
    my $httpd = SpawnTest::Httpd->new(conf => "LogLevel warn\n")->start;
    my $gate = $httpd->work . '/gate';
    my $id = $httpd->spawn([ '/bin/sh', '-c', "until [ -e $gate ]; do sleep 0.05; done; exit 3" ],
        reply => 'started')->{id};
    my $spawner = $httpd->kill_pair('spawner');
    ok $httpd->new_pid(spawner => $spawner), 'another spawner is there';
    is $httpd->run([qw(/bin/echo on)])->{stdout}, "on\n", 'and ready';
    open my $out, '>', $gate or die "$gate: $!\n";
    close $out or die "$gate: $!\n";
    ok $httpd->wait_for_log(
        qr{MS0682: job \Q$id\E (?:exited with code 3|ended, its exit code is not known: [^(]+) \(queue default, /bin/sh\)$}m),
        'is told of by its follower, as far as the kernel tells it';
};

subtest 'at LogLevel debug' => sub {
    my $httpd = SpawnTest::Httpd->new(conf => "LogLevel spawn:debug\n")->start;
    my $id = $httpd->run([ '/bin/sh', '-c', 'exit 0' ], label => 'mine')->{id};
    ok $httpd->wait_for_log(qr{spawn:debug\] \[pid \d+\] MS0680: job \Q$id\E runs, pid \d+ \(queue default, /bin/sh, label "mine"\)$}m), 'a start';
    ok $httpd->wait_for_log(qr{MS0681: job \Q$id\E has ended: exited with code 0 \(queue default, /bin/sh, label "mine"\)$}m), 'an end';
    $id = $httpd->run([ '/bin/sh', '-c', 'exit 1' ])->{id};
    ok $httpd->wait_for_log(qr{spawn:debug\] \[pid \d+\] MS0681: job \Q$id\E has ended: exited with code 1 }), 'one that was waited for';
};
done_testing;
