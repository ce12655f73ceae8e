#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Apache2::Spawn->pipe: a program is written to and read from while it runs, much of its
# output goes into the answer as it comes, close has its result, and it does not last longer
# than its timeout.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use JSON::PP ();
use Test::More;

use SpawnTest qw(each_mpm);

my $package = <<'END';
package MyPipe;
use strict;
use warnings;
use JSON::PP ();
use Apache2::Spawn ();
sub failed { my ($code) = @_; return eval { $code->(); 1 } ? 'none' : ref $@ ? join ' ', $@->code, $@->step, $@->line - (caller)[2], $@->file =~ /(\w+\.pm)\z/ : $@ }
sub talk {
    my ($r) = @_;
    local ($?, $!) = (77, 5);
    my $pipe = $r->spawn_pipe([ '/bin/sh', '-c', 'while read x; do echo "got $x"; echo "err $x" >&2; done; echo end; exit 3' ], stderr => 'pipe');
    my @got = ($? + 0, $! + 0);
    for my $word (qw(one two)) {
        print { $pipe->in } "$word\n";
        push @got, scalar readline $pipe->out;
        push @got, scalar readline $pipe->err;
    }
    push @got, $pipe->close_in, defined $pipe->in ? 'in' : 'closed', scalar readline $pipe->out;
    $! = 5;
    my $res = $pipe->close;
    push @got, $? + 0, $! + 0;
    return [ @got, $res->status, $res->job->id eq $pipe->job->id ? 1 : 0, $pipe->close->exit_code, $res->context->{uri} ];
}
sub late {
    my $pipe = Apache2::Spawn->pipe([ 'sleep', 600 ], timeout => '300ms');
    my $got = readline $pipe->out;
    my $res = $pipe->close;
    return [ defined $got ? 1 : 0, $res->outcome, $res->status ];
}
sub thrown_away {
    my $job;
    { my $pipe = Apache2::Spawn->pipe(['/bin/cat']); $job = $pipe->job; $job->status eq 'running' or die }
    return [ $job->wait(60)->status ];
}
sub open3 {
    my ($glob, @got) = (do { local *G; \*G });
    my $job = Apache2::Spawn->open3(my $in, my $out, $glob, [ '/bin/sh', '-c', 'cat; echo e >&2; exit 4' ]);
    print {$in} 'text';
    close $in;
    push @got, scalar readline $out;
    push @got, scalar readline $glob;
    push @got, $job->wait->status >> 8;
    $job = Apache2::Spawn->open3(\*MyPipe::IN, \*MyPipe::OUT, undef, [ '/bin/sh', '-c', 'echo e >&2; cat' ]);
    print MyPipe::IN "line\n";
    close IN;
    push @got, <OUT>;
    close OUT;
    return [ @got, $job->wait->ok ];
}
sub errors {
    my $pipe = Apache2::Spawn->pipe([ 'sleep', 600 ], queue => 'one');
    my @got;
    push @got, failed(sub { Apache2::Spawn->pipe(['/nowhere/x']) });
    push @got, failed(sub { Apache2::Spawn->pipe(['true'], colour => 1) });
    push @got, failed(sub { Apache2::Spawn->pipe(['true'], 'odd') });
    push @got, failed(sub { Apache2::Spawn->open3(my $in, my $out, undef, ['/nowhere/x']) });
    $pipe->kill('KILL');
    return [ @got, $pipe->close->status, defined $pipe->out ? 1 : 0 ];
}
sub handler {
    my ($r) = @_;
    $r->print(JSON::PP->new->encode({ talk => talk($r), late => late(), away => thrown_away(), open3 => open3(), errors => errors() }));
    return 0;
}
sub dump {
    my ($r) = @_;
    my $pipe = $r->spawn_pipe([ 'head', '-c', 5_000_000, '/dev/zero' ], stdin => 'null');
    while (read $pipe->out, my $part, 65_536) { $r->print($part) }
    $r->print($pipe->close->ok ? 'ok' : 'bad');
    return 0;
}
1;
END

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm);
        $httpd->file('../perl/MyPipe.pm', $package);
        $httpd->{conf} = join "\n", '<SpawnQueue one>', '</SpawnQueue>', 'PerlModule MyPipe',
            map { ("<Location /$_>", 'SetHandler modperl', 'PerlResponseHandler MyPipe::' . ($_ eq 'all' ? 'handler' : $_), '</Location>') }
            qw(all dump);
        $httpd->start;
        my $answer = $httpd->get('/all')->{content};
        my $told = eval { JSON::PP->new->decode($answer) } or return fail "an answer: $answer";
        is_deeply $told->{talk},
            [ 77, 5, "got one\n", "err one\n", "got two\n", "err two\n", 1, 'closed', "end\n", 77, 5, 3 << 8, 1, 3, '/all' ],
            'both ways while it runs, and how it ended; $? and $! are left alone';
        is_deeply $told->{late}, [ 0, 'timed_out', 15 ], 'timeout ends the program, and so the read';
        is_deeply $told->{away}, [0], 'an object that goes closes the pipes';
        is_deeply $told->{open3}, [ 'text', "e\n", 4, "e\n", "line\n", 1 ], 'open3';
        is_deeply $told->{errors},
            [ 'start_failed exec 0 MyPipe.pm', 'unknown_option options 0 MyPipe.pm', 'invalid options 0 MyPipe.pm',
              'start_failed exec 0 MyPipe.pm', 9, 0 ], 'errors have the line of the call';
        my $dump = $httpd->get('/dump')->{content};
        is length $dump, 5_000_002, 'much output goes into the answer';
        like $dump, qr/\0ok\z/, '... whole';
    }
);
done_testing;
