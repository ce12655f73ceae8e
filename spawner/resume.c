/* SPDX-License-Identifier: Apache-2.0 */
/*
 * After an upgrade: the new release of the spawner takes over what the old one
 * has written down (upgrade.c). Runs in the spawner only, once at its start.
 * Must pass over what it does not know.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/epoll.h>
#include <sys/mman.h>

#include "common/spawn_closer.h"
#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "common/spawn_release.h"
#include "spawner/saved.h"
#include "spawner/spawner.h"
#include "spawner/template_note.h"

typedef struct {
    spawn_attr attr[SPAWN_A_COUNT];
} saved;

static uint64_t number(const saved *s, unsigned id)
{
    return s->attr[id].kind == SPAWN_KIND_U64 ? spawn_attr_u64(&s->attr[id])
                                              : 0;
}

/* How many pairs KEEP has: a descriptor, and what it is for. */
static uint32_t fds_count(const saved *s)
{
    return spawn_u64v_count(&s->attr[SPAWN_A_KEEP]) / 2;
}

static int fd_at(const saved *s, uint32_t i)
{
    return (int)spawn_u64v_at(&s->attr[SPAWN_A_KEEP], 2 * i);
}

static uint64_t role_at(const saved *s, uint32_t i)
{
    return spawn_u64v_at(&s->attr[SPAWN_A_KEEP], 2 * i + 1);
}

static template_note *load_note(const job *template, const saved *s)
{
    const spawn_attr *name = &s->attr[SPAWN_A_TEMPLATE];
    template_note *n =
        template_note_make(template, name->id ? spawn_attr_str(name) : "");

    if (!n)
        return NULL;
    if (s->attr[SPAWN_A_TEXT].kind == SPAWN_KIND_STR)
        template_note_text(template, spawn_attr_str(&s->attr[SPAWN_A_TEXT]));
    n->dismissed = number(s, SPAWN_A_LAST) != 0;
    n->dismissal_waits = number(s, SPAWN_A_LAST) > 1;
    if (s->attr[SPAWN_A_UID].id) /* an older release did not note it */
        n->uid = (uid_t)number(s, SPAWN_A_UID);
    if (s->attr[SPAWN_A_GID].id)
        n->gid = (gid_t)number(s, SPAWN_A_GID);
    if (spawn_u64v_count(&s->attr[SPAWN_A_GROUPS]) == 1)
        n->groups = spawn_u64v_at(&s->attr[SPAWN_A_GROUPS], 0);
    return n;
}

/* Call when all are loaded: since places of the table are used again, a
 * template may stand behind its jobs. */
static void load_template(const saved *s)
{
    const spawn_attr *a = &s->attr[SPAWN_A_TEMPLATE_ID];
    const job *template;
    spawn_id id;
    job *j;

    if (!a->id)
        return;
    spawn_attr_id(a, &id);
    template = table_by_id(&id);
    spawn_attr_id(&s->attr[SPAWN_A_ID], &id);
    j = table_by_id(&id);
    if (j && template)
        j->template = table_index(template);
}

static void load_tree(job *j, const spawn_attr *tree)
{
    uint32_t i;

    if (spawn_u64v_count(tree) != SPAWN_RU_TREE_COUNT)
        return;
    for (i = 0; i < SPAWN_RU_TREE_COUNT; i++)
        table_tree(j)[i] = spawn_u64v_at(tree, i);
    j->has_tree = true;
}

/* Its kind, and its state. */
static void load_state(job *j, const saved *s)
{
    j->pid = (pid_t)number(s, SPAWN_A_PID);
    j->state = (uint8_t)number(s, SPAWN_A_STATE);
    j->flags = (uint16_t)(number(s, SPAWN_A_KILL_LEFT)
                          | number(s, SPAWN_A_IS_TEMPLATE));
    j->said = (uint8_t)number(s, SPAWN_A_TEMPLATE_KIND);
    j->pending_signal = (uint8_t)number(s, SPAWN_A_SIGNO);
    j->step = (uint8_t)number(s, SPAWN_A_STEP);
    j->attempt = (uint8_t)number(s, SPAWN_A_ATTEMPT);
    j->uid = (uid_t)number(s, SPAWN_A_UID);
    j->error = (int32_t)number(s, SPAWN_A_ERRNO);
    j->status = (int32_t)number(s, SPAWN_A_WAIT_STATUS);
}

