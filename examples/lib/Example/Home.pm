# SPDX-License-Identifier: Apache-2.0
#
# The first page: what there is to see. Runs in httpd children.

package Example::Home;

use strict;
use warnings;

use Apache2::Const -compile => qw(NOT_FOUND);

use Example::Page qw(code show_page);

sub handler {
    my ($r) = @_;
    return Apache2::Const::NOT_FOUND if $r->uri ne '/';
    my $ten_lines = code(<<'END');
my $job = $r->spawn(
    ['/usr/bin/convert', $in,
     '-thumbnail', '160x160', $out],
    queue => 'images', timeout => 60);
$job->id;             # for life
$job->status->state;  # queued, running, done
$job->wait(5);        # its end, within 5 seconds
$job->kill('TERM');
END
    return show_page($r,
        title => 'Work, started by handlers, run by mod_spawn',
        about => <<'END',
<p>This httpd has one lean <em>spawner</em> and its <em>broker</em> beside the mod_perl children.
A handler hands a program or a Perl function over and answers at once; no child of httpd forks, and the
work goes on when httpd restarts.</p>
END
        body => <<"END");
<div class="cards">
<a class="card" href="/thumbnails"><h2>Thumbnails</h2>
<p>Upload or choose a picture: three ImageMagick jobs start, and the page is there before they are done.</p></a>
<a class="card" href="/long"><h2>A long program</h2>
<p>Start it, look at its state, its times and its output, stop it. It runs on while you are elsewhere.</p></a>
<a class="card" href="/perl"><h2>Perl functions</h2>
<p>A function of this site in a process of its own: its progress, its result, its exception; stop it; and
work after the answer.</p></a>
<a class="card" href="/mail"><h2>A mail after the answer</h2>
<p>The same mail both ways, and how long the visitor waits: in the request, and after the answer.</p></a>
<a class="card" href="/download"><h2>Downloads</h2>
<p>What a program writes is sent as it comes: an archive that is packed meanwhile, lines one by one.</p></a>
<a class="card" href="/failing"><h2>Failing jobs</h2>
<p>Jobs that go wrong, each in its own way, and what is told about each.</p></a>
<a class="card" href="/spawn-status"><h2>Status</h2>
<p>What mod_spawn shows of itself: queues, jobs, processes. Whoever opens it on this machine may act, too.</p></a>
</div>
<h2>In a handler</h2>
$ten_lines
END
}

1;
