# SPDX-License-Identifier: Apache-2.0
#
# Thumbnails: a picture is uploaded or chosen, one ImageMagick job for each
# size is spawned, and the handler answers at once; the page then shows how the
# jobs get on. Runs in httpd children.

package Example::Thumbnails;

use strict;
use warnings;

use Apache2::Spawn ();
use File::Basename qw(basename);
use File::Copy qw(copy);
use JSON::PP ();
use Time::HiRes ();

use Example::Page qw(code esc form job_state redirect refuse show_page site);

my @sizes = (160, 480, 1200);
my $keep = 12;    # pictures on the page

# How a picture begins, and the name of that format for ImageMagick, which is
# told what it gets and guesses nothing.
my %formats = (
    jpeg => qr/\A\xff\xd8\xff/,
    png => qr/\A\x89PNG\r\n/,
    gif => qr/\AGIF8[79]a/,
    webp => qr/\ARIFF....WEBP/s,
);

my $the_line = <<'END';
my $job = $r->spawn(
    [ $convert, "$format:original",
      '-auto-orient', '-thumbnail',
      "${size}x$size", "jpeg:$size.jpg" ],
    queue => 'images', cwd => $directory,
    label => "$name, $size px", stderr => 'log');
END

sub handler {
    my ($r) = @_;
    return _take($r) if $r->method eq 'POST';
    return _show($r);
}

# ---- a new picture ----

sub _take {
    my ($r) = @_;
    my $form = form($r);
    my $sample = $form->{sample};
    my $file = $form->{picture};
    my ($name, $data);
    # a sample is always chosen; a file is one that somebody wants more
    if (ref $file && length $file->{data}) {
        $name = length $file->{name} ? $file->{name} : 'upload';
        $data = $file->{data};
    } elsif (defined $sample && $sample =~ /\A[a-z]+\z/ && -e site($r) . "/samples/$sample.jpg") {
        $name = "$sample.jpg";
        $data = _slurp(site($r) . "/samples/$sample.jpg");
    } else {
        return refuse($r, 'Choose one of the pictures, or a file of your own.');
    }
    my ($format) = grep { $data =~ $formats{$_} } sort keys %formats;
    return refuse($r, "'$name' is no JPEG, PNG, GIF or WebP picture.") if !$format;

    my $error = eval { _spawn_jobs($r, $name, $format, $data); 1 } ? undef : $@;
    return refuse($r, "The jobs were not accepted: $error") if $error;
    return redirect($r, '/thumbnails');
}

sub _spawn_jobs {
    my ($r, $name, $format, $data) = @_;
    my $directory = sprintf '%s/work/pictures/%.6f-%d', site($r), Time::HiRes::time(), $$;
    mkdir $directory or die "$directory: $!\n";
    _write("$directory/original", $data);

    my $convert = $r->dir_config('ExampleConvert');
    my $began = Time::HiRes::time();
    my %jobs;
    for my $size (@sizes) {
        my $job = $r->spawn(
            [ $convert, "$format:original", '-auto-orient', '-thumbnail', "${size}x$size", "jpeg:$size.jpg" ],
            queue => 'images', cwd => $directory, stderr => 'log', label => "$name, $size px");
        $jobs{$size} = $job->id;
    }
    my $took = Time::HiRes::time() - $began;
    _write("$directory/about.json",
        JSON::PP::encode_json({ name => $name, jobs => \%jobs, took => $took }));
    return;
}

# ---- the page ----

sub _show {
    my ($r) = @_;
    my @pictures = _pictures($r);
    my $busy = 0;
    my $rows = '';
    for my $picture (@pictures) {
        my ($cells, $unfinished) = _thumbnails($picture);
        $busy += $unfinished;
        my ($of, $done) = (scalar @sizes, @sizes - $unfinished);
        my $bar = $unfinished ? qq{<p class="small"><progress value="$done" max="$of"></progress> $done of $of are done</p>\n} : '';
        my $name = esc($picture->{name});
        my $took = sprintf '%.2f', 1000 * $picture->{took};
        $rows .= <<"END";
<section class="picture"><h2>$name</h2>
<p class="small">The handler was held for $took ms by starting these three jobs.</p>
$bar<div class="thumbs">$cells</div></section>
END
    }
    my $checked = ' checked';
    my $samples = join '', map {
        my $name = basename($_, '.jpg');
        my $first = $checked;
        $checked = '';
        qq{<label class="sample"><input type="radio" name="sample" value="$name"$first>}
            . qq{<img src="/samples/$name.jpg" alt="$name" width="160" height="120"></label>};
    } sort glob site($r) . '/samples/*.jpg';
    my $form = <<"END";
<form method="post" action="/thumbnails" enctype="multipart/form-data">
<div class="samples">$samples</div>
<p><label>or a file of yours: <input type="file" name="picture" accept="image/*"></label>
<button>Make thumbnails</button></p>
</form>
END
    return show_page($r,
        title => 'Thumbnails',
        again => $busy ? 1 : 0,
        about => '<p>For each picture the handler spawns three ImageMagick jobs in the queue <code>images</code>'
            . ' (two at once) and answers at once. This call does it:</p>' . code($the_line),
        body => $form,
        jobs => $rows);
}

sub _pictures {
    my ($r) = @_;
    my @found = sort { $b cmp $a } glob site($r) . '/work/pictures/*/about.json';
    splice @found, $keep if @found > $keep;
    return map {
        my ($id) = m{([^/]+)/about\.json\z};
        +{ %{ JSON::PP::decode_json(_slurp($_)) }, id => $id }
    } @found;
}

sub _thumbnails {
    my ($picture) = @_;
    my $html = '';
    my $busy = 0;
    for my $size (@sizes) {
        my $status = eval { Apache2::Spawn->job($picture->{jobs}{$size})->status };
        my ($word, $class) = job_state($status);
        $busy++ if $class eq 'busy';
        my $uri = "/pictures/$picture->{id}/$size.jpg";
        my $shown = $class eq 'good'
            ? qq{<a href="$uri"><img src="$uri" alt="$size px"></a>}
            : '<span class="empty"></span>';
        my $elapsed = $status && defined $status->elapsed
            ? sprintf ', %.2f s', $status->elapsed : '';
        $html .= qq{<figure>$shown<figcaption>$size px: <span class="state $class">}
            . esc($word) . "</span>$elapsed</figcaption></figure>";
    }
    return ($html, $busy);
}

# ---- files ----

sub _slurp {
    my ($path) = @_;
    open my $in, '<:raw', $path or die "$path: $!\n";
    local $/ = undef;
    return scalar <$in>;
}

# Whole or not at all.
sub _write {
    my ($path, $data) = @_;
    open my $out, '>:raw', "$path.part" or die "$path.part: $!\n";
    print {$out} $data or die "$path.part: $!\n";
    close $out or die "$path.part: $!\n";
    rename "$path.part", $path or die "$path: $!\n";
    return;
}

1;
