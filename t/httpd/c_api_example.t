#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# examples/c/mod_spawn_example.c is built by apxs, with nothing of ours but the
# header that make install installs, and does what its head says.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Apache2::Spawn ();
use File::Copy qw(copy);
use File::Temp ();
use HTTP::Tiny ();
use Test::More;

use SpawnTest qw(each_mpm mpms root_dir wait_until);

my $dir = File::Temp::tempdir('spawn-example-XXXXXXXX', DIR => '/tmp', CLEANUP => 1);
chmod 0755, $dir or die "$dir: $!\n";
for my $file (qw(examples/c/mod_spawn_example.c mod_spawn.h)) {
    copy(root_dir() . "/$file", $dir) or die "$file: $!\n";
}
my $said = do {
    # libtool is no good citizen of a make above
    local @ENV{qw(MAKEFLAGS MAKELEVEL LD_PRELOAD)};
    delete @ENV{qw(MAKEFLAGS MAKELEVEL LD_PRELOAD)};
    `cd $dir && apxs -c -I. -Wc,-Wall -Wc,-Wextra -Wc,-Werror mod_spawn_example.c 2>&1`;
};
is $?, 0, 'apxs builds it without a warning' or die $said;
my $module = "$dir/.libs/mod_spawn_example.so";
chmod 0755, "$dir/.libs" or die "$dir/.libs: $!\n";

sub slurp {
    my ($file) = @_;
    open my $in, '<', $file or return '';
    local $/ = undef;
    return scalar <$in>;
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, handlers => 0);
        my $mark = $httpd->work . '/after';
        my $after = $httpd->script('after', "#!/bin/sh\necho \"\$SPAWN_JOB_ID \$1\" >>$mark\n");
        my $fails = $httpd->script('fails', "#!/bin/sh\necho half\necho why >&2\nexit 4\n");
        $httpd->{conf} = <<"END";
SpawnSubmitTimeout 30s
LoadModule spawn_example_module $module
<Location /sorted>
    SetHandler spawn-example
    ExampleProgram /usr/bin/tr a-z A-Z
    ExampleAfter $after well
</Location>
<Location /fails>
    SetHandler spawn-example
    ExampleProgram $fails
    ExampleAfter $after badly
</Location>
<Location /missing>
    SetHandler spawn-example
    ExampleProgram /nonexistent "an argument"
</Location>
<Location /empty>
    SetHandler spawn-example
</Location>
<Location /dead>
    SetHandler spawn-example-dead
</Location>
END
        $httpd->start;

        my $answer = $httpd->get('/sorted?some+words');
        is $answer->{status}, 200, 'it answers' or diag $httpd->tail;
        is $answer->{content}, 'SOME+WORDS', 'with what the program made of the query';
        like $answer->{headers}{'x-job'}, qr/\A[0-9a-f]{8}-[0-9a-f-]{27}\z/, 'and the id of the job';
        ok wait_until(sub { slurp($mark) =~ /^\S+ well$/m }, 30), 'the job for after the answer runs';

        $answer = $httpd->get('/fails');
        is $answer->{status}, 502, 'a program that fails';
        ok $httpd->wait_for_log(qr/\bjob [0-9a-f-]{36}: /), 'is in the log';
        ok wait_until(sub { slurp($mark) =~ /^\S+ badly$/m }, 30), 'and the job for after the answer runs, too';

        is $httpd->get('/dead')->{content}, '', 'no job is dead';
        my $runs = $httpd->work . '/runs';
        my $id = $httpd->connection->run(['/bin/sh', '-c', "echo run >>$runs; exit 4"], retry => 1, backoff => '1ms')->id;
        is $httpd->get('/dead')->{content}, "$id\n", 'one that has failed for good is listed';
        is(HTTP::Tiny->new(timeout => 60)->post($httpd->url('/dead'))->{content}, "$id is tried again\n", '... and can be tried again');
        is $httpd->connection->job($id)->wait(60)->exit_code, 4, '... it ends';
        is slurp($runs), "run\n" x 4, '... after both of its attempts';

        is $httpd->get('/missing')->{status}, 500, 'a program that is not there';
        ok $httpd->wait_for_log(qr/ExampleProgram: start_failed at exec: /), 'is in the log, with the step';
        is $httpd->get('/empty')->{status}, 500, 'no program';
        ok $httpd->wait_for_log(qr/ExampleProgram: invalid at options: argv: no program/), 'is one as well';
    }
);

subtest 'without mod_spawn' => sub {
    my $httpd = SpawnTest::Httpd->new(mpm => (mpms())[0], handlers => 0, spawn => 0, conf => <<"END")->start;
LoadModule spawn_example_module $module
<Location /x>
    SetHandler spawn-example
    ExampleProgram /bin/true
</Location>
END
    is $httpd->get('/x')->{status}, 503, 'httpd starts, and the handler says so';
};
done_testing;
