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

use Example::Page qw(cell code esc form job_state redirect show_page site table);

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

my @why = ('code', 'step', 'errno', 'in words');

my $the_line = <<'END';
my $job = eval { $r->spawn($argv, %options) };
# refused: $error->code, step, errno, message
my $error = $@;
# later: $status->outcome, exit_code, signal,
# and of a start that failed step and errno
my $status = $job->status;
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
    return { text => "$error" } if !Apache2::Spawn::Error->caught($error);
    return { code => $error->code, step => $error->step, errno => $error->errno, text => $error->message };
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
        my $what = cell('what is wrong', esc($one->{what}) . '<br><code class="small">' . esc($one->{call}) . '</code>');
        if (my $refused = $one->{refused}) {
            $rows .= "<tr>$what" . cell('outcome', '<span class="state bad">refused</span>')
                . _why($refused->{code}, $refused->{step}, $refused->{errno}, $refused->{text})
                . cell('ran for', '') . '</tr>';
            next;
        }
        my $status = eval { Apache2::Spawn->job($one->{id})->status };
        $busy++ if $status && $status->state ne 'done';
        my ($word, $class) = job_state($status);
        my $failed = $status && ($status->outcome || '') eq 'start_failed';
        $rows .= "<tr>$what" . cell('outcome', qq{<span class="state $class">} . esc($word) . '</span>')
            . _why($failed ? 'start_failed' : '', $failed ? $status->step : '',
            $failed ? $status->errno : 0, $status ? $status->message : '')
            . cell('ran for', $status && defined $status->elapsed ? sprintf('%.3f s', $status->elapsed) : '', 'time')
            . "</tr>\n";
    }
    return show_page($r,
        title => 'Failing jobs',
        again => $busy ? 1 : 0,
        about => '<p>Nothing fails in silence. What cannot be accepted is an exception with a code and a step;'
            . ' what fails later is told by the job\'s status. These lines do it:</p>' . code($the_line),
        body => '<form method="post" action="/failing"><button>Run them all</button></form>',
        jobs => table($rows, 'what is wrong', 'outcome', @why, 'ran for'));
}

sub _why {
    my ($code, $step, $errno, $text) = @_;
    my $error = $errno ? do { local $! = $errno; "$errno ($!)" } : '';
    my @cells = ($code, $step, $error, $text);
    return join '', map { cell($why[$_], esc($cells[$_])) } 0 .. $#why;
}

1;
