# SPDX-License-Identifier: Apache-2.0
#
# Lines of a shell that makes a root directory for namespaces of its own, an overlay; what
# SpawnTest::Chroot and SpawnTest::Systemd have in common. Runs in test scripts, as root.

package SpawnTest::OwnRoot;

use strict;
use warnings;

use Exporter qw(import);

our @EXPORT_OK = qw(overlay_fails devices enter);

# Whether namespaces cannot be made here, or no overlay in them.
sub overlay_fails {
    return system(q{unshare -m -p -n --fork --kill-child sh -c 'mount -t tmpfs none /mnt && mkdir /mnt/u /mnt/w /mnt/r &&}
        . q{ mount -t overlay -o lowerdir=/,upperdir=/mnt/u,workdir=/mnt/w overlay /mnt/r' 2>/dev/null}) != 0;
}

# /dev and /run of the tree $N.
sub devices {
    return <<'END';
mount -t tmpfs -o mode=755 none "$N/dev"
for n in null zero full random urandom tty; do
    : >"$N/dev/$n"
    mount --bind "/dev/$n" "$N/dev/$n"
done
mkdir "$N/dev/pts" "$N/dev/shm"
mount -t devpts -o newinstance,ptmxmode=666 none "$N/dev/pts"
mount -t tmpfs none "$N/dev/shm"
ln -s pts/ptmx "$N/dev/ptmx"
ln -s /proc/self/fd "$N/dev/fd"
mount -t tmpfs -o mode=755 none "$N/run"
END
}

# $N is the root directory from then on.
sub enter {
    return <<'END';
cd "$N"
mkdir -p mnt
pivot_root . mnt
umount -l /mnt
END
}

1;
