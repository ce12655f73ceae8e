#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A bad option or value is refused before anything is sent, with a code and a
# text that names it, says what is wrong and what is wanted.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Symbol ();
use Test::More;
use Apache2::Spawn ();

my $spawn = Apache2::Spawn->connect('/nonexistent/spawn/socket');

sub refused {
    my ($name, $code, $text, @arguments) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    for my $method (qw(spawn run)) {
        my $done = eval { $spawn->$method(@arguments); 1 };
        my $error = $@;
        ok !$done && ref $error && $error->isa('Apache2::Spawn::Error'), "$name: $method throws"
            or return diag "got: $error";
        is $error->code, $code, "$name: code";
        like $error->step, qr/\A(?:options|check)\z/, "$name: step";
        like $error->message, $text, "$name: text";
        is $error->job, undef, "$name: no job";
    }
    return;
}

sub taken {
    my ($name, @options) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    eval { $spawn->spawn(['/bin/true'], @options) };
    return is ref $@ && $@->code, 'unreachable', "$name: taken" || diag $@;
}

open my $memory, '<', \"data" or die $!;
open my $closed, '<', '/dev/null' or die $!;
close $closed or die $!;
open my $file, '<', '/dev/null' or die $!;
my $snowman = "\x{2603}";

{
    package Tied;
    sub TIEHANDLE { return bless {}, shift }
    sub FILENO    { return 1 }
}
{
    package Overloaded;
    use overload '""' => sub { return $_[0]{text} }, fallback => 1;
}
{
    package Constant;
    sub TIESCALAR { my ($class, $value) = @_; return bless \$value, $class }
    sub FETCH { return ${ $_[0] } }
}
tie *TIED, 'Tied';

my @argv = (['/bin/true']);

# without the arrow
for my $case (
    [ run => sub { Apache2::Spawn::run(['/bin/true']) } ],
    [ 'run with nothing' => sub { Apache2::Spawn::run() } ],
    [ call => sub { Apache2::Spawn::call('My::f', []) } ],
    [ 'an object of another class' => sub { Apache2::Spawn::spawn(bless({}, 'Other'), ['/bin/true']) } ],
    [ list => sub { my $count = Apache2::Spawn::list(queue => 'x') } ],
) {
    my ($name, $code) = @{$case};
    ok !eval { $code->(); 1 }, "$name: throws";
    like "$@", $name eq 'run with nothing' ? qr/Usage/ : qr/this is a method, not a function: .*Apache2::Spawn->run/,
        "$name: says how to write it";
}
{
    package My::Spawn;
    our @ISA = ('Apache2::Spawn');
}
eval { local $ENV{SPAWN_SOCKET} = '/nonexistent'; My::Spawn->spawn(['/bin/true']) };
is $@->code, 'unreachable', 'a class of its own may call';

# argv
refused('argv as text', 'invalid', qr/argv: wanted: a reference to an array.*shell/s, '/bin/ls -l');
refused('argv missing', 'invalid', qr/argv: wanted: a reference to an array/);
refused('argv a hash', 'invalid', qr/argv: wanted: a reference to an array/, {});
refused('argv empty', 'invalid', qr/argv is empty/, []);
refused('argv without a program', 'invalid', qr/argv: no program/, ['']);
refused('undef in argv', 'invalid', qr/argv\[1\] is undefined/, ['/bin/echo', undef]);
refused('reference in argv', 'invalid', qr/argv\[2\] is a reference \(ARRAY\)/, ['a', 'b', []]);
refused('wide characters', 'invalid', qr/argv\[1\] has wide characters.*encode/, ['a', $snowman]);
refused('NUL in argv', 'invalid', qr/argv\[0\] has a NUL byte/, ["a\0b"]);

# names
refused('an unknown option', 'unknown_option', qr/no option 'timout'; did you mean 'timeout'\?/,
    @argv, timout => 3);
