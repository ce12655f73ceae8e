/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawn_process.h for Linux. Runs in every process. Must signal no number that
 * may have been given away: by a pidfd, or while one of the group is held.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/spawn_areas.h"
#include "common/spawn_numbers.h"
#include "common/spawn_process.h"

/* ms that a start may seem to be before its process: the kernel counts in steps
 * of 10. */
#define NOTED_BEFORE 50

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
    const char *p = "";
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
    *ret = (shown){
        .ended = (state == 'Z' && threads <= 1) || state == 'X',
        .group = (pid_t)group,
        .session = (pid_t)session,
        .started = (int64_t)(ticks * 1000 / (unsigned)sysconf(_SC_CLK_TCK)),
    };
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

bool spawn_os_is_noted(pid_t pid, int64_t noted, int64_t late)
{
    shown s;

    return look_at(pid, &s) == 0 && s.session == pid
           && s.started <= noted + NOTED_BEFORE
           && (late < 0 || s.started >= noted - late);
}

bool spawn_os_unreaped(pid_t pid)
{
    shown s;

    return look_at(pid, &s) == 0 && s.ended;
}

int spawn_os_parent(pid_t pid, pid_t *ret)
{
    char path[40], text[1024];
    const char *p = "";
    int parent, rv;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    rv = read_stat(path, text, sizeof(text), &p);
    if (rv < 0)
        return rv;
    if (sscanf(p, "%*c %d", &parent) != 1)
        return -EIO;
    *ret = (pid_t)parent;
    return 0;
}

int spawn_os_state(pid_t pid, char *ret_state, int64_t *ret_cpu_ms)
{
    unsigned long long user, kernel;
    char path[40], text[1024];
    const char *p = "";
    char state;
    int rv;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    rv = read_stat(path, text, sizeof(text), &p);
    if (rv < 0)
        return rv;
    if (sscanf(p, "%c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu",
               &state, &user, &kernel)
        != 3)
        return -EIO;
    *ret_state = state;
    *ret_cpu_ms =
        (int64_t)((user + kernel) * 1000 / (unsigned)sysconf(_SC_CLK_TCK));
    return 0;
}

bool spawn_os_stopped(pid_t pid)
{
    int64_t cpu;
    char state;

    return spawn_os_state(pid, &state, &cpu) == 0
           && (state == 'T' || state == 't');
}

int spawn_os_session_nice(pid_t pid, int nice)
{
    char path[40], text[8];
    int fd, n, rv = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/autogroup", (int)pid);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    n = snprintf(text, sizeof(text), "%d", nice);
    if (write(fd, text, (size_t)n) < 0)
        rv = -errno;
    (void)close(fd);
    return rv;
}

static int send_by(int pidfd, int signo)
{
    return (int)syscall(SYS_pidfd_send_signal, pidfd, signo, NULL, 0);
}

bool spawn_os_pidfd_there(int pidfd)
{
    return send_by(pidfd, 0) == 0 || errno == EPERM;
}

/* ---- a group whose leader is held, on a kernel that cannot signal it ---- */

#define MEMBERS 512 /* so many of a group are signalled */
#define ROUNDS  16  /* they may fork meanwhile */

typedef struct {
    int leader; /* its pidfd */
    pid_t group;
    int signo;
    unsigned count;
    pid_t sent[MEMBERS];
} group_call;

