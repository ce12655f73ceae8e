#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# SpawnCleanupHandler in the configuration: what is no name of a handler, and
# handlers without mod_perl, are faults that `httpd -t` finds.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm);

sub check {
    my ($line) = @_;
    return SpawnTest::Httpd->new(mpm => one_mpm(), conf => "$line\n")->check_conf;
}

for my $good ('My::Handler', '+My::Handler', 'My::Class->method', 'One Two::three', 'none') {
    my ($code, $said) = check("SpawnCleanupHandler $good");
    is $code, 0, "taken: $good" or diag $said;
}
for my $bad ('"sub { 1 }"', 'sub', '"My Handler"', 'My::Handler()', '4ever', '""', 'My-Handler') {
    my ($code, $said) = check("SpawnCleanupHandler $bad");
    isnt $code, 0, "refused: $bad";
    like $said, qr/line \d+ of .*SpawnCleanupHandler/s, '... with its line';
}
like +(check('SpawnCleanupHandler "sub { 1 }"'))[1], qr/in another process/, 'code has a text of its own';

# the function that calls handlers is run by no queue, or by one
my @of = ('SpawnAllow My::*', "SpawnCleanupHandler My::Handler\n");
my ($refused, $why) = check(join "\n", @of);
isnt $refused, 0, 'refused: no queue calls handlers';
like $why, qr/MS0118: line \d+ of \S+: SpawnCleanupHandler: no queue runs the function Apache2::Spawn::Cleanup::run/, '... with its line';
($refused, $why) = check(join "\n", $of[0], '<SpawnQueue q>', 'SpawnAllow Apache2::Spawn::Cleanup::run', '</SpawnQueue>', $of[1]);
is $refused, 0, 'taken: one does' or diag $why;

# without mod_perl
my $httpd = SpawnTest::Httpd->new(mpm => one_mpm());
$httpd->{port} = 1;
my $text = $httpd->conf_text =~ s/^LoadModule perl_module.*\n//mr =~ s/^Perl(?:Module|Switches|Interp\w+).*\n//mgr
    =~ s/^<Perl>.*?^<\/Perl>\n//msr =~ s/^<Location \/do>.*?^<\/Location>\n//msr =~ s/^Listen .*/Listen 127.0.0.1:1/mr;
$text =~ s/^<IfModule !perl_module>\n<\/IfModule>\n//m;
{
    no warnings 'redefine';
    local *SpawnTest::Httpd::conf_text = sub { return $text . "SpawnCleanupHandler My::Handler\n" };
    my ($code, $said) = $httpd->check_conf;
    isnt $code, 0, 'refused: without mod_perl';
    like $said, qr/MS0212: line \d+ of \S+: SpawnCleanupHandler needs mod_perl/, '... and the text says so, with its line';
}
done_testing;
