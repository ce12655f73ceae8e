#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# An `exec` template that is stopped (kill -STOP) while it loads: other work is done. Calls wait for
# as long as they may, and not for ever: after a minute the template is killed, which the log tells,
# those that wait are told, and the next process serves.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm wait_until);
use SpawnTest::Process qw(alive state_of);
use SpawnTest::Templates ();

my $t = SpawnTest::Templates->new(mpm => one_mpm(),
    templates => 'SpawnTemplate app exec inc=@INC@ preload=My::Work require=@INC@/stops.pl');
my $httpd = $t->httpd;
my $flag = $httpd->work . '/first';
$t->file('stops.pl', <<"END");
if (!-e '$flag') {
    open my \$out, '>', '$flag.new' or die "$flag.new: \$!\n";
    print {\$out} \$\$;
    close \$out;
    rename '$flag.new', '$flag';
    kill STOP => \$\$;
}
1;
END
$t->start;
ok wait_until(sub { -e $flag }, 30), 'a template loads';
open my $in, '<', $flag or die "$flag: $!\n";
my $template = readline $in;
close $in;
ok wait_until(sub { state_of($template) eq 'T' }, 30), '... and is stopped';

my $spawn = $t->spawn;
my $job = $spawn->spawn_call('My::Work::echo', [1]);
is $spawn->run([ '/bin/echo', 'passed' ], stdout => 'capture')->stdout, "passed\n", 'programs run';
is $job->status->{state}, 'queued', 'a job waits';

my $why = qr/its process \(pid $template\) is not ready after \d+ s: somebody has stopped it, and is sent SIGKILL/;
ok $httpd->wait_for_log(qr/MS0601: template app cannot be loaded; another try follows in 1 s: $why/, 180), 'the log tells it';
ok wait_until(sub { !alive($template) }, 30), 'it is killed';
my $end = $job->wait(60);
ok $end && $end->outcome =~ /\A(?:start_failed|exited)\z/, 'the job has an end' or diag explain $end;
like $end->message, $why, '... and the reason' if $end && $end->outcome eq 'start_failed';
ok wait_until(sub { (eval { $spawn->call('My::Work::echo', ['here'], timeout => 10) } // '') eq 'here' }, 120), 'the next one serves';
unlike $httpd->error_log, qr/MS0330/, 'nobody is signalled in vain';
done_testing;
