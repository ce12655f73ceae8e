#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The list of jobs in a browser: who chooses a queue, or a state, sees the jobs of that, and
# no others; the choice stays in the form and in the address. With JavaScript and without.

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
<SpawnQueue images>
</SpawnQueue>
<SpawnQueue mail>
</SpawnQueue>
END
my $spawn = $httpd->connection;
my $gate = SpawnTest::Gate->new($httpd, 'gate');
my %job = map { ($_ => $spawn->spawn($gate->job(''), queue => $_, label => "runs-in-$_", stdout => 'null', reply => 'started')) } qw(images mail);
my $ended = $spawn->spawn([ '/bin/true' ], queue => 'mail', label => 'ended-in-mail');
is $ended->wait(60)->outcome, 'exited', 'a job has ended';
ok wait_until(sub { $httpd->get('/spawn-status?view=jobs&state=done')->{content} =~ /ended-in-mail/ }, 60), '... and is in the history';

my $browser = SpawnTest::Browser->new;
my $listed = sub {
    my ($name, @want) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @is;    # the page before this one may have those that are wanted, and more
    wait_until(sub { @is = sort((eval { $browser->text } || '') =~ /(?:runs|ended)-in-\w+/g); "@is" eq join q{ }, sort @want }, 90);
    return is_deeply \@is, [ sort @want ], "$name: @want, and no other job";
};
for my $with (1, 0) {
    my $how = $with ? 'with JavaScript' : 'without JavaScript';
    $browser->javascript($with)->go($httpd->url('/spawn-status'));
    $browser->click_link('Jobs');
    $browser->arrives(qr/[?&]view=jobs(?:&|\z)/, "$how: the list of jobs");
    $listed->("$how, all", qw(runs-in-images runs-in-mail ended-in-mail));
    $browser->choose(queue => 'mail')->click('form.filter button');
    $listed->('a queue', qw(runs-in-mail ended-in-mail));
    $browser->arrives(qr/[?&]queue=mail(?:&|\z)/, '... in the address');
    $browser->choose(state => 'running')->click('form.filter button');
    $listed->('a queue and a state', qw(runs-in-mail));
    is $browser->script('return document.querySelector("select[name=queue]").value'), 'mail', '... the form has what was chosen';
    $browser->choose(queue => '')->click('form.filter button');
    $listed->('a state', qw(runs-in-images runs-in-mail));
    $browser->choose(state => 'dead')->click('form.filter button');
    $browser->shows(qr/There is no such job/, 'a state that no job has');
}
done_testing;
