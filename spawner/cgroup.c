/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directory of cgroup v2 for each job, below the one that SpawnCgroup names:
 * made before its process, removed when none of the job is left in it. Runs in
 * the spawner only. Without such a directory jobs run as before. Must remove no
 * directory that may be about to be used, and put no process there that is not
 * known to be the job's.
 *
 * The directory's name is all that is known of it: none stays open, and what an
 * earlier spawner has left is found by looking. Another httpd may have its own
 * there: the name says whose it is.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/stat.h>

#include "common/spawn_cgroup.h"
#include "common/spawn_field.h"
#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "spawner/spawner.h"

#define NAME_ROOM  64
#define LOOKS_MOST 2000  /* entries of a directory in one look */
#define YOUNG      10    /* s: another spawner may be about to use it */
#define WAIT_FIRST 1000  /* ms to the next look for what can be removed */
#define WAIT_MOST  60000 /* ms */
#define GIVE_AGAIN 1000  /* ms */

/* ---- where ---- */

/* One that no job has its directory in; CGROUP_BASES: none. */
static unsigned unused_place(void)
{
    bool taken[CGROUP_BASES + 1] = {false};
    uint32_t i;

    for (i = 1; i < table_end(); i++)
        taken[table_at(i)->state == JOB_FREE ? 0 : table_at(i)->cgroup] = true;
    for (i = 0; i < CGROUP_BASES && taken[i + 1]; i++)
        continue;
    return i;
}

/* Takes the descriptor over. A place and one more, or a negative errno. */
static int place_of(int fd)
{
    struct stat st = {0};
    unsigned i;

    (void)fstat(fd, &st);
    for (i = 0; i < spawner.cgroup.bases_count; i++) {
        if (spawner.cgroup.bases[i].inode == st.st_ino
            && spawner.cgroup.bases[i].device == st.st_dev) {
            (void)close(fd);
            return (int)i + 1;
        }
    }
    i = spawner.cgroup.bases_count < CGROUP_BASES ? spawner.cgroup.bases_count
                                                  : unused_place();
    if (i == CGROUP_BASES) {
        (void)close(fd);
        return -EMFILE;
    }
    if (i == spawner.cgroup.bases_count)
        spawner.cgroup.bases_count++;
    else
        (void)close(spawner.cgroup.bases[i].fd);
    spawner.cgroup.bases[i].fd = fd;
    spawner.cgroup.bases[i].inode = st.st_ino;
    spawner.cgroup.bases[i].device = st.st_dev;
    spawner.cgroup.bases[i].at = 0;
    return (int)i + 1;
}

/* For limits. A directory can give controllers to jobs when no process is in
 * it: so we leave our own, with the broker and all that we have started, and
 * httpd before us with all of us. A service of systemd does not: systemd would
 * put the next spawner there, and could not while jobs live. It begins below it
 * (DelegateSubgroup=), or has no limits. */
static void give_controllers(int fd)
{
    int64_t now = spawn_mono_ms();

    /* a group that could not be had a moment ago is not asked for with each job
     */
    if (now < spawner.cgroup.give_again)
        return;
    if (spawner.cgroup.own && !external()
        && spawn_cgroup_given(fd) != SPAWN_CGROUP_ALL)
        (void)spawn_cgroup_step_aside(fd);
    if (spawn_cgroup_controllers(fd) != SPAWN_CGROUP_ALL)
        spawner.cgroup.give_again = now + GIVE_AGAIN;
}

/* There is one pair for each socket, and an earlier one had the same. */
static void name_us(void)
{
    uint32_t sum = 0x811c9dc5;
    const char *p;

    for (p = spawner.socket_path; *p; p++)
        sum = (sum ^ (uint8_t)*p) * 0x01000193;
    (void)snprintf(spawner.cgroup.prefix, sizeof(spawner.cgroup.prefix),
                   "spawn-%08x-", (unsigned)sum);
}

