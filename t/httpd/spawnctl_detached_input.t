#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# spawnctl run -d --stdin - reads its input to the end, and the job keeps it while
# it waits: over a stop and start of httpd too. Of a job that waits with handles,
# which cannot be kept so, the log, spawnctl and the job's status say it.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Calls ();
use SpawnTest::Ctl ();
use SpawnTest::Gate ();

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Calls->httpd(mpm => $mpm, templates => '',
            conf => "<SpawnQueue mail>\n SpawnMaxJobs 1\n</SpawnQueue>\n")->start;
        my $ctl = SpawnTest::Ctl->new($httpd);
        my $work = $httpd->work;
        my $detach = sub { my ($options, @words) = @_; return $ctl->run($options, qw(run -d), @words)->{out} =~ s/\n\z//r };
        my $show = sub { my ($job) = $ctl->json('show', @_); return $job };
        my $gate = SpawnTest::Gate->new($httpd, 'busy');
        my $busy = $ctl->detach(qw(--queue mail --), @{ $gate->job('exit 0') });

        # some are bigger than a packet, and more than a pipe takes
        my %mail = (small => "one line\n", none => '', big => join('', map {"line $_\n"} 1 .. 60_000));
        my %id;
        for my $name (sort keys %mail) {
            $id{$name} = $detach->({ stdin => $mail{$name}, through => [ '/bin/sh', '-c', 'cat | "$@"', 'sh' ] },
                qw(--queue mail --stdin - --stdout), "$work/$name", '/bin/cat');
            is $show->($id{$name})->{state}, 'queued', "$name: it waits, and its writer does not";
        }
        is $show->($id{big})->{handles}, undef, 'with no handle';

        my $from = length $httpd->error_log;
        my $with = $detach->({ stdin => 'x' }, qw(--queue mail --fds 5=0 -- /bin/true));
        ok $httpd->wait_for_log(qr/warn.*MS0670: job $with has to wait in queue mail with 1 handles/, 20, $from),
            'a job that waits with a handle is in the log';
        is $show->($with)->{handles}, 1, 'in its status';
        like $ctl->run('show', $with)->{out}, qr/^  handles +1, lost by a stop$/m, 'and shown';
        my $answer = SpawnTest::Calls->ask($httpd, <<'END');
open my $null, '<', '/dev/null' or die;
my @opt = (queue => 'mail');
map { $_->status->handles } Apache2::Spawn->spawn(['/bin/true'], @opt, stdin => $null),
    Apache2::Spawn->spawn(['/bin/true'], @opt, stdin => \'data');
END
        is_deeply $answer->{values}, [ 1, undef ], 'in Perl' or diag explain $answer;

        $httpd->stop;
        $gate->let;
        ok $httpd->pair_gone(30), 'stopped';
        ok !-e "$work/big", 'none has run';
        $httpd->start;
        for my $name (sort keys %mail) {
            is $ctl->run('wait', $id{$name})->{code}, 0, "$name: it ran after the start";
            is _slurp("$work/$name"), $mail{$name}, "$name: with its whole input";
        }
        $ctl->run('wait', $with);
        is $show->($with)->{outcome}, 'start_failed', 'the one with a handle did not';
        is $show->($with)->{handles}, undef, 'and has none any more';

        # more than can go
        my $ran = $ctl->run({ through => [ '/bin/sh', '-c', 'head -c 16777217 /dev/zero | "$@"', 'sh' ] },
            qw(run -d --stdin - /bin/true));
        is $ran->{code}, 125, 'too much: the code';
        like $ran->{err}, qr{--stdin: there are more than 16 MB.*--stdin /PATH}s, 'and the reason';
        is $ran->{out}, '', 'no id';
        $ran = $ctl->run({ through => [ '/bin/sh', '-c', 'head -c 16777216 /dev/zero | "$@"', 'sh' ] },
            qw(run -d --stdin - --stdout), "$work/most", '/bin/cat');
        is $ran->{code}, 0, 'the most that can go' or diag explain $ran;
        ok wait_until(sub { (-s "$work/most" || 0) == 16_777_216 }, 30), 'arrives';
        is $ctl->run({ stdin => "in front\n" }, qw(run --stdin - cat))->{out}, "in front\n", 'waited for: as before';
    }
);

sub _slurp {
    my ($path) = @_;
    open my $in, '<', $path or return "$path: $!";
    local $/ = undef;
    my $text = <$in>;
    return defined $text ? $text : '';
}
done_testing;
