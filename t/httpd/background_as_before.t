#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Apache2::Spawn::Background and Apache2::Spawn::Simple: code written for Proc::Background
# and Proc::Simple, in a handler. Their processes are jobs.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use JSON::PP ();
use Test::More;

use SpawnTest qw(each_mpm);

my $package = <<'END';
package My::Back;
use strict;
use warnings;
use Apache2::Spawn::Background qw(timeout_system);
use Apache2::Spawn::Simple;
use JSON::PP ();
my @class = ('Apache2::Spawn::Background', 'Apache2::Spawn::Simple');
sub told {
    my ($r, $code) = @_;
    local ($?, $!) = (77, 0);
    my $chld = $SIG{CHLD} // '-';
    my %told = $code->($r, $r->dir_config('Work'));
    $told{kept} = [ $? + 0, ($SIG{CHLD} // '-') eq $chld ? 1 : 0 ];
    $r->content_type('text/plain');
    $r->print(JSON::PP->new->allow_nonref->encode(\%told));
    return 0;
}
sub slurp { my ($path) = @_; open my $in, '<', $path or return "$path: $!"; local $/ = undef; return scalar <$in> }
sub background { return told($_[0], \&_background) }
sub _background {
    my ($r, $work) = @_;
    my %told;
    my $list = $class[0]->new('/bin/sh', '-c', 'exit $1', 'sh', 3);
    $told{list} = [ $list->wait, $list->wait, $list->exit_code, $list->exit_signal, $list->alive, $list->end_time >= $list->start_time - 1 ? 1 : 0 ];
    my $line = $class[0]->new("echo a b >$work/line; kill -TERM \$\$");
    $told{line} = [ $line->wait, $line->exit_code, $line->exit_signal, slurp("$work/line") ];
    my $long = $class[0]->new('sleep', 600);
    $told{long} = [ $long->alive, $long->wait(0.2), $long->exit_code, $long->end_time, kill(0 => $long->pid), $long->suspended ];
    $told{stopped} = [ $long->suspend, $long->suspended, $long->resume, $long->suspended ];
    $told{ended} = [ $long->terminate, $long->terminate, $long->alive, $long->exit_signal, scalar $long->suspend ];
    my $deaf = $class[0]->new({ stdout => "$work/deaf" }, '/bin/sh', '-c', 'trap "" TERM; echo; while :; do sleep 1; done');
    select undef, undef, undef, 0.02 until -s "$work/deaf";
    $told{deaf} = [ $deaf->die('TERM', 0.1), $deaf->die(TERM => 0.1, KILL => 30), $deaf->exit_signal ];
    for my $i (1 .. 2) {
        $class[0]->new({ stdin => "$work/line", stdout => "$work/copy", stderr => undef, cwd => $work, job => { label => 'a copy' } },
            'cat; pwd; echo bad >&2')->wait;
    }
    $told{files} = slurp("$work/copy");
    $told{label} = (grep { ($_->label // '') eq 'a copy' } Apache2::Spawn->list)[0]->context->{uri};
    $told{single} = [ map { $_->wait } grep { $_ } $class[0]->new({ command => ['/bin/true'] }), $class[0]->new({ command => '/bin/true; exit 4' }) ];
    $! = 0;
    $told{missing} = [ scalar(my @none = $class[0]->new('/nowhere/x', 'y')), $! + 0 ];
    $told{dies} = eval { $class[0]->new({ autodie => 1 }, '/nowhere/x', 'y'); 1 } ? 'lives' : $@;
    $told{unknown} = eval { $class[0]->new({ exe => '/bin/sh' }, 'x'); 1 } ? 'lives' : $@;
    $told{empty} = eval { $class[0]->new; 1 } ? 'lives' : $@;
    $told{in_time} = [ timeout_system(60, '/bin/sh', '-c', 'exit 5') ];
    $told{late} = [ timeout_system(0.2, '/bin/sleep', 600) ];
    my $job = $class[0]->new({ autoterminate => 1 }, '/bin/sleep', 600)->job;
    my $stays = $class[0]->new('/bin/sleep', 600)->job;
    $told{gone} = [ $job->wait(60)->outcome, $stays->status->state ];
    $stays->kill;
    return %told;
}
sub simple { return told($_[0], \&_simple) }
sub _simple {
    my ($r, $work) = @_;
    my %told;
    my $proc = $class[1]->new;
    $told{none} = [ $proc->poll, $proc->kill, $proc->wait, $proc->pid, $proc->exit_status, $proc->t0 ];
    $told{code} = eval { $proc->start(sub { 1 }); 1 } ? 'taken' : $@;
    $proc->redirect_output("$work/out", "$work/err");
    $proc->options(label => 'simple');
    for my $n (1, 2) {
        $told{"start$n"} = [ $proc->start("echo out $n; echo err $n >&2; exit $n"), $proc->wait, $proc->exit_status, $proc->poll ];
    }
    $told{files} = [ map { slurp("$work/$_") } qw(out err) ];
    $told{times} = $proc->t1 >= $proc->t0 - 1 ? 1 : 0;
    $told{label} = $proc->job->status->label;
    $told{list} = [ $proc->start('/bin/sleep', 600), $proc->poll, $proc->exit_status, $proc->t1, kill(0 => $proc->pid) ];
    $told{killed} = [ $proc->kill('SIGKILL'), $proc->wait, $proc->kill, $proc->poll ];
    $told{missing} = [ $proc->start('/nowhere/x', 'y'), $! + 0 ];
    my $other = $class[1]->new;
    $told{flags} = [ $other->kill_on_destroy, $other->kill_on_destroy(1), $other->signal_on_destroy('KILL'), $other->signal_on_destroy ];
    $other->start('/bin/sleep', 600);
    my $job = $other->job;
    undef $other;
    $told{gone} = $job->wait(60)->signal;
    return %told;
}
1;
END

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, perl => $package);
        my $work = $httpd->work;
        $httpd->{conf} = join "\n", "PerlSetVar Work $work",
            map { ("<Location /$_>", 'SetHandler perl-script', "PerlResponseHandler My::Back::$_", '</Location>') } qw(background simple);
        $httpd->start;
        my $ask = sub {
            my $content = $httpd->get($_[0])->{content};
            return eval { JSON::PP->new->decode($content) } || diag($content, $httpd->tail) && {};
        };

        my $told = $ask->('/background');
        is_deeply $told->{list}, [ 768, 768, 3, 0, 0, 1 ], 'a program and its arguments';
        is_deeply $told->{line}, [ 15, 0, 15, "a b\n" ], 'a line is the shell\'s';
        is_deeply $told->{long}, [ 1, undef, undef, undef, 1, 0 ], 'one that goes on';
        is_deeply $told->{stopped}, [ 1, 1, 1, 0 ], '... is suspended, and goes on again';
        is_deeply $told->{ended}, [ 1, 1, 0, 15, undef ], '... and is terminated';
        is_deeply $told->{deaf}, [ 0, 1, 9 ], 'signals, one after another';
        is $told->{files}, "a b\n$work\n" x 2, 'streams from and to files, and a directory';
        is $told->{label}, '/background', 'options of the job, which is its request\'s';
        is_deeply $told->{single}, [ 0, 1024 ], 'the option command: a list, and a line';
        is_deeply $told->{missing}, [ 0, 2 ], 'one that is not there: an empty list, and $!';
        like $told->{dies}, qr{\A/nowhere/x: No such file or directory at }, '... with autodie it is thrown';
        like $told->{unknown}, qr/\Aunknown options: exe; there are autodie, .* at /, 'an option that is not known';
        like $told->{empty}, qr/\Ano command: wanted: /, 'no command';
        is_deeply $told->{in_time}, [ 1280, 0 ], 'timeout_system in time';
        is_deeply $told->{late}, [ 15, 1 ], '... and too late';
        is_deeply $told->{gone}, [ 'cancelled', 'running' ], 'autoterminate; without it one goes on';
        is_deeply $told->{kept}, [ 77, 1 ], '$? and $SIG{CHLD} are left alone';

        $told = $ask->('/simple');
        is_deeply $told->{none}, [ 0, 0, undef, undef, undef, undef ], 'no process yet';
        like $told->{code}, qr/\Astart: a code reference cannot travel .* at /, 'a code reference is refused';
        is_deeply $told->{"start$_"}, [ 1, $_ << 8, $_ << 8, 0 ], "a line that exits with $_" for 1, 2;
        is_deeply $told->{files}, [ "out 2\n", "err 2\n" ], 'files are cut at each start';
        is $told->{times}, 1, 'its times';
        is $told->{label}, 'simple', 'options of the job';
        is_deeply $told->{list}, [ 1, 1, undef, undef, 1 ], 'a list, that goes on';
        is_deeply $told->{killed}, [ 1, 9, 0, 0 ], '... and is killed';
        is_deeply $told->{missing}, [ 0, 2 ], 'one that is not there';
        is_deeply $told->{flags}, [ undef, 1, 'KILL', 'KILL' ], 'what the object is told';
        is $told->{gone}, 9, '... counts when it goes';
        is_deeply $told->{kept}, [ 77, 1 ], '$? and $SIG{CHLD} are left alone';
    }
);
done_testing;
