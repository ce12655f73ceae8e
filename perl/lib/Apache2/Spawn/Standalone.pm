package Apache2::Spawn::Standalone;

# Starts a pair without httpd, by the program spawn-standalone, and holds the lock that keeps
# it. Runs in scripts. Must not be used inside httpd, which has a pair of its own.

use strict;
use warnings;

our $VERSION = '0.1.0';

use Errno qw(EPERM);
use Fcntl qw(:flock O_CREAT O_NOFOLLOW O_RDWR);

use constant WRONG_USE => 2;    # of spawn-standalone

my %option = map { $_ => 1 } qw(idle max_jobs perl inc preload require program timeout);
my %held;    # directory => the handle with our lock

sub _refuse { return Apache2::Spawn::Error::_throw('invalid', "standalone: $_[0]") }

# The program beside those of PATH.
sub _program {
    for my $dir (split(/:/, $ENV{PATH} || ''), qw(/usr/local/bin /usr/bin)) {
        return "$dir/spawn-standalone" if $dir =~ m{\A/} && -x "$dir/spawn-standalone";
    }
    return Apache2::Spawn::Error::_throw('system', 'standalone: the program spawn-standalone is not in PATH; install mod_spawn, or name it by the option program');
}

# Users lock before they look for the socket: so the pair does not end meanwhile.
sub _hold {
    my ($dir) = @_;
    return if $held{$dir};
    mkdir $dir, 0700;
    my $owner = (lstat $dir)[4];
    Apache2::Spawn::Error::_throw('system', "standalone: $dir belongs to another account", errno => EPERM) if defined $owner && $owner != $>;
    sysopen my $users, "$dir/users", O_CREAT | O_RDWR | O_NOFOLLOW, 0600
        or Apache2::Spawn::Error::_throw('system', "standalone: $dir/users: $!", errno => $! + 0);
    until (flock $users, LOCK_SH) {
        next if $!{EINTR};    # a handler of %SIG ran
        Apache2::Spawn::Error::_throw('system', "standalone: $dir/users: $!", errno => $! + 0);
    }
    $held{$dir} = $users;
    return;
}

