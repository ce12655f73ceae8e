#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The settings that a queue gives to a job without its own: directory, variables,
# nice, ionice, limits, outputs. Seen from inside of a program, of functions of both
# kinds of templates and of a worker. A job's own setting counts; a queue takes
# those outside of the sections, or has its own; a graceful restart changes it for
# jobs that start then.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Templates ();

$ENV{PASSED} = 'from the start';    ## no critic (RequireLocalizedPunctuationVars)

# Outside of any section, and in the queue "batch".
my $general = <<'END';
SpawnNice 3
SpawnEnv GENERAL "two words"
SpawnEnv BOTH general
SpawnEnv LANG C
SpawnPassEnv PASSED NOT_THERE_AT_ALL
SpawnLimit files=200 core=0
END
my $batch = <<'END';
SpawnDirectory /usr
SpawnNice 9
SpawnIONice idle
SpawnEnv BOTH batch
SpawnEnv EMPTY ""
SpawnEnv !LANG
SpawnLimit files=100
SpawnOutput @WORK@/out
END

each_mpm(
    sub {
        my ($mpm) = @_;
        my $t = SpawnTest::Templates->new(
            mpm => $mpm,
            templates => "SpawnTemplate app exec inc=\@INC@ preload=My::Work,My::Look\nSpawnTemplate own parent\nPerlModule My::Look",
            files => { 'My/Look.pm' => <<'END' },
package My::Look;
use strict;
use warnings;
sub look {
    open my $in, '<', '/proc/self/limits' or die "limits: $!\n";
    my %limit = map { /^Max (open files|core file size)\s+(\S+)\s+(\S+)/ ? ($1 => "$2 $3") : () } <$in>;
    return {
        pid => $$, cwd => readlink '/proc/self/cwd', env => {%ENV}, nice => getpriority(0, 0), limit => \%limit,
        ioprio => syscall(252, 1, 0) >> 13, out => readlink '/proc/self/fd/1', err => readlink '/proc/self/fd/2',
    };
}
sub says { print "out of $_[0]\n"; print STDERR "err of $_[0]\n"; return $$ }
1;
END
        );
        my $work = $t->httpd->work;
        my $configure = sub {
            my ($general_lines, $batch_lines) = @_;
            $batch_lines =~ s/\@WORK\@/$work/;
            $t->configure("SpawnTemplate app exec inc=\@INC@ preload=My::Work,My::Look\nSpawnTemplate own parent\nPerlModule My::Look",
                "$general_lines<SpawnQueue batch>\n$batch_lines</SpawnQueue>\n"
                . "<SpawnQueue workers>\n$batch_lines\nSpawnWorkers 1\n</SpawnQueue>\n<SpawnQueue bare>\n</SpawnQueue>\n");
            return;
        };
        $configure->($general, $batch);
        $t->start;
        my $spawn = $t->spawn;

        my $n = 0;
        my $program = sub {
            my (@options) = @_;
            my $path = "$work/report" . ++$n;
            my $job = $spawn->spawn([ $t->httpd->probe, $path ], @options);
            my $seen = $t->httpd->report($path) or die "no report\n" . $t->httpd->tail;
            return {
                cwd => $seen->{cwd}, env => { map { split /=/, $_, 2 } @{ $seen->{env} } }, nice => $seen->{nice},
                ioprio => $seen->{ioprio} >> 13, out => $seen->{fds}{1}, err => $seen->{fds}{2},
                limit => { 'open files' => join(' ', @{ $seen->{limits}{files} }), 'core file size' => join ' ', @{ $seen->{limits}{core} } },
            };
        };
        my %kind = (
            program  => sub { return $program->(queue => 'batch', @_) },
            exec     => sub { return scalar $spawn->call('My::Look::look', [], queue => 'batch', @_) },
            parent   => sub { return scalar $spawn->call('My::Look::look', [], queue => 'batch', template => 'own', @_) },
            worker   => sub { return scalar $spawn->call('My::Look::look', [], queue => 'workers', @_) },
        );

        for my $kind (sort keys %kind) {
            my $seen = $kind{$kind}->();
            is $seen->{cwd}, '/usr', "$kind: directory";
            is $seen->{nice}, 9, "$kind: nice";
            is $seen->{ioprio}, 3, "$kind: ionice";
            is_deeply $seen->{limit}, { 'open files' => '100 100', 'core file size' => '0 0' }, "$kind: limits, one of them from outside";
            is_deeply [ @{$seen}{qw(out err)} ], [ ("$work/out") x 2 ], "$kind: outputs";
            is_deeply [ @{ $seen->{env} }{qw(GENERAL BOTH EMPTY PASSED)} ], [ 'two words', 'batch', '', 'from the start' ], "$kind: variables";
            ok !exists $seen->{env}{$_}, "$kind: no $_" for qw(LANG NOT_THERE_AT_ALL);
        }
        my $worker = $kind{worker}->()->{pid};

        # what a job says itself
        for my $kind (sort keys %kind) {
            my $seen = $kind{$kind}->(cwd => '/tmp', nice => 1, limits => { files => 50 }, env => { BOTH => 'job', GENERAL => undef }, stderr => 'null');
            is_deeply [ @{$seen}{qw(cwd nice out err)} ], [ '/tmp', 1, "$work/out", '/dev/null' ], "$kind: said itself";
            is $seen->{limit}{'open files'}, '50 50', "$kind: a lower limit";
            is_deeply [ @{ $seen->{env} }{qw(BOTH EMPTY)}, exists $seen->{env}{GENERAL} ], [ 'job', '', '' ], "$kind: its variables are over them";
        }
        is $kind{worker}->()->{pid}, $worker, 'the worker is still there';

        # outputs
        my $job = $spawn->spawn_call('My::Look::says', ['a function'], queue => 'batch');
        $job->result(30);
        is $spawn->call('My::Look::says', ['a worker'], queue => 'workers'), $worker, 'a worker';
        $spawn->spawn([ '/bin/sh', '-c', 'echo out of a program; echo err of a program >&2' ], queue => 'batch')->wait(30);
        my $written = sub {
            open my $in, '<', "$work/out" or return '';
            return join '', sort <$in>;
        };
        ok wait_until(sub { $written->() =~ /out of a program.*out of a worker/s }, 20), 'the file';
        is $written->(), join('', sort map { ("out of $_\n", "err of $_\n") } 'a function', 'a program', 'a worker'), 'has all of it';
        is $spawn->run([ '/bin/echo', 'captured' ], queue => 'batch')->stdout, "captured\n", 'run captures all the same';

        # a queue that says nothing has what stands outside; default, too
        for my $queue (qw(bare default)) {
            my $seen = $program->(queue => $queue);
            is_deeply [ @{$seen}{qw(cwd nice out)}, $seen->{limit}{'open files'} ], [ '/', 3, '/dev/null', '200 200' ], "$queue: from outside";
            is $seen->{env}{LANG}, 'C', "$queue: a variable of the clean set is replaced";
        }

        # jobs that start after a graceful restart have the new rules
        my $is_configured = sub {
            my ($directory) = @_;
            return wait_until(sub { $program->(queue => 'bare')->{cwd} eq $directory }, 30);
        };
        $configure->("SpawnDirectory /var\n", "SpawnDirectory /etc\nSpawnOutput log\nSpawnMaxJobs 1\n");
        $t->httpd->graceful;
        ok $is_configured->('/var'), 'a graceful restart';
        my $seen = $kind{program}->();
        is_deeply [ @{$seen}{qw(cwd nice ioprio)}, $seen->{env}{LANG}, exists $seen->{env}{BOTH} ], [ '/etc', 0, 0, 'C.UTF-8', '' ],
            'has the new ones, and nothing of the old';
        is $kind{worker}->()->{cwd}, '/etc', 'a worker of before gets no other call';
        $spawn->call('My::Look::says', ['the log'], queue => 'workers');
        ok $t->httpd->wait_for_log(qr/job \S+ stderr: out of the log/), 'SpawnOutput log: the error log';
        ok $t->httpd->wait_for_log(qr/job \S+ stderr: err of the log/), 'and stderr';

        # one that waits meanwhile
        my $gate = SpawnTest::Gate->new($t->httpd, 'gate');
        my $first = $spawn->spawn($gate->job(''), queue => 'batch', reply => 'started');
        my $waits = $spawn->spawn([ '/bin/sh', '-c', "pwd >$work/pwd" ], queue => 'batch');
        $configure->("SpawnDirectory /usr\n", "SpawnDirectory /var\nSpawnMaxJobs 1\n");
        $t->httpd->graceful;
        ok $is_configured->('/usr'), 'another one';
        $gate->let(1);
        $waits->wait(30);
        open my $in, '<', "$work/pwd" or die "pwd: $!\n";
        is scalar <$in>, "/var\n", 'a job that waited has the rules of its start';
    }
);
done_testing;
