#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# With nothing configured a Perl function of a startup file can be called: its
# process is forked from httpd itself, but has nothing of httpd's: not its
# account, group, session, sockets, logs or scoreboard.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm);
use SpawnTest::ParentTemplate qw(httpd_with_functions connection templates_of);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = httpd_with_functions(mpm => $mpm)->start;
        my $spawn = connection($httpd);
        is $spawn->call('My::Loaded::add', [ 2, 3 ]), 5, 'it is called';

        my @templates = templates_of($httpd);
        is @templates, 1, 'one template';
        my $seen = $spawn->call('My::Loaded::look');
        is $seen->{loaded_in}, $httpd->pid, 'what httpd had loaded';
        is $seen->{parent}, $templates[0], 'forked from the template';
        is $seen->{group}, $seen->{pid}, 'a process group of its own';
        is $seen->{uid}, $httpd->uid, 'the account of httpd\'s children';
        like $seen->{name}, qr/My::Loaded::look/, 'its name tells what it does';
        is_deeply [ grep { /socket|eventpoll|error_log|access/ } values %{ $seen->{fds} } ], [],
            'no socket, no log' or diag explain $seen->{fds};

        ok !eval { $spawn->call('My::Forgotten::f'); 1 }, 'what httpd has not loaded is not there';
        like $@, qr/template app; load its module in httpd\.conf \(PerlModule My::Forgotten\) or use load => 'My::Forgotten'/,
            'and it is told where to load it: this template has no list of its own';

        for my $round (1 .. 2) {
            $httpd->graceful;
            is $spawn->call('My::Loaded::add', [ $round, 1 ]), $round + 1, 'after a graceful restart';
        }
        unlike $spawn->call('My::Loaded::look')->{maps}, qr/rw-s .*(?:SYSV|\/dev\/zero|apache_runtime_status)/,
            'no memory that httpd trusts';

        my $failed = !eval { $spawn->call('My::Loaded::leave', [15]); 1 };
        ok $failed, 'a job that exits with 15';
        like $@, qr/exit code 15/, 'is told of';
        $failed = !eval { $spawn->call('My::Loaded::leave', [7]); 1 };
        ok $failed, 'and one with 7';
        is $spawn->call('My::Loaded::add', [ 1, 1 ]), 2, 'do not touch httpd';
        unlike $httpd->error_log, qr/AH00050|AH00166|long lost/, 'which says nothing of them';
    }
);
done_testing;
