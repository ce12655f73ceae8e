#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Texts of callers and jobs are text on the status page, in a browser: no script of it runs, no
# element comes of it, and nothing violates the page's policy. Control characters, and bytes that
# are not UTF-8, are seen as such, and signs that turn the direction of writing turn nothing.

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

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm(), handlers => 0, conf => <<'END')->start;
SpawnSubmitTimeout 60s
<Location /spawn-status>
    SetHandler spawn-status
</Location>
END
my $spawn = $httpd->connection;

# Each would set window.ran, or make an element with the class evil.
my @evil = (
    '<script>window.ran=1</script>', q{"><img class="evil" src="x" onerror="window.ran=2">}, q{' onmouseover='window.ran=3},
    '</title></style></textarea><svg class="evil" onload="window.ran=4">', '<a class="evil" href="javascript:window.ran=5">click</a>',
    '<style class="evil">*{display:none}</style>', '<base class="evil" href="http://elsewhere.test/">', '&lt;b class=evil&gt;', '<!--',
);
my $odd = "\x1b[31m\x01\x7f \xff\xfe \xc3\xa9 \xe2\x80\xae\xed\xa0\x80";
my $all = join ' ', @evil;
my $out = $httpd->file('out', "$all\n$odd\n</pre></details></main>$all");
my $job = $spawn->spawn([ '/bin/cat', $out, @evil, $odd ], label => substr($all, 0, 190), stdout => 'capture', stderr => 'capture',
    context => { user => $evil[1], client => $evil[0], vhost => $evil[3], uri => "/$all", '<b>' => $evil[4] });
is $job->wait(60)->outcome, 'exited', 'a job has run';
my $missing = $spawn->spawn([ "/bin/$evil[3]", @evil ], label => "\xff\xfe \xe2\x80\xae");
is $missing->wait(60)->outcome, 'start_failed', 'and one that cannot start';
my @id = map { $_->id } $job, $missing;
ok wait_until(sub { my $text = $httpd->get('/spawn-status?view=jobs&state=done')->{content}; !grep { $text !~ /\Q$_\E/ } @id }, 60),
    'they are in the history';

my $browser = SpawnTest::Browser->new;
$browser->before_pages(<<'END');
window.violations = [];
addEventListener('securitypolicyviolation', e => window.violations.push(e.violatedDirective + ' ' + e.blockedURI));
END
my $query = join '', map { sprintf '%%%02x', ord } split //, $evil[1];
my %page = (
    'the overview' => '?refresh=1', 'the list' => '?view=jobs', 'a job' => "?job=$id[0]", 'a start that failed' => "?job=$id[1]",
    'a filter' => "?view=jobs&user=$query&vhost=$query&request=$query", 'a fault' => "?view=jobs&state=$query", 'an id' => "?job=$query",
);
for my $name (sort keys %page) {
    $browser->go($httpd->url("/spawn-status$page{$name}"));
    ok length $browser->text > 40, "$name: is shown";
    if ($name eq 'the overview') {    # and once more by the page's script
        my $before = $browser->text_of('#as-of');
        ok wait_until(sub { ($browser->script('const a = document.getElementById("as-of"); return a ? a.textContent : ""') || $before) ne $before }, 90),
            '... and is fetched anew';
    }
    $browser->script(<<'END');
for (const e of document.querySelectorAll('#live *'))
    e.dispatchEvent(new MouseEvent('mouseover', {bubbles: true}));
END
    is $browser->script('return String(window.ran)'), 'undefined', '... no script ran';
    is $browser->script('return document.querySelectorAll(".evil, base, style, iframe, [onerror], [onload], [onmouseover], [style]").length'), 0,
        '... no element came of it';
    is $browser->script('return document.querySelectorAll("a[href^=\"javascript:\"]").length'), 0, '... no such link';
    is $browser->script('return document.querySelectorAll("script").length'), $browser->script('return document.querySelectorAll("script[src^=\"?file=live.js\"]").length'),
        '... no script but its own';
    is_deeply $browser->script('return window.violations'), [], '... and nothing violates its policy';
}
$browser->go($httpd->url("/spawn-status?job=$id[0]"));
my $text = $browser->script('return document.body.textContent');
like $text, qr/\Q$_\E/, "shown as text: $_" for @evil;
like $text, qr/\\x1b\[31m\\x01\\x7f \\xff\\xfe \x{e9} /, 'control characters and odd bytes as such';
unlike $text, qr/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x{202e}\x{fffd}]/, '... none of them is there itself';
done_testing;
