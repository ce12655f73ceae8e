# SPDX-License-Identifier: Apache-2.0
#
# A real systemd as process 1 of namespaces, for a test: the machine's own, with all that
# is installed here, in an overlay of the root directory that nothing is written to. It has
# its own control group, network and /tmp, in which the test's directories are. None of the
# machine's units run in it. Runs in test scripts, as root. Must end with the test,
# however that ends, and leave nothing but an empty control group when it is killed.

package SpawnTest::Systemd;

use strict;
use warnings;

use Cwd ();
use File::Temp ();
use POSIX ();
use Socket qw(AF_INET SOCK_DGRAM);
use Test::More ();

use SpawnTest ();
use SpawnTest::OwnRoot qw(devices enter overlay_fails);
use SpawnTest::Process qw(children_of cmdline);
use SpawnTest::Wait qw(wait_until);

use constant {
    SIOCSIFFLAGS => 0x8914,
    IFF_UP       => 1,
    UP_SECONDS   => 60,
};

my %all;

# In the test's first line: skips it where this cannot be, else goes on in a network and a
# mount namespace of its own, so that test and systemd have the same loopback.
sub begin {
    my ($class) = @_;
    return if $ENV{SPAWN_OWN_NET};
    my $why = $> != 0 ? 'a systemd of its own needs root'
        : !_program()                                                     ? 'there is no systemd'
        : system('unshare -m -p -i -u -n -C --fork --kill-child true 2>/dev/null') != 0 ? 'namespaces cannot be made'
        : system(q{unshare -m sh -c 'mount -t cgroup2 none /mnt' 2>/dev/null}) != 0 ? 'cgroup v2 cannot be mounted'
        : overlay_fails()
        ? 'an overlay of / cannot be mounted'
        : undef;
    Test::More::plan(skip_all => $why) if $why;
    $ENV{SPAWN_OWN_NET} = 1;    ## no critic (RequireLocalizedPunctuationVars)
    exec qw(unshare -m -n --propagation private), $^X, Cwd::realpath($0) or die "unshare: $!\n";
}

sub _program { return (grep { -x } qw(/lib/systemd/systemd /usr/lib/systemd/systemd))[0] }

# new($httpd, ...): with the directories of these, and those of checkout and build.
sub new {
    my ($class, @httpds) = @_;
    _loopback_up();
    my $dir = File::Temp::tempdir('spawn-systemd-XXXXXXXX', DIR => '/tmp', CLEANUP => 0);
    my $self = bless { dir => $dir, owner => $$, name => $dir =~ s{.*/}{}r }, $class;
    $all{$self} = $self;
    mkdir "$dir/$_" or die "$dir/$_: $!\n" for qw(cgroup root);
    system(qw(mount -t cgroup2 none), "$dir/cgroup") == 0 or die "cgroup2 cannot be mounted\n";
    mkdir $self->_cgroup or die $self->_cgroup . ": $!\n";

    my %dirs = map { $_ => 1 } SpawnTest::root_dir(), SpawnTest::build_dir(), map { $_->dir } @httpds;
    my $pid = fork;
    defined $pid or die "fork: $!\n";
    if ($pid == 0) {
        POSIX::setsid();
        open STDIN,  '<',  '/dev/null'   or POSIX::_exit(126);
        open STDOUT, '>>', "$dir/log" or POSIX::_exit(126);
        open STDERR, '>&', \*STDOUT      or POSIX::_exit(126);
        open my $group, '>', $self->_cgroup . '/cgroup.procs' or POSIX::_exit(126);
        print {$group} $$;
        close $group or POSIX::_exit(126);
        exec qw(setpriv --pdeathsig KILL unshare -m -p -i -u -C --fork --kill-child --propagation private sh -ec),
            _script(), 'sh', "$dir/root", _program(), sort keys %dirs or POSIX::_exit(127);
    }
    $self->{outer} = $pid;
    my $up = wait_until(
        sub {
            ($self->{pid}) = children_of($pid);
            return $self->{pid} && $self->ctl('is-system-running')->{out} =~ /\A(?:running|degraded)$/;
        },
        UP_SECONDS
    );
    if (!$up) {
        open my $log, '<', "$dir/log" or die "$dir/log: $!\n";
        die 'systemd does not come up: ', <$log>;
    }
    return $self;
}

