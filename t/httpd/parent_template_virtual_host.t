#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A virtual host with a Perl of its own (PerlOptions +Parent) that loads
# Apache2::Spawn does not take `app` away from the main server; the log says, once a
# start, that there is no template of that Perl.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm);
use SpawnTest::ParentTemplate qw(httpd_with_functions connection);

# No Listen for it: nobody asks it.
sub with_virtual_host {
    my ($httpd) = @_;
    my $inc = $httpd->dir . '/perl';
    $httpd->{conf} .= <<"END";
<VirtualHost 127.0.0.1:1>
    ServerName own.example
    PerlOptions +Parent
    PerlSwitches -I$inc
    PerlModule Apache2::Spawn
    <Perl>
        package My::Own;
        sub here { 1 }
        package My::Loaded;
        sub add { 'of the virtual host' }
        1;
    </Perl>
</VirtualHost>
END
    return $httpd;
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = with_virtual_host(httpd_with_functions(mpm => $mpm))->start;
        my $told = qr/MS0250: virtual host own\.example has a Perl of its own/;
        for my $when ('at the start', 'after a graceful restart') {
            my $spawn = connection($httpd);
            is eval { $spawn->call('My::Loaded::add', [ 2, 3 ]) }, 5, "$when: app is the main server's Perl" or diag $@;
            ok !eval { $spawn->call('My::Own::here'); 1 }, '... and has no functions of the virtual host';
            my $from = length $httpd->error_log;
            $httpd->graceful;
            my @told = substr($httpd->error_log, $from) =~ /$told/g;
            is scalar(@told), 1, '... which the log says once a start';
        }
        my @told = $httpd->error_log =~ /$told/g;
        is scalar(@told), 3, 'three starts, three times';
    }
);

# Only the virtual host's Perl has it: still no app.
my $httpd = with_virtual_host(SpawnTest::Httpd->new(handlers => 0))->start;
ok !eval { connection($httpd)->call('My::Own::here', [], timeout => 20); 1 }, 'there is no app when only a virtual host has Perl for it';
like $@, qr/PerlModule Apache2::Spawn/, 'and it is said what is missing';
$httpd->stop;

done_testing;
