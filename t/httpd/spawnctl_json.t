#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# spawnctl --json: one line that a program can read, with the names that the
# manual page documents and no others.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use MIME::Base64 qw(decode_base64);
use Test::More;

use SpawnTest qw(one_mpm root_dir);

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm())->start;
my $ctl = SpawnTest::Ctl->new($httpd);

# Those of the section JSON OUTPUT.
sub documented {
    my $path = root_dir() . '/ctl/spawnctl.1';
    open my $in, '<', $path or die "$path: $!\n";
    local $/ = undef;
    my ($section) = <$in> =~ /^\.Sh JSON OUTPUT\n(.*?)^\.Sh /ms;
    my ($list) = $section =~ /^\.Bl .*?\n(.*?)^\.El/ms;
    my %names = map { $_ => 1 } map { grep { /\w/ } split /[ ,]+/ } $list =~ /^\.(?:It )?Cm (.*)$/mg;
    $names{"${_}_ms"} = 1 for qw(submitted_at due_at expires_at started_at ended_at);
    return %names;
}
my %documented = documented();
ok $documented{$_}, "documented: $_" for qw(id state elapsed_ms out_base64 utime_us);

sub only_documented {
    my ($job, $name) = @_;
    my @names = (keys %{$job}, keys %{ $job->{rusage} || {} });
    return is_deeply [ grep { !$documented{$_} } sort @names ], [], "$name: no other names";
}

my ($job, $ran) = $ctl->json(qw(run --label), "caf\xc3\xa9", '--context', 'user=me', '--', '/bin/sh',
    '-c', 'printf "a\377b"; echo err >&2; exit 3', "\xff");
is $ran->{code}, 3, 'run: exits as the job did';
is $ran->{err}, '', 'run: all is in the JSON';
only_documented($job, 'run');
is $job->{label}, "caf\x{e9}", 'UTF-8 is kept';
is $job->{argv}[-1], "\x{fffd}", 'what is not UTF-8 is replaced';
is $job->{out}, "a\x{fffd}b", 'in output too';
is decode_base64($job->{out_base64}), "a\xffb", 'which comes a second time';
is $job->{err}, "err\n", 'stderr';
ok !exists $job->{err_base64}, 'and not when it is not needed';
is_deeply $job->{context}, { user => 'me' }, 'context';
is $job->{outcome}, 'exited', 'outcome';
is $job->{exit_code}, 3, 'exit code';
like $job->{ended_at}, qr/\A[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(?:\.[0-9]+)?Z\z/, 'a time';
cmp_ok $job->{ended_at_ms}, '>=', $job->{started_at_ms}, 'times as numbers';
cmp_ok $job->{rusage}{maxrss_kb}, '>', 0, 'rusage';

my ($show) = $ctl->json('show', $job->{id});
only_documented($show, 'show');
cmp_ok delete $show->{seq}, '>', 0, 'its place in the history';
delete $job->{seq};    # known only if it was stored before run told its end
is_deeply $show, { map { $_ => $job->{$_} } grep { !/\A(?:out|err)(?:_|\z)/ } keys %{$job} },
    'show: the same without output';
my ($whole) = $ctl->json(qw(show --output), $job->{id});
delete $whole->{seq};
is_deeply $whole, $job, 'show --output: the same';
my ($waited) = $ctl->json(qw(wait --output), $job->{id});
delete $waited->{seq};
is_deeply $waited, $job, 'wait --output: the same';

my ($failed) = $ctl->json(qw(run /nowhere/x));
only_documented($failed, 'a failed start');
is_deeply [ @{$failed}{qw(outcome step)} ], [ 'start_failed', 'exec' ], 'where it failed';

my $gate = SpawnTest::Gate->new($httpd, 'a');
my ($accepted, $detached) = $ctl->json(qw(run --detach --), @{ $gate->job('exit 0') });
is $detached->{code}, 0, 'run --detach: exit code';
is_deeply [ sort keys %{$accepted} ], [qw(id state)], 'run --detach: the id and the state';
my ($started) = $ctl->json(qw(wait --for started), $accepted->{id});
is $started->{state}, 'running', 'wait --for started';

my ($list) = $ctl->json(qw(ps --all));
is ref $list, 'ARRAY', 'ps: an array';
is_deeply [ map { $_->{id} } @{$list} ], [ map { $_->{id} } $accepted, $failed, $job ],
    'ps: the newest first';
only_documented($_, "ps: $_->{state}") for @{$list};
($list) = $ctl->json('ps');
is_deeply [ map { $_->{id} } @{$list} ], [ $accepted->{id} ], 'ps: those that live';

my ($killed) = $ctl->json('kill', $accepted->{id});
is_deeply $killed, { id => $accepted->{id}, signo => 15 }, 'kill';
is $ctl->run('wait', $accepted->{id})->{code}, 128 + 15, 'it ended';
($list) = $ctl->json('ps');
is_deeply $list, [], 'ps: none is an empty array';
done_testing;
