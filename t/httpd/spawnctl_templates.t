#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# spawnctl templates: a row for each template and each worker, those that are
# not there with the reason; the processes are those of /proc, and so is their
# memory (what is counted of a frozen template: worker_memory_of_a_frozen_template.t).
# When no job runs, or none may be looked at, what one needs is told as
# an estimate.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use List::Util qw(sum);
use POSIX ();
use Test::More;

use SpawnTest qw(root_dir wait_until);
use SpawnTest::ParentTemplate qw(templates_of);
use SpawnTest::Templates ();

my $holds = <<'END';
package My::Holds;
# Has so many MB of its own, then waits at a gate.
sub at_gate {
    my ($gate, $mb) = @_;
    my $held = 'x' x ($mb << 20);
    open my $in, '<', $gate or die "$gate: $!\n";
    Apache2::Spawn->job->progress(1);
    sysread $in, my $byte, 1;
    return length $held;
}
1;
END
my $t = SpawnTest::Templates->new(
    templates => <<'CONF', conf => <<'QUEUES', perl => $holds,
SpawnTemplate app    parent
SpawnTemplate report exec inc=@INC@ preload=My::Work,My::Holds memory=shared
SpawnTemplate broken exec inc=@INC@ preload=My::Dies
SpawnTemplate hooked exec inc=@INC@ preload=My::Hook memory=shared
CONF
<SpawnQueue images>
    SpawnTemplate report
    SpawnWorkers 2 2
</SpawnQueue>
<SpawnQueue unready>
    SpawnTemplate hooked
    SpawnWorkers 1 1
</SpawnQueue>
QUEUES
    files => {
        'My/Holds.pm' => "use Apache2::Spawn ();\n$holds",
        'My/Dies.pm'  => "package My::Dies; die qq(no licence found\\n);\n",
        'My/Hook.pm'  => "use Apache2::Spawn::Template ();\n"
            . "Apache2::Spawn::Template::after_fork(sub { die qq(no database\\n) }); 1;\n",
    },
)->start;
my $httpd = $t->httpd;
my $spawn = $t->spawn;
my $ctl = SpawnTest::Ctl->new($httpd);
my $page = POSIX::sysconf(POSIX::_SC_PAGESIZE());

# ---- helpers ----

# The rows as { template or template/queue => [rows] }, and what run returned.
sub rows {
    my (@options) = @_;
    my ($list, $ran) = $ctl->json(@options, 'templates');
    my %rows;
    push @{ $rows{ join q{/}, grep { defined } @{$_}{qw(template queue)} } }, $_ for @{ $list || [] };
    return (\%rows, $ran, $list);
}

# Memory of a process by /proc, in bytes.
sub memory_of {
    my ($pid) = @_;
    open my $in, '<', "/proc/$pid/smaps_rollup" or die "$pid: $!\n";
    my %kb;
    while (my $line = <$in>) {
        $kb{$1} = $2 if $line =~ /^(\w+):\s+([0-9]+) kB/;
    }
    return { rss => $kb{Rss} * 1024, pss => $kb{Pss} * 1024, private => ($kb{Private_Clean} + $kb{Private_Dirty}) * 1024 };
}

# The same but for what is touched, or shared with others, between two looks.
sub about {
    my ($got, $wanted) = @_;
    return defined $got && abs($got - $wanted) <= 0.05 * $wanted + 16 * $page;
}

# ---- everything is there ----

ok $t->has_workers('images', 2), 'two workers';
my ($rows, $ran, $list);
ok wait_until(
    sub {
        ($rows, $ran, $list) = rows();
        return !(grep { !defined $rows->{$_}[0]{text} || $rows->{$_}[0]{state} ne 'none' } qw(broken hooked/unready))
            && 5 == grep { $_->{state} =~ /\A(?:ready|idle)\z/ } @{$list};
    },
    30
), 'what cannot be loaded is told, and the others are there' or diag explain $list;
is $ran->{code}, 0, 'exit code';
is $ran->{err}, '', 'root sees all';
is_deeply { map { $_ => scalar @{ $rows->{$_} } } keys %{$rows} },
    { 'app' => 1, 'report' => 1, 'report/images' => 2, 'broken' => 1, 'hooked' => 1, 'hooked/unready' => 1 },
    'a row for each process, and for each that is not there';
is_deeply [ map { join q{ }, grep { defined } @{$_}{qw(template kind state queue)} } @{$list} ], [
    'app parent ready',
    'broken exec none',
    'hooked exec ready',
    'hooked worker none unready',
    'report exec ready',
    ('report worker idle images') x 2,
], 'by name, workers below their template';