/* The number of a pidfd's process; 0: it is reaped, or not shown. */
static pid_t number_of(int pidfd)
{
    char path[48], text[512];
    const char *p = "";
    int fd, pid;
    ssize_t n;

    (void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    n = read(fd, text, sizeof(text) - 1);
    (void)close(fd);
    text[n > 0 ? n : 0] = '\0';
    p = strstr(text, "\nPid:");
    return p && sscanf(p + 5, "%d", &pid) == 1 && pid > 0 ? (pid_t)pid : 0;
}

static bool was_sent(const group_call *c, pid_t pid)
{
    unsigned i;

    for (i = 0; i < c->count && c->sent[i] != pid; i++)
        ;
    return i < c->count;
}

static bool is_of_group(const group_call *c, pid_t pid)
{
    shown s;

    return look_at(pid, &s) == 0 && s.group == c->group && !s.ended;
}

/* The pidfd is there before the last look: what it names is what was seen. And
 * the leader is there after it, so that the number was its group's. */
static bool signal_member(int pid, int dir, void *arg)
{
    group_call *c = arg;
    int fd;

    (void)dir;
    if (c->count == MEMBERS)
        return false;
    if (pid == c->group || !is_of_group(c, pid) || was_sent(c, pid))
        return true;
    fd = spawn_os_pidfd(pid);
    if (fd < 0)
        return true;
    if (is_of_group(c, pid) && spawn_os_pidfd_there(c->leader)) {
        (void)send_by(fd, c->signo);
        c->sent[c->count++] = pid;
    }
    (void)close(fd);
    return true;
}

static void signal_members(group_call *c)
{
    unsigned rounds = c->signo == SIGKILL ? ROUNDS : 1, before;

    do {
        before = c->count;
        (void)spawn_numbers("/proc", signal_member, c);
    } while (c->count > before && c->count < MEMBERS && --rounds > 0);
}

/* The leader last: it pins the number until its parent has reaped it. Those
 * that it has forked meanwhile are seen then, if that takes a moment. */
static int signal_one_by_one(int leader, int signo)
{
    group_call c = {
        .leader = leader, .group = number_of(leader), .signo = signo};
    int rv;

    if (c.group > 1)
        signal_members(&c);
    rv = result(send_by(leader, signo));
    if (c.group > 1 && signo == SIGKILL)
        signal_members(&c);
    return rv;
}

int spawn_os_pidfd_signal(int pidfd, int signo)
{
    int rv = result(syscall(SYS_pidfd_send_signal, pidfd, signo, NULL,
                            PIDFD_PROCESS_GROUP));

    if (rv == -EINVAL) /* an older kernel */
        rv = signal_one_by_one(pidfd, signo);
    else if (rv == -ESRCH) /* a process that leads no group (yet) */
        rv = result(send_by(pidfd, signo));
    return rv;
}

/* ---- a group whose leader has gone ---- */

typedef struct {
    pid_t group;
    int64_t lived;
    int old_fd; /* pidfd of a member that is older than that; below 0: none */
    int old_pid;
    unsigned ended;
} group_look;

static bool is_member(pid_t pid, const group_look *l, shown *ret)
{
    return look_at(pid, ret) == 0 && ret->group == l->group
           && ret->session == l->group && !ret->ended;
}

/* The pidfd is there before the last look: what it names is what was seen. */
static bool look_at_member(int pid, int dir, void *arg)
{
    group_look *l = arg;
    shown s;
    int fd;

    (void)dir;
    if (pid == l->old_pid || !is_member(pid, l, &s))
        return true;
    fd = spawn_os_pidfd(pid); /* without one nothing can be signalled */
    if (is_member(pid, l, &s)) {
        if (l->old_fd < 0 && s.started + tick_ms() <= l->lived) {
            l->old_fd = fd;
            l->old_pid = pid;
            return false;
        }
        if (l->old_fd >= 0 && send_by(fd, SIGKILL) == 0)
            l->ended++;
    }
    (void)close(fd);
    return true;
}

void spawn_os_group_end(pid_t group, int64_t lived_boot_ms)
{
    group_look l = {.group = group, .lived = lived_boot_ms, .old_fd = -1};
    unsigned rounds = 10, before; /* they may fork meanwhile */

    if (group <= 1)
        return;
    (void)spawn_numbers("/proc", look_at_member, &l);
    if (l.old_fd < 0)
        return;
    /* while it is there the number is not given away: so it is the last */
    (void)send_by(l.old_fd, SIGSTOP);
    do {
        before = l.ended;
        (void)spawn_numbers("/proc", look_at_member, &l);
    } while (l.ended > before && --rounds > 0);
    (void)send_by(l.old_fd, SIGKILL);
    (void)close(l.old_fd);
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
    const char *p = "";
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
    const char *p = "";
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
    const char *p = "";

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
    return spawn_numbers(path, look_at_thread, &l) < 0 || l.hangs;
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

uint64_t spawn_os_resident(pid_t pid)
{
    char path[64], text[256], *end;
    ssize_t n;
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    n = read(fd, text, sizeof(text) - 1);
    (void)close(fd);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    (void)strtoull(text, &end, 10); /* of all, resident or not */
    return strtoull(end, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
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
