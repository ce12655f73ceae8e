#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# httpd's memory, as docs/security.md has it: a template that is forked from httpd has the
# memory of httpd's parent, and code of httpd's User that has no secret can call functions
# there; an `exec` template has nothing of it; and a queue whose SpawnAllow names functions
# evaluates no code of callers.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use Apache2::Spawn ();
use SpawnTest qw(not_sanitized one_mpm);
use SpawnTest::Calls ();

not_sanitized('what they write down of memory is bigger than can be searched');

# In two halves, so that a search does not find itself.
my @secret = ('key-of-httpd', "-$$-" . 'do-not-tell');

# The answer to a process of httpd's User, which has no secret.
sub asks {
    my ($httpd, $code) = @_;
    my ($read, $write);
    pipe $read, $write or die "pipe: $!\n";
    my $pid = fork;
    defined $pid or die "fork: $!\n";
    if ($pid == 0) {
        close $read;
        if ($> == 0) {
            my ($uid, $gid) = ($httpd->uid, $httpd->gid);
            $) = "$gid $gid";
            $( = $gid;
            ($<, $>) = ($uid, $uid);
        }
        my $answer = eval { $code->($httpd->connection) };
        syswrite $write, defined $answer ? $answer : ref $@ ? $@->code . q{ } . $@->step : "$@";
        require POSIX;
        POSIX::_exit(0);
    }
    close $write;
    my $answer = do { local $/ = undef; <$read> };
    waitpid $pid, 0;
    return $answer;
}

my $look = sub { return $_[0]->call('SpawnTest::Functions::has_in_memory', \@secret) ? 'found' : 'nothing' };
my $evaluates = sub { return $_[0]->call('Apache2::Spawn::Process::Serve::main', []) };

for my $kind (qw(parent exec)) {
    my $httpd = SpawnTest::Calls->httpd(mpm => one_mpm(), kind => $kind, conf => <<"END")->start;
PerlSetVar Password "$secret[0]$secret[1]"
<SpawnQueue default>
    SpawnAllow SpawnTest::Functions::*
</SpawnQueue>
END
    is asks($httpd, $look), $kind eq 'parent' ? 'found' : 'nothing', "a template of the kind $kind";
    is asks($httpd, $evaluates), 'not_permitted allow', '... evaluates nothing where SpawnAllow names functions';
    $httpd->stop;
}
done_testing;
