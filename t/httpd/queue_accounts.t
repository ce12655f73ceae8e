#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# SpawnUser and SpawnGroup: jobs of a queue have its account, seen from inside: uid, gid,
# groups, no capability, HOME and USER, and all that a start does with a path (directory,
# output, program) is done with it. Jobs of other queues have httpd's User. The accounts are
# numbers, which need not stand in /etc/passwd.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);

plan skip_all => 'only root can give jobs other accounts' if $< != 0;

my ($broker, $media, $group) = (61_000, 61_001, 61_003);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, conf => <<"END")->start;
SpawnBrokerUser #$broker #$broker
<SpawnQueue media>
    SpawnUser #$media
    SpawnGroup #$group
</SpawnQueue>
END
        my $work = $httpd->work;
        my $closed = "$work/closed";
        mkdir $closed, 0700 or die "$closed: $!\n";
        chown $media, $group, $closed or die "$closed: $!\n";

        my $who = 'id -u; id -g; id -G; echo $HOME $USER $LOGNAME';
        my $is = $httpd->run([ '/bin/sh', '-c', $who ], queue => 'media');
        is $is->{stdout}, "$media\n$group\n$group\n/ $media $media\n", 'its account, and no other group' or diag explain $is;
        $is = $httpd->run([ '/bin/sh', '-c', 'id -u; id -g; echo $USER' ]);
        is $is->{stdout}, join("\n", $httpd->uid, $httpd->gid, $httpd->user, ''), 'another queue has httpd\'s User' or diag explain $is;

        $is = $httpd->run([ '/bin/cat', '/proc/self/status' ], queue => 'media');
        for my $set (qw(CapInh CapPrm CapEff CapAmb)) {
            like $is->{stdout}, qr/^$set:\s+0+$/m, "$set is empty";
        }
        like $is->{stdout}, qr/^Uid:\s+$media\s+$media\s+$media\s+$media$/m, 'nor is there a saved uid';
        like $is->{stdout}, qr/^Gid:\s+$group\s+$group\s+$group\s+$group$/m, '... or gid';

        # ---- what is done on its way ----

        my $job = $httpd->spawn([ '/bin/sh', '-c', 'pwd' ], queue => 'media', cwd => $closed, stdout => "$closed/out");
        is $httpd->wait($job->{id})->{exit_code}, 0, 'it starts in a directory that is closed to others' or diag $httpd->tail;
        is_deeply [ (stat "$closed/out")[ 4, 5 ] ], [ $media, $group ], 'a file that it writes to is made by it';
        $job = $httpd->spawn(['/bin/pwd'], cwd => $closed);
        is $httpd->wait($job->{id})->{step}, 'cwd', 'httpd\'s User does not come there';
        $job = $httpd->spawn(['/bin/true'], stdout => "$closed/out");
        is $httpd->wait($job->{id})->{step}, 'stdout', '... nor to that file';
        my $program = "$closed/program";
        open my $out, '>', $program or die "$program: $!\n";
        print {$out} "#!/bin/sh\nid -u\n";
        close $out or die "$program: $!\n";
        chmod 0700, $program or die "$program: $!\n";
        chown $media, $group, $program or die "$program: $!\n";
        is $httpd->run([$program], queue => 'media')->{stdout}, "$media\n", 'a program that only it may execute';
        my ($queues) = SpawnTest::Ctl->new($httpd)->json('queues');
        is_deeply [ map { [ @{$_->{rules}}{qw(user group)} ] } grep { $_->{queue} eq 'media' } @{$queues} ], [ [ $media, $group ] ],
            'spawnctl queues shows it';
        $job = $httpd->spawn([$program]);
        is $httpd->wait($job->{id})->{step}, 'exec', '... and not httpd\'s User';

        # ---- streams ----

        $is = $httpd->run([ '/bin/sh', '-c', 'cat; echo a >/dev/stdout; echo b >/dev/stderr' ],
            queue => 'media', stdin_data => "data\n");
        is $is->{stdout}, "data\na\n", 'it reads what it was given, and can open its output anew' or diag explain $is;
        is $is->{stderr}, "b\n", '... and its errors';
        $httpd->wait($httpd->spawn([ '/bin/sh', '-c', 'echo one line >&2; echo another >/dev/stderr' ],
            queue => 'media', stderr => 'log')->{id});
        ok $httpd->wait_for_log(qr/one line.*another/s), 'and the error log has its lines';

        # ---- its end ----

        $job = $httpd->spawn([ '/bin/sleep', 600 ], queue => 'media', reply => 'started');
        ok $httpd->do('kill', id => $job->{id}, signal => 'TERM'), 'it can be killed';
        my $end = $httpd->wait($job->{id});
        is $end->{signal}, 15, '... and is' or diag explain $end;
        $is = $httpd->run([ '/bin/sh', '-c', 'trap "" TERM; sleep 600 & wait; wait' ], queue => 'media', timeout => 0.3, grace => 0.2);
        is $is->{outcome}, 'timed_out', 'its time-out ends it, and what it has started' or diag explain $is;
        ok $httpd->spawn([ '/bin/sh', '-c', "id -u >$closed/posted.part; mv $closed/posted.part $closed/posted" ],
            queue => 'media', reply => 'posted'), 'it can be posted';
        ok wait_until(sub { -e "$closed/posted" }, 30), '... and runs';
        unlike $httpd->error_log, qr/MS0371|MS0620/, 'nothing was refused';
        $httpd->stop;
    }
);
done_testing;
