# SPDX-License-Identifier: Apache-2.0
#
# A small Debian in namespaces of its own, for tests of packages: processes, loopback and
# an overlay of a tree that debootstrap made. What is installed, started or written in it
# is gone with it, and all its processes are. Runs in test scripts, as root. Must touch
# neither the machine's packages nor its services.
#
# SPAWN_CHROOT  such a tree, which is then not made; nothing is written to it

package SpawnTest::Chroot;

use strict;
use warnings;

use File::Temp ();
use POSIX ();
use Test::More ();

use SpawnTest::OwnRoot qw(devices enter overlay_fails);
use SpawnTest::Process qw(children_of);
use SpawnTest::Wait qw(wait_until);

use constant UP_SECONDS => 60;

my ($base, %all);

# In the first line of a test or a subtest: skips it where this cannot be.
sub begin {
    my ($class) = @_;
    return if $base;
    my @there = grep { -x } map { my $name = $_; map { "$_/$name" } qw(/usr/sbin /usr/bin) } qw(debootstrap apt-get);
    my $why = $> != 0 ? 'a Debian of its own needs root'
        : @there < 2  ? 'there is no debootstrap, or no apt-get'
        : overlay_fails()
        ? 'namespaces, or an overlay in them, cannot be made'
        : undef;
    Test::More::plan(skip_all => $why) if $why;
    $base = $ENV{SPAWN_CHROOT} || _debootstrap();
    return;
}

# Where apt has Debian from, of the release that runs here.
sub _debootstrap {
    my ($site, $codename) = split ' ', _targets('$(SITE) $(CODENAME)');
    Test::More::plan(skip_all => 'apt knows no Debian') if !$codename;
    my $dir = File::Temp::tempdir('spawn-debian-XXXXXXXX', DIR => '/tmp', CLEANUP => 1);
    my $said = `debootstrap --variant=minbase '$codename' $dir '$site' 2>&1`;
    Test::More::plan(skip_all => 'debootstrap: ' . (split /\n/, $said)[-1]) if $? != 0;
    return $dir;
}

sub _targets {
    my ($format) = @_;
    return scalar `apt-get indextargets --format '$format' 'Created-By: Packages' 'Origin: Debian' 2>/dev/null` || '';
}

# new($share, ...): a directory that is /share in it.
#   upper  an empty directory of a disk for all that is written, which stays; its up/ can
#          be the lower one of another (else it is in memory)
#   lower  such directories, which are read before the base
sub new {
    my ($class, $share, %options) = @_;
    my $dir = File::Temp::tempdir('spawn-packages-XXXXXXXX', DIR => '/tmp', CLEANUP => 0);
    my $self = bless { dir => $dir, owner => $$ }, $class;
    $all{$self} = $self;
    mkdir "$dir/root" or die "$dir/root: $!\n";
    my $pid = fork;
    defined $pid or die "fork: $!\n";
    if ($pid == 0) {
        POSIX::setsid();
        open STDIN,  '<',  '/dev/null'   or POSIX::_exit(126);
        open STDOUT, '>>', "$dir/log" or POSIX::_exit(126);
        open STDERR, '>&', \*STDOUT      or POSIX::_exit(126);
        exec qw(setpriv --pdeathsig KILL unshare -m -p -n --fork --kill-child --propagation private sh -ec), _script(), 'sh',
            "$dir/root", join(':', @{ $options{lower} || [] }, $base), $share, $options{upper} || "$dir/root"
            or POSIX::_exit(127);
    }
    $self->{outer} = $pid;
    my $up = wait_until(
        sub {
            ($self->{pid}) = children_of($pid);
            return $self->{pid} && -e $self->root . '/run/is-up';
        },
        UP_SECONDS
    );
    if (!$up) {
        open my $log, '<', "$dir/log" or die "$dir/log: $!\n";
        die 'the small Debian does not come up: ', <$log>;
    }
    # with updates, where the machine has them: what is built here may need them
    my %line = map { ("deb $_" => 1) } split /^/, _targets('$(SITE) $(RELEASE) $(COMPONENT)');
    $self->file('/etc/apt/sources.list', join '', sort keys %line);
    return $self;
}

# Its file system, from outside.
sub root { return "/proc/$_[0]{pid}/root" }

sub file {
    my ($self, $name, $text, $mode) = @_;
    system('mkdir', '-p', $self->root . $name =~ s{/[^/]*\z}{}r) == 0 or die "$name: no directory\n";
    my $file = $self->root . $name;
    open my $out, '>', $file or die "$file: $!\n";
    print {$out} $text;
    close $out or die "$file: $!\n";
    chmod $mode || 0644, $file or die "$file: $!\n";
    return;
}

sub text {
    my ($self, $name) = @_;
    open my $in, '<', $self->root . $name or return '';
    local $/ = undef;
    return scalar <$in>;
}

