/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawn_os.h for Linux. Runs in every process. Uses raw system calls where the
 * C library has no wrapper (glibc 2.36 lacks some); must use no heap and no
 * stdio in functions marked [fork], so that they are safe between fork and
 * exec.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#include "common/spawn_os.h"
#include "common/spawn_raw.h"

static int64_t clock_us(clockid_t clock)
{
    struct timespec t;

    (void)clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t spawn_mono_ms(void)
{
    return clock_us(CLOCK_MONOTONIC) / 1000;
}

int64_t spawn_mono_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

int64_t spawn_boot_ms(void)
{
    return clock_us(CLOCK_BOOTTIME) / 1000;
}

int64_t spawn_wall_ms(void)
{
    return clock_us(CLOCK_REALTIME) / 1000;
}

static int result(long rv)
{
    return rv < 0 ? -errno : (int)rv;
}

/* A timer that never fires, and is cancelled by a step. The kernel takes what
 * is beyond its own end of time for that. */
static int wait_for_step(int fd)
{
    static const struct itimerspec never = {
        .it_value = {.tv_sec = sizeof(time_t) > 4 ? INT64_MAX : INT32_MAX}};

    return result(timerfd_settime(
        fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL));
}

int spawn_os_clock_steps(void)
{
    int fd = result(timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK));
    int rv = fd < 0 ? fd : wait_for_step(fd);

    if (fd >= 0 && rv < 0)
        (void)close(fd);
    return rv < 0 ? rv : fd;
}

void spawn_os_clock_steps_again(int fd)
{
    uint64_t count;

    (void)!read(fd, &count, sizeof(count)); /* ECANCELED */
    (void)wait_for_step(fd);
}

