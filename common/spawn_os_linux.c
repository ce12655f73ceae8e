/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawn_os.h for Linux. Runs in every process. Uses raw system calls where the
 * C library has no wrapper (glibc 2.36 lacks some); must use no heap and no
 * stdio in functions marked [fork], so that they are safe between fork and
 * exec.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/capability.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/spawn_areas.h"
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

int spawn_os_pidfd(pid_t pid)
{
    return result(syscall(SYS_pidfd_open, pid, 0));
}

/* struct pidfd_info and its ioctl came with Linux 6.13, the exit code in it
 * with 6.15; the headers of older systems do not have them. */
struct pidfd_info_64 {
    uint64_t mask;
    uint64_t cgroupid;
    uint32_t ids[11]; /* pid, tgid, ppid, ruid, rgid, ... fsgid */
    int32_t exit_code;
};
#define PIDFD_GET_INFO_64   _IOWR(0xFF, 11, struct pidfd_info_64)
#define PIDFD_INFO_CREDS_64 (1u << 1)
#define PIDFD_INFO_EXIT_64  (1u << 3)

int spawn_os_pidfd_status(int pidfd, int *ret_status)
{
    struct pidfd_info_64 info = {.mask = PIDFD_INFO_EXIT_64};

    if (ioctl(pidfd, PIDFD_GET_INFO_64, &info) < 0)
        return errno == ENOTTY || errno == EINVAL ? -EOPNOTSUPP : -errno;
    if (!(info.mask & PIDFD_INFO_EXIT_64))
        return -EOPNOTSUPP;
    *ret_status = info.exit_code;
    return 0;
}

#define PIDFD_PROCESS_GROUP (1u << 2) /* Linux 6.9 */

int spawn_os_pidfd_signal(int pidfd, int signo)
{
    int rv = result(syscall(SYS_pidfd_send_signal, pidfd, signo, NULL,
                            PIDFD_PROCESS_GROUP));

    /* an older kernel; a process that leads no group (yet) */
    if (rv == -EINVAL || rv == -ESRCH)
        rv = result(syscall(SYS_pidfd_send_signal, pidfd, signo, NULL, 0));
    return rv;
}

bool spawn_os_group_lives(pid_t group)
{
    siginfo_t info;

    /* Without WEXITED a child that has ended does not count. */
    return waitid(P_PGID, (id_t)group, &info, WSTOPPED | WNOHANG | WNOWAIT)
           == 0;
}

int spawn_os_group_signal(int pidfd, pid_t group, int signo)
{
    int rv = pidfd < 0 ? -EINVAL
                       : result(syscall(SYS_pidfd_send_signal, pidfd, signo,
                                        NULL, PIDFD_PROCESS_GROUP));

    if (group < 0 || (rv != -EINVAL && rv != -ENOSYS && rv != -EPERM))
        return rv;
    if (group <= 1 || !spawn_os_group_lives(group) || kill(group, 0) == 0
        || errno != ESRCH)
        return -ESRCH;
    return result(kill(-group, signo));
}

struct dirent_64 {
    uint64_t inode;
    int64_t offset;
    uint16_t length;
    uint8_t type;
    char name[];
};

/* A number, or -1 for "." and "..". */
static int number_in(const char *name)
{
    int n = 0;

    for (; *name; name++) {
        if (*name < '0' || *name > '9')
            return -1;
        n = n * 10 + (*name - '0');
    }
    return n;
}

/* The numbers in a directory of /proc, without the heap; until fn returns
 * false. The position in such a list is the number, so that closing meanwhile
 * skips none. */
static int for_each_number(const char *path,
                           bool (*fn)(int number, int dir, void *arg),
                           void *arg)
{
    _Alignas(struct dirent_64) char room[2048];
    int dir = spawn_raw_open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    bool on = true;
    long n = 0, at;

    if (dir < 0)
        return dir;
    while (
        on
        && (n = spawn_raw(SYS_getdents64, dir, (long)room, sizeof(room), 0, 0))
               > 0) {
        for (at = 0; on && at < n;) {
            const struct dirent_64 *entry = (const void *)(room + at);
            int number = number_in(entry->name);

            if (number >= 0)
                on = fn(number, dir, arg);
            at += entry->length;
        }
    }
    (void)spawn_raw_close(dir);
    return n < 0 ? (int)n : 0;
}

