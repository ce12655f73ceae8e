# SPDX-License-Identifier: Apache-2.0
#
# Perl functions in processes of their own: one that takes long and tells how
# far it is, one that fails, and one for after the answer. The handlers run in
# httpd children; report, fail and note_visit run in Perl jobs, forked from what
# httpd has loaded.

package Example::Perl;

use strict;
use warnings;

use Apache2::Spawn ();
use POSIX ();
use Time::HiRes ();

use Example::Page qw(code esc form jobs_table redirect refuse show_page site stop_button stop_job);

my $the_line = <<'END';
# returns at once
my $job = $r->spawn_call(
    'Example::Perl::report', [ 40 ]);
$job->progress;             # 12 of 40
$job->token;                # for the page
my $sum = $job->result(0);  # what it returned
$job->kill('TERM');         # or not at all
# after the answer
$r->spawn_cleanup(
    'Example::Perl::note_visit',
    [ $file, $uri ]);
END

# ---- in Perl jobs ----

sub report {
    my ($chapters) = @_;
    my $job = Apache2::Spawn->job;
    my $words = 0;
    for my $chapter (1 .. $chapters) {
        $job->progress($chapter - 1, $chapters, "chapter $chapter");
        Time::HiRes::sleep(0.25);
        $words += 300 + 7 * $chapter;
    }
    $job->progress($chapters, $chapters, 'done');
    return { words => $words, process => $$ };
}

sub fail { die "the report needs a printer, and there is none\n" }

# Slow on purpose: no visitor waits for it.
sub note_visit {
    my ($file, $uri) = @_;
    Time::HiRes::sleep(2);
    open my $out, '>>', $file or die "$file: $!\n";
    print {$out} POSIX::strftime('%H:%M:%S', localtime), " a visit to $uri was noted by process $$\n";
    close $out or die "$file: $!\n";
    return;
}

# ---- in httpd children ----

sub handler {
    my ($r) = @_;
    if ($r->method ne 'POST') {
        # a look of the page itself, for its jobs, is no visit
        $r->spawn_cleanup('Example::Perl::note_visit', [ _visits($r), $r->uri ])
            if !$r->headers_in->get('X-Again');
        return _show($r);
    }
    my $form = form($r);
    my $what = $form->{what} || '';
    if ($what eq 'stop') {
        return refuse($r, $@) if !eval { stop_job(site($r) . '/work/perl', $form->{id}); 1 };
        return redirect($r, '/perl');
    }
    my $job = eval {
        $what eq 'fail'
            ? $r->spawn_call('Example::Perl::fail', [], label => 'a report that fails')
            : $r->spawn_call('Example::Perl::report', [40], label => 'a report');
    };
    return refuse($r, $@) if !$job;
    open my $out, '>', site($r) . '/work/perl/' . $job->id or return refuse($r, $!);
    close $out;
    return redirect($r, '/perl');
}

sub _visits { return site($_[0]) . '/work/perl/visits' }

sub _show {
    my ($r) = @_;
    my ($table, $busy) = jobs_table(
        site($r) . '/work/perl',
        sub {
            my ($job, $status) = @_;
            my $stop = $status && $status->state ne 'done' ? stop_button('/perl', $job->id) : '';
            return (_progress($job, $status), esc(_outcome($job, $status)), $stop);
        },
        'progress', 'result', ''
    );
    my $visits = esc(join '', _last_lines(_visits($r), 5));
    return show_page($r,
        title => 'Perl functions',
        again => $busy ? 'events' : 0,
        about => '<p>A function of a module that httpd has loaded runs in a process of its own, forked from a copy of'
            . ' httpd\'s Perl that is kept for this: nothing is configured, no child of httpd is held. Each look at'
            . ' this page also leaves work behind that takes two seconds <em>after</em> the answer. How far a report'
            . ' is, the page asks httpd itself: <code>SetHandler spawn-job</code> tells it to everybody who has the job\'s token,'
            . ' as it changes.</p>'
            . code($the_line),
        body => '<form method="post" action="/perl"><button name="what" value="report">Write a report</button>'
            . ' <button name="what" value="fail">One that fails</button></form>',
        jobs => "$table<h2>Noted after the answer</h2>" . _noted($visits));
}

sub _noted {
    my ($visits) = @_;
    return '<p>Nothing yet: look again in a few seconds.</p>' if $visits eq '';
    return "<pre class=\"code\"><code>$visits</code></pre>";
}

# static/again.js follows the job by its address, and keeps bar and text up to date.
sub _progress {
    my ($job, $status) = @_;
    my $progress = $status && $status->progress;
    my ($done, $of) = map { defined && /\A(\d+)\z/ ? $1 : 0 } $progress ? @{$progress}{qw(done of)} : ();
    my $bar = $progress ? "<progress value=\"$done\" max=\"$of\"></progress> " : '';
    my $text = '<span>' . esc($progress ? $progress->{text} : '') . '</span>';
    return "$bar$text" if !$status || $status->state eq 'done';
    $bar ||= '<progress></progress> ';
    return '<span data-job="' . esc('/jobs/' . $job->id . '?token=' . $job->token) . "\">$bar$text</span>";
}

sub _outcome {
    my ($job, $status) = @_;
    return '' if !$status || $status->state ne 'done';
    my $value = eval { $job->result(0) };
    return ref $value ? "$value->{words} words, by process $value->{process}" : "$@";
}

sub _last_lines {
    my ($path, $count) = @_;
    open my $in, '<', $path or return;
    my @lines = <$in>;
    close $in;
    splice @lines, 0, @lines - $count if @lines > $count;
    return @lines;
}

1;
