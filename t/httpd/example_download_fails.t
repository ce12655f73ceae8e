#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A download of the example site that cannot be started is refused with a page; what goes wrong
# when the file is sent already is in the error log, and not behind the file.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm root_dir);

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm());
my $site = $httpd->dir . '/site';
for my $dir ($site, "$site/work", "$site/work/download", "$site/samples") {
    mkdir $dir or die "$dir: $!\n";
}
chmod 0777, "$site/work/download" or die "chmod: $!\n";
$httpd->file('../site/samples/a.jpg', 'a picture');

# an error before the answer began, or as the broker's when the whole of it was sent
$httpd->file('../perl/MyStream.pm', <<'END');
package MyStream;
use strict;
use warnings;
use Apache2::Spawn ();
my $stream = \&Apache2::RequestRec::spawn_stream;
no warnings 'redefine';
*Apache2::RequestRec::spawn_stream = sub {
    my ($r, @job) = @_;
    my $args = $r->args || '';
    die "before\n" if $args eq 'before';
    my $res = $stream->($r, @job);
    die "after\n" if $args eq 'after';
    return $res;
};
1;
END
$httpd->{switches} = '-I' . root_dir() . '/examples/lib';
$httpd->{conf} = <<"END";
PerlModule MyStream
PerlModule Example::Download
<Location /download>
    SetHandler modperl
    PerlResponseHandler Example::Download
    PerlSetVar ExampleSite $site
</Location>
END
$httpd->start;

sub is_archive {
    my ($text) = @_;
    open my $gzip, '|-', 'gzip -t 2>&1' or die "gzip: $!\n";
    print {$gzip} $text;
    return close $gzip;
}

my $whole = $httpd->get('/download/pictures.tar.gz');
is $whole->{status}, 200, 'a download' or diag $httpd->tail;
ok is_archive($whole->{content}), '... is an archive';

my $before = $httpd->get('/download/pictures.tar.gz?before');
is $before->{status}, 400, 'one that cannot be started is refused';
like $before->{content}, qr/<p>before\b/, '... with a page that says why';
is $before->{headers}{'content-disposition'}, undef, '... which is no file';

my $after = $httpd->get('/download/pictures.tar.gz?after');
is $after->{status}, 200, 'an error when all has been sent: the answer has begun';
ok is_archive($after->{content}), '... and nothing comes behind the file' or diag substr $after->{content}, -100;
ok $httpd->wait_for_log(qr/pictures[.]tar[.]gz: after$/m), '... and the log has it' or diag $httpd->tail;
done_testing;