/* The text of /proc/PID/stat behind the name, which may hold anything, ')'
 * too. */
static int read_stat(const char *path, char *text, size_t room,
                     const char **ret)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *p;
    ssize_t n;

    if (fd < 0)
        return errno == ENOENT ? -ESRCH : -errno;
    n = read(fd, text, room - 1);
    (void)close(fd);
    if (n <= 0)
        return -ESRCH;
    text[n] = '\0';
    p = strrchr(text, ')');
    if (!p || !p[1])
        return -EIO;
    *ret = p + 2;
    return 0;
}

/* A process as /proc shows it. */
typedef struct {
    bool ended; /* all of its threads have */
    pid_t group;
    pid_t session;
    int64_t started; /* boot ms; at most a tick before it did */
} shown;

/* At least that long. */
static int64_t tick_ms(void)
{
    return 1000 / sysconf(_SC_CLK_TCK) + 1;
}

static int look_at(pid_t pid, shown *ret)
{
    char path[40], text[1024];
    unsigned long long ticks;
    const char *p;
    int group, session, threads, rv;
    char state;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    rv = read_stat(path, text, sizeof(text), &p);
    if (rv < 0)
        return rv;
    if (sscanf(p,
               "%c %*d %d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d"
               " %*d %*d %*d %d %*d %llu",
               &state, &group, &session, &threads, &ticks)
        != 5)
        return -EIO;
    ret->ended = (state == 'Z' && threads <= 1) || state == 'X';
    ret->started = (int64_t)(ticks * 1000 / (unsigned)sysconf(_SC_CLK_TCK));
    ret->group = (pid_t)group;
    ret->session = (pid_t)session;
    return 0;
}

int spawn_os_process(pid_t pid, int64_t *ret_boot_ms, pid_t *ret_session)
{
    shown s;
    int rv = look_at(pid, &s);

    if (rv < 0)
        return rv;
    *ret_boot_ms = s.started;
    *ret_session = s.session;
    return 0;
}

typedef struct {
    pid_t group;
    int64_t lived;
    int old; /* pidfd of a member that is older than that, or -1 */
    int old_pid;
    unsigned ended;
} group_look;

static bool is_member(pid_t pid, const group_look *l, shown *ret)
{
    return look_at(pid, ret) == 0 && ret->group == l->group
           && ret->session == l->group && !ret->ended;
}

static int send_by(int pidfd, int signo)
{
    return (int)syscall(SYS_pidfd_send_signal, pidfd, signo, NULL, 0);
}

/* The pidfd is there before the last look: what it names is what was seen. */
static bool look_at_member(int pid, int dir, void *arg)
{
    group_look *l = arg;
    shown s;
    int fd;

    (void)dir;
    if (pid == l->old_pid || !is_member(pid, l, &s)
        || (fd = spawn_os_pidfd(pid)) < 0)
        return true;
    if (is_member(pid, l, &s)) {
        if (l->old < 0 && s.started + tick_ms() <= l->lived) {
            l->old = fd;
            l->old_pid = pid;
            return false;
        }
        if (l->old >= 0 && send_by(fd, SIGKILL) == 0)
            l->ended++;
    }
    (void)close(fd);
    return true;
}

void spawn_os_group_end(pid_t group, int64_t lived_boot_ms)
{
    group_look l = {.group = group, .lived = lived_boot_ms, .old = -1};
    unsigned rounds = 10, before; /* they may fork meanwhile */

    if (group <= 1 || for_each_number("/proc", look_at_member, &l) < 0
        || l.old < 0)
        return;
    /* while it is there the number is not given away: so it is the last */
    (void)send_by(l.old, SIGSTOP);
    do {
        before = l.ended;
        (void)for_each_number("/proc", look_at_member, &l);
    } while (l.ended > before && --rounds > 0);
    (void)send_by(l.old, SIGKILL);
    (void)close(l.old);
}

