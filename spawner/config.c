/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration as it came from the httpd parent. Runs in the spawner only.
 * The bytes are kept as they came, to be forwarded to each new broker; the
 * spawner reads only what it needs itself. Must accept no account of uid 0.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "common/spawn_release.h"
#include "spawner/spawner.h"

static int read_identity(const spawn_message *m, unsigned uid, unsigned gid,
                         unsigned groups, spawn_identity *ret)
{
    uint32_t count, i;

    ret->groups_count = -1;
    if (geteuid() != 0)
        return 0;
    if (!spawn_has(m, uid) || !spawn_has(m, gid))
        return -EINVAL;
    ret->uid = (uid_t)spawn_attr_u64(&m->attr[uid]);
    ret->gid = (gid_t)spawn_attr_u64(&m->attr[gid]);
    if (ret->uid == 0)
        return -EPERM; /* nothing of ours runs as root */
    if (ret->uid == (uid_t)-1 || ret->gid == (gid_t)-1)
        return -EINVAL; /* "unchanged", for the kernel */
    count = spawn_u64v_count(&m->attr[groups]);
    if (count > SPAWN_GROUPS_MAX)
        return -E2BIG;
    for (i = 0; i < count; i++)
        ret->groups[i] = (gid_t)spawn_u64v_at(&m->attr[groups], i);
    ret->groups_count = (int)count;
    return 0;
}

/* The error log becomes stderr: a rotated log is written from here on. */
static void take_log(int fd)
{
    spawn_sink_own(fd);
    (void)dup2(fd, STDERR_FILENO);
}

static void take_fd(uint64_t role, int *fd)
{
    static const uint64_t what[SPAWN_FD_ROLES] = {
        [SPAWN_FD_CONTROL] = ON_LISTEN, [SPAWN_FD_PARENT] = ON_PARENT};

    if (role == SPAWN_FD_VHOST_LOG
        && spawner.vhost_logs_count < SPAWN_VHOST_LOGS_MAX) {
        spawn_sink_own(*fd);
        spawner.vhost_logs[spawner.vhost_logs_count++] = *fd;
        *fd = -1;
    }
    if (role == 0 || role >= SPAWN_FD_ROLES)
        return; /* of a newer release: closed with the packet */
    unwatch(&spawner.fds[role]);
    spawner.fds[role] = *fd;
    *fd = -1;
    if (role == SPAWN_FD_LOG)
        take_log(spawner.fds[role]);
    if (role == SPAWN_FD_CONTROL)
        (void)spawn_os_pass_credentials(spawner.fds[role]);
    if (what[role])
        (void)watch(spawner.fds[role], what[role], EPOLLIN);
}

/* Only the broker writes there; the next broker gets them too. */
static void drop_vhost_logs(void)
{
    while (spawner.vhost_logs_count > 0)
        (void)close(spawner.vhost_logs[--spawner.vhost_logs_count]);
}

/* The body without its descriptors, which are kept by role, so that it can be
 * parsed again without them. */
static int copy_body(const void *body, size_t length, uint8_t **ret,
                     size_t *ret_length)
{
    spawn_reader reader;
    spawn_writer w;
    spawn_attr a;
    uint8_t *copy = NULL;
    int rv;

    spawn_writer_init(&w, SPAWN_REQUEST_MAX);
    spawn_writer_begin(&w, SPAWN_M_CONFIGURE, 0);
    spawn_reader_init(&reader, body, length);
    while (spawn_reader_next(&reader, &a) == 1) {
        if (a.id != SPAWN_A_FD_ROLES)
            spawn_put_attr(&w, a.id, &a);
    }
    spawn_put_u64v(&w, SPAWN_A_FD_ROLES, NULL, 0);
    rv = spawn_writer_finish(&w, 0);
    if (rv)
        goto done;
    copy = malloc(w.length - SPAWN_WIRE_HEADER);
    if (!copy) {
        rv = -ENOMEM;
        goto done;
    }
    *ret_length = w.length - SPAWN_WIRE_HEADER;
    memcpy(copy, w.data + SPAWN_WIRE_HEADER, *ret_length);
    *ret = copy;
done:
    spawn_writer_free(&w);
    return rv;
}

/* Not above our own limit: an httpd that adopts us may have been started with a
 * higher one, and without CAP_SYS_RESOURCE we cannot raise ours. */
static void take_file_limit(const spawn_message *m)
{
    const spawn_attr *a = &m->attr[SPAWN_A_FILE_LIMIT];
    struct rlimit own;
    unsigned i;

    if (!spawn_has(m, SPAWN_A_FILE_LIMIT) || spawn_u64v_count(a) != 2
        || getrlimit(RLIMIT_NOFILE, &own) < 0)
        return;
    for (i = 0; i < 2; i++) {
        uint64_t given = spawn_u64v_at(a, i);

        spawner.file_limit[i] = given < own.rlim_max ? given : own.rlim_max;
    }
}

