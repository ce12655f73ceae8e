#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# spawnctl run --tty: the job has a terminal of its own, which is its controlling one and stands for
# the one that spawnctl was started at: keys, output, size. That one is raw meanwhile, and as
# before afterwards, however spawnctl ends.

use strict;
use warnings;

use Config ();
use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm wait_until);
use SpawnTest::Process qw(alive state_of);
use SpawnTest::Pty ();

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm())->start;
my $ctl = SpawnTest::Ctl->new($httpd);

# spawnctl run --tty at a terminal.
sub run_at {
    my ($pty, @run) = @_;
    my %env = ref $run[0] ? %{ shift @run } : ();
    return $pty->start({ env => { SPAWN_SOCKET => $httpd->socket, TERM => 'vt220', %env } }, $ctl->{path}, 'run', '--tty', @run);
}

sub sh { return ('--', '/bin/sh', '-c', $_[0]) }

# A Perl job that prints the text at each such signal, at once: also when that comes just before it
# waits, and without an end of what it waits for.
sub at {
    my ($signal, $text, $code) = @_;
    my %number;
    @number{ split q{ }, $Config::Config{sig_name} } = split q{ }, $Config::Config{sig_num};
    my $begin = "use POSIX (); \$| = 1; POSIX::sigaction($number{$signal}, POSIX::SigAction->new(sub { syswrite STDOUT, $text }));";
    return ('--', $^X, '-e', "$begin print qq(ready\\n); $code");
}

subtest 'a terminal of its own' => sub {
    my $pty = SpawnTest::Pty->new(rows => 33, columns => 101);
    my $before = $pty->modes;
    run_at($pty, sh('for i in 0 1 2; do test -t $i && echo "$i is"; done; tty; echo "size $(stty size) $TERM"; echo mine >/dev/tty; exit 3'));
    ok $pty->reads(qr/0 is\r\n1 is\r\n2 is\r\n/), 'stdin, stdout and stderr are';
    ok $pty->reads(qr{/dev/pts/\d+}), 'it has a name';
    isnt $pty->{matched}, $pty->path, '... and is another than ours';
    ok $pty->reads(qr/size 33 101 vt220\r\n/), 'as large as ours, and of its kind';
    ok $pty->reads(qr/mine\r\n/), 'it is the controlling one';
    is $pty->ends >> 8, 3, 'the exit code is that of the job';
    is $pty->modes, $before, 'ours is as before';
};

subtest 'keys' => sub {
    my $pty = SpawnTest::Pty->new;
    my $before = $pty->modes;
    # a shell's read would end by the signal, and Ctrl-D would come too late
    run_at($pty, at('INT', 'qq(interrupted\n)', 'print "got $_" while <STDIN>; print "end\n"'));
    ok $pty->reads(qr/ready\r\n/), 'it runs';
    ok $pty->is_raw, 'ours is raw';
    $pty->type("a line\r");
    ok $pty->reads(qr/a line\r\ngot a line\r\n/), 'a line, which the job\'s terminal echoes';
    $pty->type("\cC");
    # the terminal's echo and the job are two that write
    ok $pty->reads(qr/\^C.*interrupted\r\n|interrupted\r\n.*\^C/s), 'Ctrl-C interrupts the job';
    unlike $pty->rest, qr/end/, '... which goes on';
    $pty->type("\cD");
    ok $pty->reads(qr/end\r\n/), 'Ctrl-D is the end of its input';
    is $pty->ends, 0, 'and it ends';
    is $pty->modes, $before, 'ours is as before';

    run_at($pty, sh('echo ready; read line'));
    ok $pty->reads(qr/ready\r\n/), 'another one';
    $pty->type("\cC");
    is $pty->ends >> 8, 130, '... ends of Ctrl-C';
    is $pty->modes, $before, '... and ours is as before';
};

subtest 'the size of ours is followed' => sub {
    my $pty = SpawnTest::Pty->new(rows => 24, columns => 80);
    run_at($pty, at('WINCH', 'q(now ) . `stty size`', '1 while !defined sysread STDIN, my $b, 1'));
    ok $pty->reads(qr/ready\r\n/), 'it runs';
    $pty->resize(50, 132);
    ok $pty->reads(qr/now 50 132\r\n/), 'the job is told (WINCH)';
    $pty->type("\r");
    is $pty->ends, 0, 'it ends';
};

subtest 'every byte of the output' => sub {
    my $pty = SpawnTest::Pty->new;
    run_at($pty, '--', $^X, '-e', 'print "$_\n" for 1 .. 60_000; print "the last"');
    ok $pty->reads(qr/the last/), 'the last of it comes';
    is $pty->ends, 0, '... though it ended at once';

    run_at($pty, '--', $^X, '-e', 'print "y" x 100, "\n" for 1 .. 2000; print "sum\n"');
    my $count = 0;
    while ($pty->reads(qr/(?:y{100}\r\n)+|sum\r\n/)) {
        my $got = $pty->{matched};
        last if $got eq "sum\r\n";
        $count += length($got) / 102;
    }
    is $count, 2000, 'nothing is lost';
    is $pty->ends, 0, 'it ended well';
};

