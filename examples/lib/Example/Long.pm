# SPDX-License-Identifier: Apache-2.0
#
# A long program: started by a handler that does not wait for it, looked at and
# stopped by later requests. Runs in httpd children.

package Example::Long;

use strict;
use warnings;

use Apache2::Spawn ();

use Example::Page qw(code esc form jobs_table redirect refuse show_page site stop_button stop_job);

my $seconds = 30;

my $the_line = <<'END';
my $job = $r->spawn(
    [ "$site/bin/count", 30 ],
    reply => 'started', stdout => ">$output");
# another request, later
Apache2::Spawn->job($id)->kill('TERM');
END

sub handler {
    my ($r) = @_;
    return _show($r) if $r->method ne 'POST';

    my $form = form($r);
    my $error = eval {
        if (($form->{what} || '') eq 'stop') {
            stop_job(site($r) . '/work/long', $form->{id});
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
    my ($table, $busy) = jobs_table(
        site($r) . '/work/long',
        sub {
            my ($job, $status, $output) = @_;
            return (esc(_last_line($output)), $status && $status->state ne 'done' ? stop_button('/long', $job->id) : '');
        },
        'wrote last', ''
    );
    return show_page($r,
        title => 'A long program',
        again => $busy ? 1 : 0,
        about => "<p>A program that counts for $seconds seconds. The handler starts it, is told its pid, and"
            . ' answers; nothing waits for it. It runs on through <code>apachectl graceful</code> and'
            . ' <code>restart</code>. This call does it:</p>' . code($the_line),
        body => '<form method="post" action="/long"><button name="what" value="start">Start one</button></form>',
        jobs => $table);
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