static void load_times(job *j, const saved *s)
{
    j->mono_us = (int64_t)number(s, SPAWN_A_MONO_STARTED);
    j->boot_ms = (int64_t)number(s, SPAWN_A_BOOT_STARTED);
    j->wall_ms = (int64_t)number(s, SPAWN_A_STARTED_AT);
    j->ended_ms = (int64_t)number(s, SPAWN_A_ENDED_AT);
    j->elapsed_us = (int64_t)number(s, SPAWN_A_ELAPSED);
}

static void load_cgroup(job *j, const saved *s)
{
    j->limited = s->attr[SPAWN_A_LIMITS].id != 0;
    if (number(s, SPAWN_A_ROWS))
        cgroup_resume(j, (unsigned)number(s, SPAWN_A_ROWS) / 2,
                      number(s, SPAWN_A_ROWS) % 2);
    else if (number(s, SPAWN_A_BOXED)) /* of an older release */
        cgroup_resume(j, 0, number(s, SPAWN_A_BOXED) == 1);
}

static void load_usage(job *j, const saved *s)
{
    const spawn_attr *usage = &s->attr[SPAWN_A_RUSAGE];
    uint32_t i;

    if (spawn_u64v_count(usage) == SPAWN_RU_COUNT) {
        j->utime_us = spawn_u64v_at(usage, SPAWN_RU_UTIME_US);
        j->stime_us = spawn_u64v_at(usage, SPAWN_RU_STIME_US);
        for (i = 2; i < SPAWN_RU_COUNT; i++)
            j->counts[i - 2] = (uint32_t)spawn_u64v_at(usage, i);
    }
    load_tree(j, &s->attr[SPAWN_A_FAULTS]);
}

/* note: of a template. */
static void load_fds(job *j, const saved *s, template_note *note)
{
    uint32_t i;

    for (i = 0; i < fds_count(s); i++) {
        int fd = fd_at(s, i);
        uint64_t role = role_at(s, i);

        if (role == KEEP_START_PIPE) {
            j->start_pipe = fd;
            (void)watch(fd, ON_START | table_index(j), EPOLLIN);
        }
        else if (role == KEEP_LINK) {
            j->link = fd;
            (void)spawn_os_pass_credentials(fd); /* an older one did not */
        }
        else if (role == KEEP_GROUP) {
            j->group = fd;
        }
        else if (role == KEEP_PIDFD && note) {
            note->pidfd = fd;
        }
        else if (role >= 1 && role <= SPAWN_KEEP_MAX) {
            j->keep[role - 1] = fd;
        }
    }
}

static void load_job(const saved *s)
{
    spawn_id id;
    job *j;

    spawn_attr_id(&s->attr[SPAWN_A_ID], &id);
    j = table_add(&id);
    if (!j)
        return;
    load_state(j, s);
    if (j->state != JOB_ENDED && j->pid != 0
        && !(j->flags & (JOB_FOREIGN | JOB_LEADERLESS)))
        table_set_pid(j, j->pid);
    load_times(j, s);
    load_cgroup(j, s);
    load_usage(j, s);
    load_fds(j, s, j->flags & JOB_IS_TEMPLATE ? load_note(j, s) : NULL);
    template_watch(j);
    if (j->flags & JOB_LEADERLESS)
        job_leave_to_group(j);
    if (number(s, SPAWN_A_WAIT_FOR) != 0)
        clone_resume(j);
}

static void load_held(const saved *s)
{
    int fds[SPAWN_FDS_MAX];
    spawn_id id;
    uint32_t i;

    spawn_attr_id(&s->attr[SPAWN_A_ID], &id);
    for (i = 0; i < fds_count(s) && i < SPAWN_FDS_MAX; i++)
        fds[i] = fd_at(s, i);
    held_add(&id, (unsigned)number(s, SPAWN_A_BOXED), fds, i);
}

/* In the place of our own. */
static void take_over(int *own, int fd)
{
    spawn_close_fds(own, 1);
    *own = fd;
}