static int find(const char *where, char *path, size_t room)
{
    int rv;

    if (spawner.cgroup.own)
        rv = spawn_cgroup_own(path, room);
    else
        rv = snprintf(path, room, "%s", where) < 0 ? -EINVAL : 0;
    return rv < 0 ? rv : spawn_cgroup_open(path);
}

/* Of a service of systemd, which does not leave its own. Once: nobody else says
 * it before a job has such a limit, and does not start. */
static void tell_unlimited(const char *why)
{
    if (spawner.cgroup.told_unlimited)
        return;
    spawner.cgroup.told_unlimited = true;
    spawn_log(SPAWN_LOG_NOTICE,
              MSNO(0389) "jobs with a limit of all their processes (SpawnLimit "
                         "tree-memory and others) do not start with this "
                         "external spawner: %s; give its unit Delegate=yes and "
                         "DelegateSubgroup=" SPAWN_CGROUP_SELF " (systemd "
                         "254), or name a directory of cgroup v2 with "
                         "SpawnCgroup",
              why);
}

/* Could a job there have limits? */
static bool gives_controllers(int fd)
{
    return !external() || spawn_cgroup_given(fd) == SPAWN_CGROUP_ALL
           || spawn_cgroup_is_empty(fd);
}

void cgroup_configure(const char *where)
{
    char path[PATH_MAX];
    int rv;

    spawner.cgroup.base = 0;
    name_us();
    if (!where[0])
        return;
    spawner.cgroup.own = strcmp(where, "auto") == 0;
    rv = find(where, path, sizeof(path));
    if (rv >= 0)
        rv = place_of(rv);
    if (rv < 0 && spawner.cgroup.own) { /* which is as usual */
        spawn_log(SPAWN_LOG_INFO, MSNO(0388) "jobs have no cgroups: %s",
                  spawn_cgroup_why_none(rv));
        if (external())
            tell_unlimited(spawn_cgroup_why_none(rv));
        return;
    }
    if (rv < 0) {
        spawn_log(SPAWN_LOG_ERR,
                  MSNO(0385) "jobs have no cgroups: %s cannot be used: %s",
                  where, strerror(-rv));
        return;
    }
    spawner.cgroup.base = (unsigned)rv;
    spawner.cgroup.give_again = 0;
    spawn_log(SPAWN_LOG_INFO, MSNO(0386) "jobs have cgroups in %s", path);
    if (spawner.cgroup.own
        && !gives_controllers(spawner.cgroup.bases[spawner.cgroup.base - 1].fd))
        tell_unlimited("it is itself in the cgroup of its unit");
    spawner.cgroup.look_at = spawn_mono_ms();
    spawner.cgroup.look_wait = WAIT_FIRST;
}

/* ---- a job's own ---- */

static void name_of(const job *j, char *name)
{
    char text[SPAWN_ID_TEXT];

    if (j->attempt)
        (void)snprintf(name, NAME_ROOM, "%s%s-%u", spawner.cgroup.prefix,
                       spawn_id_format(&j->id, text), j->attempt);
    else
        (void)snprintf(name, NAME_ROOM, "%s%s", spawner.cgroup.prefix,
                       spawn_id_format(&j->id, text));
}

/* Of a job that has one. */
static int put_into(const job *j, const char *file, const char *text)
{
    char name[NAME_ROOM], path[2 * NAME_ROOM];

    name_of(j, name);
    (void)snprintf(path, sizeof(path), "%s/%s", name, file);
    return spawn_cgroup_put(spawner.cgroup.bases[j->cgroup - 1].fd, path, text);
}