# A command in it: { code, out }. It sees its own loopback and no other network;
# run_online: the machine's.
sub run        { my ($self, @argv) = @_; return $self->_run(['-n'], @argv) }
sub run_online { my ($self, @argv) = @_; return $self->_run([],     @argv) }

# The same with the machine's network, and all that it says goes to the end of a file;
# its exit code.
sub run_logged {
    my ($self, $log, @argv) = @_;
    my $pid = fork;
    defined $pid or die "fork: $!\n";
    if ($pid == 0) {
        open STDOUT, '>>', $log or POSIX::_exit(126);
        $self->_execute([], @argv);
    }
    waitpid $pid, 0;
    return $? & 127 ? 128 + ($? & 127) : $? >> 8;
}

sub _execute {
    my ($self, $net, @argv) = @_;
    open STDERR, '>&', \*STDOUT;
    open STDIN, '<', '/dev/null' or POSIX::_exit(126);
    exec qw(nsenter -t), $self->{pid}, qw(-m -p), @{$net}, qw(env -i LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive HOME=/root),
        'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', @argv
        or POSIX::_exit(127);
}

sub _run {
    my ($self, $net, @argv) = @_;
    my $pid = open my $out, '-|';
    defined $pid or die "fork: $!\n";
    $self->_execute($net, @argv) if $pid == 0;
    my $said = do { local $/ = undef; <$out> };
    close $out;
    return { code => $? >> 8, out => defined $said ? $said : '' };
}

# Fetches what these packages need, with the network, and installs them without.
sub install {
    my ($self, @packages) = @_;
    my @apt = qw(apt-get -y -q -o Dpkg::Use-Pty=0);
    my $got = $self->run_online(@apt, qw(install --download-only), @packages);
    return $got if $got->{code} != 0;
    return $self->run(@apt, install => @packages);
}

# Its files, as a hash, but for those that apt, dpkg, libraries' cache and logs change in use.
sub files {
    my ($self) = @_;
    my $found = $self->run('find', '/', '-xdev', '(', '-regex',
        '/\\(share\\|tmp\\|var/lib/\\(dpkg\\|apt\\|systemd/deb-systemd-helper-.*\\)\\|var/cache\\|var/log\\)', '-prune', ')',
        '-o', '-print');
    return map { $_ => 1 } split /\n/, $found->{out};
}

# The processes in it with these words as their first ones, by their numbers in it.
sub pids {
    my ($self, @words) = @_;
    my $begin = join "\0", @words;
    return grep { $self->text("/proc/$_/cmdline") =~ /\A\Q$begin\E(?:\0|\z)/ } map { m{/(\d+)\z} ? $1 : () }
        glob $self->root . '/proc/[0-9]*';
}

# GET of its httpd: the body, or what went wrong.
sub get {
    my ($self, $path) = @_;
    my $answer = $self->run('perl', '-MIO::Socket::INET', '-e', <<'END', $path);
my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1:80') or die "connect: $!\n";
print {$s} "GET $ARGV[0] HTTP/1.0\r\n\r\n";
local $/ = undef;
print <$s> =~ s/\A.*?\r\n\r\n//sr;
END
    return $answer->{out};
}

sub clean {
    my ($self) = @_;
    return if !$self->{outer} || $self->{owner} != $$;
    kill 'KILL', $self->{outer};
    waitpid delete $self->{outer}, 0;
    system('rm', '-rf', '--one-file-system', $self->{dir});
    delete $all{$self};
    return;
}

sub DESTROY { $_[0]->clean; return }

sub clean_all {
    $_->clean for grep { defined } values %all;
    return;
}

END {
    my $status = $?;
    clean_all();
    $? = $status;    ## no critic (RequireLocalizedPunctuationVars)
}

# Process 1 is one that reaps.
sub _script {
    return <<'MAKE' . devices() . <<'FILL' . enter() . <<'RUN';
R=$1
mount -t tmpfs -o mode=755 none "$R"
mkdir "$R/new" "$4/up" "$4/work"
mount -t overlay -o lowerdir="$2",upperdir="$4/up",workdir="$4/work" none "$R/new"
N=$R/new
mount -t proc none "$N/proc"
mount -t sysfs -o ro none "$N/sys"
MAKE
mkdir -m 1777 "$N/run/lock"
mkdir -p "$N/share"
mount --bind "$3" "$N/share"
perl -MSocket -e '
    socket my $s, AF_INET, SOCK_DGRAM, 0 or die "socket: $!\n";
    my $up = pack "a16 s x22", "lo", 1;
    ioctl $s, 0x8914, $up or die "lo: $!\n"'
FILL
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin perl -e '
    $SIG{CHLD} = "IGNORE";
    open my $up, ">", "/run/is-up";
    close $up;
    sleep 1000 while 1'
RUN
}

1;
