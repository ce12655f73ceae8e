#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Libraries that a template has used learn of the fork in each job and worker, of
# both kinds of template: locks are free, random bytes are not those of another job,
# and our own client, used while the template loaded, works in each.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm);
use SpawnTest::ForkLibrary ();
use SpawnTest::ParentTemplate qw(connection templates_of);
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

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, conf => $queue, perl => $library->code)->start;
        forks(connection($httpd), 2);    # the template itself was forked
    }
);

my $t = SpawnTest::Templates->new(
    conf => $queue,
    files => { 'My/Lib.pm' => $library->code },
    templates => "SpawnTemplate app exec inc=\@INC\@ preload=My::Lib\n"
        . 'SpawnTemplate client exec inc=@INC@ preload=My::Client',
);
(my $text = $client) =~ s/\@INC\@/$t->inc/e;
$t->file('My/Client.pm', $text);
$t->file('socket', $t->httpd->socket);
$t->start;
forks($t->spawn, 1);
for my $n (1 .. 3) {
    is_deeply eval { $t->spawn->call('My::Client::first', [], template => 'client') }, [ 0, 0, 3, 4 ],
        "our client, used while the template loaded, works in job $n" or diag $@;
}
done_testing;
