#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# With JavaScript the status page is kept up to date where it is: a new job appears and the
# page is not loaded anew, what is unfolded stays so, and who is at a link by the keyboard
# stays there. A page that nobody sees asks nothing, and asks at once when it is seen again.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm wait_until);
use SpawnTest::Browser ();

use lib SpawnTest::build_dir() . '/perl';
use Apache2::Spawn ();

plan skip_all => SpawnTest::Browser::missing() if SpawnTest::Browser::missing();

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm(), handlers => 0);
$httpd->{conf} = <<"END";
LogFormat "asked %q" asked
CustomLog $httpd->{dir}/asked asked
SpawnSubmitTimeout 60s
<Location /spawn-status>
    SetHandler spawn-status
</Location>
<SpawnQueue images>
    SpawnTimeout 10min
</SpawnQueue>
END
$httpd->start;
my $spawn = $httpd->connection;
my $asked = sub {
    my ($who) = @_;
    open my $in, '<', "$httpd->{dir}/asked" or return 0;
    return scalar grep {/[?&]user=$who/} <$in>;
};

my $browser = SpawnTest::Browser->new;
$browser->go($httpd->url('/spawn-status?refresh=1'));
$browser->click('#q-images summary');
$browser->script('window.same = true; document.querySelector("#live a[href*=\"queue=images\"]").focus()');
my $job = $spawn->spawn([ '/bin/true' ], queue => 'images', label => 'appears-by-itself');
$browser->shows(qr/appears-by-itself/, 'a new job appears');
ok $browser->script('return window.same === true'), '... in the same page';
ok $browser->script('return document.getElementById("q-images").open'), '... what is unfolded stays so';
like $browser->script('return document.activeElement.getAttribute("href")'), qr/queue=images/, '... and the keyboard is where it was';

# a part that unfolds is a place of the keyboard, too
my $is = sub { return $browser->script('return document.activeElement === document.querySelector("#q-images summary")') };
$browser->script('window.old = document.querySelector("#q-images summary"); window.old.focus()');
ok $is->(), 'the keyboard is at what unfolds';
ok wait_until(sub { $browser->script('return !window.old.isConnected') }, 90), '... and another one comes in its place';
ok $is->(), '... where the keyboard is then';

# an output grows, and who is at its end sees what comes; it is a place of the keyboard, too
my $gate = SpawnTest::Gate->new($httpd, 'gate');
my $prints = $spawn->spawn([ '/bin/sh', '-c', "seq 200; echo first; read line <'@{[ $gate->path ]}'; seq 200; echo second; read line <'@{[ $gate->path ]}'" ],
    queue => 'images', stdout => 'capture', reply => 'started');
$browser->go($httpd->url('/spawn-status?job=' . $prints->id . '&refresh=1'));
$browser->shows(qr/first/, 'what a job that runs has printed');
my $at = sub { return $browser->script('const p = document.querySelector(".output pre"); return [p === document.activeElement, p.scrollTop > 0 && p.scrollTop + p.clientHeight + 4 >= p.scrollHeight].join(" ")') };
$browser->script('const p = document.querySelector(".output pre"); p.focus(); p.scrollTop = 1e9');
$gate->let;
$browser->shows(qr/second/, '... grows');
is $at->(), 'true true', '... and the keyboard, and the end, stay where they were';
$gate->let;
is $prints->wait(60)->outcome, 'exited', '... until it ends';
$browser->shows(qr/exited 0/, '... which is shown');
$browser->shows(qr/second/, '... with all that it printed');

# Two pages, one after the other: the first is not seen while the second is.
$browser->go($httpd->url('/spawn-status?view=jobs&refresh=1&user=first'));
ok wait_until(sub { $asked->('first') >= 3 }, 90), 'a page that is seen asks again and again';
my $first = $browser->tab;
$browser->new_tab->go($httpd->url('/spawn-status?view=jobs&refresh=1&user=second'));
my ($before, $other) = ($asked->('first'), $asked->('second'));
ok wait_until(sub { $asked->('second') >= $other + 4 }, 90), 'another one is seen, and asks four times';
# one that was under way when it was covered may have come a little later
cmp_ok $asked->('first') - $before, '<=', 1, '... meanwhile the first one asks nothing';
$before = $asked->('first');
$browser->to_tab($first);
ok wait_until(sub { $asked->('first') > $before }, 90), '... and again when it is seen';

# Without JavaScript it is the browser that loads it anew.
$browser->javascript(0)->go($httpd->url('/spawn-status?refresh=1&user=third'));
$spawn->spawn([ '/bin/true' ], queue => 'images', label => 'by-the-browser');
$browser->shows(qr/by-the-browser/, 'without JavaScript the browser loads it anew');
done_testing;