is_deeply [ $rows->{app}[0]{pid} ], [ templates_of($httpd) ], 'app: its process';
is_deeply [ $rows->{report}[0]{pid} ], [ $t->pids('report') ], 'report: its process';
is_deeply [ sort map { $_->{pid} } @{ $rows->{'report/images'} } ], [ sort $t->workers('images') ],
    'the workers';
for my $name ('broken', 'hooked/unready') {
    my $row = $rows->{$name}[0];
    ok !exists $row->{$_}, "$name: no $_" for qw(pid started_at served);
    is $row->{$_}, undef, "$name: $_ is not known" for qw(rss pss private);
}
like $rows->{broken}[0]{text}, qr/\Apreload My::Dies: no licence found\z/, 'why the template is not there';
like $rows->{'hooked/unready'}[0]{text}, qr/after_fork: no database/, 'why the worker is not there';
is $rows->{report}[0]{private_per_job}, undef, 'what a job needs is not known before the first';
cmp_ok abs(time - $rows->{$_}[0]{started_at_ms} / 1000), '<', 120, "$_: when it was started" for qw(app report report/images);
my %stay = map { $_->{pid} => 1 } grep { $_->{pid} } @{$list};
my @differ;
ok wait_until(
    sub {
        @differ = ();
        for my $row (grep { $_->{pid} && $stay{ $_->{pid} } } @{ (rows())[2] }) {
            my $proc = memory_of($row->{pid});
            push @differ, map {"$row->{pid} $_: $row->{$_}, /proc: $proc->{$_}"}
                grep { !about($row->{$_}, $proc->{$_}) } qw(rss pss private);
        }
        return !@differ;
    },
    30
), 'memory is what /proc says' or diag explain \@differ;
for my $row (grep { $_->{pid} } @{$list}) {
    cmp_ok $row->{private}, '<=', $row->{pss}, '... what it has alone is part of its share';
    cmp_ok $row->{pss}, '<', $row->{rss}, '... and that of the whole';
}

# ---- jobs that run ----

my $gate = SpawnTest::Gate->new($httpd, 'a');
my @reports = map { $spawn->spawn_call('My::Holds::at_gate', [ $gate->path, $_ ], template => 'report') } 8, 24;
my $app = $spawn->spawn_call('My::Holds::at_gate', [ $gate->path, 20 ]);
ok $t->all_at_gate(@reports, $app), 'three jobs run';
($rows, $ran, $list) = rows();
my $report = $rows->{report}[0];
is $report->{running}, 2, 'report: two of them';
is_deeply [ sort @{ $report->{pids} } ], [ sort map { $_->pid } @reports ], '... these processes';
is_deeply $rows->{app}[0]{pids}, [ $app->pid ], 'app: one';
is $rows->{app}[0]{served}, 1, '... forked from it';
is $report->{served}, 4, 'report: two jobs and two workers';
my $private = sum(map { memory_of($_->pid)->{private} } @reports) / 2;
ok about($report->{private_per_job}, $private), 'what a job has for itself'
    or diag "$report->{private_per_job}, /proc: $private";
cmp_ok $report->{private_per_job}, '>=', 16 << 20, '... what it holds at least';
cmp_ok $report->{private_per_job}, '<', 24 << 20, '... and little more';
ok !$report->{estimated}, '... as it is';
is $report->{jobs_ended}, 0, 'none has ended';
my $before = $report;

# ---- as a table ----

# Both are tried again now and then; no reason stands in the table meanwhile.
my $table;
wait_until(sub { $table = $ctl->run('templates'); return 2 == (() = $table->{out} =~ / none /g) }, 30);
is $table->{code}, 0, 'table: exit code';
is $table->{err}, '', 'table: nothing on stderr';
my @lines = split /\n/, $table->{out};
is_deeply [ split q{ }, $lines[0] ], [qw(TEMPLATE KIND PID STATE AGE JOBS RUNNING SPARES RSS PSS PRIVATE/JOB)], 'table: titles';
is scalar @lines, 1 + 7 + 2, 'table: a line for each row, and for each reason';
my $size = qr/[0-9.]+[KMG]/;
my $pid = $report->{pid};
like $lines[7], qr/\Areport +exec +$pid +ready +\S+ +4 +2 +[0-4]\/4 +$size +$size +1[67]\.[0-9]M\z/, 'table: a template with jobs';
like $lines[8], qr/\A  images +worker +[0-9]+ +idle +\S+ +0 +- +- +$size +$size +$size\z/, 'table: a worker below it';
like $lines[2], qr/\Abroken +exec +- +none +- +- +0 +- +- +- +-\z/, 'table: one that is not there';
is $lines[3], '    preload My::Dies: no licence found', 'table: and why';
like $lines[6], qr/\A    .*no database\z/, 'table: the other reason';
is_deeply [ map { length } @lines[ 0 .. 2, 4, 5, 7 .. 9 ] ], [ (length $lines[0]) x 8 ], 'table: columns stand below each other';