for my $signal (qw(TERM HUP INT QUIT KILL)) {
    subtest "$signal ends spawnctl" => sub {
        my $pty = SpawnTest::Pty->new;
        my $before = $pty->modes;
        my $pid = run_at($pty, sh('echo "ready $$."; trap "" INT; while :; do sleep 1000; done'));
        ok $pty->reads(qr/ready \d+\./), 'it runs';
        my ($job) = $pty->{matched} =~ /(\d+)/;
        ok $pty->is_raw, 'ours is raw';
        kill $signal, $pid or die "$pid: $!\n";
        is $pty->ends & 127, { TERM => 15, HUP => 1, INT => 2, QUIT => 3, KILL => 9 }->{$signal}, 'it ends by that';
        ok wait_until(sub { $pty->modes eq $before }, 30), 'ours is as before';
        ok wait_until(sub { !alive($job) }, 30), 'the job loses its terminal, and ends';
    };
}

subtest 'a stop' => sub {
    my $pty = SpawnTest::Pty->new;
    my $before = $pty->modes;
    my $pid = run_at($pty, sh('echo ready; read line; echo "got $line"'));
    ok $pty->reads(qr/ready\r\n/), 'it runs';
    # a process group whose leader has no parent in its session is not stopped by TSTP itself
    kill 'STOP', $pid;
    ok wait_until(sub { state_of($pid) eq 'T' }, 30), 'it is stopped';
    $pty->renew;    # as a shell does, which has its terminal then
    is $pty->modes, $before, 'ours is the shell\'s';
    kill 'CONT', $pid;
    ok wait_until(sub { $pty->is_raw }, 30), 'raw again when it goes on';
    $pty->type("more\r");
    ok $pty->reads(qr/got more\r\n/), 'and so does the job';
    is $pty->ends, 0, 'it ends';
    is $pty->modes, $before, 'ours is as before';
};

subtest 'with --forward-signals' => sub {
    my $pty = SpawnTest::Pty->new;
    my $before = $pty->modes;
    my $pid = run_at($pty, '--forward-signals', sh('trap "exit 9" TERM; echo ready; while :; do sleep 0.1; done'));
    ok $pty->reads(qr/ready\r\n/), 'it runs';
    kill 'TERM', $pid;
    is $pty->ends >> 8, 9, 'TERM goes to the job';
    is $pty->modes, $before, 'ours is as before';
};

subtest 'a shell that is typed at' => sub {
    my $pty = SpawnTest::Pty->new;
    my $before = $pty->modes;
    run_at($pty, '--unset', 'ENV', '/bin/sh');
    ok $pty->reads(qr/[\$#] /), 'it prompts';
    $pty->type("id -un; echo \"\$SPAWN_QUEUE.\"\r");
    ok $pty->reads(qr/^@{[ $httpd->user ]}\r\ndefault\.\r\n/m), 'it has the account and the environment of a job';
    ok $pty->reads(qr/[\$#] /), 'it prompts again';
    $pty->type("sh -c 'echo begun; exec sleep 1000'\r");
    ok $pty->reads(qr/^begun\r\n/m), 'a program in the foreground';
    $pty->type("\cC");
    ok $pty->reads(qr/[\$#] /), '... is interrupted, and the shell is not';
    $pty->type("exit 5\r");
    is $pty->ends >> 8, 5, 'its exit code';
    is $pty->modes, $before, 'ours is as before';
};

subtest 'it cannot be started' => sub {
    my $pty = SpawnTest::Pty->new;
    my $before = $pty->modes;
    run_at($pty, '--queue', 'nope', '--', '/bin/true');
    is $pty->ends >> 8, 125, 'refused';
    ok $pty->reads(qr/'nope' is not configured/), '... with the reason';
    is $pty->modes, $before, 'ours is as before';
};

subtest 'not there' => sub {
    my $ran = $ctl->run(qw(run --tty /bin/true));
    is $ran->{code}, 125, 'our stdin is a file';
    like $ran->{err}, qr/--tty: our stdin is not a terminal/, '... which is told';
};

subtest 'variables' => sub {
    my $pty = SpawnTest::Pty->new;
    run_at($pty, '--env', 'TERM=dumb', sh('echo "it is $TERM."'));
    ok $pty->reads(qr/it is dumb\./), '--env TERM comes first';
    $pty->ends;
    run_at($pty, '--unset', 'TERM', sh('echo "it is ${TERM-not there}."'));
    ok $pty->reads(qr/it is not there\./), '--unset TERM: none';
    $pty->ends;
};

done_testing;
