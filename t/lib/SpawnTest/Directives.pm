# SPDX-License-Identifier: Apache-2.0
#
# The directives of the module, as httpd itself lists them, and what httpd says about
# some lines of a configuration with it. Runs in test scripts; starts no server.

package SpawnTest::Directives;

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Temp qw(tempdir);

use SpawnTest ();

# new: a directory with a configuration.
sub new {
    my ($class) = @_;
    my $dir = abs_path(tempdir(CLEANUP => 1));
    my $mods = $ENV{HTTPD_MODULES} || '/usr/lib/apache2/modules';
    my $self = bless {
        dir => $dir, file => "$dir/httpd.conf", httpd => $ENV{HTTPD} || '/usr/sbin/apache2',
        head => [
            "ServerRoot $dir", 'ServerName localhost', 'Listen 127.0.0.1:1',
            "LoadModule mpm_event_module $mods/mod_mpm_event.so", "LoadModule authz_core_module $mods/mod_authz_core.so",
            'LoadModule spawn_module ' . SpawnTest::build_dir() . '/mod_spawn.so',
            "PidFile $dir/pid", "DefaultRuntimeDir $dir", "ErrorLog $dir/error_log",
        ],
    }, $class;
    return $self;
}

sub _run {
    my ($self, $option, @lines) = @_;
    open my $out, '>', $self->{file} or die "$self->{file}: $!\n";
    print {$out} map {"$_\n"} @{ $self->{head} }, @lines;
    close $out or die "$self->{file}: $!\n";
    my $said = qx($self->{httpd} $option -f $self->{file} 2>&1);
    return ($? >> 8, $said);
}

# Their names; a section's with its "<".
sub names {
    my ($self) = @_;
    my (undef, $said) = $self->_run('-L');
    return $said =~ /^(\S+) \(mod_spawn\.c\)$/mg;
}

# The answer of -t: { taken, said, line }; line counts from 1, in these lines.
sub check {
    my ($self, @lines) = @_;
    my ($code, $said) = $self->_run('-t', @lines);
    my ($line) = $said =~ /line (\d+) of \Q$self->{file}\E/;
    return { taken => $code == 0 && $said =~ /Syntax OK/, said => $said, line => defined $line ? $line - @{ $self->{head} } : 0 };
}

# A directive with an argument, as lines.
sub lines {
    my ($self, $name, $argument) = @_;
    return ("$name $argument>", '</' . substr($name, 1) . '>') if $name =~ /\A</;
    return $argument eq '' ? $name : "$name $argument";
}

# Its page in docs/directives.md: { Syntax, Default, Context, ... }
sub page {
    my ($self, $name) = @_;
    if (!$self->{pages}) {
        my $file = SpawnTest::root_dir() . '/docs/directives.md';
        open my $in, '<', $file or die "$file: $!\n";
        local $/ = undef;
        my $text = <$in>;
        while ($text =~ /^## `?(<?\w+)>?`?\n(.*?)(?=^## |\z)/msg) {
            my ($found, $section) = ($1, $2);
            $self->{pages}{$found} = { $section =~ /^\| (\w+) \| (.+) \|$/mg };
        }
    }
    return $self->{pages}{$name} || {};
}

1;