# ---- who sees no memory ----

SKIP: {
    my ($setpriv) = grep { -x } map { "$_/setpriv" } split /:/, $ENV{PATH};
    skip 'needs root and setpriv', 9 if $< != 0 || !$setpriv;
    # uid 0 that has no right over others' processes: the broker lets it in
    my %blind = (through => [ $setpriv, '--bounding-set=-all', '--inh-caps=-all' ]);
    my ($seen, $blind, $all) = rows(\%blind);
    is $blind->{code}, 0, 'blind: exit code';
    like $blind->{err}, qr/\Aspawnctl: the memory of (?:[89]|10) processes is not shown to this account: root sees it, .*user that the jobs run as\n\z/,
        'blind: one line says so';
    is_deeply [ grep { defined } map { @{$_}{qw(rss pss private private_per_job)} } @{$all} ], [], 'blind: no number';
    is_deeply $seen->{report}[0]{pids}, $report->{pids}, 'blind: the processes are told';
    my ($line) = $ctl->run(\%blind, 'templates')->{out} =~ /^(report .*)$/m;
    like $line, qr/ 4 +2 +[0-4]\/4 +- +- +-\z/, 'blind: - in the table';

    $gate->let(3);
    is_deeply [ map { $_->result(20) >> 20 } @reports, $app ], [ 8, 24, 20 ], 'they end';
    ($seen) = rows(\%blind);
    ok $seen->{report}[0]{estimated}, 'blind: what a job needs is estimated';
    ($line) = $ctl->run(\%blind, 'templates')->{out} =~ /^(report .*)$/m;
    like $line, qr/ 4 +0 +[0-4]\/4 +- +- +~[0-9.]+M\z/, 'blind: and marked so in the table';
    ($ran) = $ctl->run({ uid => $httpd->uid }, 'templates');
    is $ran->{code}, 0, "exit code for httpd's user";
}

# ---- when none runs ----

$gate->let(3) if $app->status->state ne 'done';
$_->result(20) for @reports, $app;
is $spawn->call('My::Work::echo', [$_], queue => 'images'), $_, 'a call of a worker' for 1 .. 3;
($rows) = rows();
$report = $rows->{report}[0];
is $report->{running}, 0, 'none runs';
is_deeply $report->{pids}, [], '... no process';
is $report->{jobs_ended}, 2, 'two have ended; calls of workers do not count';
is sum(map { $_->{served} } @{ $rows->{'report/images'} }), 3, 'but with the workers';
is $report->{private_per_job}, int($report->{faults} * $page / 2), 'what a job needs: the pages that they touched';
ok $report->{estimated}, '... an estimate';
cmp_ok $report->{private_per_job}, '>=', 16 << 20, '... that is not too small';
cmp_ok $report->{private_per_job}, '<', 40 << 20, '... nor much too big';
is $report->{pid}, $before->{pid}, 'the template is the same';
cmp_ok abs($report->{started_at_ms} - $before->{started_at_ms}), '<=', 50, '... and was not started anew';
like $ctl->run('templates')->{out}, qr/^report .* ~[0-9.]+M$/m, 'marked in the table';

# ---- a worker that is busy ----

my $call = $spawn->spawn_call('My::Holds::at_gate', [ $gate->path, 1 ], queue => 'images');
ok $t->all_at_gate($call), 'a call runs in a worker';
($rows) = rows();
is_deeply [ map { $_->{pid} } grep { $_->{state} eq 'busy' } @{ $rows->{'report/images'} } ], [ $call->pid ],
    'which is busy';
is $rows->{report}[0]{running}, 0, 'it is no job of the template';
$gate->let;
is $call->result(20) >> 20, 1, 'the call returns';

# ---- names ----

sub documented {
    my $path = root_dir() . '/ctl/spawnctl.1';
    open my $in, '<', $path or die "$path: $!\n";
    local $/ = undef;
    my ($section) = <$in> =~ /^\.Ss Templates in JSON\n(.*?)^\.S[sh] /ms;
    return map { $_ => 1 } map { split /[ ,]+/ } $section =~ /^\.It Cm (.*)$/mg;
}
my %documented = (documented(), started_at_ms => 1);
my %used = map { $_ => 1 } map { keys %{$_} } @{$list}, $report;
is_deeply [ sort keys %used ], [ sort keys %documented ], 'the names of the JSON are those of the manual page';
done_testing;
