# SPDX-License-Identifier: Apache-2.0
#
# The common part of all httpd tests: where the build is, which MPMs to try, and
# the words that make a test file short. Runs in test scripts only.

package SpawnTest;

use strict;
use warnings;

use Exporter 'import';
use File::Basename qw(dirname);
use File::Spec ();
use Test::More ();

use SpawnTest::Ctl ();
use SpawnTest::Gate ();
use SpawnTest::Httpd ();
use SpawnTest::Wait qw(wait_until);

our @EXPORT_OK = qw(build_dir root_dir sanitized not_sanitized mpms each_mpm one_mpm wait_until is_error);

my $root = File::Spec->rel2abs(dirname(__FILE__) . '/../..');

# The top of the checkout.
sub root_dir { return $root }

# Where make put what it built: SPAWN_BUILD, or build/ in the checkout.
sub build_dir {
    my $build = defined $ENV{SPAWN_BUILD} ? $ENV{SPAWN_BUILD} : 'build';
    return File::Spec->rel2abs($build, $root);
}

# Of a build with sanitizers: the perl that has what its libraries need; else undef.
sub sanitized {
    my $perl = build_dir() . '/perl-sanitized';
    return -x $perl ? $perl : undef;
}

# Leaves the test out where a sanitizer is in what it looks at, and says why.
sub not_sanitized {
    my ($why) = @_;
    Test::More::plan(skip_all => "with sanitizers: $why") if sanitized();
    return;
}

# The MPMs that a test goes through: SPAWN_MPMS ("prefork event"), or all
# three, of those that this httpd has.
my %said;

sub mpms {
    my @wanted = split /[\s,]+/, $ENV{SPAWN_MPMS} || 'prefork worker event';
    for my $mpm (grep { !SpawnTest::Httpd->has_module("mpm_$_") } @wanted) {
        Test::More::note("left out: this httpd has no MPM $mpm") if !$said{$mpm}++;
    }
    return _mpms_there(@wanted);
}

sub _mpms_there { return grep { SpawnTest::Httpd->has_module("mpm_$_") } @_ }

# One of them, for what has nothing to do with the MPM: event if it is there.
sub one_mpm {
    return (_mpms_there(split /[\s,]+/, $ENV{SPAWN_MPMS} || 'prefork worker event'))[-1];
}

# Runs a subtest for each MPM; the code gets its name.
sub each_mpm {
    my ($code) = @_;
    for my $mpm (mpms()) {
        Test::More::subtest("with $mpm", sub { $code->($mpm) });
    }
    return;
}

# Is the answer of an action an error with this code (and step, and errno)?
sub is_error {
    my ($answer, $code, $step, $errno, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $error = ref $answer eq 'HASH' ? $answer->{error} : undef;
    if (!$error) {
        Test::More::fail($name);
        Test::More::diag('no error, but: ', Test::More::explain($answer));
        return;
    }
    my %got = (code => $error->{code});
    my %want = (code => $code);
    if (defined $step) {
        $got{step} = $error->{step};
        $want{step} = $step;
    }
    if (defined $errno) {
        $got{errno} = $error->{errno};
        $want{errno} = $errno;
    }
    return Test::More::is_deeply(\%got, \%want, $name)
        || Test::More::diag('text: ', $error->{text});
}

1;
