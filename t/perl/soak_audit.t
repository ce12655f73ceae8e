#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The audit of a soak (t/soak) sees each promise that is broken, and lets pass what the
# documents say may be lost: journals and ledgers that are written here, a case each.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use File::Temp ();
use JSON::PP ();
use Test::More;

use SpawnTest::Soak::Audit ();
use SpawnTest::Soak::Census ();
use SpawnTest::Soak::Journal ();

my $dir = File::Temp::tempdir(CLEANUP => 1);
my $job = '01a22533-2508-7282-9b22-31cc6634d867';

# The audit's faults in these lines: a first word of ledger (B, E), journal or deeds.
sub audited {
    my ($spec, @lines) = @_;
    SpawnTest::Soak::Journal::make($dir);
    my @log = map { $_->[1] } grep { $_->[0] eq 'log' } @lines;
    @lines = grep { $_->[0] ne 'log' } @lines;
    my %text = (ledger => '', journal => '', deeds => '');
    unshift @lines, [ S => 100, undef, JSON::PP->new->canonical->encode({
        who => 'plain', kind => 'quick', way => 'spawn', want => 'exited 0', queue => 'narrow', %{$spec} }) ];
    for my $line (@lines) {
        my ($what, @rest) = @{$line};
        if ($what =~ /\A[BE]\z/) {
            my ($ms, $pid, $code, $id) = @rest;
            $text{ledger} .= join("\t", $what, 'a.1', $id || $job, $pid || 7, $ms, $code || 0) . "\n";
        } elsif ($what =~ /\A[A-Z]\z/) {
            my ($ms, @more) = @rest;
            $text{journal} .= join("\t", $what, 'a.1', $ms, map { defined $_ ? $_ : '-' } @more) . "\n";
        } else {
            $text{deeds} .= join("\t", $what, @rest) . "\n";
        }
    }
    for my $name (keys %text) {
        open my $out, '>', "$dir/$name" or die "$name: $!\n";
        print {$out} $text{$name};
        close $out or die "$name: $!\n";
    }
    return SpawnTest::Soak::Audit::audit(sub { return 'waits' }, @log);
}

sub good {
    my ($name, $spec, @lines) = @_;
    my $audit = audited($spec, @lines);
    return is_deeply $audit->{violations}, [], $name;
}

sub wrong {
    my ($name, $pattern, $spec, @lines) = @_;
    my $audit = audited($spec, @lines);
    return like join("\n", @{ $audit->{violations} }), $pattern, $name;
}

my @accepted = ([ A => 110, $job ]);
my @ran = ([ B => 120 ], [ E => 130 ]);
my @ended = ([ T => 140, $job, 'exited', 0 ]);

good('accepted, ran, told', {}, @accepted, @ran, @ended);
wrong('ran twice', qr/ran 2 times/, {}, @accepted, @ran, @ran, @ended);
wrong('ran twice, in another process', qr/ran 2 times: pids 7 8/, {}, @accepted, @ran, [ B => 150, 8 ], @ended);
wrong('ran with another id', qr/another id/, {}, @accepted, [ B => 120, 7, 0, 'x' ], [ E => 130 ], @ended);
wrong('accepted, and not done', qr/accepted, and is not done/, {}, @accepted);
wrong('accepted, and not known', qr/accepted, and is not known/, {}, @accepted, [ N => 900, $job, 'no_such_job' ]);
wrong('told that it exited, and never ran', qr/never ran/, {}, @accepted, @ended);
wrong('told that it exited, and did not', qr/did not come to its end/, {}, @accepted, [ B => 120 ], @ended);
wrong('told another code', qr/should be exited 0 and is exited 3/, {}, @accepted, @ran, [ T => 140, $job, 'exited', 3 ]);
wrong('told two ends', qr/was told exited 0, then exited 3/, {}, @accepted, @ran, @ended, [ T => 150, $job, 'exited', 3 ]);
wrong('refused, and ran', qr/nothing was taken \(unreachable\)/, {}, [ R => 110, $job, 'unreachable' ], @ran);
good('refused', {}, [ R => 110, $job, 'queue_full' ]);
good('nobody knows, and it ran', {}, [ U => 110, $job, 'unconfirmed' ], @ran);
wrong('nobody knows, and it ran twice', qr/ran 2 times/, {}, [ U => 110, $job, 'unconfirmed' ], @ran, @ran);
wrong('too short', qr/took 10 ms of 50/, { least => 50 }, @accepted, @ran, @ended);
wrong('an output that is cut', qr/stdout has/, {}, @accepted, @ran,
    [ T => 140, $job, 'exited', 0, undef, undef, undef, undef, 'stdout has 1 bytes of 2' ]);
