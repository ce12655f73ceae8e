#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# $job->token takes a life from a second to a year, and only that; it works from each handle
# on a job, and is made in httpd's children alone.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm build_dir);
use SpawnTest::Visitor ();

my $v = SpawnTest::Visitor->new(mpm => one_mpm());
my $code = sub {
    my ($perl, @arguments) = @_;
    my $got = eval { $v->ask($perl, @arguments) };
    return defined $got ? $got : $@ =~ /"code":"(\w+)"/ ? $1 : $@;
};
my $id = $v->ask('return $r->spawn(["/bin/true"])->id');
my $token = qr/\A[0-9a-f]{8}-[0-9a-f]{40}\z/;

like $code->('return $r->spawn(["/bin/true"])->token'), $token, 'of spawn';
like $code->('return $r->spawn(["/bin/true"], reply => "posted")->token'), $token, 'of what is posted';
like $code->('return $r->spawn_call("SpawnTest::Functions::nothing", [])->token'), $token, 'of spawn_call';
like $code->('return Apache2::Spawn->spawn(["/bin/true"])->token'), $token, 'without a request';
like $code->('return Apache2::Spawn->job($_[0])->token', $id), $token, 'of an id';
like $code->('return Apache2::Spawn->job($_[0])->token(life => $_[1])', $id, $_), $token, "life $_" for qw(1 1s 1.5 2h 366d);
is $code->('return hex substr(Apache2::Spawn->job($_[0])->token(life => "2h"), 0, 8) - time - 7200 <=> 60', $id), -1, 'so long';
is $code->('return hex substr(Apache2::Spawn->job($_[0])->token, 0, 8) - time - 3600 <=> 60', $id), -1, 'an hour by itself';

is $code->('return Apache2::Spawn->job($_[0])->token(life => $_[1])', $id, $_), 'invalid', "life '$_'" for ('', 'x', 0, '500ms', -1, '367d');
is $code->('return Apache2::Spawn->job($_[0])->token(undef)', $id), 'invalid', 'half an option';
is $code->('return Apache2::Spawn->job($_[0])->token(live => 5)', $id), 'unknown_option', 'no such option';
is $code->('return Apache2::Spawn->connect($_[1])->job($_[0])->token', $id, $v->httpd->socket), 'invalid', 'of another connection';
is $code->('return scalar $r->spawn_call("SpawnTest::Functions::own_token", [])->result(60)'), 'unreachable', 'in a job';

my $inc = build_dir() . '/perl';
my $out = do {
    open my $in, '-|', $^X, "-I$inc", '-MApache2::Spawn', '-e',
        'eval { Apache2::Spawn->connect($ARGV[0])->job($ARGV[1])->token } ; print $@->code', $v->httpd->socket, $id
        or die "perl: $!\n";
    local $/ = undef;
    <$in>;
};
is $out, 'unreachable', 'in a script';
done_testing;
