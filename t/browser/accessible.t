#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The status page in a browser, in light and dark, 400, 900 and 1600 pixels wide: axe-core finds
# nothing that keeps people from it (contrast, names, order, roles), and nothing has to be scrolled
# sideways. The overview, the list, a job, the page that asks, and a fault.
#
# TEST_LIMIT: 600 s more

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm root_dir wait_until);
use SpawnTest::Browser ();
use SpawnTest::Login qw(login_missing login_of login_page);

use lib SpawnTest::build_dir() . '/perl';
use Apache2::Spawn ();

my $missing = SpawnTest::Browser::missing() || login_missing();
plan skip_all => $missing if $missing;

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm(), handlers => 0);
$httpd->{conf} = login_page($httpd, 'anna') . <<'END';
<SpawnQueue a-queue-whose-name-is-as-long-as-the-names-of-queues-may-be>
    SpawnMaxJobs 1
    SpawnTimeout 10min
</SpawnQueue>
<SpawnQueue mail>
</SpawnQueue>
END
$httpd->start;
my $spawn = $httpd->connection;
my $ctl = SpawnTest::Ctl->new($httpd);
my $gate = SpawnTest::Gate->new($httpd, 'gate');
my $long = 'a-queue-whose-name-is-as-long-as-the-names-of-queues-may-be';

# One of each kind: it runs, waits, is delayed, has ended well, badly, could not start, is dead.
my $runs = $spawn->spawn($gate->job(''), queue => $long, label => 'runs', stdout => 'null', reply => 'started',
    context => { user => 'anna', uri => '/' . 'very-long/' x 20, client => '192.0.2.1' });
$spawn->spawn([ '/bin/true', 'x' x 200 ], queue => $long, label => 'waits');
$spawn->spawn([ '/bin/true' ], delay => 3600);
my $printed = $spawn->spawn([ '/bin/sh', '-c', 'echo out; echo wrong >&2; head -c 300 /dev/zero; exit 3' ], label => 'fails',
    stdout => 'capture', stderr => 'capture');
my $dead = $spawn->spawn([ '/bin/false' ], retry => 1, backoff => [0.1]);
my $missing_program = $spawn->spawn([ '/nowhere/' . 'long' x 40 ]);
$_->wait(60) for $printed, $dead, $missing_program;
is $ctl->run('pause', 'mail')->{code}, 0, 'a queue is paused';
my ($r, $d, $p) = map { $_->id } $runs, $dead, $printed;

my $axe = do {
    open my $in, '<:raw', root_dir() . '/t/browser/axe/axe.min.js' or die "axe.min.js: $!\n";
    local $/ = undef;
    <$in>;
};
utf8::decode($axe);
my $browser = SpawnTest::Browser->new->headers(login_of('anna'));
ok wait_until(sub { $browser->go($httpd->url("/spawn-status?job=$d")); $browser->text =~ /dead/ }, 60), 'the history is there';

my $check = <<'END';
const found = await axe.run(document, {resultTypes: ['violations', 'incomplete']});
return found.violations.map(v => v.id + ': ' + v.help + ': ' + v.nodes.slice(0, 3).map(n => n.html.slice(0, 200) + ' ' + n.failureSummary).join(' | '));
END
my $sideways = <<'END';
const d = document.documentElement;
return d.scrollWidth > d.clientWidth
    ? Array.from(document.querySelectorAll('body *')).filter(e => e.getBoundingClientRect().right > d.clientWidth + 1).slice(0, 5).map(e => e.outerHTML.slice(0, 150))
    : [];
END
my @page = (
    [ 'overview' => '' ], [ 'list' => '?view=jobs' ], [ 'dead jobs' => '?view=jobs&state=dead' ], [ 'a job that runs' => "?job=$r" ],
    [ 'a job that failed' => "?job=$p" ], [ 'a dead job' => "?job=$d" ], [ 'the page that asks' => "?act=kill&job=$r" ],
    [ 'the page that asks how many' => '?act=scale&queue=mail' ],
    [ 'done' => '?done=pause' ], [ 'a fault' => '?view=jobs&state=none' ],
);
for my $page (@page) {
    my ($name, $query) = @{$page};
    # refresh=0: no page comes anew while it is looked at
    my $url = $httpd->url('/spawn-status' . $query . ($query ? '&' : '?') . 'refresh=0');
    $browser->go($url)->script('document.querySelectorAll("details").forEach(d => { d.open = true; })');
    $browser->script($axe);
    for my $scheme (qw(light dark)) {
        for my $width (400, 900, 1600) {
            $browser->scheme($scheme)->width($width);
            is_deeply $browser->script($sideways), [], "$name, $scheme, $width: nothing is wider than the page";
            is_deeply $browser->script_that_waits($check), [], '... and axe finds nothing';
        }
    }
}

# axe works here: it finds what is put in for it
$browser->script('document.body.insertAdjacentHTML("beforeend", "<img src=\"?file=icon.svg\"><a href=\"?\"></a>")');
like join(' ', @{ $browser->script_that_waits($check) }), qr/image-alt.*link-name|link-name.*image-alt/s, 'and finds what is wrong';
done_testing;
