# SPDX-License-Identifier: Apache-2.0
#
# AWStats' link "Update now" reads the log while the visitor waits, and may read it twice at once. This
# leaves the reading for after the answer, once for each site, and shows the report that there is. A
# PerlFixupHandler: it runs in httpd children. Must hand no words of the visitor to the program but
# a site's name.

package UpdateLater;

use strict;
use warnings;

use Apache2::Const -compile => qw(DECLINED);
use Apache2::RequestRec ();
use Apache2::Spawn ();

sub handler {
    my ($r) = @_;
    my $args = $r->args;
    return Apache2::Const::DECLINED if !defined $args || $args !~ s/(?:\A|&)update=1(?=&|\z)//;
    my ($site) = $args =~ /(?:\A|&)config=([\w.-]+)(?:&|\z)/;
    $r->args($args);
    $r->spawn_cleanup([ '/usr/lib/cgi-bin/awstats.pl', "-config=$site", '-update' ],
        queue => 'statistics', unique => "awstats-$site", on_conflict => 'keep', stderr => 'log')
        if defined $site;
    return Apache2::Const::DECLINED;
}

1;
