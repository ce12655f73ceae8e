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

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm());
my $ran = $httpd->work . '/ran';
# The program of this machine, where there is one, would write into its statistics.
my $program = $httpd->script('awstats.pl', <<"SH");
#!/bin/sh
echo "\$@" >>$ran
SH

my $handler = do {
    open my $in, '<', root_dir() . '/examples/applications/awstats/UpdateLater.pm' or die "UpdateLater.pm: $!\n";
    local $/ = undef;
    <$in>;
};
is $handler =~ s{/usr/lib/cgi-bin/awstats[.]pl}{$program}g, 1, 'a program stands in for AWStats';
$httpd->{perl} = $handler . <<'PERL';
$INC{'UpdateLater.pm'} = 1;
package My::Shown;
use Apache2::RequestIO ();
sub handler { my ($r) = @_; $r->content_type('text/plain'); $r->print($r->args); return 0 }
$INC{'My/Shown.pm'} = 1;
1;
PERL
$httpd->{conf} = <<'CONF';
<SpawnQueue statistics>
    SpawnMaxJobs 1
</SpawnQueue>
<Location /awstats>
    SetHandler modperl
    PerlFixupHandler UpdateLater
    PerlResponseHandler My::Shown
</Location>
CONF
$httpd->start;

# The jobs of the queue, oldest first.
sub jobs { return reverse $httpd->connection->list(queue => 'statistics') }

sub shown { return HTTP::Tiny->new->get($httpd->url("/awstats?$_[0]"))->{content} }

is shown('config=shop&month=09'), 'config=shop&month=09', 'a look is a look';
is shown('config=shop&update=1&month=09'), 'config=shop&month=09', 'an update comes as a look';
ok wait_until(sub { 1 == (() = jobs()) }, 20), 'and is a job';
is_deeply [ map { $_->argv } jobs() ], [ [ $program, qw(-config=shop -update) ] ], 'for this site';
is shown('config=-migrate%3d/etc&update=1'), 'config=-migrate%3d/etc', 'what is no name';
is shown('update=1'), '', 'or none at all';
is shown('config=other&update=1'), 'config=other', 'another site';
ok wait_until(sub { 1 < (() = jobs()) }, 20), 'has a job of its own';
is_deeply [ map { $_->argv->[1] } jobs() ], [qw(-config=shop -config=other)], 'and those between have none';
is_deeply [ map { $_->exit_code } map { $httpd->connection->job($_->id)->wait(60) } jobs() ], [ 0, 0 ], 'both have run';
open my $in, '<', $ran or die "$ran: $!\n";
is_deeply [ sort <$in> ], [ "-config=other -update\n", "-config=shop -update\n" ], 'with these words';
done_testing;
