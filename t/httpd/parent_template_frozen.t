#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A template of the kind parent shares its memory with httpd, and is frozen when the
# configuration says so: with memory= for one, with SpawnTemplateMemory for all that
# say nothing. It serves as before, after each restart as it is said then.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm not_sanitized wait_until);
use SpawnTest::Calls ();
use SpawnTest::Frozen qw(frozen functions memory_of sizes);
use SpawnTest::ParentTemplate qw(templates_of);

not_sanitized('a sanitizer\'s memory is not moved');
my $exec = 'SpawnTemplate tools exec preload=SpawnTest::Functions inc=@INC@';

# Sums of kB that are frozen in the one template of that name, when there is one.
sub frozen_in {
    my ($httpd, $name) = @_;
    my @pids = wait_until(sub { templates_of($httpd, $name) == 1 }, 20) ? templates_of($httpd, $name) : ();
    return sizes(map { frozen(memory_of($_)) } @pids);
}

sub calls {
    my ($httpd) = @_;
    return join q{ }, map {
        SpawnTest::Calls->ask($httpd, 'Apache2::Spawn->call("SpawnTest::Functions::sum", [ 1 .. 4 ], template => $_[0])', $_)
            ->{values}[0] || 'none'
    } qw(app other tools);
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Calls->httpd(mpm => $mpm,
            templates => "$exec\nSpawnTemplate other parent memory=frozen\nPerlModule SpawnTest::Functions\n",
            perl => functions())->start;
        is calls($httpd), '10 10 10', 'both kinds are called';
        is frozen_in($httpd, 'app')->{Size}, 0, 'one of httpd\'s shares its memory with httpd';
        cmp_ok frozen_in($httpd, 'other')->{Size}, '>', 5000, 'memory=frozen: it has its own';
        my $job = SpawnTest::Calls->ask($httpd, <<'END')->{values}[0];
return Apache2::Spawn->call('My::Frozen::smaps', [], template => 'other');
END
        cmp_ok sizes(frozen($job))->{Size}, '>', 5000, '... and its jobs';
        cmp_ok sizes(frozen($job))->{Anonymous}, '<', 3000, '... which have for themselves what they write';
        is calls($httpd), '10 10 10', 'both kinds are called again';

        (my $conf = $httpd->{conf}) =~ s/memory=frozen//;
        for my $memory (qw(frozen shared)) {
            my %old = map { $_ => templates_of($httpd, $_) } qw(app other);
            $httpd->{conf} = "SpawnTemplateMemory $memory\n$conf";
            $httpd->graceful;
            ok wait_until(sub { !grep { (templates_of($httpd, $_))[0] == $old{$_} } qw(app other) }, 20),
                "SpawnTemplateMemory $memory, and a graceful restart";
            is calls($httpd), '10 10 10', '... both kinds are called';
            is(frozen_in($httpd, $_)->{Size} > 5000 ? 'frozen' : 'shared', $memory, "... as $_ is") for qw(app other);
        }
        unlike $httpd->error_log, qr/MS0691/, 'nothing is told';
    }
);
done_testing;
