#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A library of the template hangs in the job, in its handler of the fork, or ends it:
# the job times out, is killed, is told as not started, as any other, and its
# template serves on.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use POSIX ();
use Test::More;

use SpawnTest qw(one_mpm wait_until);
use SpawnTest::ForkLibrary ();
use SpawnTest::ParentTemplate qw(connection);
use SpawnTest::Process qw(alive);
use SpawnTest::Templates ();

my $library = SpawnTest::ForkLibrary->build or plan skip_all => 'no C library can be compiled here';

sub is_ended {
    my ($spawn, $template) = @_;
    my $job = $spawn->spawn_call('My::Lib::look', [], template => $template, timeout => 0.5, grace => 0.2);
    my $end = $job->wait(20);
    is $end && $end->outcome, 'timed_out', "$template: a job that hangs before it is a job times out";
    $job = $spawn->spawn_call('My::Lib::look', [], template => $template);
    ok wait_until(sub { $job->pid }, 20), '... another one has its process shown';
    my $pid = $job->pid;
    ok $job->kill('KILL'), '... and is killed';
    $end = $job->wait(20);
    is $end && $end->outcome, 'cancelled', '... it ends';
    ok !alive($pid), '... and its process';
    return;
}

my $t = SpawnTest::Templates->new(
    files => {
        'My/Lib.pm' => $library->code,
        'My/Hangs.pm' => "package My::Hangs; require My::Lib; My::Lib::hang_children(); 1;\n",
        'My/Ends.pm' => "package My::Ends; require My::Lib; My::Lib::end_children(); 1;\n",
    },
    templates => "SpawnTemplate hangs exec inc=\@INC\@ preload=My::Hangs\n"
        . 'SpawnTemplate ends exec inc=@INC@ preload=My::Ends',
)->start;
is_ended($t->spawn, 'hangs');
my $end = $t->spawn->spawn_call('My::Lib::look', [], template => 'ends')->wait(20);
ok $end, 'a job that a handler ended is told';
like $end->outcome, qr/\A(?:start_failed|signalled)\z/, '... as not started, or as killed by itself';
isnt $end->signal || 6, 0, '... ' . $end->outcome;

# httpd's own template: its libraries are httpd's, so that they hang from now on, in
# jobs that are forked from now on
my $httpd = SpawnTest::Httpd->new(mpm => one_mpm(), perl => $library->code, conf => "SpawnTemplate app parent spares=0\n")->start;
my $spawn = connection($httpd);
ok $spawn->call('My::Lib::look'), 'calls of app are served';
open my $file, '>', $library->hang or die "hang: $!\n";
is_ended($spawn, 'app');
unlink $library->hang;
ok $spawn->call('My::Lib::look'), '... and are again';
$httpd->stop;

is_deeply [ grep { /MS0603|MS0602/ } split /\n/, $t->httpd->error_log . $httpd->error_log ], [], 'no template was killed';
done_testing;
