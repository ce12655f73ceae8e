# SPDX-License-Identifier: Apache-2.0
#
# A long program: started by a handler that does not wait for it, looked at and
# stopped by later requests. Runs in httpd children.

package Example::Long;

use strict;
use warnings;

use Apache2::Spawn ();

use Example::Page qw(code esc form job_cells redirect refuse show_page site);

my $seconds = 30;

my $the_line = <<'END';
my $job = $r->spawn([ "$site/bin/count", 30 ], reply => 'started', stdout => ">$output");
END

sub handler {
    my ($r) = @_;
    return _show($r) if $r->method ne 'POST';

    my $form = form($r);
    my $error = eval {
        if (($form->{what} || '') eq 'stop') {
            Apache2::Spawn->job($form->{id})->kill('TERM');
        } else {
            _start($r);
        }
        1;
    } ? undef : $@;
    return refuse($r, $error) if $error;
    return redirect($r, '/long');
}

# The job's id is the name of a file, so that the page knows what to show.
sub _start {
    my ($r) = @_;
    my $site = site($r);
    my $output = sprintf '%s/work/long/output-%d-%d', $site, time, $$;
    my $job = $r->spawn([ "$site/bin/count", $seconds ], reply => 'started', stdout => ">$output");
    rename $output, "$site/work/long/" . $job->id or die "$output: $!\n";
    return;
}

sub _show {
    my ($r) = @_;
    my $directory = site($r) . '/work/long';
    my @ids = sort { $b cmp $a } map { m{([0-9a-f-]{36})\z} ? $1 : () } glob "$directory/*";
    splice @ids, 10 if @ids > 10;

    my $busy = 0;
    my $rows = '';
    for my $id (@ids) {
        my $status = eval { Apache2::Spawn->job($id)->status };
        my $runs = $status && $status->state ne 'done';
        $busy++ if $runs;
        my $stop = $runs
            ? '<form method="post" action="/long"><input type="hidden" name="id" value="'
            . esc($id) . '"><button name="what" value="stop">Stop</button></form>'
            : '';
        $rows .= '<tr><td class="id">' . esc($id) . '</td>' . job_cells($status)
            . '<td>' . esc(_last_line("$directory/$id")) . "</td><td>$stop</td></tr>\n";
    }
    my $table = $rows eq '' ? '' : <<"END";
<table><thead><tr><th>job</th><th>state</th><th>pid</th><th>started</th><th>ended</th><th>ran for</th>
<th>wrote last</th><th></th></tr></thead>
<tbody>$rows</tbody></table>
END
    return show_page($r,
        title => 'A long program',
        again => $busy ? 1 : 0,
        about => "<p>A program that counts for $seconds seconds. The handler starts it, is told its pid, and"
            . ' answers; nothing waits for it. It runs on through <code>apachectl graceful</code> and'
            . ' <code>restart</code>. This line does it:</p>' . code($the_line),
        body => '<form method="post" action="/long"><button name="what" value="start">Start one</button></form>'
            . $table);
}

sub _last_line {
    my ($path) = @_;
    open my $in, '<', $path or return '';
    my $last = '';
    while (my $line = <$in>) {
        $last = $line;
    }
    chomp $last;
    return $last;
}

1;