static int real_uid_of(int pidfd, uid_t *ret)
{
    struct pidfd_info_64 info = {.mask = PIDFD_INFO_CREDS_64};

    if (ioctl(pidfd, PIDFD_GET_INFO_64, &info) < 0)
        return -errno;
    if (!(info.mask & PIDFD_INFO_CREDS_64))
        return -EOPNOTSUPP;
    *ret = info.ids[3];
    return 0;
}

/* For kernels that do not tell by the descriptor. */
static int real_uid_shown(pid_t pid, uid_t *ret)
{
    char path[40], text[1024];
    unsigned uid;
    const char *p;
    ssize_t n;
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    n = read(fd, text, sizeof(text) - 1);
    (void)close(fd);
    if (n < 0)
        return -errno;
    text[n] = '\0';
    p = strstr(text, "\nUid:"); /* a newline in the name is escaped there */
    if (!p || sscanf(p, " Uid: %u", &uid) != 1)
        return -EIO;
    *ret = uid;
    return 0;
}

int spawn_os_real_uid(pid_t pid, uid_t *ret)
{
    int fd = spawn_os_pidfd(pid);
    int rv = fd;

    if (fd >= 0) {
        rv = real_uid_of(fd, ret);
        (void)close(fd);
    }
    return rv == 0 || rv == -ESRCH ? rv : real_uid_shown(pid, ret);
}

/* The PF_ flags, which /proc has always shown. */
static int read_flags(pid_t pid, unsigned *ret)
{
    char path[40], text[1024];
    const char *p;
    int rv;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    rv = read_stat(path, text, sizeof(text), &p);
    if (rv < 0)
        return rv;
    return sscanf(p, "%*c %*d %*d %*d %*d %*d %u", ret) == 1 ? 0 : -EIO;
}

int spawn_os_only_forked(pid_t pid)
{
    const unsigned forknoexec = 0x40; /* PF_FORKNOEXEC */
    unsigned flags;
    int rv = read_flags(pid, &flags);

    return rv < 0 ? rv : (flags & forknoexec) != 0;
}

bool spawn_os_exiting(pid_t pid)
{
    const unsigned exiting = 0x4; /* PF_EXITING */
    unsigned flags;

    return read_flags(pid, &flags) == 0 && (flags & exiting);
}

typedef struct {
    pid_t pid;
    bool hangs;
} look;

static bool look_at_thread(int tid, int dir, void *arg)
{
    look *l = arg;
    char path[60], text[1024];
    const char *p;

    (void)dir;
    (void)snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", (int)l->pid,
                   tid);
    l->hangs = read_stat(path, text, sizeof(text), &p) == 0 && *p == 'D';
    return !l->hangs;
}

