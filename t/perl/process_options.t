#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Apache2::Spawn::Process refuses bad options and values before anything is
# sent, with an error object that has the caller's line.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Socket ();
use Test::More;
use Apache2::Spawn ();
use Apache2::Spawn::Process ();

my $class = 'Apache2::Spawn::Process';
my $via = Apache2::Spawn->connect('/nonexistent/spawn/socket');
socketpair my $own, my $theirs, Socket::AF_UNIX(), Socket::SOCK_STREAM(), 0 or die "socketpair: $!";
my $process = $class->new_from_fh($own);
open my $memory, '<', \"data" or die $!;
open my $closed, '<', '/dev/null' or die $!;
close $closed or die $!;

{
    package Tied;
    sub TIEHANDLE { return bless {}, shift }
    sub FILENO    { return 1 }
}
tie *TIED, 'Tied';

for my $case (
    ['an odd number', 'invalid', qr/new: options come in pairs/, sub { $class->new('x') }],
    ['an unknown option', 'unknown_option', qr/no option 'tmplate'; did you mean 'template'/, sub { $class->new(via => $via, tmplate => 'x') }],
    ['template of a program', 'invalid', qr/template/, sub { $class->new_exec(via => $via, template => 'x') }],
    ['deadline', 'invalid', qr/deadline: 'soon' is not a number of seconds/, sub { $class->new(deadline => 'soon') }],
    ['deadline negative', 'invalid', qr/deadline: '-1'/, sub { $class->new(deadline => -1) }],
    ['deadline undef', 'invalid', qr/deadline is undefined/, sub { $class->new_exec(deadline => undef) }],
    ['via undef', 'invalid', qr/via is undefined/, sub { $class->new(via => undef) }],
    ['load', 'unknown_option', qr/new: load has no meaning here/, sub { $class->new(via => $via, load => 'X') }],
    ['reply', 'invalid', qr/reply: 'finished' would wait/, sub { $class->new(via => $via, reply => 'finished') }],
    ['fds', 'invalid', qr/fds: wanted: a reference to a hash/, sub { $class->new(via => $via, fds => [1]) }],
    ['nobody there', 'unreachable', qr/./, sub { $class->new(via => $via) }],
    ['nobody there for a program', 'unreachable', qr/./, sub { $class->new_exec(via => $via) }],
    ['a template for fork', 'unknown_option', qr/fork: no option 'template'; there are: deadline, timeout, grace/, sub { $process->fork(template => 'x') }],
    ['timeout of fork', 'invalid', qr/fork: timeout: 'x' is not a number/, sub { $process->fork(timeout => 'x') }],
    ['option of new_from_fh', 'unknown_option', qr/no option 'via'/, sub { $class->new_from_fh($own, via => $via) }],
    ['no module', 'invalid', qr/require: 'a b' is not the name of a module/, sub { $process->require('Good', 'a b') }],
    ['module undef', 'invalid', qr/require: undef is not/, sub { $process->require(undef) }],
    ['a path', 'invalid', qr/is not the name/, sub { $process->require('/etc/passwd') }],
    ['wide characters', 'invalid', qr/send_arg: .* has wide characters/s, sub { $process->send_arg("\x{2603}") }],
    ['wide code', 'invalid', qr/eval: .* has wide characters/s, sub { $process->eval("\x{2603}") }],
    ['text as a handle', 'invalid', qr/send_fh: wanted: an open handle/, sub { $process->send_fh('x') }],
    ['undef as a handle', 'invalid', qr/send_fh: wanted: an open handle/, sub { $process->send_fh(undef) }],
    ['a closed handle', 'invalid', qr/send_fh: wanted: an open handle/, sub { $process->send_fh($closed) }],
    ['a handle in memory', 'invalid', qr/send_fh: a handle in memory/, sub { $process->send_fh($memory) }],
    ['a tied handle', 'invalid', qr/send_fh: a tied handle/, sub { $process->send_fh(\*TIED) }],
    ['one bad handle of two', 'invalid', qr/send_fh: wanted/, sub { $process->send_fh(\*STDIN, 'x') }],
    ['no function', 'invalid', qr/run: wanted: the name of a function/, sub { $process->run }],
    ['code as a function', 'invalid', qr/run: wanted: the name of a function/, sub { $process->run(sub { }) }],
    ['wait', 'invalid', qr/wait: 'x' is not a number/, sub { $process->wait('x') }],
    ['wait for an unknown one', 'invalid', qr/wait: .*new_from_fh is not known here/, sub { $process->wait(0) }],
    ['kill an unknown one', 'invalid', qr/kill: .*new_from_fh/, sub { $process->kill }],
) {
    my ($name, $code, $text, $sub) = @{$case};
    local $@ = 'mine';
    my $done = eval { $sub->(); 1 };
    my $error = $@;
    ok !$done && ref $error && $error->isa('Apache2::Spawn::Error'), "$name: an error object" or diag $error;
    is $error->code, $code, "$name: code";
    like $error->message, $text, "$name: text";
    is $error->file, __FILE__, "$name: file";
}

# nothing of all that has been sent
$theirs->blocking(0);
is sysread($theirs, my $byte, 1), undef, 'nothing was sent';

# a socket whose other side has gone
close $theirs or die "close: $!";
my $done = eval { $process->send_arg('x'); $process->pid; 1 };
ok !$done, 'nobody is there';
like $@, qr/the process ended while it was set up/, 'the error says so';

done_testing;
