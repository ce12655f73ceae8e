# SPDX-License-Identifier: Apache-2.0
#
# What the pages of the example share: the frame around a page, escaping, form
# fields, and the state of a job as HTML. Runs in httpd children.

package Example::Page;

use strict;
use warnings;

use Apache2::Const -compile => qw(OK HTTP_SEE_OTHER HTTP_BAD_REQUEST);
use Apache2::RequestIO ();
use Apache2::RequestRec ();
use Apache2::RequestUtil ();
use APR::Table ();
use Apache2::Spawn ();
use Config ();
use Encode ();
use Exporter 'import';
use HTML::Entities ();
use HTTP::Message ();
use POSIX ();
use URI ();
use URI::Escape ();

our @EXPORT_OK = qw(esc show_page redirect refuse form job_state job_cells jobs_table stop_button stop_job table cell site code);

my @menu = (
    [ '/', 'Overview' ],
    [ '/thumbnails', 'Thumbnails' ],
    [ '/long', 'A long program' ],
    [ '/perl', 'Perl functions' ],
    [ '/mail', 'Mail' ],
    [ '/download', 'Downloads' ],
    [ '/failing', 'Failing jobs' ],
    [ '/spawn-status', 'Status' ],
);

# Text for HTML, attribute values included.
sub esc {
    my ($text) = @_;
    return '' if !defined $text;
    $text =~ s/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/?/g;
    return HTML::Entities::encode_entities($text, q{<>&"'});
}

# The directory of the site.
sub site { my ($r) = @_; return $r->dir_config('ExampleSite') }

# A piece of code, as it is shown.
sub code {
    my ($text) = @_;
    return '<pre class="code"><code>' . esc($text) . '</code></pre>';
}

# show_page($r, title => ..., about => HTML, body => HTML, jobs => HTML, again =>
# true): with again, static/again.js asks for the jobs once more, as long as
# something runs; with again => 'events' it follows those that have a data-job,
# until one has ended. The page as a whole is not loaded anew: its form may be
# half filled.
sub show_page {
    my ($r, %page) = @_;
    my $here = $r->uri;
    my $menu = join "\n", map {
        my ($uri, $name) = @{$_};
        my $current = $here eq $uri ? ' aria-current="page"' : '';
        qq{<a href="$uri"$current>} . esc($name) . '</a>';
    } @menu;
    my $again = $page{again} ? ' data-again="' . esc($page{again}) . '"' : '';
    my $look = $page{again} ? '<noscript><p><a href="' . esc($here) . '">Look again</a></p></noscript>' : '';
    my $jobs = defined $page{jobs} ? qq{<div id="jobs"$again>$look\n$page{jobs}</div>} : '';
    my $title = esc($page{title});
    my $html = <<"END";
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title - mod_spawn</title>
<link rel="stylesheet" href="/static/style.css">
<link rel="icon" href="data:,">
<script src="/static/again.js" defer></script>
</head>
<body>
<header>
<div class="wide"><strong>mod_spawn</strong><nav>
$menu
</nav></div>
</header>
<main class="wide">
<h1>$title</h1>
<div class="about">$page{about}</div>
$page{body}
$jobs
</main>
</body>
</html>
END
    $html = Encode::encode('UTF-8', $html) if utf8::is_utf8($html);
    $r->content_type('text/html; charset=utf-8');
    $r->headers_out->set('Cache-Control' => 'no-store');
    $r->headers_out->set('Content-Length' => length $html);
    $r->print($html);
    return Apache2::Const::OK;
}

# After a POST: show that page.
sub redirect {
    my ($r, $uri) = @_;
    $r->err_headers_out->set(Location => $uri);
    $r->status(Apache2::Const::HTTP_SEE_OTHER);
    $r->content_type('text/plain');
    $r->print("$uri\n");
    return Apache2::Const::OK;
}

# A request that cannot be served, with the reason.
sub refuse {
    my ($r, $why) = @_;
    $r->status(Apache2::Const::HTTP_BAD_REQUEST);
    return show_page($r,
        title => 'That did not work',
        about => '<p>' . esc($why) . '</p>',
        body => '<p><a href="' . esc($r->uri) . '">Back</a></p>');
}

# The fields of a posted form: name => value; a file is name => { name, data }.
sub form {
    my ($r) = @_;
    my $type = $r->headers_in->get('Content-Type');
    my $body = '';
    while ($r->read(my $part, 65_536)) {
        $body .= $part;
    }
    return _multipart($type, $body) if defined $type && $type =~ m{\Amultipart/form-data\b}i;
    my $query = URI->new('', 'http');
    $query->query($body);
    return { $query->query_form };
}

sub _multipart {
    my ($type, $body) = @_;
    my %fields;
    for my $part (HTTP::Message->new([ 'Content-Type' => $type ], $body)->parts) {
        my $how = $part->header('Content-Disposition');
        next if !defined $how || $how !~ /\bname="([^"]*)"/;
        my $name = $1;
        $fields{$name} = $how =~ /\bfilename="([^"]*)"/
            ? { name => $1, data => $part->content }
            : $part->content;
    }
    return \%fields;
}

