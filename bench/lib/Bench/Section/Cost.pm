# SPDX-License-Identifier: Apache-2.0
#
# Section 5: what mod_spawn costs who does not use it: requests a second with and
# without the module, and the time that httpd needs to start. Without is measured
# twice, by two httpds: what they differ by is noise. Runs in bench/run.

package Bench::Section::Cost;

use strict;
use warnings;

use Bench::Beside qw(load);
use Bench::Httpd ();
use SpawnTest::Wait qw(now);

use constant CHILDREN => 8;

my @variants = ([ with => 1 ], [ without => 0 ], [ without_too => 0 ]);

sub run {
    my ($class, $bench) = @_;
    $bench->tell('cost: requests');
    _requests($bench);
    $bench->tell('cost: start');
    _start($bench);
    return;
}

sub _requests {
    my ($bench) = @_;
    my (@cases, @httpds);
    for my $variant (@variants) {
        my ($name, $spawn) = @{$variant};
        my $httpd = Bench::Httpd->new(children => CHILDREN, spawn => $spawn)->start;
        push @httpds, $httpd;
        $httpd->wait_for_children;
        push @cases, sub {
            my $got = load($httpd, $httpd->action('nothing'), connections => CHILDREN,
                seconds => $bench->either(1, 0.3));
            $bench->figure("requests/$name/rate", '/s', $got->{rate});
            $bench->times("requests/$name", @{ $got->{latency} });
        };
    }
    $bench->rounds($bench->either(7, 3), @cases);
    $_->clean for @httpds;
    return;
}

# From the start of httpd to the birth of its first child, which writes down the
# time itself.
sub _start {
    my ($bench) = @_;
    my @cases;
    for my $variant (@variants) {
        my ($name, $spawn) = @{$variant};
        push @cases, sub {
            my $httpd = Bench::Httpd->new(spawn => $spawn);
            my $file = $httpd->work . '/born';
            $httpd->{perl} .= "\$Bench::Handler::born = '$file';\n";
            my $from = now();
            $httpd->start;
            $httpd->wait_for_children;
            open my $in, '<', $file or die "$file: $!\n";
            my $born = <$in>;
            close $in;
            $bench->figure("start/$name", 'ms', 1000 * ($born - $from));
            $httpd->clean;
        };
    }
    $bench->rounds($bench->either(5, 1), @cases);
    return;
}

1;
