#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# SetHandler spawn-status: the overview tells what runs and waits in each queue, a queue
# that is paused, the templates, and the newest jobs; the list tells those that are chosen,
# page by page; a job has its own page. With each MPM, and for HEAD.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Templates ();

my $conf = <<'END';
SpawnSubmitTimeout 30s
<Location /spawn-status>
    SetHandler spawn-status
</Location>
<SpawnQueue images>
    SpawnMaxJobs 1
    SpawnMaxQueued 5
    SpawnTimeout 10min
</SpawnQueue>
<SpawnQueue mail>
    SpawnMaxJobs 3
</SpawnQueue>
END

each_mpm(
    sub {
        my ($mpm) = @_;
        my $t = SpawnTest::Templates->new(mpm => $mpm, conf => $conf)->start;
        my $httpd = $t->httpd;
        my $spawn = $t->spawn;
        my $ctl = SpawnTest::Ctl->new($httpd);
        my $page = sub { my ($query) = @_; return $httpd->get("/spawn-status$query") };
        my $gate = SpawnTest::Gate->new($httpd, 'gate');
        my $run = $spawn->spawn($gate->job(''), queue => 'images', label => 'picture', stdout => 'null', reply => 'started',
            context => { user => 'anna b' });
        my @wait = map { $spawn->spawn([ '/bin/echo', "waits-$_" ], queue => 'images') } 1, 2;
        my $dead = $spawn->spawn([ '/bin/false' ], retry => 1, backoff => [0.1]);
        is $dead->wait(60)->outcome, 'exited', 'one has failed';
        is $ctl->run('pause', 'mail')->{code}, 0, 'a queue is paused';

        # the history is written a moment later
        my $text;
        ok wait_until(sub { $text = $page->('')->{content}; $text =~ /picture/ && $text =~ m{<b>1</b> dead} && $text =~ m{> ready</span>} }, 60), 'the newest jobs' or diag $text;
        like $text, qr{<b>1</b> running</a>}, 'how many run';
        like $text, qr{<b>2</b> waiting</a>}, 'and wait';
        like $text, qr{>images</a>.*?open.*?<b>1</b> of 1</span>.*?<b>2</b> of 5</span>.*?timeout</span> 10m00s}s, 'a queue with its limits';
        like $text, qr{>mail</a>.*?paused: starts no jobs.*?changed by uid $<}s, 'one that is paused, and by whom';
        like $text, qr{>app</th>.*?exec.*?ready}s, 'a template';
        like $text, qr{>app</th>.*?data-head="Memory" class="num">[0-9.]+[KM]<}s, '... with its memory';

        my $head = HTTP::Tiny->new(timeout => 120)->head($httpd->url('/spawn-status'));
        is $head->{status}, 200, 'HEAD';
        ok !length($head->{content} // ''), '... has no body';

        # a list of some
        my $list = $page->('?view=jobs&queue=images')->{content};
        like $list, qr/\Q$_\E/, '... has it' for $run->id, map { $_->id } @wait;
        unlike $list, qr/\Q@{[ $dead->id ]}\E/, '... and no job of another queue';
        $list = $page->('?view=jobs&state=dead')->{content};
        like $list, qr/\Q@{[ $dead->id ]}\E/, 'those that are dead';
        unlike $list, qr/\Q@{[ $run->id ]}\E/, '... and no others';
        like $page->('?view=jobs&user=anna+b')->{content}, qr/\Q@{[ $run->id ]}\E/, 'those of a user';
        like $page->('?view=jobs&user=otto')->{content}, qr/There is no such job/, '... of another one';
        my $first = $page->('?view=jobs&rows=1&queue=images')->{content};
        like $first, qr/\Q@{[ $wait[1]->id ]}\E/, 'the newest one';
        my ($before) = $first =~ /before=(\d+)">Older jobs/;
        ok $before, 'and a link to older ones' or diag $first;
        my $next = $page->("?view=jobs&rows=1&queue=images&before=$before")->{content};
        like $next, qr/\Q@{[ $wait[0]->id ]}\E/, '... which has the next';
        unlike $next, qr/\Q@{[ $wait[1]->id ]}\E/, '... alone';

        # one job
        my $job = $page->('?job=' . $dead->id)->{content};
        like $job, qr{<dt>State</dt><dd>exited 1; dead: no retry is left</dd>}, 'how it ended';
        like $job, qr{<li><code>/bin/false</code></li>}, 'what was run';
        like $job, qr{Attempts before.*Attempt 1: exited 1}s, 'and the attempt before';
        like $page->('?job=' . $run->id)->{content}, qr{<dt>State</dt><dd>running</dd>.*<dt>user</dt><dd>anna b</dd>}s, 'one that runs, and who asked';
        is $page->('?job=01890000-0000-7000-8000-000000000000')->{status}, 404, 'one that is not known';
        is $page->('?job=x')->{status}, 404, 'and no id at all';
        is $page->('?view=jobs&queue=no-such')->{status}, 404, 'an unknown queue';
        is $page->("?view=jobs&$_")->{status}, 400, "$_ is refused" for 'state=x', 'before=x', 'rows=0', 'queue=%3Cb%3E';
        is $page->('?format=x')->{status}, 404, 'an unknown format';
        is $page->('?file=../../etc/passwd')->{status}, 404, 'an unknown file';
        $gate->let(1);
        is $run->wait(60)->outcome, 'exited', 'the job ends';
    }
);
done_testing;