wrong('a program that is not there ran', qr/start_failed and ran/, { want => 'start_failed' }, @accepted, @ran,
    [ T => 140, $job, 'start_failed' ]);
wrong('timed out too early', qr/timed out after 20 ms of 50/, { want => 'timed_out', least => 50 }, @accepted, [ B => 120 ],
    [ T => 140, $job, 'timed_out', undef, undef, undef, undef, 20 ]);

wrong('too early', qr/began after 20 ms, with a delay of 50/, { delay => 50 }, @accepted, @ran, @ended);
good('in time', { delay => 20 }, @accepted, @ran, @ended);
wrong('too early, and the clock was set', qr/began after 20 ms/, { delay => 50 }, @accepted, @ran, @ended, [ set_clock => 112, 112, 3 ]);
good('a post, too early, and the clock was set', { delay => 50 }, [ P => 110, $job ], @ran, @ended, [ set_clock => 112, 112, 3 ]);

my @lost = (@accepted, @ran, [ T => 140, $job, 'lost' ]);
wrong('lost, and nothing was done', qr/should be exited 0 and is lost/, {}, @lost);
good('lost with its spawner', {}, @lost, [ kill_spawner => 125, 126, 5 ]);
wrong('lost, and only the broker was killed', qr/is lost/, {}, @lost, [ kill_broker => 125, 126, 5 ]);
wrong('lost, and the spawner was killed later', qr/is lost/, {}, @lost, [ kill_spawner => 9000, 9001, 5 ]);
good('killed from outside', {}, @accepted, [ B => 120, 7 ], [ T => 140, $job, 'signalled', undef, 9 ], [ kill_job => 125, 126, 7 ]);
wrong('another was killed', qr/is signalled 9/, {}, @accepted, [ B => 120, 7 ], [ T => 140, $job, 'signalled', undef, 9 ],
    [ kill_job => 125, 126, 8 ]);
good('killed before it could write', {}, @accepted, [ T => 140, $job, 'signalled', undef, 9 ], [ kill_job => 125, 126, 8 ]);
good('... by the name of its template', {}, @accepted, [ T => 140, $job, 'signalled', undef, 9 ], [ kill_exec_template => 125, 126, 8 ]);
good('... before it could tell of itself', {}, @accepted, [ T => 140, $job, 'start_failed', undef, undef, undef, 'fork' ], [ kill_exec_template => 125, 126, 8 ]);
wrong('... or not at all', qr/is start_failed \(step fork\)/, {}, @accepted, [ T => 140, $job, 'start_failed', undef, undef, undef, 'fork' ]);
wrong('... or it failed otherwise', qr/is start_failed \(step exec\)/, {}, @accepted, [ T => 140, $job, 'start_failed', undef, undef, undef, 'exec' ],
    [ kill_exec_template => 125, 126, 8 ]);
wrong('... after it had written', qr/should be exited 0 and is signalled 9/, {}, @accepted, [ B => 120, 7 ], [ T => 140, $job, 'signalled', undef, 9 ],
    [ kill_exec_template => 125, 126, 8 ]);
good('cancelled by its caller', {}, @accepted, [ K => 120, $job, 'TERM' ], [ T => 140, $job, 'cancelled' ]);
my @oom = ([ T => 140, $job, 'out_of_memory', undef, 9 ]);
good('killed by the kernel for want of memory', {}, @accepted, [ B => 120 ], @oom);
good('the same before it could write', {}, @accepted, @oom);
wrong('called that, and it came to its end', qr/should be exited 0 and is out_of_memory/, {}, @accepted, @ran, @oom);
wrong('called that, and the signal was its own', qr/should be signalled 9 and is out_of_memory/, { want => 'signalled 9' }, @accepted,
    [ B => 120 ], @oom);
wrong('called that, and no signal was told', qr/is out_of_memory/, {}, @accepted, [ B => 120 ], [ T => 140, $job, 'out_of_memory' ]);
good('cancelled by its caller, and it had no memory', { want => 'signalled 9' }, @accepted, [ B => 120 ], [ K => 120, $job, 'KILL' ], @oom);
wrong('given up when it had no memory, too early', qr/is out_of_memory after 1 tries of 3/, { retry => 2 }, @accepted, [ B => 120 ], @oom);
wrong('cancelled, and nobody asked for it', qr/is cancelled/, {}, @accepted, [ T => 140, $job, 'cancelled' ]);

