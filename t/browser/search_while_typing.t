#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The list of jobs searches while somebody types: what was found changes, the form, what is typed
# and the keyboard stay; the address has the choice, so that it can be kept, and so have the links
# below. A value that makes no sense yet is said, and changes nothing. News are shown all the same
# while somebody types in the form. A choice that the form has no field or no option for stays.

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
my $run = sub { my ($label) = @_; is $spawn->spawn([ '/bin/true' ], label => $label)->wait(60)->outcome, 'exited', "a job: $label"; return };
$run->($_) for qw(pear-1 apple-1);
ok wait_until(sub { $httpd->get('/spawn-status?view=jobs')->{content} =~ /apple-1.*pear-1/s }, 60), 'they are in the history';

my $browser = SpawnTest::Browser->new;
# it is put in the place of another one at any moment
my $found = sub { my ($id) = @_; return $browser->script(qq{return document.getElementById("$id").textContent}) };
$browser->go($httpd->url('/spawn-status?view=jobs&refresh=1'));
$browser->shows(qr/pear-1/, 'all are listed');
$browser->type('input[name=q]', 'apple');
ok wait_until(sub { my $text = $found->('found'); $browser->at =~ /q=apple/ && $text =~ /apple-1/ && $text !~ /pear-1/ }, 60), 'what was typed is searched for' or diag $browser->text;
is $browser->script('return document.activeElement.name'), 'q', '... the keyboard stays';
is $browser->script('return document.activeElement.value'), 'apple', '... and what was typed';
like $browser->at, qr/[?&]q=apple(?:&|\z)/, '... and it is in the address';
is $found->('count'), '1 job', '... how many are found is said';
my $below = sub { my ($end) = @_; return $browser->script(qq{return [...document.querySelectorAll("footer a")].map(a => a.getAttribute("href")).filter(h => h.endsWith("$end")).join(" ")}) };
like $below->($_), qr/[?&]q=apple&/, "... the link with $_ chooses alike" for qw(format=csv format=json refresh=30);
$run->('apple-2');
ok wait_until(sub { $found->('found') =~ /apple-2/ }, 60), 'news come though somebody is in the form';
is $browser->script('return document.activeElement.name'), 'q', '... who stays there';
$browser->type('input[name=since]', 'x');
ok wait_until(sub { $found->('count') =~ /since: 'x' is not a time/ }, 60), 'what makes no sense is said' or diag $found->('count');
like $found->('found'), qr/apple-2/, '... and changes nothing';
unlike $browser->at, qr/since=x/, '... nor the address';

$browser->go($httpd->url('/spawn-status?view=jobs&refresh=0&rows=1&outcome=exited,lost'));
$browser->type('input[name=q]', 'apple');
ok wait_until(sub { $browser->at =~ /q=apple/ }, 60), 'another list is searched' or diag $browser->at;
like $browser->at, qr/[?&]rows=1(?:&|\z)/, '... of as many rows';
like $browser->at, qr/[?&]outcome=exited(?:,|%2C)lost(?:&|\z)/, '... with the same outcomes';
is scalar(() = $browser->at =~ /refresh=0/g), 1, '... and shown anew as often';
$browser->clean;
done_testing;