# Process 1, by its number outside.
sub pid { return $_[0]{pid} }

# Its file system, from outside.
sub root { return "/proc/$_[0]{pid}/root" }

sub unit {
    my ($self, $name, $text) = @_;
    my $file = $self->root . "/etc/systemd/system/$name";
    if ($name =~ m{/}) {
        mkdir $file =~ s{/[^/]*\z}{}r;
    }
    open my $out, '>', $file or die "$file: $!\n";
    print {$out} $text;
    close $out or die "$file: $!\n";
    return $self->ctl('daemon-reload');
}

# The unit httpd.service, for a SpawnTest::Httpd: as distributions have it, and more lines.
sub httpd_unit {
    my ($self, $httpd, $more) = @_;
    $httpd->{port} ||= SpawnTest::Httpd::free_port();
    $httpd->write_conf;
    my $program = SpawnTest::Httpd::Conf::_program();
    my $words = "-d $httpd->{dir} -f " . $httpd->conf_file;
    return $self->unit('httpd.service', <<"END" . ($more || ''));
[Service]
Type=simple
ExecStart=$program -DFOREGROUND $words
ExecReload=$program $words -k graceful
KillSignal=SIGWINCH
KillMode=mixed
TimeoutStopSec=30
END
}

# Lines of a unit: /tmp is its own, but for what the test has there.
sub own_tmp {
    my ($self, @httpds) = @_;
    return join '', "PrivateTmp=yes\n", map { "BindPaths=$_\n" } SpawnTest::root_dir(), SpawnTest::build_dir(),
        map { $_->dir } @httpds;
}

# The processes of a service, outside.
sub pids {
    my ($self, $unit) = @_;
    open my $in, '<', $self->_cgroup . "/system.slice/$unit/cgroup.procs" or return;
    return map { chomp; $_ } <$in>;
}

# A process of a service, outside, by its number inside.
sub outer {
    my ($self, $unit, $inner) = @_;
    for my $pid ($self->pids($unit)) {
        open my $in, '<', "/proc/$pid/status" or next;
        return $pid if grep { /^NSpid:.*\s\Q$inner\E$/ } <$in>;
    }
    return;
}

# The external spawner, outside; its broker and jobs have other names.
sub spawner_pid {
    my ($self) = @_;
    return (grep { ((cmdline($_))[0] || '') eq 'mod_spawn spawner' } $self->pids('mod_spawn.service'))[0];
}

# The units of packaging/systemd, with the spawner that was built. A test need not wait half a
# minute for the watchdog.
sub spawner_units {
    my ($self, @httpds) = @_;
    my $from = SpawnTest::root_dir() . '/packaging/systemd';
    my $built = SpawnTest::build_dir() . '/mod_spawn/spawner';
    for my $name (qw(mod_spawn.socket mod_spawn.service)) {
        open my $in, '<', "$from/$name" or die "$from/$name: $!\n";
        my $text = do { local $/ = undef; <$in> };
        $text =~ s{^ExecStart=\@\K/usr/lib/apache2/modules/mod_spawn/spawner(?= )}{$built}m or die "$name: no ExecStart\n"
            if $name =~ /service/;
        $text =~ s/^WatchdogSec=\K.*$/3s/m;
        $text =~ s{^PrivateTmp=yes\n}{$self->own_tmp(@httpds)}me;
        $self->unit($name, $text);
    }
    return;
}

# The processes of running jobs, outside: the spawner's children but for the broker, and for
# who closes descriptors, which stays some seconds.
sub job_pids {
    my ($self, $httpd) = @_;
    my $broker = $httpd->broker_pid;
    return grep { $_ != $broker && ((cmdline($_))[0] || '') ne 'mod_spawn closer' }
        children_of($self->spawner_pid || $httpd->spawner_pid);
}