my %tries = (want => 'exited 24', retry => 2);
my @two = ([ B => 120, 7 ], [ E => 130, 7, 24 ], [ B => 150, 8 ], [ E => 160, 8, 24 ]);
wrong('given up too early', qr/is exited 24 after 2 tries of 3/, \%tries, @accepted, @two, [ T => 170, $job, 'exited', 24 ]);
good('an attempt was lost with its spawner before it could write', \%tries, @accepted, @two, [ T => 170, $job, 'exited', 24 ],
    [ kill_spawner => 112, 113, 5 ]);
wrong('two were, and one spawner was killed', qr/is exited 24 after 1 tries of 3/, \%tries, @accepted, @two[ 0, 1 ],
    [ T => 170, $job, 'exited', 24 ], [ kill_spawner => 112, 113, 5 ]);

my @again = ([ B => 120, 7 ], [ E => 130, 7, 0 ], [ B => 150, 8 ], [ E => 160, 8, 0 ]);
my %again = (retry => 2);
wrong('ended well, and ran again', qr/ran again, and pid 7 had ended well/, \%again, @accepted, @again, [ T => 170, $job, 'exited', 0 ]);
wrong('the same of a function', qr/ran again, and pid 7 had ended well/, { %again, want => 'returned' }, @accepted, @again,
    [ T => 170, $job, 'exited', 0, undef, 'returned' ]);
good('its end was lost with its spawner', \%again, @accepted, @again, [ T => 170, $job, 'exited', 0 ], [ kill_spawner => 135, 136, 5 ]);
good('it was killed after its last line', \%again, @accepted, @again, [ T => 170, $job, 'exited', 0 ], [ kill_job => 131, 132, 7 ]);
wrong('another was killed', qr/had ended well/, \%again, @accepted, @again, [ T => 170, $job, 'exited', 0 ], [ kill_job => 131, 132, 9 ]);
wrong('only its broker was killed', qr/had ended well/, \%again, @accepted, @again, [ T => 170, $job, 'exited', 0 ],
    [ kill_broker => 131, 132, 5 ]);
wrong('two attempts at once', qr/ran again while pid 7 ran/, \%tries, @accepted, [ B => 120, 7 ], [ B => 125, 8 ], [ E => 130, 7, 24 ],
    [ E => 140, 8, 24 ], [ B => 150, 9 ], [ E => 160, 9, 24 ], [ T => 170, $job, 'exited', 24 ]);

my @gone = ([ N => 900, $job, 'no_such_job' ]);
good('all of httpd was killed as it was accepted', {}, @accepted, @gone, [ kill_all => 112, 500, 5 ]);
wrong('the same of a durable job', qr/is not known/, { durable => 1 }, @accepted, @gone, [ kill_all => 112, 500, 5 ]);
good('the pair was killed as it was accepted, and httpd before there was another', {}, @accepted, @gone, [ kill_pair => 112, 113, 5 ],
    [ kill_httpd_parent => 700, 1500, 5 ]);
good('all of httpd was killed as its broker, which was stopped, went on', {}, @accepted, @gone, [ stop_broker => 100, 1500, 6 ],
    [ kill_all => 2400, 2500, 5 ]);
good('as it went on after a second stop', {}, @accepted, @gone, [ stop_broker => 100, 1500, 6 ], [ stop_broker => 1600, 3000, 6 ],
    [ kill_all => 3900, 3950, 5 ]);
wrong('all of httpd was killed long after its broker had gone on', qr/is not known/, {}, @accepted, @gone,
    [ stop_broker => 100, 1500, 6 ], [ kill_all => 2600, 2700, 5 ]);
wrong('its broker was stopped later', qr/is not known/, {}, @accepted, @gone, [ stop_broker => 1200, 2500, 6 ],
    [ kill_all => 2600, 2700, 5 ]);
good('all of httpd was killed when the disk had been full', {}, @accepted, @gone, [ fill_disk => 100, 1500, 0 ],
    [ kill_all => 1600, 2000, 5 ]);
