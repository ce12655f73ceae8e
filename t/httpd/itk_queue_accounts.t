#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# SpawnUser beside mpm_itk: a request has the account of its virtual host, its job that of
# the queue: programs, posts, calls of Perl functions, of workers, and jobs after the answer.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(wait_until);
use SpawnTest::Calls ();

chomp(my $modules = `apxs -q LIBEXECDIR`);
plan skip_all => 'only root can give jobs other accounts' if $< != 0;
plan skip_all => 'mpm_itk is not installed' if !-e "$modules/mpm_itk.so";

my ($broker, $media, $group) = (61_000, 61_001, 61_003);
my $httpd = SpawnTest::Calls->httpd(
    templates => 'SpawnTemplate app exec preload=SpawnTest::Functions inc=@INC@',
    mpm => 'prefork',
    conf => <<"END")->start;
LoadModule mpm_itk_module $modules/mpm_itk.so
AssignUserID nobody nogroup
SpawnBrokerUser #$broker #$broker
<SpawnQueue media>
    SpawnUser #$media
    SpawnGroup #$group
    SpawnTemplate app
</SpawnQueue>
<SpawnQueue calls>
    SpawnUser #$media
    SpawnGroup #$group
    SpawnTemplate app
    SpawnWorkers 1 1
</SpawnQueue>
END
is_deeply +SpawnTest::Calls->ask($httpd, '$<')->{values}, [ scalar getpwnam 'nobody' ], 'a request has the account of its virtual host';
like $httpd->error_log, qr/MS0242: mpm_itk is loaded[^\n]* or as the SpawnUser of their queue/, 'the start says what jobs have';

my $ran = $httpd->run([ '/bin/sh', '-c', 'id -u; id -g; id -G' ], queue => 'media');
is $ran->{stdout}, "$media\n$group\n$group\n", 'a job has its queue\'s' or diag explain $ran;
$ran = $httpd->run([ '/usr/bin/id', '-u' ]);
is $ran->{stdout}, $httpd->uid . "\n", 'one of another queue has httpd\'s' or diag explain $ran;

my $file = $httpd->work . '/posted';
my $posted = $httpd->spawn([ '/bin/sh', '-c', "id -u >$file.part; mv $file.part $file" ], queue => 'media', reply => 'posted');
is $posted->{error}, undef, 'one can be posted' or diag explain $posted;
ok wait_until(sub { -e $file }, 60), 'and runs';
is +(stat $file)[4], $media, '... as that account';

for my $queue (qw(media calls)) {
    my $got = SpawnTest::Calls->ask($httpd, "Apache2::Spawn->call('SpawnTest::Functions::status_of', ['Uid'], queue => '$queue')");
    is $got->{values}[0], "$media\t$media\t$media\t$media", "a function in queue $queue has it, too" or diag explain $got;
}
unlike $httpd->error_log, qr/MS0620/, 'nothing that was posted is dropped';
done_testing;