# ---- jobs ----

# What has become of a job: a word, and how it looks.
sub job_state {
    my ($status) = @_;
    return ('unknown', 'bad') if !$status;
    return ($status->state, 'busy') if $status->state ne 'done';
    my $kind = $status->result_kind || 'none';    # of a Perl function
    return ($kind, $kind eq 'died' ? 'bad' : 'good') if $kind ne 'none';
    my $outcome = $status->outcome;
    return ('exited ' . $status->exit_code, $status->exit_code ? 'bad' : 'good')
        if $outcome eq 'exited';
    return ('signalled ' . _signal($status->signal), 'bad') if $outcome eq 'signalled';
    $outcome .= ', signal ' . _signal($status->signal) if $status->signal;
    return ($outcome, 'bad');
}

# Its name, as spawnctl has it; the number of one that has none.
sub _signal {
    my ($number) = @_;
    return (split ' ', $Config::Config{sig_name})[$number] || $number;
}

sub _time {
    my ($seconds) = @_;
    return '' if !$seconds;
    return POSIX::strftime('%H:%M:%S', localtime $seconds)
        . sprintf '.%03d', 1000 * ($seconds - int $seconds);
}

my @job_heads = (qw(state pid started ended), 'ran for');

# Cells of a table: state, pid, started, ended, elapsed.
sub job_cells {
    my ($status) = @_;
    my ($word, $class) = job_state($status);
    my @cells = (qq{<span class="state $class">} . esc($word) . '</span>');
    push @cells, $status
        ? (
        esc($status->pid),
        _time($status->started_at),
        _time($status->ended_at),
        defined $status->elapsed ? sprintf '%.3f s', $status->elapsed : ''
        )
        : ('') x 4;
    my @heads = @job_heads;
    return join '', map { cell(shift @heads, $_, 'time') } @cells;
}

# A cell, which knows its column's head: on a narrow screen a row is a list.
sub cell {
    my ($head, $html, $class) = @_;
    $class = defined $class ? qq{ class="$class"} : '';
    $html = "<div>$html</div>" if $html ne '';
    return qq{<td$class data-head="} . esc($head) . qq{">$html</td>};
}

sub table {
    my ($rows, @heads) = @_;
    return '' if $rows eq '';
    my $head = join '', map { '<th>' . esc($_) . '</th>' } @heads;
    return "<table><thead><tr>$head</tr></thead>\n<tbody>$rows</tbody></table>\n";
}

# As spawnctl shows it on a terminal, and takes it.
sub short_id {
    my ($id) = @_;
    return '<span class="id" title="' . esc($id) . '">' . esc(substr $id, -12) . '</span>';
}

# A button that stops a job, on the page at that address.
sub stop_button {
    my ($uri, $id) = @_;
    return '<form method="post" action="' . esc($uri) . '"><input type="hidden" name="id" value="' . esc($id)
        . '"><button name="what" value="stop">Stop</button></form>';
}

# Stops a job of that directory's, and no other: whoever asks may have made the id up.
sub stop_job {
    my ($directory, $id) = @_;
    die "there is no such job on this page\n" if ($id || '') !~ /\A[0-9a-f-]{36}\z/ || !-e "$directory/$id";
    Apache2::Spawn->job($id)->kill('TERM');
    return;
}

# The newest ten jobs of which a directory has a file by the name of their id.
# $cells gets such a job's handle, status and file, and gives what stands in the
# columns of @more. Returns the table and how many are not done.
sub jobs_table {
    my ($directory, $cells, @more) = @_;
    my @ids = sort { $b cmp $a } map { m{([0-9a-f-]{36})\z} ? $1 : () } glob "$directory/*";
    splice @ids, 10 if @ids > 10;

    my $busy = 0;
    my $rows = '';
    for my $id (@ids) {
        my $job = Apache2::Spawn->job($id);
        my $status = eval { $job->status };
        $busy++ if $status && $status->state ne 'done';
        my @cells = $cells->($job, $status, "$directory/$id");
        $rows .= '<tr>' . cell('job', short_id($id)) . job_cells($status)
            . join('', map { cell($more[$_], $cells[$_]) } 0 .. $#more) . "</tr>\n";
    }
    return (table($rows, 'job', @job_heads, @more), $busy);
}

1;