refused('a strange option', 'unknown_option', qr/no option 'colour'; perldoc/, @argv, colour => 3);
refused('the name in capitals', 'unknown_option', qr/no option 'Timeout'.*'timeout'/, @argv, Timeout => 3);
refused('argv as an option', 'unknown_option', qr/no option 'argv'/, @argv, argv => ['x']);
refused('an odd number', 'invalid', qr/come in pairs/, @argv, 'timeout');
refused('a hash', 'invalid', qr/options are a list, name => value, not a reference to a hash/, @argv, { timeout => 1 });

# plain values
for my $name (qw(id queue cwd umask user group timeout grace nice ionice no_new_privs leftovers label
    capture_limit stdin stdout stderr)) {
    refused("$name undef", 'invalid', qr/\A$name is undefined; leave it out for its default/, @argv, $name => undef);
    refused("$name a reference", 'invalid', qr/\A$name is a reference \(ARRAY\)/, @argv, $name => []);
    refused("$name wide", 'invalid', qr/\A$name has wide characters/, @argv, $name => $snowman);
    refused("$name with a NUL", 'invalid', qr/\A$name has a NUL/, @argv, $name => "a\0b");
}
refused('id', 'invalid', qr/id: 'x' .* UUIDv7/, @argv, id => 'x');
refused('queue', 'invalid', qr/queue: 'a b' is not a name/, @argv, queue => 'a b');
refused('cwd', 'invalid', qr/cwd: 'tmp' is not an absolute path/, @argv, cwd => 'tmp');
refused('umask as a big number', 'invalid', qr/umask: 512 .* from 0 to 0777/, @argv, umask => 01000);
refused('umask negative', 'invalid', qr/umask: -1 /, @argv, umask => -1);
refused('umask not octal', 'invalid', qr/umask: '99' .* octal/, @argv, umask => '99');
refused('umask too big', 'invalid', qr/umask: 512 /, @argv, umask => '1000');
refused('timeout', 'invalid', qr/timeout: 'soon' .* a number and a unit/, @argv, timeout => 'soon');
refused('timeout negative', 'invalid', qr/timeout: '-1' /, @argv, timeout => -1);
refused('timeout endless', 'invalid', qr/timeout: 'Inf' /, @argv, timeout => 9**9**9);
refused('nice', 'invalid', qr/nice: 20 .* 0 to 19/, @argv, nice => 20);
refused('nice negative', 'invalid', qr/nice: -5 .* 0 to 19/, @argv, nice => -5);
refused('nice with a fraction', 'invalid', qr/nice: '1\.5' .* whole/, @argv, nice => 1.5);
refused('ionice', 'invalid', qr/ionice: 'fast' .* idle/, @argv, ionice => 'fast');
refused('no_new_privs', 'invalid', qr/no_new_privs: '2' .* 0 or 1/, @argv, no_new_privs => 2);
refused('leftovers', 'invalid', qr/leftovers: 'eat' .* keep or kill/, @argv, leftovers => 'eat');
refused('label', 'invalid', qr/label: control characters/, @argv, label => "a\nb");
refused('label long', 'too_big', qr/'label' has 201 bytes, 200 are allowed/, @argv, label => 'x' x 201);
refused('capture_limit', 'invalid', qr/capture_limit: .* 16M/, @argv, capture_limit => '17M');

my $done = eval { $spawn->spawn(@argv, reply => 'soon'); 1 };
like $@, qr/reply: 'soon' .* posted, accepted, started or finished/, 'reply';
$done = eval { $spawn->run(@argv, reply => 'accepted'); 1 };
like $@, qr/reply: run always waits for the end/, 'reply of run';

# streams
refused('stdin relative', 'invalid', qr/stdin: 'a\/b' .* absolute/, @argv, stdin => 'a/b');
refused('stdin log', 'invalid', qr{stdin: 'log' is not allowed; wanted: null or an absolute path; a handle, or data by reference: \\\$data}, @argv, stdin => 'log');
refused('stdout stdout', 'invalid', qr{stdout: 'stdout' is not allowed; wanted: null, log, capture or an absolute path}, @argv, stdout => 'stdout');
refused('stdout relative', 'invalid', qr/stdout: '>>x'/, @argv, stdout => '>>x');
refused('stdout into a scalar', 'invalid', qr/stdout: a reference to a scalar .* 'capture'/,
    @argv, stdout => \my $buffer);
