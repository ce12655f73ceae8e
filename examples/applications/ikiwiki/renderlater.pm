# SPDX-License-Identifier: Apache-2.0
#
# A plugin of ikiwiki: who saves a page gets the answer when it is saved; the pages that show it are
# rendered by a job. Into IkiWiki/Plugin below the wiki's libdir; the setup file names it in add_plugins,
# and the broker's socket: "ENV: { SPAWN_SOCKET: /run/apache2/spawn/socket }". Runs in ikiwiki's CGI.

package IkiWiki::Plugin::renderlater;

use strict;
use warnings;

use IkiWiki 3.00;
use IkiWiki::Render ();
use Apache2::Spawn  ();

sub import { hook(type => 'checkconfig', id => 'renderlater', call => \&checkconfig); return }

sub checkconfig {
    inject(name => 'IkiWiki::refresh', call => \&later) if $config{cgi};
    return;
}

# One for each wiki runs, and one waits, whose rendering has what was saved until it begins.
sub later {
    Apache2::Spawn->spawn([ '/usr/bin/ikiwiki', '--setup', $config{setupfile}, '--refresh' ],
        queue => 'wiki', unique => $config{setupfile}, on_conflict => 'replace', env => { HOME => $ENV{HOME} }, stderr => 'log');
    return;
}

1;
