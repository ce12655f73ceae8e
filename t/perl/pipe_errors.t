#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# What methods of Apache2::Spawn::Pipe throw names the caller's line; what pipe and open3 do
# not take is refused before there is a job.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Test::More;
use Apache2::Spawn ();
use FakeBroker ();

my $no_such_job = 10;    # as common/spawn_error.h has it
my $refused = sub { return [ refused => code => $no_such_job, text => 'not known' ] };
my $broker = FakeBroker->start(
    forget => 1,
    submit => sub { return [ job => id => $_[0]{id}, state => 3, queue => 'default', pid => 7 ] },
    map { $_ => $refused } qw(get wait kill));
my $spawn = $broker->connection;

sub thrown {
    my ($code, $name) = @_;
    my $error = eval { $code->(); 1 } ? 'nothing' : $@;
    isa_ok $error, 'Apache2::Spawn::Error', $name or return diag $error;
    return $error;
}

my $pipe = $spawn->pipe(['/bin/true']);
my %method = (
    'close' => sub { $pipe->close },
    'pid'   => sub { $pipe->pid },
    'kill'  => sub { $pipe->kill },
);
my %line = ('close' => __LINE__ - 4, 'pid' => __LINE__ - 3, 'kill' => __LINE__ - 2);
for my $name (sort keys %method) {
    my $error = thrown($method{$name}, $name);
    is $error->code, 'no_such_job', '... its code';
    is $error->file, $0, '... the file of the call';
    is $error->line, $line{$name}, '... and the line';
}
is thrown(sub { $pipe->close('soon') }, 'close of a time that is none')->code, 'invalid', '... invalid';
is thrown(sub { $pipe->kill('NONE') }, 'kill of a signal that is none')->code, 'invalid', '... invalid';

{
    local ($!, $?) = (5, 77);
    $pipe = $spawn->pipe(['/bin/true']);
    eval { $pipe->close };
    is_deeply [ $! + 0, $? + 0 ], [ 5, 77 ], 'close leaves $! and $? alone';
}

# ---- what is not taken ----

sub refused {
    my ($code, $text) = @_;
    my $error = thrown($code, $text);
    is $error->code, 'invalid', '... invalid';
    like $error->message, $text, '... says what';
    is $error->file, $0, '... and where';
    return;
}
my ($in, $out, $err);
refused(sub { $spawn->pipe(['/bin/true'], reply => 'posted') }, qr/\Areply: pipe does not take/);
refused(sub { $spawn->open3($in, $out, undef, ['/bin/true'], stdin => 'null') }, qr/\Astdin: open3 does not take/);
refused(sub { $spawn->open3('<&STDIN', $out, undef, ['/bin/true']) }, qr/\Aopen3: '<&STDIN' is no handle/);
refused(sub { $spawn->open3($in, 'OUT', undef, ['/bin/true']) }, qr/\Aopen3: 'OUT' is no handle/);
refused(sub { $spawn->open3($in, $out, [], ['/bin/true']) }, qr/\Aopen3: 'ARRAY.*' is no handle/);
refused(sub { $spawn->open3($in, $out, undef, ['/bin/true'], 'odd') }, qr/pairs/);
is_deeply [ $in, $out ], [ undef, undef ], 'and no handle is set';

isa_ok $spawn->open3($in, $out, 0, ['/bin/true']), 'Apache2::Spawn::Job', 'a false third handle';
no warnings 'once';
isa_ok $spawn->open3(*main::IN, *main::OUT, undef, ['/bin/true']), 'Apache2::Spawn::Job', 'globs';

# an exception of a signal handler's, which is no object
{
    no warnings 'redefine';
    local *Apache2::Spawn::spawn = sub { die { by => 'alarm' } };
    eval { $spawn->pipe(['/bin/true']) };
    is_deeply $@, { by => 'alarm' }, 'what a signal handler dies of goes through';
}

done_testing;