wrong('all of httpd was killed much later', qr/is not known/, {}, @accepted, @gone, [ kill_all => 3000, 3500, 5 ]);
wrong('the pair was killed', qr/is not known/, {}, @accepted, @gone, [ kill_pair => 112, 113, 5 ]);
good('a call that was answered as its broker was killed', { reply => 'finished', queue => 'rpc' }, @accepted, @ran, @gone,
    [ kill_broker => 112, 113, 5 ]);
wrong('a program that was answered as its broker was killed', qr/is not known/, { reply => 'finished' }, @accepted, @ran, @gone,
    [ kill_broker => 112, 113, 5 ]);
good('posted, and all of httpd was killed', {}, [ P => 110, $job ], @gone, [ kill_all => 112, 500, 5 ]);
wrong('posted, and httpd was killed without its spawner', qr/was posted, and is not known/, {}, [ P => 110, $job ], @gone,
    [ kill_httpd_parent => 112, 500, 5 ]);
good('no room for it, as the log says', {}, [ C => 110, $job, 9 ], [ W => 120, undef ], @gone,
    [ log => "[date] [spawn:error] MS0211: job $job (x) for after the answer is lost" ]);
good('left by a request that was cut off', {}, [ C => 110, $job, 9 ], @gone);
wrong('left by a request that was answered', qr/left for after the answer, and is not known/, {}, [ C => 110, $job, 9 ], [ W => 120, undef ],
    @gone, [ kill_httpd_child => 125, 126, 8 ]);
good('its child was killed before it came to it', {}, [ C => 110, $job, 9 ], [ W => 120, undef ], @gone, [ kill_httpd_child => 2500, 2501, 9 ]);
good('the history of a full disk', {}, @accepted, @ran, @gone, [ fill_disk => 300, 800, 0 ]);
wrong('a full disk, and it never ran', qr/is not known/, {}, @accepted, @gone, [ fill_disk => 300, 800, 0 ]);
wrong('a deed that failed', qr/deed failed/, {}, [ failed => 300, 800, 'graceful' ]);
wrong('a caller that stopped', qr/caller stopped/, {}, [ X => 300, undef, 'why' ]);

# ---- several jobs ----

# The audit's faults in these jobs, [name, spec], which are all accepted and told as exited
# or as the spec's `told` says, and of these lines of the ledger, "B name".
sub audited_together {
    my ($jobs, @ledger) = @_;
    SpawnTest::Soak::Journal::make($dir);
    open my $journal, '>', "$dir/journal" or die "journal: $!\n";
    for my $row (@{$jobs}) {
        my ($name, $more) = @{$row};
        my %spec = (who => 'plain', kind => 'short', way => 'spawn', want => 'exited 0', queue => 'default', %{ $more || {} });
        my ($told, $id) = (delete $spec{told} || "exited\t0", delete $spec{id} || "id-$name");
        my $text = JSON::PP->new->canonical->encode(\%spec);
        print {$journal} "S\t$name\t100\t-\t$text\nA\t$name\t110\t$id\nT\t$name\t500\t$id\t$told\n";
    }
    close $journal or die "journal: $!\n";
    open my $ledger, '>', "$dir/ledger" or die "ledger: $!\n";
    for my $line (@ledger) {
        my ($what, $name, $id) = split / /, $line;
        $id ||= "id-$name";
        print {$ledger} "$what\t$name\t$id\t7\t200\t0\n";
    }
    close $ledger or die "ledger: $!\n";
    return join "\n", @{ SpawnTest::Soak::Audit::audit(sub { return 'waits' })->{violations} };
}

my @narrow = map { [ $_, { queue => 'narrow' } ] } qw(a b c);
is audited_together(\@narrow, 'B a', 'B b', 'B c', 'E a', 'E b', 'E c'), '3 jobs of the queue narrow ran at once; it has 2',
    'more at once than may';
is audited_together(\@narrow, 'B a', 'B b', 'E a', 'B c', 'E b', 'E c'), '', 'no more at once than may';

my %key = (unique => 'k', on_conflict => 'after', unique_for => 'ended');
is audited_together([ [ a => \%key ], [ b => \%key ] ], 'B a', 'E a', 'B b', 'E b'), '', 'one after the other with a key';
like audited_together([ [ a => \%key ], [ b => \%key ] ], 'B a', 'B b', 'E a', 'E b'), qr/id-a runs with the default k, and id-b began/,
    'two at once with a key';