sub ctl { my ($self, @words) = @_; return $self->run('systemctl', '--no-pager', @words) }

# A command in it: { code, out }.
sub run {
    my ($self, @argv) = @_;
    my $pid = open my $out, '-|';
    defined $pid or die "fork: $!\n";
    if ($pid == 0) {
        open STDERR, '>&', \*STDOUT;
        exec qw(nsenter -t), $self->{pid}, '-a', @argv or POSIX::_exit(127);
    }
    my $said = do { local $/ = undef; <$out> };
    close $out;
    return { code => $? >> 8, out => $said };
}

# A property of a unit.
sub show {
    my ($self, $unit, $name) = @_;
    my $said = $self->ctl('show', '--property', $name, '--value', $unit)->{out};
    chomp $said;
    return $said;
}

sub _cgroup { my ($self) = @_; return "$self->{dir}/cgroup/$self->{name}" }

sub clean {
    my ($self) = @_;
    return if !$self->{outer} || $self->{owner} != $$;
    if (open my $kill, '>', $self->_cgroup . '/cgroup.kill') {
        print {$kill} 1;
        close $kill;
    }
    waitpid delete $self->{outer}, 0;
    wait_until(sub { _remove_groups($self->_cgroup); !-e $self->_cgroup }, 20)
        or Test::More::diag('a control group is left: ' . $self->_cgroup);
    system('umount', "$self->{dir}/cgroup");
    system('rm', '-rf', '--one-file-system', $self->{dir});
    delete $all{$self};
    return;
}

sub DESTROY { $_[0]->clean; return }

END {
    my $status = $?;
    $_->clean for grep { defined } values %all;
    $? = $status;    ## no critic (RequireLocalizedPunctuationVars)
}

sub _remove_groups {
    my ($dir) = @_;
    _remove_groups($_) for grep { -d } glob "$dir/*";
    return rmdir $dir;
}

sub _loopback_up {
    socket my $socket, AF_INET, SOCK_DGRAM, 0 or die "socket: $!\n";
    my $request = pack "a16 s x22", "lo", IFF_UP;
    ioctl $socket, SIOCSIFFLAGS, $request or die "lo: $!\n";
    return;
}

# The steps before systemd is executed. Not even systemd may write to the machine's
# /proc/sys, or see its units.
sub _script {
    return <<'MAKE' . devices() . <<'FILL' . enter() . <<'RUN';
R=$1 P=$2
shift 2
mount -t tmpfs -o mode=755 none "$R"
mkdir "$R/up" "$R/work" "$R/new"
mount -t overlay -o lowerdir=/,upperdir="$R/up",workdir="$R/work" none "$R/new"
N=$R/new
mount -t proc none "$N/proc"
mount -t sysfs -o ro none "$N/sys"
mount --bind "$N/proc/sys" "$N/proc/sys"
mount -o remount,bind,ro "$N/proc/sys"
mount -t cgroup2 none "$N/sys/fs/cgroup"
MAKE
ln -s fd/0 "$N/dev/stdin"
ln -s fd/1 "$N/dev/stdout"
ln -s fd/2 "$N/dev/stderr"
mount -t tmpfs -o mode=1777 none "$N/tmp"
for d; do
    mkdir -p "$N$d"
    mount --bind "$d" "$N$d"
done
D=$N/lib/systemd/system
[ -e "$D/multi-user.target" ] || D=$N/usr/lib/systemd/system
rm -rf "$N/etc/systemd/system" "$N/etc/init.d" "$D"/*.target.wants
mkdir "$N/etc/systemd/system"
for t in sockets:systemd-journald.socket sysinit:systemd-journald.service; do
    mkdir -p "$N/etc/systemd/system/${t%%:*}.target.wants"
    ln -s "${D#"$N"}/${t#*:}" "$N/etc/systemd/system/${t%%:*}.target.wants/"
done
ln -s "${D#"$N"}/multi-user.target" "$N/etc/systemd/system/default.target"
: >"$N/etc/fstab"
FILL
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin "$P"
RUN
}

1;
