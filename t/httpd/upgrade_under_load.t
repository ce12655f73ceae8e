#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Another release is installed and httpd told to be graceful, there and back again,
# while handlers and others submit, also jobs that wait for their time, durable ones, and
# ones that are tried again: the broker is replaced, the spawner executes itself in place,
# no submit fails, what runs goes on, and each job runs once.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use JSON::PP ();
use POSIX ();
use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Process qw(alive);
use SpawnTest::Release ();
use SpawnTest::Templates ();

my $json = JSON::PP->new->canonical;

# Runs the code again and again in a process of its own, until `enough` is there. It
# gets the number of the round, and returns what was wrong with it. A round takes 20
# jobs to their end, so there is always something on the way, and never much.
sub stream {
    my ($enough, $code) = @_;
    my $pid = open my $out, '-|';
    defined $pid or die "fork: $!\n";
    return { pid => $pid, out => $out, wrong => [], rounds => 0 } if $pid;
    STDOUT->autoflush(1);
    for (my $round = 0; !-e $enough; $round++) {
        my @wrong = eval { $code->($round) };
        push @wrong, "$@" if $@;
        print $json->encode(\@wrong), "\n";
    }
    POSIX::_exit(0);
}

# The count of its rounds after the next one; false when there is none.
sub round {
    my ($stream) = @_;
    my $line = readline $stream->{out};
    return 0 if !defined $line;
    push @{ $stream->{wrong} }, @{ $json->decode($line) };
    return ++$stream->{rounds};
}

# Programs that handlers submit, every other time as posts.
sub programs {
    my ($httpd, $ran, $round) = @_;
    my $from = $round * 20;
    my $made = $httpd->do('spawn_many', from => $from, count => 20,
        options => $round % 2 ? { reply => 'posted' } : {},
        argv => [ '/bin/sh', '-c', "echo \$SPAWN_JOB_ID >>$ran; exit \$((%d % 200))" ]);
    return $made->{error}{text} if $made->{error};
    return map { "submit: $_->{text}" } @{ $made->{errors} } if @{ $made->{errors} };
    my $ends = $httpd->do('wait_many', ids => $made->{ids}, seconds => 30);
    return map {
        my ($end, $want) = ($ends->[$_], ($from + $_) % 200);
        ($end->{outcome} || '') eq 'exited' && $end->{exit_code} == $want
            ? () : "not exited $want: " . $json->encode($end);
    } 0 .. $#{$ends};
}

# Programs that wait for their time, that are durable, and that fail at first and are
# tried again.
sub others {
    my ($httpd, $ran, $round) = @_;
    my ($from, @wrong) = ($round * 20);
    my @kinds = (
        [ 7, { delay => 1 } ],
        [ 6, { durable => 1 } ],
        [ 7, { retry => 1, retry_on => [99], backoff => '100ms' }, "[ -e $ran.\$SPAWN_JOB_ID ] || { : >$ran.\$SPAWN_JOB_ID; exit 99; }; " ]
    );
    my %code;
    for my $kind (@kinds) {
        my ($count, $options, $first) = @{$kind};
        my $made = $httpd->do('spawn_many', from => $from, count => $count, options => $options,
            argv => [ '/bin/sh', '-c', ($first || q{}) . "echo \$SPAWN_JOB_ID >>$ran; exit \$((%d % 90))" ]);
        push @wrong, map { "submit: $_->{text}" } $made->{error} || (), @{ $made->{errors} || [] };
        $code{ $made->{ids}[$_] } = ($from + $_) % 90 for grep { defined $made->{ids}[$_] } 0 .. $#{ $made->{ids} || [] };
        $from += $count;
    }
    my @ids = sort keys %code;
    my $ends = $httpd->do('wait_many', ids => \@ids, seconds => 30);
    return @wrong, map {
        my $end = $ends->[$_];
        ($end->{outcome} || q{}) eq 'exited' && $end->{exit_code} == $code{ $ids[$_] } ? () : "not exited $code{ $ids[$_] }: " . $json->encode($end);
    } 0 .. $#ids;
}

