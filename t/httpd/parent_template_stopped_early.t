#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A template that is forked from httpd, and is stopped (kill -STOP) before it is ready: httpd
# starts, and other work is done. Calls wait for as long as they may, and not for ever: after a
# minute the template is killed, which the log tells, those that wait are told, and the next
# process serves.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm wait_until);
use SpawnTest::ParentTemplate qw(httpd_with_functions connection);
use SpawnTest::Process qw(alive state_of);

my $httpd = httpd_with_functions(mpm => one_mpm());
my $flag = $httpd->work . '/first';

# In the template, before it says that it is ready: the first one.
$httpd->{perl} .= <<"END";
{
    no warnings 'redefine';
    my \$serve = \\&Apache2::Spawn::Template::_serve_in_httpd;
    *Apache2::Spawn::Template::_serve_in_httpd = sub {
        if (!-e '$flag') {
            open my \$out, '>', '$flag.new';
            print {\$out} \$\$;
            close \$out;
            rename '$flag.new', '$flag';
            kill STOP => \$\$;
        }
        goto &\$serve;
    };
}
END
$httpd->start;
pass 'httpd starts';
ok wait_until(sub { -e $flag }, 30), 'a template is forked';
open my $in, '<', $flag or die "$flag: $!\n";
my $template = readline $in;
ok wait_until(sub { state_of($template) eq 'T' }, 30), '... and stopped';

my $spawn = connection($httpd);
my $job = $spawn->spawn_call('My::Loaded::add', [ 2, 3 ]);
is $spawn->run([ '/bin/echo', 'passed' ], stdout => 'capture')->stdout, "passed\n", 'programs run';
ok !eval { $spawn->call('My::Loaded::add', [ 1, 2 ], timeout => 0.1, grace => 0.1); 1 }, 'a call does not wait for ever';
is $@->code, 'timed_out', '... but as long as it may take' or diag $@;
is $job->status->{state}, 'queued', 'a job waits';

my $why = qr/its process \(pid $template\) is not ready after \d+ s: somebody has stopped it, and is sent SIGKILL/;
ok $httpd->wait_for_log(qr/MS0601: template app cannot be loaded; httpd forks another one: $why/, 180), 'the log tells it';
ok wait_until(sub { !alive($template) }, 30), 'it is killed';
my $end = $job->wait(60);
ok $end && $end->outcome =~ /\A(?:start_failed|exited)\z/, 'the job has an end' or diag explain $end;
like $end->message, $why, '... and the reason' if $end && $end->outcome eq 'start_failed';
ok wait_until(sub { my $sum = eval { $spawn->call('My::Loaded::add', [ 1, 2 ], timeout => 10) }; $sum && $sum == 3 }, 120),
    'the next one serves';
done_testing;
