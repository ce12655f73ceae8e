#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Failures are objects: they say what, where and why, stringify to a whole
# line with the caller's place, and compare as text.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Test::More;
use Apache2::Spawn ();

my $spawn = Apache2::Spawn->connect('/nonexistent/spawn/socket');

eval {
# line 100 "caller.pl"
    $spawn->spawn(['/bin/true'], colour => 'red');
};
my $error = $@;

isa_ok $error, 'Apache2::Spawn::Error';
is $error->code, 'unknown_option', 'code';
is $error->step, 'options', 'step';
is $error->errno, 0, 'errno';
is $error->errno_text, '', 'errno in words';
is $error->job, undef, 'no job';
is $error->file, 'caller.pl', 'file';
is $error->line, 100, 'line';
like "$error", qr/\AApache2::Spawn: there is no option 'colour'; .* \(unknown_option, options\) at caller\.pl line 100\.\n\z/,
    'as text';
ok $error, 'true';
ok $error eq $error->as_string, 'compares as text';
like 'x' . $error, qr/\AxApache2/, 'concatenates';
ok $error =~ /colour/, 'matches';

# caught
is(Apache2::Spawn::Error->caught($error), $error, 'caught: ours');
for my $other ('text', undef, { code => 'x' }, [], \'x', bless({}, 'My::Error')) {
    is(Apache2::Spawn::Error->caught($other), undef, 'caught: not ' . (ref $other || $other // 'undef'));
}
eval { die { plain => 1 } };
is(Apache2::Spawn::Error->caught, undef, 'caught: $@ is looked at');
is ref $@, 'HASH', '... and left';
{
    local $@ = $error;
    is(Apache2::Spawn::Error->caught, $error, 'caught: $@');
}
is scalar(() = Apache2::Spawn::Error->caught('text')), 1, 'caught: one value in a list';

# with errno and job
$! = 5;
eval { $spawn->spawn(['/bin/true']) };
is $! + 0, 5, '$! is kept';
$error = $@;
is $error->code, 'unreachable', 'unreachable';
is $error->step, 'connect', 'its step';
is $error->errno, 2, 'its errno';
is $error->errno_text, do { local $! = 2; "$!" }, 'in words';
is $! + 0, 5, '$! is kept by errno_text';
like "$error", qr{/nonexistent/spawn/socket.*\(unreachable, connect.*\) at }, 'as text';
my @times = "$error" =~ /No such file or directory/g;
is scalar @times, 1, 'the errno stands once in it';
isa_ok $error->job, 'Apache2::Spawn::Job';
like $error->job->id, qr/\A[0-9a-f]{8}-[0-9a-f]{4}-7/, 'with an id';
my $id = $error->job->id;
eval { $error->job->resubmit };
is $@->code, 'unreachable', 'resubmit tries again';
is $@->job->id, $id, 'with the same id';
is $! + 0, 5, '$! is kept by resubmit';

# it passes through other code as any exception does
eval {
    eval { $spawn->spawn([]) };
    die;    # PROPAGATE
};
isa_ok $@, 'Apache2::Spawn::Error', 'died again';
{
    my $seen;
    local $SIG{__DIE__} = sub { $seen = $_[0] };
    eval { $spawn->spawn([]) };
    isa_ok $seen, 'Apache2::Spawn::Error', 'what a __DIE__ handler gets';
}

# the place is that of the call, in a subclass too
{
    package My::Spawn;
    our @ISA = ('Apache2::Spawn');
}
my $mine = My::Spawn->connect('/nonexistent');
isa_ok $mine, 'My::Spawn';
eval { $mine->spawn([]) }; my $line = __LINE__;
is $@->line, $line, 'line of a call through a subclass';
is $@->file, __FILE__, 'file of it';

# outside httpd without a socket
delete local $ENV{SPAWN_SOCKET};
eval { Apache2::Spawn->spawn(['/bin/true']) };
is $@->code, 'unreachable', 'no socket is named';
like $@->message, qr/connect\(\$path\).*SPAWN_SOCKET/, 'and how to name one';
local $ENV{SPAWN_SOCKET} = '/nonexistent/other';
eval { Apache2::Spawn->spawn(['/bin/true']) };
like $@->message, qr{/nonexistent/other}, 'SPAWN_SOCKET is used';

done_testing;
