#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Style sheet, script and icon of the status page come out of the module, with their
# types; who has them gets 304, by their ETag. The page loads these and nothing else.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm root_dir);

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm(), handlers => 0, conf => <<'END')->start;
SpawnSubmitTimeout 30s
<Location /spawn-status>
    SetHandler spawn-status
</Location>
END
my $page = $httpd->get('/spawn-status')->{content};
my %loads = map { s/&amp;/&/gr => 1 } $page =~ /<(?:link|script)\b[^>]*(?:href|src)="([^"]*)"/g;
is scalar(keys %loads), 3, 'what the page loads';
unlike $page, qr{(?:src|href)="(?:https?:)?//}, '... is nothing from elsewhere';

my %type = ('style.css' => 'text/css; charset=utf-8', 'live.js' => 'text/javascript; charset=utf-8', 'icon.svg' => 'image/svg+xml');
for my $address (sort keys %loads) {
    my ($name) = $address =~ /\A\?file=([\w.]+)&v=\w+\z/ or fail "$address: of what kind?";
    my $is = $httpd->get("/spawn-status$address");
    open my $in, '<:raw', root_dir() . "/module/status/$name" or die "$name: $!\n";
    my $text = do { local $/ = undef; <$in> };
    ok $is->{content} eq $text, "$name: as it is in its folder";
    is $is->{headers}{'content-type'}, $type{$name}, '... with its type';
    is $is->{headers}{'x-content-type-options'}, 'nosniff', '... and no other';
    my $tag = $is->{headers}{etag};
    like $tag, qr/\A"\w+"\z/, '... and an ETag';
    my $ask = sub {
        my ($known) = @_;
        return HTTP::Tiny->new(timeout => 120)->get($httpd->url("/spawn-status$address"), { headers => { 'If-None-Match' => $known } });
    };
    is $ask->($tag)->{status}, 304, '... who has it gets no other';
    is $ask->('"x"')->{status}, 200, '... who has another one gets it';
}
done_testing;