void config_take_fds(const spawn_message *m, int *fds, unsigned count)
{
    unsigned i;

    for (i = 0; i < count; i++)
        take_fd(spawn_u64v_at(&m->attr[SPAWN_A_FD_ROLES], i), &fds[i]);
}

int config_take(const spawn_message *m, const void *body, size_t length,
                int *fds, unsigned count)
{
    const spawn_attr *secret = &m->attr[SPAWN_A_SECRET];
    spawn_identity job_as, broker_as;
    spawn_sink sink;
    accounts *jobs = NULL;
    uint8_t *copy;
    size_t copy_length;
    int rv;

    if (secret->length != SPAWN_SECRET_SIZE)
        return -EINVAL;
    if ((rv = read_identity(m, SPAWN_A_UID, SPAWN_A_GID, SPAWN_A_GROUPS,
                            &job_as))
        || (rv = read_identity(m, SPAWN_A_BROKER_UID, SPAWN_A_BROKER_GID,
                               SPAWN_A_BROKER_GROUPS, &broker_as))
        || (rv = copy_body(body, length, &copy, &copy_length)))
        return rv;
    rv = accounts_read(copy, copy_length, &jobs);
    if (rv) {
        free(copy);
        return rv;
    }
    memcpy(spawner.secret, secret->data, SPAWN_SECRET_SIZE);
    accounts_use(jobs);
    free(spawner.config);
    spawner.config = copy;
    spawner.config_length = copy_length;
    allowed_configured();
    spawner.job_as = job_as;
    spawner.broker_as = broker_as;
    take_file_limit(m);
    spawner.less_bounding = spawn_has(m, SPAWN_A_BOUNDING_SET);
    spawner.bounding_set = spawn_u64_or(m, SPAWN_A_BOUNDING_SET, 0);
    if (spawn_has(m, SPAWN_A_INSTANCE))
        spawn_attr_id(&m->attr[SPAWN_A_INSTANCE], &spawner.life);
    (void)strncpy(spawner.socket_path, spawn_str_or(m, SPAWN_A_SOCKET_PATH, ""),
                  sizeof(spawner.socket_path) - 1);
    spawn_log_level((int)spawn_u64_or(m, SPAWN_A_LOG_LEVEL, SPAWN_LOG_NOTICE));
    spawner.programs_are_of_our_release =
        strcmp(spawn_str_or(m, SPAWN_A_RELEASE, ""), SPAWN_RELEASE) == 0;
    spawner.parent_pid = (pid_t)spawn_u64_or(m, SPAWN_A_PARENT_PID, 0);
    cgroup_configure(spawn_str_or(m, SPAWN_A_CGROUP, ""));
    if (count)
        drop_vhost_logs();
    config_take_fds(m, fds, count);
    relay_configure(m);
    spawn_sink_read(m, STDERR_FILENO, &sink);
    spawn_log_main(&sink);
    spawn_log_keep_in(spawner.fds[SPAWN_FD_KEPT]);
    return 0;
}

int config_for_broker(spawn_writer *w, int *fds, unsigned *ret_count)
{
    static const spawn_fd_role wanted[] = {SPAWN_FD_LISTEN, SPAWN_FD_POST_RX,
                                           SPAWN_FD_INBOX, SPAWN_FD_LOG,
                                           SPAWN_FD_KEPT};
    uint64_t roles[sizeof(wanted) / sizeof(wanted[0]) + SPAWN_VHOST_LOGS_MAX];
    spawn_reader reader;
    spawn_attr a;
    unsigned count = 0, i;
    int rv;

    spawn_writer_begin(w, SPAWN_M_CONFIGURE, 0);
    spawn_reader_init(&reader, spawner.config, spawner.config_length);
    while (spawn_reader_next(&reader, &a) == 1) {
        if (a.id != SPAWN_A_FD_ROLES && a.id != SPAWN_A_INSTANCE)
            spawn_put_attr(w, a.id, &a);
    }
    spawn_put_id(w, SPAWN_A_INSTANCE, &spawner.life);
    for (i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        if (spawner.fds[wanted[i]] >= 0) {
            roles[count] = wanted[i];
            fds[count++] = spawner.fds[wanted[i]];
        }
    }
    for (i = 0; i < spawner.vhost_logs_count; i++) {
        roles[count] = SPAWN_FD_VHOST_LOG;
        fds[count++] = spawner.vhost_logs[i];
    }
    spawn_put_u64v(w, SPAWN_A_FD_ROLES, roles, count);
    rv = spawn_writer_finish(w, count);
    if (rv == 0)
        *ret_count = count;
    return rv;
}