int spawn_os_subreaper(void)
{
    return result(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
}

int spawn_os_undumpable(void)
{
    return result(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
}

int spawn_os_die_with_parent(int signo)
{
    return result(prctl(PR_SET_PDEATHSIG, signo, 0, 0, 0));
}

int spawn_os_bounding_set(uint64_t keep)
{
    int cap;

    for (cap = 0; cap < 64; cap++) {
        int rv = 0;

        if (keep >> cap & 1)
            continue;
        if (spawn_raw(SYS_prctl, PR_CAPBSET_READ, cap, 0, 0, 0) == 1)
            rv = (int)spawn_raw(SYS_prctl, PR_CAPBSET_DROP, cap, 0, 0, 0);
        if (rv < 0)
            return rv;
    }
    return 0;
}

int spawn_os_drop_capabilities(void)
{
    uint32_t keep = 1u << CAP_SETUID | 1u << CAP_SETGID | 1u << CAP_KILL;
    struct __user_cap_header_struct head;
    struct __user_cap_data_struct data[2];

    memset(&head, 0, sizeof(head));
    head.version = _LINUX_CAPABILITY_VERSION_3;
    if (syscall(SYS_capget, &head, data) < 0)
        return -errno;
    keep |= data[0].permitted & 1u << CAP_SETPCAP;
    memset(data, 0, sizeof(data));
    data[0].effective = data[0].permitted = keep;
    return result(syscall(SYS_capset, &head, data));
}

void spawn_os_drop_ambient(void)
{
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

int spawn_os_no_new_privs(void)
{
    return (int)spawn_raw(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

void spawn_os_default_signals(void)
{
    /* The kernel's struct, larger than on any machine: all zeros is SIG_DFL,
     * no flags, an empty mask. sigaction(3) refuses the C library's own. */
    static const unsigned long plain[16];
    int signo;

    for (signo = 1; signo < _NSIG; signo++)
        (void)syscall(SYS_rt_sigaction, signo, plain, NULL, (_NSIG - 1) / 8);
}

int spawn_os_block_signals(void)
{
    unsigned long all[16];

    memset(all, 0xff, sizeof(all));
    return result(
        syscall(SYS_rt_sigprocmask, SIG_SETMASK, all, NULL, (_NSIG - 1) / 8));
}

int spawn_os_sched_batch(bool batch)
{
    const struct sched_param none = {0};

    return (int)spawn_raw(SYS_sched_setscheduler, 0,
                          batch ? SCHED_BATCH : SCHED_OTHER, (long)&none, 0, 0);
}

/* Otherwise the kernel makes it 50 us longer, to wake many at once. Only a
 * process's children have this from it. */
#define SLACK_NS 1000

void spawn_os_nap(unsigned us)
{
    const struct timespec t = {0, (long)us * 1000};

    int slack = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);

    (void)prctl(PR_SET_TIMERSLACK, SLACK_NS, 0, 0, 0);
    (void)nanosleep(&t, NULL);
    if (slack > 0) /* a program that we start would inherit ours */
        (void)prctl(PR_SET_TIMERSLACK, (unsigned long)slack, 0, 0, 0);
}

unsigned spawn_os_cpu(void)
{
    int cpu = sched_getcpu();

    return cpu < 0 ? 0 : (unsigned)cpu % SPAWN_OS_CPUS + 1;
}

int spawn_os_ionice(int klass, int level)
{
    const int who_process = 1;

    return (int)spawn_raw(SYS_ioprio_set, who_process, 0, klass << 13 | level,
                          0, 0);
}

/* A 0 in front would make it octal. Nothing is written when there is no file.
 */
void spawn_os_autogroup_nice(int nice)
{
    int fd = spawn_raw_open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC, 0);
    unsigned n = (unsigned)(nice < 0 ? -nice : nice);
    char text[3];
    size_t length = 0;

    if (nice < 0)
        text[length++] = '-';
    if (n > 9)
        text[length++] = (char)('0' + n / 10);
    text[length++] = (char)('0' + n % 10);
    (void)spawn_raw_write(fd, text, length);
    (void)spawn_raw_close(fd);
}

int spawn_os_exec_fd(int fd, char *const argv[], char *const envp[])
{
    char path[32];
    int rv;

    rv = result(syscall(SYS_execveat, fd, "", argv, envp, AT_EMPTY_PATH));
    if (rv != -ENOSYS && rv != -EPERM)
        return rv;
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    (void)execve(path, argv, envp);
    return errno == ENOENT ? rv : -errno; /* there may be no /proc */
}

int spawn_os_boot_id(char *text)
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return -errno;
    n = read(fd, text, 36);
    (void)close(fd);
    if (n != 36)
        return -EIO;
    text[36] = '\0';
    return 0;
}

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* since Linux 6.3 */
#endif

/* Nobody executes such a file. Where vm.memfd_noexec is 2, the kernel refuses
 * one that could be. */
int spawn_os_memfd(const char *name)
{
    const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    int rv = result(memfd_create(name, flags | MFD_NOEXEC_SEAL));

    return rv == -EINVAL ? result(memfd_create(name, flags)) : rv;
}

#define ALL_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

int spawn_os_seal(int fd)
{
    return result(fcntl(fd, F_ADD_SEALS, ALL_SEALS | F_SEAL_SEAL));
}

bool spawn_os_closes_quickly(int fd)
{
    return fcntl(fd, F_GETPIPE_SZ) >= 0 || fcntl(fd, F_GET_SEALS) >= 0;
}

bool spawn_os_sealed(int fd)
{
    int seals = fcntl(fd, F_GET_SEALS);

    return seals >= 0 && (seals & ALL_SEALS) == ALL_SEALS;
}

/* Newer than the headers of most systems; these have numbers of their own. */
#if !defined(SO_PASSRIGHTS) && !defined(__sparc__) && !defined(__hppa__)       \
    && !defined(__mips__) && !defined(__alpha__)
#define SO_PASSRIGHTS 83
#endif

int spawn_os_pass_descriptors(int fd, bool may)
{
#ifdef SO_PASSRIGHTS
    const int on = may;

    return result(setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &on, sizeof(on)));
#else
    (void)fd;
    (void)may;
    return -ENOPROTOOPT;
#endif
}

int spawn_os_peer(int fd, pid_t *ret_pid, uid_t *ret_uid, gid_t *ret_gid)
{
    struct ucred peer;
    socklen_t length = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
        return -errno;
    if (ret_pid)
        *ret_pid = peer.pid;
    if (ret_uid)
        *ret_uid = peer.uid;
    if (ret_gid)
        *ret_gid = peer.gid;
    return 0;
}

int spawn_os_peer_groups(int fd, gid_t *ret, unsigned room, unsigned *ret_count)
{
    socklen_t length = (socklen_t)(room * sizeof(*ret));
    int rv = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, ret, &length) < 0
                 ? -errno
                 : 0;

    if (rv == 0 || rv == -ERANGE)
        *ret_count = (unsigned)(length / sizeof(*ret));
    return rv;
}

int spawn_os_pass_credentials(int fd)
{
    const int on = 1;

    return result(setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)));
}
