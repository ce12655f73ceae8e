#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The class methods of Apache2::Spawn work in every Perl job: of the template that
# httpd forks from itself and of one with a perl of its own, in workers and in
# SpawnCleanupHandlers, and after a graceful restart and a stop and start too.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Calls ();

my %works = (
    run => "hi\n", spawn => 'exited', posted => 'exited', call => 3, spawn_call => 7, job => 'known', list => 1);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Calls->httpd(
            mpm => $mpm, templates => 'SpawnTemplate small exec preload=SpawnTest::Functions inc=@INC@', conf => <<'END');
PerlModule SpawnTest::Functions
<SpawnQueue app_workers>
    SpawnWorkers 1 1
</SpawnQueue>
<SpawnQueue small_workers>
    SpawnTemplate small
    SpawnWorkers 1 1
</SpawnQueue>
<Location /handled>
    SetHandler modperl
    PerlResponseHandler "sub { $_[0]->print('done'); 0 }"
    SpawnCleanupHandler SpawnTest::Functions::submits_after
</Location>
END
        my $got = $httpd->work . '/got';
        $httpd->{conf} .= "PerlSetVar Got $got\n";
        $httpd->start;

        my $all_work = sub {
            my ($when) = @_;
            my %options = (
                'app' => '', 'exec template' => q{, template => 'small'},
                'workers of app' => q{, queue => 'app_workers'}, 'workers of an exec template' => q{, queue => 'small_workers'});
            for my $name (sort keys %options) {
                my $answer = SpawnTest::Calls->ask($httpd,
                    "Apache2::Spawn->call('SpawnTest::Functions::submits', []$options{$name})");
                is_deeply $answer->{values}, [ \%works ], "$when: $name" or diag explain $answer;
            }
            unlink $got;
            $httpd->get('/handled');
            wait_until(sub { -e $got }, 30);
            is _slurp($got), join('', map {"$_=$works{$_}\n"} sort keys %works), "$when: SpawnCleanupHandler";
        };
        $all_work->('at first');
        $httpd->graceful;
        $all_work->('after a graceful');
        $httpd->stop;
        $httpd->pair_gone;
        $httpd->start;
        $all_work->('after a stop and start');
    }
);

sub _slurp {
    my ($path) = @_;
    open my $in, '<', $path or return "$path: $!";
    local $/ = undef;
    return scalar <$in>;
}
done_testing;
