#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# What docs/applications.md puts before AWStats: "Update now" is left for after the answer, for
# the site that is named and with no other word of the visitor; what comes to AWStats does not ask for it any more.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use HTTP::Tiny ();
use Test::More;

use SpawnTest qw(one_mpm root_dir wait_until);

use lib SpawnTest::build_dir() . '/perl';
use Apache2::Spawn ();

my $handler = do {
    open my $in, '<', root_dir() . '/examples/applications/awstats/UpdateLater.pm' or die "UpdateLater.pm: $!\n";
    local $/ = undef;
    <$in>;
};
my $httpd = SpawnTest::Httpd->new(mpm => one_mpm(), perl => $handler . <<'PERL', conf => <<'CONF')->start;
$INC{'UpdateLater.pm'} = 1;
package My::Shown;
use Apache2::RequestIO ();
sub handler { my ($r) = @_; $r->content_type('text/plain'); $r->print($r->args); return 0 }
$INC{'My/Shown.pm'} = 1;
1;
PERL
<SpawnQueue statistics>
    SpawnMaxJobs 1
</SpawnQueue>
<Location /awstats>
    SetHandler modperl
    PerlFixupHandler UpdateLater
    PerlResponseHandler My::Shown
</Location>
CONF

# The jobs of the queue, oldest first; the program need not be there.
sub jobs { return reverse $httpd->connection->list(queue => 'statistics') }

sub shown { return HTTP::Tiny->new->get($httpd->url("/awstats?$_[0]"))->{content} }

is shown('config=shop&month=09'), 'config=shop&month=09', 'a look is a look';
is shown('config=shop&update=1&month=09'), 'config=shop&month=09', 'an update comes as a look';
ok wait_until(sub { 1 == (() = jobs()) }, 20), 'and is a job';
is_deeply [ map { $_->argv } jobs() ], [ [qw(/usr/lib/cgi-bin/awstats.pl -config=shop -update)] ], 'for this site';
is shown('config=-migrate%3d/etc&update=1'), 'config=-migrate%3d/etc', 'what is no name';
is shown('update=1'), '', 'or none at all';
is shown('config=other&update=1'), 'config=other', 'another site';
ok wait_until(sub { 1 < (() = jobs()) }, 20), 'has a job of its own';
is_deeply [ map { $_->argv->[1] } jobs() ], [qw(-config=shop -config=other)], 'and those between have none';
done_testing;
