/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps between fork and the job itself. Runs only in the job's process, a
 * child of the spawner or of a template. A child of the spawner may share the
 * spawner's memory (spawner/clone.c): so the calls here must write to the stack
 * and to memory that they are given only, not even to errno. Must use no heap.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "common/spawn_box.h"
#include "common/spawn_child.h"
#include "common/spawn_field.h"
#include "common/spawn_os.h"
#include "common/spawn_raw.h"
#include "common/spawn_sweep.h"
#include "common/spawn_tree.h"

/* For calls that return a negative errno. */
#define STEP(which, call)                                                      \
    do {                                                                       \
        int error_ = (int)(call);                                              \
        if (error_ < 0)                                                        \
            c->failed(c->arg, which, -error_);                                 \
    } while (0)

/* Pointers into the message. Those that need memory of their own are for a
 * process that has its own (spawner/clone.c takes no others). */
char **spawn_child_vector(const spawn_attr *a, char **room, size_t rooms)
{
    uint32_t count = spawn_strv_count(a);
    const char *text = NULL;
    char **v = room;
    uint32_t i;

    if (count >= rooms)
        v = mmap(NULL, ((size_t)count + 1) * sizeof(*v), PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (v == MAP_FAILED)
        return NULL;
    for (i = 0; i < count; i++) {
        text = spawn_strv_next(a, text);
        v[i] = (char *)(uintptr_t)text;
    }
    v[count] = NULL;
    return v;
}

static int set_limit(int resource, uint64_t soft, uint64_t hard)
{
    struct rlimit64 r;

    r.rlim_cur = soft == SPAWN_LIMIT_UNLIMITED ? RLIM64_INFINITY : soft;
    r.rlim_max = hard == SPAWN_LIMIT_UNLIMITED ? RLIM64_INFINITY : hard;
    return (int)spawn_raw(SYS_prlimit64, 0, resource, (long)&r, 0, 0);
}

/* Processes that the job makes are found by that: see spawn_tree.h. It cannot
 * be set where httpd was started with such a limit. */
static void set_mark(const spawn_message *order)
{
    spawn_id id;

    if (spawn_has(order, SPAWN_A_IS_TEMPLATE))
        return; /* each of its jobs has its own */
    spawn_attr_id(&order->attr[SPAWN_A_ID], &id);
    (void)set_limit(
        RLIMIT_RTTIME,
        spawn_tree_mark(&id, (unsigned)spawn_u64_or(order, SPAWN_A_ATTEMPT, 0)),
        SPAWN_LIMIT_UNLIMITED);
}

static int set_limits(const spawn_child *c)
{
    const spawn_message *order = c->order;
    const spawn_attr *a = &order->attr[SPAWN_A_LIMITS];
    uint32_t i;
    int rv = 0;

    if (c->file_limit[1])
        rv = set_limit(RLIMIT_NOFILE, c->file_limit[0], c->file_limit[1]);
    if (rv < 0)
        return rv;
    for (i = 0; spawn_has(order, SPAWN_A_LIMITS) && i < spawn_u64v_count(a);
         i += 2) {
        /* setrlimit refuses an unknown one */
        int resource = spawn_limit_resource(spawn_u64v_at(a, i));
        uint64_t value = spawn_u64v_at(a, i + 1);

        if (resource >= RLIMIT_SPAWN_TREE_MEMORY)
            continue; /* the spawner has set it */
        rv = set_limit(resource, value, value);
        if (rv < 0)
            return rv;
    }
    return 0;
}

static int set_nice(int nice)
{
    int rv = (int)spawn_raw(SYS_setpriority, PRIO_PROCESS, 0, (long)nice, 0, 0);

    if (rv < 0)
        return rv;
    spawn_os_autogroup_nice(nice);
    return 0;
}

static int set_priority(const spawn_message *order)
{
    uint64_t ionice;
    int rv = 0;

    /* A failure does not matter: where this is denied, the spawner has no other
     * class either. */
    (void)spawn_os_sched_batch(false);
    if (spawn_has(order, SPAWN_A_NICE))
        rv = set_nice((int)spawn_attr_i64(&order->attr[SPAWN_A_NICE]));
    if (rv < 0)
        return rv;
    if (!spawn_has(order, SPAWN_A_IONICE))
        return 0;
    ionice = spawn_attr_u64(&order->attr[SPAWN_A_IONICE]);
    return spawn_os_ionice((int)(ionice >> 8), (int)(ionice & 7));
}

spawn_step spawn_child_become(const spawn_identity *who, int *ret_error)
{
    spawn_step step = SPAWN_STEP_GROUPS;
    int rv;

    if (who->groups_count < 0)
        return SPAWN_STEP_NONE;
    *ret_error = EINVAL; /* the kernel takes -1 for "unchanged" */
    if (who->uid == (uid_t)-1)
        return SPAWN_STEP_UID;
    if (who->gid == (gid_t)-1)
        return SPAWN_STEP_GID;
    rv = (int)spawn_raw(SPAWN_RAW_SETGROUPS, who->groups_count,
                        (long)who->groups, 0, 0, 0);
    if (rv == 0) {
        step = SPAWN_STEP_GID;
        rv = (int)spawn_raw(SPAWN_RAW_SETRESGID, who->gid, who->gid, who->gid,
                            0, 0);
    }
    if (rv == 0) {
        step = SPAWN_STEP_UID;
        rv = (int)spawn_raw(SPAWN_RAW_SETRESUID, who->uid, who->uid, who->uid,
                            0, 0);
    }
    *ret_error = -rv;
    if (rv < 0)
        return step;
    /* With another fs.suid_dumpable than 0 that has opened our copy of the
     * spawner's memory to the account, until exec. */
    (void)spawn_raw(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
    return SPAWN_STEP_NONE;
}

/* Open without waiting for somebody at the other end of a FIFO (or a modem's
 * line): to be read it is then empty, to be written it is an error. */
static int open_stream(const spawn_stdio *s, int target)
{
    int flags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    int fd, rv;

    if (target != STDIN_FILENO)
        flags |= O_WRONLY | O_CREAT
                 | (s->flags & SPAWN_STDIO_APPEND ? O_APPEND : O_TRUNC);
    fd = spawn_raw_open(s->path, flags, 0666);
    if (fd == -EWOULDBLOCK) /* a lease: its holder gives it up soon */
        return spawn_raw_open(s->path, flags & ~O_NONBLOCK, 0666);
    if (fd < 0)
        return fd;
    rv = spawn_raw_fcntl(fd, F_SETFL, flags & O_APPEND);
    return rv < 0 ? rv : fd; /* the job ends then */
}

/* Put one standard stream in its place. null: a number that is /dev/null
 * already, or -1. */
static int set_stream(const spawn_child *o, const int *lifted, unsigned attr,
                      int target, int *null)
{
    spawn_stdio s = {SPAWN_STDIO_NULL, 0, 0, ""};
    int fd, rv;

    if (spawn_has(o->order, attr))
        spawn_attr_stdio(&o->order->attr[attr], &s);
    switch (s.how) {
    case SPAWN_STDIO_NULL:
        if (*null >= 0)
            return spawn_raw_dup_to(*null, target);
        fd = spawn_raw_open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY, 0);
        *null = target;
        break;
    case SPAWN_STDIO_PATH:
        fd = open_stream(&s, target);
        break;
    case SPAWN_STDIO_FD:
        return spawn_raw_dup_to(lifted[s.fd], target);
    case SPAWN_STDIO_STDOUT:
        return spawn_raw_dup_to(STDOUT_FILENO, target);
    default:
        return -EINVAL;
    }
    if (fd < 0)
        return fd;
    if (fd == target) /* its number was free */
        return spawn_raw_fcntl(fd, F_SETFD, 0);
    rv = spawn_raw_dup_to(fd, target);
    (void)spawn_raw_close(fd);
    return rv;
}

/* Its stdin, which is one of the caller's: it becomes the terminal of the
 * session that the job leads, so that the keys for signals and for the end of
 * input do what they do, and the end of the terminal is told (HUP). A terminal
 * that another session has stays there. */
static int set_terminal(const spawn_message *order)
{
    if (!spawn_u64_or(order, SPAWN_A_TTY, 0))
        return 0;
    return (int)spawn_raw(SYS_ioctl, STDIN_FILENO, TIOCSCTTY, 0, 0, 0);
}

/* Handles to their numbers; all others close at exec. */
static int set_descriptors(const spawn_child *o, const int *lifted)
{
    const spawn_attr *a = &o->order->attr[SPAWN_A_FDS];
    uint32_t i;

    (void)spawn_os_cloexec_from(STDERR_FILENO + 1);
    for (i = 0; spawn_has(o->order, SPAWN_A_FDS) && i < spawn_u64v_count(a);
         i += 2) {
        int rv = spawn_raw_dup_to(lifted[spawn_u64v_at(a, i)],
                                  (int)spawn_u64v_at(a, i + 1));

        if (rv < 0)
            return rv;
    }
    return 0;
}

/* exec says ENOENT also when the file exists and the program that has to run it
 * does not: the interpreter of its first line, or the loader of a dynamic
 * program. */
static spawn_step execute(const char *file, char **argv, char **envp,
                          const void *unused, int *ret_error)
{
    (void)unused;
    *ret_error =
        -(int)spawn_raw(SYS_execve, (long)file, (long)argv, (long)envp, 0, 0);
    if (*ret_error != ENOENT
        || spawn_raw(SYS_faccessat, AT_FDCWD, (long)file, F_OK, 0, 0) < 0)
        return SPAWN_STEP_EXEC;
    return SPAWN_STEP_INTERPRETER;
}

spawn_step spawn_child_exec_by(spawn_child_execute by, const void *arg,
                               char **argv, char **envp, int *ret_error)
{
    const char *path = SPAWN_DEFAULT_PATH;
    size_t name = strlen(argv[0]);
    spawn_step step = SPAWN_STEP_EXEC;
    int error = ENOENT;

    if (strchr(argv[0], '/'))
        return by(argv[0], argv, envp, arg, ret_error);
    while (*path) {
        const char *end = strchrnul(path, ':');
        size_t length = (size_t)(end - path);
        char file[4096];
        spawn_step found;
        int why;

        if (length + 1 + name + 1 > sizeof(file)) {
            *ret_error = ENAMETOOLONG;
            return step;
        }
        memcpy(file, path, length);
        file[length] = '/';
        memcpy(file + length + 1, argv[0], name + 1);
        found = by(file, argv, envp, arg, &why);
        if (found == SPAWN_STEP_ALLOW) /* another one may be allowed */
            step = found;
        else if (found == SPAWN_STEP_INTERPRETER && step == SPAWN_STEP_EXEC)
            step = found;
        else if (why != ENOENT && why != ENOTDIR)
            error = why;
        path = *end ? end + 1 : end;
    }
    *ret_error = step == SPAWN_STEP_ALLOW ? EPERM : error;
    return error == ENOENT || step == SPAWN_STEP_ALLOW ? step : SPAWN_STEP_EXEC;
}

spawn_step spawn_child_exec(char **argv, char **envp, int *ret_error)
{
    return spawn_child_exec_by(execute, NULL, argv, envp, ret_error);
}

static bool asked_for(const spawn_child *c, int fd)
{
    const spawn_attr *a = &c->order->attr[SPAWN_A_FDS];
    uint32_t i;

    for (i = 0; spawn_has(c->order, SPAWN_A_FDS) && i < spawn_u64v_count(a);
         i += 2) {
        if (spawn_u64v_at(a, i + 1) == (uint64_t)fd)
            return true;
    }
    return false;
}

void spawn_child_close_others(const spawn_child *c, const int *keep,
                              unsigned count)
{
    int from = STDERR_FILENO + 1;
    int fd;

    /* in ranges between those that stay: below LIFTED the ones that were asked
     * for, above it the kept ones */
    for (fd = from; fd < SPAWN_CHILD_LIFTED; fd++) {
        if (!asked_for(c, fd))
            continue;
        if (fd > from)
            (void)spawn_os_close_between(from, fd - 1);
        from = fd + 1;
    }
    for (;;) {
        int next = -1;
        unsigned i;

        for (i = 0; i < count; i++) {
            if (keep[i] >= from && (next < 0 || keep[i] < next))
                next = keep[i];
        }
        if (next < 0)
            break;
        if (next > from)
            (void)spawn_os_close_between(from, next - 1);
        from = next + 1;
    }
    (void)spawn_os_close_from(from);
}

/* Close all but what the order and the set-up need (and 0 to 2, until they are
 * replaced): a child that hangs later must hold no socket, lock or pipe of
 * others. The descriptors that stay are above LIFTED, in any order. */
static void close_early(const spawn_child *c, const int *lifted)
{
    int next = STDERR_FILENO + 1;

    for (;;) {
        int nearest = INT_MAX;
        unsigned i;

        for (i = 0; i < SPAWN_CHILD_FDS; i++) {
            if (lifted[i] >= next && lifted[i] < nearest)
                nearest = lifted[i];
        }
        for (i = 0; i < c->keep_count; i++) {
            if (c->keep[i] >= next && c->keep[i] < nearest)
                nearest = c->keep[i];
        }
        if (nearest == INT_MAX)
            break;
        (void)spawn_os_close_between(next, nearest - 1);
        next = nearest + 1;
    }
    (void)spawn_os_close_from(next);
}

/* Move the descriptors of the order to free numbers. A descriptor in the box
 * gets a number only here: no other process has it in its table. Looking into a
 * box writes errno: orders with a box are forked (spawner/clone.c). */
static int lift(const spawn_child *c, int lifted[SPAWN_CHILD_FDS])
{
    unsigned fds = c->order->header.fds, i;
    int boxed[SPAWN_FDS_MAX];
    int count = 0;

    for (i = 0; i < SPAWN_CHILD_FDS; i++)
        lifted[i] = -1;
    for (i = 0; i < fds; i++) {
        lifted[i] =
            spawn_raw_fcntl(c->fds[i], F_DUPFD_CLOEXEC, SPAWN_CHILD_LIFTED);
        if (lifted[i] < 0)
            return lifted[i];
    }
    if (fds > 0 && spawn_has(c->order, SPAWN_A_BOXED))
        count = spawn_box_look(c->fds[fds - 1], boxed, SPAWN_FDS_MAX);
    if (count < 0)
        return count;
    for (i = 0; i < (unsigned)count; i++) {
        int to = SPAWN_FDS_BOXED + (int)i;

        lifted[to] =
            spawn_raw_fcntl(boxed[i], F_DUPFD_CLOEXEC, SPAWN_CHILD_LIFTED);
        if (lifted[to] < 0)
            return lifted[to];
    }
    return 0;
}

void spawn_child_set_up(const spawn_child *c, int lifted[SPAWN_CHILD_FDS])
{
    const spawn_message *order = c->order;
    const unsigned long none[16] = {0};
    spawn_step step;
    int null = -1, error;

    STEP(SPAWN_STEP_FDS, lift(c, lifted));
    close_early(c, lifted);
    if (!c->leads)
        STEP(SPAWN_STEP_SESSION, spawn_raw(SYS_setsid, 0, 0, 0, 0, 0));
    /* From here on the child can hang, and signals must end it: all have their
     * default action, so that no code of the process that forked it runs. */
    STEP(SPAWN_STEP_SIGNALS, spawn_raw(SYS_rt_sigprocmask, SIG_SETMASK,
                                       (long)none, 0, (_NSIG - 1) / 8, 0));
    STEP(SPAWN_STEP_LIMITS, set_limits(c));
    set_mark(order);
    STEP(SPAWN_STEP_PRIORITY, set_priority(order));
    /* while we still have the right */
    if (c->bounding_set)
        STEP(SPAWN_STEP_PRIVILEGES, spawn_os_bounding_set(*c->bounding_set));
    step = spawn_child_become(c->as, &error);
    if (step)
        c->failed(c->arg, step, error);
    (void)spawn_raw(
        SYS_umask,
        (long)spawn_u64_or(order, SPAWN_A_UMASK, SPAWN_DEFAULT_UMASK), 0, 0, 0,
        0);
    STEP(SPAWN_STEP_CWD,
         spawn_raw(SYS_chdir, (long)spawn_str_or(order, SPAWN_A_CWD, "/"), 0, 0,
                   0, 0));
    STEP(SPAWN_STEP_STDIN,
         set_stream(c, lifted, SPAWN_A_STDIN, STDIN_FILENO, &null));
    STEP(SPAWN_STEP_STDIN, set_terminal(order));
    STEP(SPAWN_STEP_STDOUT,
         set_stream(c, lifted, SPAWN_A_STDOUT, STDOUT_FILENO, &null));
    STEP(SPAWN_STEP_STDERR,
         set_stream(c, lifted, SPAWN_A_STDERR, STDERR_FILENO, &null));
    STEP(SPAWN_STEP_FDS, set_descriptors(c, lifted));
    if (spawn_u64_or(order, SPAWN_A_NO_NEW_PRIVS, 0))
        STEP(SPAWN_STEP_PRIVILEGES, spawn_os_no_new_privs());
}