static int load_self(const saved *s)
{
    static spawn_message config;
    const spawn_attr *body = &s->attr[SPAWN_A_OUT];
    uint32_t i;
    int rv;

    for (i = 0; i < fds_count(s); i++) {
        uint64_t role = role_at(s, i);

        if (role < SPAWN_FD_ROLES)
            spawner.fds[role] = fd_at(s, i);
        else if (role == SPAWN_FD_VHOST_LOG
                 && spawner.vhost_logs_count < SPAWN_VHOST_LOGS_MAX)
            spawner.vhost_logs[spawner.vhost_logs_count++] = fd_at(s, i);
        else if (role == KEEP_FAILURES_IN || role == KEEP_FAILURES_OUT)
            take_over(&spawner.failures[role - KEEP_FAILURES_IN], fd_at(s, i));
        else if (role >= KEEP_CGROUPS && role < KEEP_CGROUPS + CGROUP_BASES)
            cgroup_resume_base(fd_at(s, i));
    }
    rv = spawn_body_parse(body->data, body->length, SPAWN_M_CONFIGURE, 0,
                          &config, NULL);
    if (rv < 0)
        return rv;
    rv = config_take(&config, body->data, body->length, NULL, 0);
    if (rv < 0)
        return rv;
    spawner.control = (int)(int32_t)(uint32_t)number(s, SPAWN_A_SEQ);
    spawner.gone_on = number(s, SPAWN_A_CODE) != 0;
    spawner.lingering = number(s, SPAWN_A_STATE) != 0;
    spawner.cleared_at = (int64_t)number(s, SPAWN_A_BEFORE);
    spawner.wants_ready = true;
    if (s->attr[SPAWN_A_INSTANCE].id)
        spawn_attr_id(&s->attr[SPAWN_A_INSTANCE], &spawner.life);
    if (spawner.control >= 0) {
        (void)spawn_os_pass_credentials(spawner.control);
        (void)watch(spawner.control, ON_CONTROL, EPOLLIN);
    }
    if (spawner.fds[SPAWN_FD_CONTROL] >= 0) {
        (void)spawn_os_pass_credentials(spawner.fds[SPAWN_FD_CONTROL]);
        (void)watch(spawner.fds[SPAWN_FD_CONTROL], ON_LISTEN, EPOLLIN);
    }
    if (spawner.fds[SPAWN_FD_PARENT] >= 0)
        (void)watch(spawner.fds[SPAWN_FD_PARENT], ON_PARENT, EPOLLIN);
    return 0;
}

static int load_one(unsigned type, const uint8_t *body, size_t length,
                    bool templates)
{
    static saved s;
    spawn_reader reader;
    spawn_attr a;
    int rv;

    memset(&s, 0, sizeof(s));
    spawn_reader_init(&reader, body, length);
    while ((rv = spawn_reader_next(&reader, &a)) == 1) {
        if (a.id < SPAWN_A_COUNT)
            s.attr[a.id] = a;
    }
    if (rv < 0)
        return rv;
    if (type == SAVED_SELF)
        return templates ? 0 : load_self(&s);
    if (!s.attr[SPAWN_A_ID].id)
        return -EBADMSG;
    if (type == SAVED_JOB && templates)
        load_template(&s);
    else if (type == SAVED_JOB)
        load_job(&s);
    else if (type == SAVED_HELD && !templates)
        load_held(&s);
    return 0;
}

/* templates: only find out which job is of which template. */
static int load_all(const uint8_t *map, size_t size, bool templates)
{
    spawn_wire_header head;
    size_t at = 0;
    int rv = 0;

    while (rv == 0 && at < size) {
        rv = spawn_wire_read_header(map + at, size - at, &head);
        if (rv == 0 && head.body > size - at - SPAWN_WIRE_HEADER)
            rv = -EBADMSG;
        if (rv == 0)
            rv = load_one(head.type, map + at + SPAWN_WIRE_HEADER, head.body,
                          templates);
        at += SPAWN_WIRE_HEADER + head.body;
    }
    return rv;
}

int resume(int fd)
{
    size_t size = (size_t)lseek(fd, 0, SEEK_END); /* none can be mapped of -1 */
    uint8_t *map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    int rv;

    if (map == MAP_FAILED)
        return -errno;
    rv = load_all(map, size, false);
    if (rv == 0)
        rv = load_all(map, size, true);
    (void)munmap(map, size);
    (void)close(fd);
    if (rv < 0)
        return rv;
    templates_resume();
    spawn_log(SPAWN_LOG_NOTICE,
              MSNO(0315) "the spawner goes on as release " SPAWN_RELEASE
                         " with %u running jobs",
              table_jobs());
    reap_some();
    broker_start();
    return 0;
}
