#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A Perl function for after the answer gets its arguments, and its job knows how
# the request ended. One that cannot run is named in the error log, its
# arguments never.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use JSON::PP ();
use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::AfterHttpd;

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::AfterHttpd->new(mpm => $mpm);
        $httpd->{conf} .= "SpawnTemplate app exec preload=SpawnTest::Handled inc=$httpd->{dir}/perl\n"
            . "<SpawnQueue other>\nSpawnMaxQueued 0\n</SpawnQueue>\n";
        $httpd->start;
        my $ran = $httpd->work . '/ran';
        my @words = ("\x{e4}\x{2603}", { a => [ 1, undef ] });
        my $function = 'SpawnTest::Handled::about';

        my $after = $httpd->after(status => 404, jobs => [
            [ $function, [ $ran, @words ] ],
            [ $function, [ $ran, 'named' ], { context => { order => 7 }, label => 'mine' } ],
        ]);
        is_deeply $after->{errors}, [ undef, undef ], 'two are registered' or diag explain $after;
        ok $httpd->wait_for_ran(2), 'and run';
        my %lines = map { $_->{id} => $_ } map { JSON::PP->new->decode($_) } $httpd->ran;
        my ($first, $second) = map { $lines{$_} } @{ $after->{ids} };
        is_deeply $first->{arguments}[1], $words[1], 'with their arguments';
        is $first->{list}, undef, 'in void context';
        is_deeply { map { $_ => $first->{context}{$_} } qw(status aborted uri method) },
            { status => 404, aborted => 0, uri => '/after', method => 'POST' }, 'knowing how the request ended';
        is $second->{context}{order}, 7, 'and what was given';
        is $httpd->wait($after->{ids}[1])->{label}, 'mine', 'options count';

        my $bad = $httpd->after(jobs => [
            [ $function, [ $ran, 'not told to anybody' ], { template => 'none-such' } ],
            [ 'My::Missing::function', [ 'nor this' ] ],
        ]);
        ok $httpd->wait_for_log(qr/MS0560: posted job \Q$bad->{ids}[0]\E \(request \S+\) \(queue default, \Q$function\E\)/),
            'one that is refused is named in the log';
        is $httpd->wait($bad->{ids}[0])->{outcome}, 'start_failed', 'and in the store';
        is $httpd->wait($bad->{ids}[1])->{result_kind}, 'died', 'a function that is not there has died';
        unlike $httpd->error_log, qr/not told|nor this/, 'arguments are nowhere in the log';
    }
);
done_testing;
