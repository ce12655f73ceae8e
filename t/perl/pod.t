#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The POD is well-formed, names every option, error code and step there is,
# has their defaults, and covers every method.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Test::More;
use File::Find ();
use Pod::Checker ();

my $root = "$FindBin::Bin/../..";
my @modules;
File::Find::find({ no_chdir => 1, wanted => sub { push @modules, $_ if /\.(?:pm|pod)\z/ } }, "$root/perl/lib");
ok @modules >= 5, 'the modules';

sub slurp {
    my ($path) = @_;
    open my $in, '<', $path or die "$path: $!";
    local $/ = undef;
    return scalar <$in>;
}

for my $path (sort @modules) {
    my $checker = Pod::Checker->new(-warnings => 1);
    open my $sink, '>', \my $said or die $!;
    $checker->parse_from_file($path, $sink);
    is $checker->num_errors, 0, "$path: no errors" or diag $said;
    is $checker->num_warnings, 0, "$path: no warnings" or diag $said;
    my $text = slurp($path);
    ok $text =~ m/^=head1 NAME\n\n\S+ - \S/m, "$path: a name";
    ok $text =~ m/^=head1 SYNOPSIS$/m, "$path: a synopsis";
    next if $path =~ /\.pod\z/;
    my ($release) = slurp("$root/common/spawn_release.h") =~ /SPAWN_RELEASE "([^"]+)"/;
    ok $text =~ m/^our \$VERSION = '\Q$release\E';$/m, "$path: the release";
}

my $pod = slurp("$root/perl/lib/Apache2/Spawn.pm");
my $options_pod = slurp("$root/perl/lib/Apache2/Spawn/Options.pod");
my $error_pod = slurp("$root/perl/lib/Apache2/Spawn/Error.pm");

my ($fields) = slurp("$root/common/spawn_field.h") =~ /define SPAWN_FIELD_LIST\(X\)(.*?)\n\n/s;
my @fields = $fields =~ /X\(\w+, "(\w+)"/g;
ok @fields > 20, 'the options';
for my $name (@fields) {
    ok $options_pod =~ m/^=item (?:.*, )?C<$name> =>/m, "option $name";
}
my @items = map { /C<(\w+)> =>/g } $options_pod =~ /^(=item .*=>.*)$/mg;
my @own = qw(want objects until);    # no fields: two are in WANT, and one is the connection's
is_deeply [sort @items], [sort @fields, @own], 'no option that is not there';

my $errors = slurp("$root/common/spawn_error.h");
my ($codes) = $errors =~ /define SPAWN_ERROR_LIST\(X\)(.*?)\n\n/s;
for my $name ($codes =~ /X\(\d+, \w+, "(\w+)"/g) {
    ok $pod =~ m/^    $name\s+\S/m, "code $name in Apache2::Spawn";
    ok $error_pod =~ m/^=item C<$name>$/m, "code $name in Apache2::Spawn::Error";
}
my ($steps) = $errors =~ /define SPAWN_STEP_LIST\(X\)(.*?)\n\n/s;
for my $name ($steps =~ /X\(\d+, \w+, "(\w+)"/g) {
    ok $error_pod =~ m/C<$name>/, "step $name";
}
my ($outcomes) = $errors =~ /define SPAWN_OUTCOME_LIST\(X\)(.*?)\n\n/s;
my $result_pod = slurp("$root/perl/lib/Apache2/Spawn/Result.pm");
for my $name (grep { $_ ne 'none' } $outcomes =~ /X\(\d+, \w+, "([^"]+)"/g) {
    ok $result_pod =~ m/C<$name>/, "outcome $name";
}

# what a user of mod_perl looks for
my %section = map { /\A(.+)\n/ ? ($1 => $') : () } split /^=head[12] /m, $pod;
like $section{'THE PROBLEM'}, qr/default\s+template,\s+C<app>,\s+is\s+httpd's\s+own\s+Perl/, 'app is httpd\'s own Perl';
like $section{'Where they run'}, qr/C<app>,\s+is\s+of\s+the\s+kind\s+C<parent>:\s+httpd's\s+own\s+Perl/, '... there, too';
like $section{SYNOPSIS}, qr/spawn_cleanup\(.*only_if => 'success'/, 'only_if in an example';
my ($values) = $pod =~ /C<only_if>,\s+which\s+is\s+(.*?)\./s;
my ($kinds) = slurp("$root/perl/xs/cleanup.c") =~ m{\[\] = \{(.*?"aborted".*?)\}}s;
is_deeply [ 'always', $values =~ /C<(\w+)>/g ], [ $kinds =~ /"(\w+)"/g ], '... and all that it can be';

# one class says of the other's method what that does without a job
my ($job_method) = $pod =~ /^=head2 job\n(.*?)^=head2/ms;
my $current_pod = slurp("$root/perl/lib/Apache2/Spawn/Current.pm");
my ($current_job) = $current_pod =~ /^=item job\n(.*?)^=item/ms;
like $_, qr/throws\s+C<invalid>/, 'Apache2::Spawn->job without a job throws' for $job_method, $current_job;

# nothing is preloaded into app, the default template
for my $path (sort @modules) {
    unlike slurp($path), qr/template\s+has\s+not\s+preloaded/, "$path: a module that a template has, or has not";
}

# methods
require Apache2::Spawn;
require Apache2::Spawn::Process;
require Apache2::Spawn::Template;
for my $class (qw(Apache2::Spawn Apache2::Spawn::Job Apache2::Spawn::Result Apache2::Spawn::Error
    Apache2::Spawn::Pipe Apache2::Spawn::Process Apache2::Spawn::Template Apache2::Spawn::Current)) {
    (my $file = "$root/perl/lib/$class.pm") =~ s{::}{/}g;
    my $text = slurp($file);
    no strict 'refs';
    for my $name (sort grep { defined &{"${class}::$_"} && /\A[a-z]/ && $_ ne 'bootstrap' } keys %{"${class}::"}) {
        ok $text =~ m/^=(?:head2|item) .*\b$name\b/m, "$class: $name";
    }
}

done_testing;