# Calls of a template and of a queue's workers, by one that is connected for long.
sub calls {
    my ($spawn, $ran, $round) = @_;
    my @wrong;
    for my $n (map { 10 * $round + $_ } 0 .. 9) {
        for my $queue (qw(default rpc)) {
            my $got = eval { $spawn->call('My::Ran::once', [ $ran, $n ], queue => $queue, timeout => 60) };
            push @wrong, "$queue: " . ($@ || 'returned ' . $json->encode([$got])) if !defined $got || $got != $n;
        }
    }
    return @wrong;
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $t = SpawnTest::Templates->new(mpm => $mpm, children => 6,
            templates => 'SpawnTemplate app exec inc=@INC@ preload=My::Work preload=My::Ran',
            files => { 'My/Ran.pm' => <<'END' },
package My::Ran;
sub once {
    my ($ran, $value) = @_;
    open my $out, '>>', $ran or die "$ran: $!\n";
    syswrite $out, Apache2::Spawn->job->id . "\n";
    return $value;
}
1;
END
            conf => "SpawnMaxJobs 100\nSpawnSubmitTimeout 20\n<SpawnQueue rpc>\nSpawnWorkers 1 3\n</SpawnQueue>\n");
        my $httpd = $t->httpd;
        my $release = SpawnTest::Release->new($httpd);
        my ($old, $new) = ($release->built, $release->newer);
        $release->install($old);
        $t->start;
        my ($gate, $ran, $enough) = (SpawnTest::Gate->new($httpd, 'a'), map { $httpd->work . "/$_" } qw(ran enough));
        open my $touch, '>', $ran or die "$ran: $!\n";
        chmod 0666, $ran or die "$ran: $!\n";
        my $spawner = $httpd->spawner_pid;

        my $held = $httpd->do('spawn_many', count => 10, options => { reply => 'started' },
            argv => $gate->job("echo \$SPAWN_JOB_ID >>$ran; exit %d"));
        is_deeply $held->{errors}, [], '10 programs run';
        my @calls = ((map { $t->at_gate($gate, "call $_") } 0, 1),
            $t->spawn->spawn_call('My::Work::at_gate', [ $gate->path, 'call 2' ], queue => 'rpc'));
        ok $t->all_at_gate(@calls), 'and 3 calls';
        my @pids = ((map { $httpd->status($_)->{pid} } @{ $held->{ids} }), map { $_->pid } @calls);

        my @streams = (stream($enough, sub { return programs($httpd, $ran, @_) }),
            stream($enough, sub { return calls($t->spawn, $ran, @_) }),
            stream($enough, sub { return others($httpd, $ran, @_) }));
        for my $number ($new, $old, $old, $new) {
            round($_) for @streams;
            my ($broker, $from) = ($httpd->broker_pid, length $httpd->error_log);
            $release->install($number);
            $httpd->graceful;
            my $log = substr $httpd->error_log, $from;
            like $log, qr/MS0315: the spawner goes on as release \Q$number\E with /, "$number: the spawner says so";
            like $log, qr/MS0179/, 'httpd has it, too';
            is $httpd->spawner_pid, $spawner, 'in the same process';
            my $next = $httpd->new_process('broker', $broker);
            ok $next, 'the broker is another one';
            is_deeply [ map { readlink "/proc/$_/exe" } $spawner, $next ],
                [ map { $release->program($_) } qw(spawner broker) ], 'both run what was installed' if $< == 0;
            is scalar(grep { alive($_) } @pids), 13, 'what ran runs on';
            round($_) for @streams, @streams;
        }
        open my $end, '>', $enough or die "$enough: $!\n";
        for my $stream (@streams) {
            1 while round($stream);
            waitpid $stream->{pid}, 0;
            is_deeply $stream->{wrong}, [], "$stream->{rounds} rounds of a stream, and each job ended as it should";
        }

        $gate->let(13);
        my $ends = $httpd->do('wait_many', ids => $held->{ids}, seconds => 60);
        is_deeply [ map { $_->{exit_code} } @{$ends} ], [ 0 .. 9 ], 'the programs that ran all along tell their codes';
        is_deeply [ map { scalar $_->result(30) } @calls ], [ map {"call $_"} 0 .. 2 ], 'the calls return';
        my %times;
        open my $in, '<', $ran or die "$ran: $!\n";
        $times{$_}++ while <$in>;
        is_deeply [ grep { $times{$_} > 1 } keys %times ], [], 'none ran twice';
        is scalar keys %times, 10 + 20 * ($streams[0]{rounds} + $streams[1]{rounds} + $streams[2]{rounds}), 'each of them ran';
        unlike $httpd->error_log, qr/MS0314|MS0178|MS0170|MS0500/, 'nothing went wrong';
    }
);
done_testing;
