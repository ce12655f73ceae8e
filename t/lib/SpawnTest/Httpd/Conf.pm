# SPDX-License-Identifier: Apache-2.0
#
# The part of SpawnTest::Httpd that knows what httpd is installed and writes its
# httpd.conf.

package SpawnTest::Httpd::Conf;

use strict;
use warnings;

my %modules;

sub _modules_dir {
    return $modules{dir} ||= do {
        my $dir = `apxs -q LIBEXECDIR`;
        chomp $dir;
        die "apxs does not tell where httpd's modules are\n" if !-d $dir;
        $dir;
    };
}

sub _program {
    return $modules{program} ||= do {
        chomp(my $dir = `apxs -q SBINDIR`);
        chomp(my $name = `apxs -q PROGNAME`);
        my ($found) = grep { -x } "$dir/$name", '/usr/sbin/apache2', '/usr/sbin/httpd';
        $found or die "httpd was not found\n";
    };
}

# Can it be loaded, or is it built in?
sub has_module {
    my ($class, $name) = @_;
    return -e _modules_dir() . "/mod_$name.so";
}

# Text of httpd.conf's own part.
sub conf_text {
    my ($self) = @_;
    my $dir = $self->{dir};
    my $n = $self->{children};
    my $load = join '', map { _load($_) } "mpm_$self->{mpm}", qw(unixd authz_core perl);
    # A test waits for answers longer than a visitor of a site would, unless it looks
    # at that: the last SpawnSubmitTimeout counts.
    $load .= "LoadModule spawn_module $self->{module}\nSpawnSubmitTimeout 60\n" if $self->{spawn};
    my $user = $< == 0 && !defined $self->{as}
        ? 'User ' . $self->user . "\nGroup " . getgrgid($self->gid) . "\n"
        : '';
    my $threads = $n < 8 ? 8 : $n;
    my $mpm = $self->{mpm} eq 'prefork'
        ? "StartServers 2\nMinSpareServers 1\nMaxSpareServers $n\n"
        . "ServerLimit $n\nMaxRequestWorkers $n\n"
        : "StartServers 1\nServerLimit 2\nThreadsPerChild $threads\n"
        . 'MaxRequestWorkers ' . 2 * $threads . "\nMinSpareThreads 1\n"
        . 'MaxSpareThreads ' . 2 * $threads . "\n"
        . "PerlInterpStart 1\nPerlInterpMinSpare 1\nPerlInterpMaxSpare 3\nPerlInterpMax 4\n";
    my $with = $self->{spawn} ? "PerlModule Apache2::Spawn\n" : '';
    my $switches = defined $self->{switches} ? $self->{switches} : '';
    my $lib = defined $self->{lib} ? " -I$self->{lib}" : '';
    my $perl = $self->{handlers} ? <<"END" : '';
PerlSwitches -I$dir/perl$lib $switches
$with
PerlModule SpawnTest::Handlers
<Perl>
no warnings;
$self->{perl}
1;
</Perl>
<Location /do>
    SetHandler modperl
    PerlResponseHandler SpawnTest::Handlers
</Location>
END
    return <<"END";
ServerRoot $dir
ServerName 127.0.0.1
Listen 127.0.0.1:$self->{port}
PidFile $dir/httpd.pid
DefaultRuntimeDir $self->{runtime}
DocumentRoot $dir/htdocs
ErrorLog $dir/error_log
LogLevel info
KeepAlive Off
Timeout 120
GracefulShutdownTimeout 30
$load$user$mpm
$perl
$self->{conf}
END
}

# For conf: httpd looks whether its templates live in every tenth round of its loop, and
# a round sleeps a second unless a child has ended. This has twelve children that end and
# are started again at once, so that it looks every second.
sub rounds_are_short {
    my $logs = qq{CustomLog "||/bin/true" "%h"\n} x 12;
    return "<IfModule log_config_module>\n${logs}LogLevel core:crit\n</IfModule>\n";
}

sub write_conf {
    my ($self) = @_;
    open my $out, '>', $self->conf_file or die $self->conf_file . ": $!\n";
    print {$out} $self->conf_text;
    close $out or die $self->conf_file . ": $!\n";
    # another account may start httpd, whatever our umask
    chmod 0644, $self->conf_file or die $self->conf_file . ": $!\n";
    return;
}

sub _load {
    my ($name) = @_;
    my $file = _modules_dir() . "/mod_$name.so";
    return -e $file ? "<IfModule !${name}_module>\nLoadModule ${name}_module $file\n</IfModule>\n" : '';
}

1;