# What it prints is why it has failed.
sub _run {
    my (@command) = @_;
    local $SIG{CHLD} = 'DEFAULT';
    my $pid = open my $out, '-|';
    defined $pid or return Apache2::Spawn::Error::_throw('system', "standalone: fork: $!", errno => $! + 0);
    if ($pid == 0) {
        open STDERR, '>&', \*STDOUT;
        no warnings 'exec';
        exec { $command[0] } @command or print {*STDERR} "$command[0]: $!\n";
        require POSIX;
        POSIX::_exit(127);
    }
    my $text = do { local $/ = undef; <$out> };
    return if close $out;
    $text = '' if !defined $text;
    $text =~ s/\Aspawn-standalone: |\n\z//g;
    return Apache2::Spawn::Error::_throw('unreachable', "standalone: $text") if $? >> 8 != WRONG_USE;
    $text =~ s/\A--([\w-]+)/$1 =~ tr{-}{_}r/e;
    return _refuse($text =~ s/\n.*//sr);
}

sub _without_slashes { return $_[0] =~ s{(?<=.)/+\z}{}r }

sub _list { return ref $_[0] ? @{ $_[0] } : defined $_[0] ? $_[0] : () }

# The path of the socket of a pair that is ready.
sub start {
    my ($dir, %given) = @_;
    _refuse('not inside httpd, which has a pair of its own, and must not fork: use the class methods') if Apache2::Spawn::_inside_httpd();
    my ($unknown) = grep { !$option{$_} } sort keys %given;
    Apache2::Spawn::Error::_throw('unknown_option', "standalone: '$unknown' is no option; there are " . join ', ', sort keys %option)
        if defined $unknown;
    _refuse('wanted: a directory, by its absolute path') if !defined $dir || $dir !~ m{\A/};
    $dir = _without_slashes($dir);
    _hold($dir);
    my @inc = exists $given{inc} ? _list($given{inc}) : grep { !ref && m{\A/} } @INC;
    my @command = (defined $given{program} ? $given{program} : _program());
    push @command, "--idle=$given{idle}" if defined $given{idle};
    push @command, "--max-jobs=$given{max_jobs}" if defined $given{max_jobs};
    push @command, '--perl=' . (defined $given{perl} ? $given{perl} : $^X);
    push @command, map {"--inc=$_"} @inc;
    push @command, map {"--preload=$_"} _list($given{preload});
    push @command, "--require=$given{require}" if defined $given{require};
    _run(@command, '--', $dir);
    return "$dir/socket";
}

# For SPAWN_STANDALONE. A process that another one has executed has that one's SPAWN_SOCKET, and
# no lock.
sub _by_environment {
    my $dir = $ENV{SPAWN_STANDALONE};
    local ($!, $?);
    return if defined $ENV{SPAWN_SOCKET} && $ENV{SPAWN_SOCKET} ne _without_slashes($dir) . '/socket';
    $ENV{SPAWN_SOCKET} = start($dir);    ## no critic (RequireLocalizedPunctuationVars)
    return;
}

# We use it no more; it may end when others do not either.
sub release {
    my ($class, $dir) = @_;
    return defined delete $held{ _without_slashes($dir) };
}

1;

__END__

=encoding UTF-8

=head1 NAME

Apache2::Spawn::Standalone - jobs without httpd

=head1 SYNOPSIS

    use Apache2::Spawn ();

    my $spawn = Apache2::Spawn->standalone("$ENV{HOME}/.spawn", preload => 'My::Report');
    print $spawn->run([ '/usr/bin/convert', @what ])->stdout;
    my $sum = $spawn->call('My::Report::build', [ 2026 ]);

    SPAWN_STANDALONE=/home/anna/.spawn plackup app.psgi

=head1 DESCRIPTION

For scripts, cron jobs of a machine without httpd, development, C<plackup> and test suites:
spawner and broker are started for a directory, unless it has them, and end by themselves
when nobody has used them for a while. All that L<Apache2::Spawn> says of jobs holds, with one queue, C<default>,
and one template, C<app>, an C<exec> template.

=head2 Apache2::Spawn->standalone($dir, %options)

Returns an object as L<Apache2::Spawn/connect> does, of the pair of this directory (an absolute path, at most
99 bytes without its symbolic links). It is made
when it is not there (its parent has to be), and must belong to the caller and be writable for nobody else. All processes of
this account that name the same directory have the same pair; the first one starts it, also when several come at
once, and its options count. The call returns when the pair is ready.

=over

=item C<idle> => time

So long after its last use the pair ends: when no process lives that has called C<standalone> for the directory
(nor a child that it forked), and no job runs or waits. More than none. Default: 5 minutes.

=item C<max_jobs> => number

So many jobs at once, 1 to 10000. Default: 10.

=item C<perl>, C<inc>, C<preload>, C<require>

The template C<app>: the perl (default: the caller's own), the directories of its C<@INC> (a path or a list; default: the caller's
absolute ones), modules that it loads (a name or a list; default: none), a Perl file that it loads. C<inc> and C<preload>
have at most 64 entries each; so a caller with more directories in C<@INC> has to give C<inc>.

=item C<program> => path

The program F<spawn-standalone>. Default: that of C<PATH>. It is in Debian's package C<libapache2-mod-spawn>,
not in that of these modules.

=item C<timeout> => time

As that of C<connect>. Default: 5 s.

=back

Throws C<invalid> (the directory, an option's value, or inside httpd), C<unknown_option>, C<system>, and C<unreachable> when the pair cannot be
started: the text says why, and the file F<log> in the directory says more.

When the environment variable C<SPAWN_STANDALONE> names a directory, and C<SPAWN_SOCKET> is not set, C<use Apache2::Spawn> calls this
with it, without options, sets C<SPAWN_SOCKET>, and class methods use that pair. A program that such a process executes has
both variables, and uses the pair in the same way when it loads Apache2::Spawn. An empty value is none.

C<$?> and C<$!> are left alone.

=head2 Apache2::Spawn::Standalone->release($dir)

This process uses the pair of the directory no more: it may end, as when the process had ended. True when it
had used it. Objects of C<standalone> stay, and find the pair as long as it is there.

=head2 What is different

The pair has no account of its own: jobs run as the caller, so it is refused as root. There is no C<SpawnAllow>,
C<SpawnUser> or other rule of httpd.conf, no recurring job, no workers, and no status page; F<spawnctl --standalone DIR> shows and controls jobs.
C<< reply => 'posted' >> is sent as C<accepted>, as by every caller outside httpd. Nothing starts the pair after a reboot: jobs that wait then start with the next use.

When the pair's parent is killed, running jobs go on and are finished; a new pair for the directory can be started when they have
ended, and C<standalone> waits 10 s for that.

=head1 SEE ALSO

L<Apache2::Spawn>, L<Apache2::Spawn::Test>, which needs no processes at all, spawn-standalone(1).

=cut
