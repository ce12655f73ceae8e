#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Libraries that a template has used learn of the fork in each job and worker, of
# both kinds of template, frozen ones (the default of exec) and shared ones, and in each
# copy that a process makes of itself (Apache2::Spawn::Process): locks are free, random
# bytes are not those of another job, and our own client, used while the template loaded,
# works in each.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use JSON::PP ();
use Test::More;

use SpawnTest qw(each_mpm sanitized);
use SpawnTest::ForkLibrary ();
use SpawnTest::Frozen qw(frozen memory_of sizes);
use SpawnTest::ParentTemplate qw(connection templates_of);
use SpawnTest::Processes qw(line);
use SpawnTest::Templates ();

my $library = SpawnTest::ForkLibrary->build or plan skip_all => 'no C library can be compiled here';

my $queue = "<SpawnQueue rpc>\nSpawnWorkers 2 2\n</SpawnQueue>\n";
my $client = <<'END';
package My::Client;
use Apache2::Spawn ();
our $spawn = Apache2::Spawn->connect(do { open my $in, '<', "@INC@/socket" or die $!; readline $in });
our @loading = map { $spawn->run(['/bin/true'])->exit_code } 1, 2;
sub first { return [ @loading, map { $spawn->run([ '/bin/sh', '-c', "exit $_" ])->exit_code } 3, 4 ] }
1;
END

# Three jobs, and the workers.
sub forks {
    my ($spawn, $kind) = @_;
    my @looks = map { $spawn->call('My::Lib::look') } 1 .. 3;
    is_deeply [ map { [ @{ $_->{counts} }[ 2, 3 ] ] } @looks ], [ ([ $kind, 1 ]) x 3 ],
        'the handlers ran in each job, and left the lock free';
    # both workers, called at once
    my @calls = map { $spawn->spawn_call('My::Lib::look', [], queue => 'rpc') } 1 .. 6;
    my %worker = map { $_->{pid} => $_ } map { scalar $_->result(30) } @calls;
    push @looks, values %worker;
    is_deeply [ map { $_->{counts}[3] } values %worker ], [ (1) x keys %worker ], 'and in workers';
    for my $from ($library->sources) {
        my %seen = map { $_->{$from} => 1 } @looks;
        is scalar(keys %seen), scalar(@looks), "$from: no random bytes twice";
    }
    return;
}

# A process that has used the libraries itself, and its copies: the first ones, and the one
# that it keeps ready for the next fork.
sub copies {
    my ($spawn) = @_;
    my $process = Apache2::Spawn::Process->new(via => $spawn);
    $process->eval('sub says { my ($fh) = @_; require JSON::PP; syswrite $fh, JSON::PP::encode_json(My::Lib::look()) . "\n" }'
            . ' My::Lib::look();');
    my @from;
    $process->fork->run('main::says', sub { push @from, @_ }) for 1 .. 4;
    $process->run('main::says', sub { push @from, @_ });
    my @looks = map { JSON::PP::decode_json(line($_)) } @from;
    is_deeply [ map { $_->{counts}[3] } @looks ], [ (1) x 5 ], 'a process and four copies: the lock is free in each';
    my %pid = map { $_->{pid} => 1 } @looks;
    is scalar(keys %pid), 5, '... of which each is a process';
    for my $from ($library->sources) {
        my %seen = map { $_->{$from} => 1 } @looks;
        is scalar(keys %seen), 5, "... $from: no random bytes twice";
    }
    return;
}

# Is the memory of the one template of that pid frozen?
sub frozen_or_not {
    my ($wanted, @pids) = @_;
    return if sanitized();    # a sanitizer's memory is not moved
    is scalar(@pids), 1, 'one template';
    my $size = sizes(map { frozen(memory_of($_)) } @pids)->{Size};
    is !!$size, !!$wanted, $wanted ? 'which is frozen' : 'which is not frozen';
    return;
}

each_mpm(
    sub {
        my ($mpm) = @_;
        for my $memory (qw(shared frozen)) {
            my $httpd = SpawnTest::Httpd->new(
                mpm => $mpm,
                conf => "SpawnTemplateMemory $memory\n$queue",
                perl => $library->code
            )->start;
            subtest "httpd's own template, memory $memory" => sub {
                forks(connection($httpd), 2);    # the template itself was forked
                frozen_or_not($memory eq 'frozen', templates_of($httpd, 'app'));
                copies(connection($httpd));
            };
            $httpd->stop;
        }
    }
);

my $t = SpawnTest::Templates->new(
    conf => $queue,
    files => { 'My/Lib.pm' => $library->code },
    templates => "SpawnTemplate app exec inc=\@INC\@ preload=My::Lib\n"
        . "SpawnTemplate shared exec inc=\@INC\@ preload=My::Lib memory=shared\n"
        . 'SpawnTemplate client exec inc=@INC@ preload=My::Client',
);
(my $text = $client) =~ s/\@INC\@/$t->inc/e;
$t->file('My/Client.pm', $text);
$t->file('socket', $t->httpd->socket);
$t->start;
forks($t->spawn, 1);
frozen_or_not(1, $t->pids('app'));
copies($t->spawn);
my @looks = map { $t->spawn->call('My::Lib::look', [], template => 'shared') } 1 .. 3;
frozen_or_not(0, $t->pids('shared'));
for my $from ($library->sources) {
    my %seen = map { $_->{$from} => 1 } @looks;
    is scalar(keys %seen), 3, "$from: no random bytes twice, with shared memory either";
}
for my $n (1 .. 3) {
    is_deeply eval { $t->spawn->call('My::Client::first', [], template => 'client') }, [ 0, 0, 3, 4 ],
        "our client, used while the template loaded, works in job $n" or diag $@;
}
done_testing;