bool spawn_os_hangs(pid_t pid)
{
    look l = {pid, false};
    char path[40];

    (void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    return for_each_number(path, look_at_thread, &l) < 0 || l.hangs;
}

/* "Name:   123 kB", at the beginning of a line. */
static bool kilobytes(const char *line, const char *name, uint64_t *ret)
{
    size_t length = strlen(name);
    char *end;
    unsigned long long value;

    if (strncmp(line, name, length) != 0 || line[length] != ':')
        return false;
    value = strtoull(line + length + 1, &end, 10);
    if (strncmp(end, " kB", 3) != 0)
        return false;
    *ret = (uint64_t)value * 1024;
    return true;
}

static int parse_memory(const char *text, spawn_memory *ret)
{
    uint64_t clean = 0, dirty = 0;
    unsigned found = 0;

    for (; text; text = strchr(text, '\n')) {
        if (*text == '\n')
            text++;
        found += kilobytes(text, "Rss", &ret->resident);
        found += kilobytes(text, "Pss", &ret->proportional);
        found += kilobytes(text, "Private_Clean", &clean);
        found += kilobytes(text, "Private_Dirty", &dirty);
    }
    ret->alone = clean + dirty;
    return found == 4 ? 0 : -EBADMSG;
}

static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* Pages of a frozen template are there whether a process has looked at them or
 * not. They are its template's; a process has for itself what it has written.
 */
static bool count_frozen(const spawn_area *a, void *arg)
{
    spawn_memory *m = arg;

    if (spawn_area_frozen(a)) {
        m->frozen += a->to - a->from;
        m->resident = less(m->resident + (a->to - a->from), a->resident);
        m->proportional =
            less(m->proportional, less(a->proportional, a->anonymous));
        m->alone = less(m->alone, less(a->alone, a->anonymous));
    }
    return true;
}

int spawn_os_memory(pid_t pid, spawn_memory *ret)
{
    char path[64], text[4096];
    spawn_memory memory;
    ssize_t n;
    int fd, rv;

    (void)snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    n = read(fd, text, sizeof(text) - 1);
    rv = n < 0 ? -errno : 0;
    (void)close(fd);
    if (rv)
        return rv;
    text[n] = '\0';
    memset(&memory, 0, sizeof(memory));
    rv = parse_memory(text, &memory);
    if (rv == 0)
        rv = spawn_areas(pid, count_frozen, &memory);
    if (rv == 0)
        *ret = memory;
    return rv;
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

int spawn_os_ionice(int klass, int level)
{
    const int who_process = 1;

    return (int)spawn_raw(SYS_ioprio_set, who_process, 0, klass << 13 | level,
                          0, 0);
}

/* A 0 in front would make it octal. */
void spawn_os_autogroup_nice(int nice)
{
    int fd = spawn_raw_open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC, 0);
    unsigned n = (unsigned)(nice < 0 ? -nice : nice);
    char text[3];
    size_t length = 0;

    if (fd < 0)
        return;
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

/* ---- without close_range: before Linux 5.9, or forbidden ---- */

/* The kernel's own default for the highest number that any process can have. */
#define NUMBERS_MAX 1048576

static void sweep_one(int fd, bool close_it)
{
    if (close_it)
        (void)spawn_raw_close(fd);
    else
        (void)spawn_raw_fcntl(fd, F_SETFD, FD_CLOEXEC);
}

typedef struct {
    int first, last;
    bool close_it;
} sweep_range;

static bool sweep_listed_one(int fd, int dir, void *arg)
{
    const sweep_range *r = arg;

    if (fd >= r->first && fd <= r->last && fd != dir)
        sweep_one(fd, r->close_it);
    return true;
}

/* Without /proc every number has to be tried: an open one may lie above the
 * limit of today. */
static void sweep(int first, int last, bool close_it)
{
    sweep_range range = {first, last, close_it};
    int fd;

    if (for_each_number("/proc/self/fd", sweep_listed_one, &range) == 0)
        return;
    for (fd = first; fd <= last && fd < NUMBERS_MAX; fd++)
        sweep_one(fd, close_it);
}

int spawn_os_close_between(int first, int last)
{
    if (first <= last && spawn_raw(SYS_close_range, first, last, 0, 0, 0) < 0)
        sweep(first, last, true);
    return 0;
}

int spawn_os_close_from(int first)
{
    return spawn_os_close_between(first, INT_MAX);
}

int spawn_os_cloexec_from(int first)
{
    const unsigned cloexec = 1u << 2; /* Linux 5.11 */

    if (spawn_raw(SYS_close_range, first, INT_MAX, cloexec, 0, 0) < 0)
        sweep(first, INT_MAX, false);
    return 0;
}

int spawn_os_memfd(const char *name)
{
    return result(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
}

#define ALL_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

int spawn_os_seal(int fd)
{
    return result(fcntl(fd, F_ADD_SEALS, ALL_SEALS | F_SEAL_SEAL));
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

int spawn_os_pass_credentials(int fd)
{
    const int on = 1;

    return result(setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)));
}
