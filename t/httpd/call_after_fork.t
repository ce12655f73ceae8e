#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# One startup file serves httpd and the template: what it gives to after_fork
# runs in each job before the function, and never in httpd.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm);
use SpawnTest::Calls ();

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Calls->httpd(mpm => $mpm);
        my $startup = $httpd->file('startup.pl', <<'END');
use Apache2::Spawn ();
package SpawnTest::Startup;
our ($loaded, @ran) = ($$);
Apache2::Spawn->after_fork(sub { push @ran, "first $$" });
Apache2::Spawn->after_fork(sub { push @ran, "second $$" });
sub ran { return ($$, $loaded, @ran) }
1;
END
        $httpd->{conf} .= "PerlRequire $startup\n";
        $httpd->{conf} =~ s/^(SpawnTemplate app .*)$/$1 require=$startup/m;
        $httpd->start;
        my $ask = sub { return SpawnTest::Calls->ask($httpd, @_) };

        my $answer = $ask->('Apache2::Spawn->call("SpawnTest::Startup::ran")');
        my ($pid, $loaded, @ran) = @{ $answer->{values} || [] };
        is_deeply \@ran, [ "first $pid", "second $pid" ], 'in the job, in their order' or diag explain $answer;
        isnt $loaded, $pid, 'loaded before';
        my ($other, $again, @both) = @{ $ask->('Apache2::Spawn->call("SpawnTest::Startup::ran")')->{values} };
        is $again, $loaded, 'in the template';
        is_deeply \@both, [ "first $other", "second $other" ], 'once for each job';
        is_deeply $ask->('@SpawnTest::Startup::ran')->{values}, [], 'not in httpd';
    }
);
done_testing;