refused('handle in memory', 'invalid', qr/stdin: a handle in memory .* \\\$data/, @argv, stdin => $memory);
refused('handle that is closed', 'invalid', qr/stdin: the handle is not open/, @argv, stdin => $closed);
refused('handle that never was', 'invalid', qr/stdout: the handle is not open/, @argv, stdout => Symbol::gensym());
refused('handle that is tied', 'invalid', qr/stdout: a tied handle .* mod_perl/, @argv, stdout => \*TIED);
refused('data undefined', 'invalid', qr/stdin: the data is undefined/, @argv, stdin => \undef);
refused('data wide', 'invalid', qr/stdin: the data has wide characters/, @argv, stdin => \$snowman);
refused('data too big', 'too_big', qr/stdin: data of 16777217 bytes.*16 MB/, @argv, stdin => \('x' x (1 + (1 << 24))));

# hashes
for my $name (qw(env context limits fds)) {
    refused("$name not a hash", 'invalid', qr/\A$name: wanted: a reference to a hash/, @argv, $name => 'x');
    refused("$name undef", 'invalid', qr/\A$name: wanted: a reference to a hash/, @argv, $name => undef);
}
for my $name (qw(env context)) {
    refused("$name value wide", 'invalid', qr/$name: the value of 'A' has wide/, @argv, $name => { A => $snowman });
    refused("$name name wide", 'invalid', qr/a name in $name has wide/, @argv, $name => { $snowman => 1 });
    refused("$name name empty", 'invalid', qr/$name: '' is not a name/, @argv, $name => { '' => 1 });
    refused("$name name with =", 'invalid', qr/$name: 'A=B' is not a name/, @argv, $name => { 'A=B' => 1 });
    refused("$name name with NUL", 'invalid', qr/a name in $name has a NUL byte/, @argv, $name => { "A\0B" => 1 });
    refused("$name value with NUL", 'invalid', qr/$name: .*'A' has a NUL byte/, @argv, $name => { A => "x\0y" });
    refused("$name value a reference", 'invalid', qr/$name: .*'A' is a reference/, @argv, $name => { A => [1] });
}
refused('limit unknown', 'invalid', qr/no limit 'mem'; wanted: cpu, memory/, @argv, limits => { mem => 1 });
refused('limit value', 'invalid', qr/limits: cpu: 'lots'/, @argv, limits => { cpu => 'lots' });
refused('fds number', 'invalid', qr/fds: 'five' is not the number/, @argv, fds => { five => $file });
refused('fds below 3', 'invalid', qr/fds: 2 .* from 3 to 63/, @argv, fds => { 2 => $file });
refused('fds not a handle', 'invalid', qr/fds: 5: wanted: an open handle/, @argv, fds => { 5 => 'x' });
refused('fds too many', 'too_big', qr/at most 19 handles/, @argv, fds => { map { $_ => $file } 3 .. 23 });
refused('the whole too big', 'too_big', qr/'argv' has|more than 20 MB/, ['x', 'y' x (21 << 20)]);

# and what is right is taken
taken('umask as a number', umask => 027);
taken('umask as text', umask => '027');
taken('fractions of seconds', timeout => 0.25, grace => '1.5');
taken('a path object', cwd => bless({ text => '/tmp' }, 'Overloaded'));
taken('characters of Latin-1', label => "caf\x{e9}");
taken('a glob', stdin => *STDIN);
taken('a handle', stdin => $file);
taken('the last of two counts', timeout => 'bad', timeout => 1);
tie my $tied, 'Constant', '/tmp';
taken('a tied value', cwd => $tied);
tie my $bad, 'Constant', 'relative';
refused('a bad tied value', 'invalid', qr/cwd: 'relative'/, @argv, cwd => $bad);