is audited_together([ [ a => { %key, unique_for => 'waiting' } ], [ b => \%key ] ], 'B a', 'B b', 'E a', 'E b'), '',
    'one has its key only while it waits';
is audited_together([ [ a => \%key ], [ b => { %key, queue => 'report' } ] ], 'B a', 'B b', 'E a', 'E b'), '', 'the same key in another queue';
is audited_together([ [ a => \%key ], [ b => { %key, on_conflict => 'keep', id => 'id-a' } ] ], 'B a', 'E a'), '', 'kept another';
like audited_together([ [ b => { %key, on_conflict => 'keep' } ] ]), qr/never ran/, 'kept another, and there is none';
is audited_together([ [ a => { %key, told => 'cancelled' } ], [ b => { %key, on_conflict => 'replace' } ] ], 'B b', 'E b'), '',
    'replaced by another';
like audited_together([ [ a => { %key, told => 'cancelled' } ], [ b => \%key ] ], 'B b', 'E b'), qr/is cancelled/, 'cancelled, and not replaced';

my %after = (after => ['a'], after_failed => 'cancel');
my %fails = (want => 'exited 3', told => "exited\t3");
is audited_together([ ['a'], [ b => \%after ] ], 'B a', 'E a', 'B b', 'E b'), '', 'after another';
like audited_together([ ['a'], [ b => \%after ] ], 'B a', 'B b', 'E a', 'E b'), qr/b: began before id-a had ended/, 'before it';
like audited_together([ [ a => \%fails ], [ b => \%after ] ], 'B a', 'E a', 'B b', 'E b'), qr/id-a has not ended well: exited 3/, 'after one that failed';
is audited_together([ [ a => \%fails ], [ b => { %after, after_failed => 'run' } ] ], 'B a', 'E a', 'B b', 'E b'), '', 'after one that failed, in any case';
is audited_together([ [ a => \%fails ], [ b => { %after, told => 'cancelled' } ] ], 'B a', 'E a'), '', 'cancelled with it';
like audited_together([ ['a'], [ b => { %after, told => 'cancelled' } ] ], 'B a', 'E a'), qr/is cancelled/, 'cancelled, and it ended well';

is audited_together([], 'B cron-x 1', 'E cron-x 1', 'B cron-x 2', 'E cron-x 2'), '', 'recurring';
like audited_together([], 'B cron-x 1', 'B cron-x 2', 'E cron-x 1', 'E cron-x 2'), qr/cron-x: 2 began while another one ran/, 'two at once';
like audited_together([], 'B cron-x 1', 'E cron-x 1', 'B cron-x 1', 'E cron-x 1'), qr/cron-x: 1 ran twice/, 'a planned run twice';

# ---- processes ----
my @began_as_killed = ([ A => 110, $job ], [ B => 120 ], [ T => 140, $job, 'lost' ], [ kill_spawner => 150, 151, 5 ]);
my %name = (
    program => "/tmp/bin/soakjob /tmp/ledger a.1 sleep 60000",
    function => "spawn SpawnTest::Soak::Functions::run $job",
);
for my $what (sort keys %name) {
    my $may = sub { return SpawnTest::Soak::Census::may_be_left(audited({}, @_), $name{$what}) };
    ok $may->(@began_as_killed), "the process of a $what that began as its spawner was killed";
    ok !$may->(@began_as_killed[ 0 .. 2 ]), '... not when no spawner was';
    ok !$may->(@began_as_killed[ 0, 1 ], [ T => 140, $job, 'exited', 0 ], $began_as_killed[3]), '... nor when its end was told';
}
ok !SpawnTest::Soak::Census::may_be_left(audited({}, @began_as_killed), $_), "not $_"
    for 'spawn SpawnTest::Soak::Functions::run 01a22533-0000-7282-9b22-31cc6634d867', 'sleep 1000', 'mod_spawn worker a.1';

# ---- files ----
my $audit = audited({}, @accepted, @ran, @ended, [ kill_broker => SpawnTest::Soak::Journal::ms() - 1000, SpawnTest::Soak::Journal::ms(), 5 ]);
ok $audit->may_be_left('spawn/store/spool/new-x'), 'an unfinished file of the spool, and a young broker';
ok !$audit->may_be_left('spawn/store/spool/x'), 'another file';
ok !audited({}, @accepted, @ran, @ended)->may_be_left('spawn/store/spool/new-x'), 'an unfinished file, and an old broker';
done_testing;
