# SPDX-License-Identifier: Apache-2.0
#
# Downloads that a program writes while they are sent: nothing is kept in memory or in a file
# before. Runs in httpd children.

package Example::Download;

use strict;
use warnings;

use Apache2::Const -compile => qw(OK NOT_FOUND);
use Apache2::Log ();
use Apache2::RequestRec ();
use APR::Table ();

use Apache2::Spawn ();

use Example::Page qw(code esc jobs_table refuse show_page site);

# A file's name: its type, the program, which begins in the site's directory, and whether a
# browser is to show it.
my %files = (
    'pictures.tar.gz' => {
        type => 'application/gzip',
        about => 'the sample pictures of this site, packed while they are sent',
        argv => [qw(/bin/tar -cz samples)],
    },
    'count.txt' => {
        type => 'text/plain',
        shown => 1,
        about => 'a program that counts to ten: its lines come as it writes them. Leave in the middle, and it is ended',
        argv => [qw(bin/count 10)],
    },
);

my $the_line = <<'END';
$r->headers_out->set(
    'Content-Disposition' =>
    'attachment; filename="pictures.tar.gz"');
my $res = $r->spawn_stream(
    [ '/bin/tar', '-cz', 'samples' ],
    cwd => $site, timeout => '2min',
    content_type => 'application/gzip');
$r->log_error('tar: ' . $res->outcome)
    if !$res->ok;
END

sub handler {
    my ($r) = @_;
    my ($name) = $r->uri =~ m{\A/download/(.+)\z};
    return _show($r) if !defined $name;
    my $file = $files{$name};
    return Apache2::Const::NOT_FOUND if !$file;

    $r->headers_out->set('Content-Disposition' => qq{attachment; filename="$name"}) if !$file->{shown};
    $r->headers_out->set('Cache-Control' => 'no-store');
    my $res = eval {
        $r->spawn_stream($file->{argv}, cwd => site($r), content_type => $file->{type}, timeout => '2min', label => $name);
    };
    if (!$res) {
        my $error = $@;
        if ($r->bytes_sent) {    # a page behind a part of the file, or the whole, would be in the file
            $r->log_error("$name: $error" =~ s/\n\z//r);
            return Apache2::Const::OK;
        }
        $r->headers_out->unset('Content-Disposition');
        return refuse($r, $error);
    }
    $r->log_error("$name: " . $res->outcome) if !$res->ok;
    # the job's id is the name of a file, so that the page knows what to show
    open my $out, '>', site($r) . '/work/download/' . $res->id or return Apache2::Const::OK;
    print {$out} $name;
    close $out;
    return Apache2::Const::OK;
}

sub _show {
    my ($r) = @_;
    my ($table) = jobs_table(
        site($r) . '/work/download',
        sub { my ($job, $status, $path) = @_; return esc(_name($path)) },
        'file'
    );
    my $links = join '', map {
        my $name = esc($_);
        qq{<a class="card" href="/download/$name"><h2>$name</h2><p>} . esc(ucfirst $files{$_}{about}) . '.</p></a>'
    } sort { $b cmp $a } keys %files;
    return show_page($r,
        title => 'Downloads',
        about => '<p>What a program writes is the answer, as it comes. The spawner starts it, so no child of httpd'
            . ' forks; the first byte is sent before the last one is written; and when the visitor leaves, the program'
            . ' is ended. These lines do it:</p>' . code($the_line),
        body => qq{<div class="cards">$links</div>},
        jobs => $table && "<h2>Downloads that have ended</h2>$table");
}

sub _name {
    my ($path) = @_;
    open my $in, '<', $path or return '';
    my $name = <$in>;
    return defined $name ? $name : '';
}

1;