tie my $seconds, 'Constant', '250ms';
for my $timeout (1, 0.0001, 0.5, '1ms', '30s', '2min', '1h', 3600, $seconds, bless({ text => '5' }, 'Overloaded')) {
    ok eval { Apache2::Spawn->connect('/nonexistent', timeout => $timeout) }, "connect with a timeout of $timeout" or diag $@;
}
ok eval { Apache2::Spawn->connect('/nonexistent', timeout => 'bad', timeout => 1) }, 'the last of two timeouts counts' or diag $@;

# other methods
for my $case (
    ['a job of undef', qr/job: the id is undefined/, sub { $spawn->job(undef) }],
    ['a job without an id', qr/job: this process is not a Perl job; elsewhere: .*job\(\$id\)/, sub { $spawn->job }],
    ['a job with a bad id', qr/job: 'x' is not the id/, sub { $spawn->job('x') }],
    ['connect without a path', qr/this is not an httpd, and no socket is named/, sub { Apache2::Spawn->connect }],
    ['connect to a relative path', qr/'a' is not absolute/, sub { Apache2::Spawn->connect('a') }],
    ['connect to a long path', qr/at most 107 bytes/, sub { Apache2::Spawn->connect('/' . 'x' x 108) }],
    ['connect to a long path with a timeout', qr/at most 107 bytes/, sub { Apache2::Spawn->connect('/' . 'x' x 108, timeout => 5) }],
    (map { my $wrong = $_;
        ["connect with a timeout of $wrong", qr/connect: timeout: '\Q$wrong\E' is not allowed; wanted: seconds, .* from 1ms to 1h/,
            sub { Apache2::Spawn->connect('/nonexistent', timeout => $wrong) }]
    } 0, -1, 'x', '', '5 apples', 'none', 3601, '2h', '1e9', 'inf', 'nan'),
    ['connect with an undefined timeout', qr/timeout is undefined; leave it out for its default/,
        sub { Apache2::Spawn->connect('/nonexistent', timeout => undef) }],
    ['connect with a reference as timeout', qr/connect: timeout is a reference \(ARRAY\)/,
        sub { Apache2::Spawn->connect('/nonexistent', timeout => [5]) }],
    ['connect with another option', qr/no option 'timeuot'; did you mean 'timeout'/,
        sub { Apache2::Spawn->connect('/nonexistent', timeuot => 5) }],
    ['connect with a number only', qr/connect: options come in pairs after the path, name => value/,
        sub { Apache2::Spawn->connect('/nonexistent', 5) }],
    ['connect with a hash', qr/connect: options come in pairs after the path, name => value/,
        sub { Apache2::Spawn->connect('/nonexistent', { timeout => 5 }) }],
    ['list', qr/no option 'sate'; did you mean 'state'/, sub { $spawn->list(sate => 'done') }],
    ['state of list', qr/state: 'lost' .*wanted: delayed, queued, starting, running, done or dead/, sub { $spawn->list(state => 'lost') }],
    ['rows of list', qr/rows: '0'/, sub { $spawn->list(rows => 0) }],
    ['time of wait', qr/wait: 'x' .* seconds/, sub { job()->wait('x') }],
    ['negative time', qr/wait: '-1'/, sub { job()->wait(-1) }],
    ['signal', qr/no signal 'FOO'/, sub { job()->kill('FOO') }],
    ['signal 0', qr/no signal '0'/, sub { job()->kill(0) }],
    ['resubmit', qr/nothing to send again/, sub { job()->resubmit }],
    ['a method of another object', qr/not an Apache2::Spawn::Job/, sub { Apache2::Spawn::Job::status(bless {}, 'X') }],
) {
    my ($name, $text, $code) = @{$case};
    $done = eval { $code->(); 1 };
    ok !$done, "$name throws";
    like $@, $text, "$name: text";
    ok ref $@ && $@->isa('Apache2::Spawn::Error'), "$name: an error object";
}

sub job { return $spawn->job('019aa6a0-0000-7000-8000-000000000000') }

done_testing;
