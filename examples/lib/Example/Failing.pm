# SPDX-License-Identifier: Apache-2.0
#
# Jobs that fail, each in its own way, and what mod_spawn tells about each.
# Runs in httpd children.

package Example::Failing;

use strict;
use warnings;

use Apache2::Spawn ();
use JSON::PP ();
use POSIX ();

use Example::Page qw(code esc form job_cells redirect show_page site);

# What is wrong, argv, options. "%s" is the directory of the site.
my @cases = (
    [ 'there is no such program', ['/usr/bin/no-such-program'] ],
    [ 'the file is not executable', ['%s/httpd.conf'] ],
    [ 'the directory to start in is missing', ['/bin/true'], cwd => '/no/such/directory' ],
    [ 'the program exits with 3', [ '/bin/sh', '-c', 'exit 3' ] ],
    [ 'a signal kills it', [ '/bin/sh', '-c', 'kill -SEGV $$' ] ],
    [ 'it takes longer than 2 seconds', [ '/bin/sleep', '60' ], queue => 'impatient' ],
    [ 'there is no such queue', ['/bin/true'], queue => 'nowhere' ],
    [ 'an option is misspelt', ['/bin/true'], timout => 5 ],
);

my $the_line = <<'END';
my $job = eval { $r->spawn($argv, %options) };
my $error = $@;                 # refused: $error->code, ->step, ->errno
my $status = $job->status;      # later: ->outcome, ->step, ->errno, ->exit_code, ->signal
END

sub handler {
    my ($r) = @_;
    return _show($r) if $r->method ne 'POST';
    form($r);
    _start($r);
    return redirect($r, '/failing');
}

sub _file { my ($r) = @_; return site($r) . '/work/failing/jobs.json' }

sub _start {
    my ($r) = @_;
    my $site = site($r);
    my @made;
    for my $case (@cases) {
        my ($what, $argv, %options) = @{$case};
        my @argv = map { (my $word = $_) =~ s/%s/$site/; $word } @{$argv};
        my $job = eval { $r->spawn(\@argv, %options) };
        my $error = $@;
        push @made, {
            what => $what,
            call => _call(\@argv, %options),
            $job
            ? (id => $job->id)
            : (refused => _refusal($error)),
        };
    }
    my $path = _file($r);
    open my $out, '>', "$path.$$" or die "$path.$$: $!\n";
    print {$out} JSON::PP::encode_json(\@made);
    close $out or die "$path.$$: $!\n";
    rename "$path.$$", $path or die "$path: $!\n";
    return;
}

sub _call {
    my ($argv, %options) = @_;
    my $call = join ' ', map { /[^\w.\/-]/ ? "'$_'" : $_ } @{$argv};
    $call .= ", $_ => $options{$_}" for sort keys %options;
    return $call;
}

sub _refusal {
    my ($error) = @_;
    return { text => "$error" } if !ref $error;
    return { code => $error->code, step => $error->step, errno => $error->errno, text => "$error" };
}

sub _show {
    my ($r) = @_;
    my $made = [];
    if (open my $in, '<', _file($r)) {
        local $/ = undef;
        $made = JSON::PP::decode_json(scalar <$in>);
    }
    my $busy = 0;
    my $rows = '';
    for my $one (@{$made}) {
        my $what = '<td>' . esc($one->{what}) . '<br><code class="small">' . esc($one->{call}) . '</code></td>';
        if (my $refused = $one->{refused}) {
            $rows .= "<tr>$what<td><span class=\"state bad\">refused</span></td>"
                . _why($refused->{code}, $refused->{step}, $refused->{errno}, $refused->{text})
                . '<td></td></tr>';
            next;
        }
        my $status = eval { Apache2::Spawn->job($one->{id})->status };
        $busy++ if $status && $status->state ne 'done';
        my ($state) = job_cells($status) =~ m{(<td.*?</td>)};
        my $failed = $status && ($status->outcome || '') eq 'start_failed';
        $rows .= "<tr>$what$state"
            . _why($failed ? 'start_failed' : '', $failed ? $status->step : '',
            $failed ? $status->errno : 0, $status ? $status->message : '')
            . '<td class="time">' . ($status && defined $status->elapsed ? sprintf '%.3f s', $status->elapsed : '')
            . "</td></tr>\n";
    }
    my $table = $rows eq '' ? '' : <<"END";
<table><thead><tr><th>what is wrong</th><th>outcome</th><th>code</th><th>step</th><th>errno</th>
<th>in words</th><th>ran for</th></tr></thead>
<tbody>$rows</tbody></table>
END
    return show_page($r,
        title => 'Failing jobs',
        again => $busy ? 1 : 0,
        about => '<p>Nothing fails in silence. What cannot be accepted is an exception with a code and a step;'
            . ' what fails later is told by the job\'s status. These lines do it:</p>' . code($the_line),
        body => '<form method="post" action="/failing"><button>Run them all</button></form>' . $table);
}

sub _why {
    my ($code, $step, $errno, $text) = @_;
    my $error = $errno ? do { local $! = $errno; "$errno ($!)" } : '';
    return join '', map { '<td>' . esc($_) . '</td>' } $code, $step, $error, $text;
}

1;