/* A limit of the whole job, as the kernel wants it; 0: it is none of these. */
static int set_limit(int dir, uint64_t limit, uint64_t value)
{
    char text[64];

    if (value == SPAWN_LIMIT_UNLIMITED)
        return 0;
    (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    switch (spawn_limit_resource(limit)) {
    case RLIMIT_SPAWN_TREE_MEMORY:
        (void)spawn_cgroup_put(dir, "memory.swap.max", "0");
        return spawn_cgroup_put(dir, "memory.max", text);
    case RLIMIT_SPAWN_TREE_PROCESSES:
        return spawn_cgroup_put(dir, "pids.max", text);
    case RLIMIT_SPAWN_TREE_CPU: /* percent of a processor, of 100 ms */
        (void)snprintf(text, sizeof(text), "%llu 100000",
                       (unsigned long long)value * 1000);
        return spawn_cgroup_put(dir, "cpu.max", text);
    case RLIMIT_SPAWN_TREE_WEIGHT:
        return spawn_cgroup_put(dir, "cpu.weight", text);
    default:
        return 0;
    }
}

bool cgroup_limits_memory(const spawn_message *order)
{
    const spawn_attr *a = &order->attr[SPAWN_A_LIMITS];
    uint32_t i;

    for (i = 0; spawn_has(order, SPAWN_A_LIMITS) && i < spawn_u64v_count(a);
         i += 2) {
        if (spawn_limit_resource(spawn_u64v_at(a, i))
                == RLIMIT_SPAWN_TREE_MEMORY
            && spawn_u64v_at(a, i + 1) != SPAWN_LIMIT_UNLIMITED)
            return true;
    }
    return false;
}

static int set_limits(int dir, const spawn_message *order)
{
    const spawn_attr *a = &order->attr[SPAWN_A_LIMITS];
    uint32_t i;
    int rv = 0;

    for (i = 0; rv == 0 && i < spawn_u64v_count(a); i += 2)
        rv = set_limit(dir, spawn_u64v_at(a, i), spawn_u64v_at(a, i + 1));
    return rv == -ENOENT ? -EOPNOTSUPP : rv; /* the controller is not there */
}

static int make(job *j)
{
    int parent = spawner.cgroup.bases[spawner.cgroup.base - 1].fd, fd;
    char name[NAME_ROOM];

    name_of(j, name);
    if (mkdirat(parent, name, 0755) < 0 && errno != EEXIST)
        return -errno;
    j->cgroup = (uint8_t)spawner.cgroup.base;
    fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static void told(int error)
{
    spawn_log_few("all jobs", SPAWN_LOG_FEW, SPAWN_LOG_WARN,
                  MSNO(0387) "no cgroup can be made for a job, which goes on "
                             "without: %s",
                  strerror(error));
}

int cgroup_make(job *j, const spawn_message *order, int *ret)
{
    bool must = spawn_limits_of_tree(order);
    int rv;

    *ret = -1;
    j->limited = must;
    if (spawn_has(order, SPAWN_A_IS_TEMPLATE))
        return 0;
    /* A function's process is moved there, for which the kernel lets everybody
     * wait some ms: not without being asked for. */
    if (spawner.cgroup.own && !must && spawn_has(order, SPAWN_A_TEMPLATE_ID))
        return 0;
    if (spawner.cgroup.base == 0)
        return must ? -EOPNOTSUPP : 0;
    if (must)
        give_controllers(spawner.cgroup.bases[spawner.cgroup.base - 1].fd);
    rv = make(j);
    if (rv >= 0) {
        *ret = rv;
        rv = must ? set_limits(*ret, order) : 0;
    }
    if (rv < 0) {
        spawn_close_fds(ret, 1);
        cgroup_leave(j);
    }
    if (rv < 0 && !must) {
        told(-rv);
        rv = 0;
    }
    return rv;
}

int cgroup_enter(job *j, pid_t pid)
{
    char text[16];
    int rv;

    if (!j->cgroup)
        return 0;
    (void)snprintf(text, sizeof(text), "%d", (int)pid);
    rv = put_into(j, "cgroup.procs", text);
    if (rv == 0)
        j->in_cgroup = true;
    if (rv == 0 || rv == -ESRCH) /* it has ended */
        return 0;
    if (!j->limited)
        told(-rv);
    return j->limited ? rv : 0;
}

void cgroup_kill(const job *j)
{
    if (j->cgroup)
        (void)put_into(j, "cgroup.kill", "1");
}

void cgroup_usage(job *j)
{
    char name[NAME_ROOM];
    int fd;

    if (!j->cgroup || !j->in_cgroup)
        return;
    name_of(j, name);
    fd = openat(spawner.cgroup.bases[j->cgroup - 1].fd, name,
                O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    spawn_cgroup_usage(fd, table_tree(j));
    j->has_tree = true;
    (void)close(fd);
}

static void look_soon(void)
{
    spawner.cgroup.look_wait = WAIT_FIRST;
    spawner.cgroup.look_at = spawn_mono_ms() + spawner.cgroup.look_wait;
}

void cgroup_leave(job *j)
{
    char name[NAME_ROOM];

    if (!j->cgroup)
        return;
    name_of(j, name);
    if (unlinkat(spawner.cgroup.bases[j->cgroup - 1].fd, name, AT_REMOVEDIR) < 0
        && errno != ENOENT)
        look_soon(); /* some of it are left there, or end just now */
    j->cgroup = 0;
    j->in_cgroup = false;
}

bool cgroup_is_current(const job *j)
{
    return j->cgroup && j->cgroup == spawner.cgroup.base;
}

int cgroup_base(unsigned i)
{
    return i < spawner.cgroup.bases_count ? spawner.cgroup.bases[i].fd : -1;
}

void cgroup_resume_base(int fd)
{
    if (place_of(fd) > 0)
        look_soon();
}

void cgroup_resume(job *j, unsigned place, bool was_put)
{
    if (place > spawner.cgroup.bases_count)
        return;
    j->cgroup = (uint8_t)(place ? place : spawner.cgroup.base);
    j->in_cgroup = was_put;
}

/* ---- what is left ---- */

/* Of a job that lives, whose end removes it; or none of ours. */
static bool is_used(const char *name)
{
    char text[SPAWN_ID_TEXT], its[NAME_ROOM];
    spawn_id id;
    const job *j;

    (void)snprintf(text, sizeof(text), "%s",
                   name + strlen(spawner.cgroup.prefix));
    if (spawn_id_parse(text, &id) < 0)
        return true;
    j = table_by_id(&id);
    if (!j || !j->cgroup)
        return false;
    name_of(j, its); /* and not that of an earlier attempt */
    return strcmp(its, name) == 0;
}

/* An earlier spawner that has not ended yet may have made it just now. */
static bool is_young(int dir, const char *name)
{
    struct stat st;

    return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0
           && st.st_ctime + YOUNG > time(NULL);
}

/* True: there is, or may be, something that could not be removed. *at: where to
 * begin, and where to go on. */
static bool remove_left(int fd, long *at)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    const struct dirent *e;
    unsigned looks = 0;
    bool left = false;

    if (!dir) {
        spawn_close_fds(&copy, 1);
        return true;
    }
    if (*at)
        seekdir(dir, *at);
    left = *at != 0; /* names before it were not looked at again */
    *at = 0;
    while ((e = readdir(dir))) {
        if (looks++ == LOOKS_MOST) {
            *at = telldir(dir);
            left = true;
            break;
        }
        if (strncmp(e->d_name, spawner.cgroup.prefix,
                    strlen(spawner.cgroup.prefix))
                != 0
            || is_used(e->d_name))
            continue;
        if (is_young(fd, e->d_name)
            || unlinkat(fd, e->d_name, AT_REMOVEDIR) < 0)
            left = true;
    }
    (void)closedir(dir);
    return left;
}

int cgroup_timers(int64_t now)
{
    bool left = false;
    unsigned i;

    if (spawner.cgroup.look_at == 0)
        return -1;
    if (now < spawner.cgroup.look_at)
        return (int)(spawner.cgroup.look_at - now);
    for (i = 0; i < spawner.cgroup.bases_count; i++)
        left |= remove_left(spawner.cgroup.bases[i].fd,
                            &spawner.cgroup.bases[i].at);
    spawner.cgroup.look_at = left ? now + spawner.cgroup.look_wait : 0;
    spawner.cgroup.look_wait = spawner.cgroup.look_wait < WAIT_MOST / 2
                                   ? 2 * spawner.cgroup.look_wait
                                   : WAIT_MOST;
    return left ? (int)(spawner.cgroup.look_at - now) : -1;
}
