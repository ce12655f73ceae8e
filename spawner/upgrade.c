/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Another release was installed: the spawner executes its new self in place. It
 * stays the same process, so its children stay its children. The table, the
 * held handles, the configuration and the numbers of all descriptors travel in
 * a memfd, as messages of the ordinary codec; the new self reads what it knows
 * of them (resume.c). Runs in the spawner only. When exec fails, the old self
 * must go on as if nothing had been.
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
#include "common/spawn_sweep.h"
#include "spawner/saved.h"
#include "spawner/spawner.h"
#include "spawner/template_note.h"

/* Flags of a job that the new self has to know. */
#define SAVED_FLAGS                                                            \
    (JOB_IS_TEMPLATE | JOB_FOREIGN | JOB_IS_WORKER | JOB_LEFT_WAIT             \
     | JOB_LEADERLESS | JOB_SHOT | JOB_PID_WANTED | JOB_GIVEN_UP | JOB_SPARE)

#define STATE_MAX (64u << 20)

/* ---- writing ---- */

static void put_fd(uint64_t *v, uint32_t *n, int fd, uint64_t role)
{
    if (fd < 0)
        return;
    v[(*n)++] = (uint64_t)fd;
    v[(*n)++] = role;
}

static void put_fds(spawn_writer *w, const job *j)
{
    const template_note *note = template_note_of(j);
    uint64_t v[2 * (SPAWN_KEEP_MAX + 4)];
    uint32_t n = 0;
    int i;

    for (i = 0; i < SPAWN_KEEP_MAX; i++)
        put_fd(v, &n, j->keep[i], (uint64_t)i + 1);
    put_fd(v, &n, j->start_pipe, KEEP_START_PIPE);
    put_fd(v, &n, j->link, KEEP_LINK);
    put_fd(v, &n, j->group, KEEP_GROUP);
    put_fd(v, &n, note ? note->pidfd : -1, KEEP_PIDFD);
    spawn_put_u64v(w, SPAWN_A_KEEP, v, n);
}

static void save_job(spawn_writer *w, const job *j)
{
    const template_note *note = template_note_of(j);
    uint64_t usage[SPAWN_RU_COUNT];
    int i;

    usage[SPAWN_RU_UTIME_US] = j->utime_us;
    usage[SPAWN_RU_STIME_US] = j->stime_us;
    for (i = 2; i < SPAWN_RU_COUNT; i++)
        usage[i] = j->counts[i - 2];
    spawn_put_id(w, SPAWN_A_ID, &j->id);
    spawn_put_u64(w, SPAWN_A_PID, (uint64_t)j->pid);
    spawn_put_u64(w, SPAWN_A_STATE, j->state);
    spawn_put_u64(w, SPAWN_A_KILL_LEFT, j->flags & JOB_KILL_LEFT);
    spawn_put_u64(w, SPAWN_A_IS_TEMPLATE, j->flags & SAVED_FLAGS);
    template_put_name(w, j);
    template_put_text(w, j);
    if (note && note->dismissed)
        spawn_put_u64(w, SPAWN_A_LAST, 1 + note->dismissal_waits);
    spawn_put_u64(w, SPAWN_A_UID, note ? note->uid : j->uid);
    if (note) {
        spawn_put_u64(w, SPAWN_A_GID, note->gid);
        spawn_put_u64v(w, SPAWN_A_GROUPS, &note->groups, 1); /* their sum */
    }
    spawn_put_u64(w, SPAWN_A_SIGNO, j->pending_signal);
    spawn_put_u64(w, SPAWN_A_TEMPLATE_KIND,
                  j->flags & JOB_TELL_ORPHAN ? SAID_ORPHAN : j->said);
    /* without a template: the id of place 0, which no entry has */
    spawn_put_id(w, SPAWN_A_TEMPLATE_ID, &table_at(j->template)->id);
    spawn_put_u64(w, SPAWN_A_STEP, j->step);
    spawn_put_u64(w, SPAWN_A_ERRNO, (uint64_t)j->error);
    spawn_put_u64(w, SPAWN_A_WAIT_STATUS, (uint64_t)(uint32_t)j->status);
    spawn_put_u64(w, SPAWN_A_MONO_STARTED, (uint64_t)j->mono_us);
    spawn_put_u64(w, SPAWN_A_BOOT_STARTED, (uint64_t)j->boot_ms);
    spawn_put_u64(w, SPAWN_A_STARTED_AT, (uint64_t)j->wall_ms);
    spawn_put_u64(w, SPAWN_A_ENDED_AT, (uint64_t)j->ended_ms);
    spawn_put_u64(w, SPAWN_A_ELAPSED, (uint64_t)j->elapsed_us);
    spawn_put_u64v(w, SPAWN_A_RUSAGE, usage, SPAWN_RU_COUNT);
    if (j->has_tree)
        spawn_put_u64v(w, SPAWN_A_FAULTS, table_tree(j), SPAWN_RU_TREE_COUNT);
    spawn_put_u64(w, SPAWN_A_WAIT_FOR, j->room != 0);
    spawn_put_u64(w, SPAWN_A_ATTEMPT, j->attempt);
    /* where its cgroup is, twice, and 1 more when its process was put there */
    spawn_put_u64(w, SPAWN_A_ROWS, 2u * j->cgroup + j->in_cgroup);
    /* an older release knows one place: 1: it was put there; 2: it was not */
    spawn_put_u64(w, SPAWN_A_BOXED,
                  !cgroup_is_current(j) ? 0
                  : j->in_cgroup        ? 1
                                        : 2);
    if (j->limited)
        spawn_put_u64v(w, SPAWN_A_LIMITS, NULL, 0);
    put_fds(w, j);
}

static void save_held(spawn_writer *w, const held *h)
{
    uint64_t v[2 * SPAWN_FDS_MAX] = {0}; /* pairs, as everywhere; no role */
    unsigned i;

    for (i = 0; i < h->count; i++)
        v[2 * i] = (uint64_t)h->fds[i];
    spawn_put_id(w, SPAWN_A_ID, &h->id);
    spawn_put_u64v(w, SPAWN_A_KEEP, v, 2 * h->count);
    spawn_put_u64(w, SPAWN_A_BOXED, h->boxed);
}

static void save_self(spawn_writer *w)
{
    uint64_t v[2 * (SPAWN_FD_ROLES + SPAWN_VHOST_LOGS_MAX + 2 + CGROUP_BASES)];
    uint32_t n = 0;
    unsigned role, i;

    for (role = 1; role < SPAWN_FD_ROLES; role++) {
        if (role != SPAWN_FD_SPAWNER_BIN)
            put_fd(v, &n, spawner.fds[role], role);
    }
    for (i = 0; i < spawner.vhost_logs_count; i++)
        put_fd(v, &n, spawner.vhost_logs[i], SPAWN_FD_VHOST_LOG);
    put_fd(v, &n, spawner.failures[0], KEEP_FAILURES_IN);
    put_fd(v, &n, spawner.failures[1], KEEP_FAILURES_OUT);
    for (i = 0; i < CGROUP_BASES; i++)
        put_fd(v, &n, cgroup_base(i), KEEP_CGROUPS + i);
    spawn_put_u64v(w, SPAWN_A_KEEP, v, n);
    spawn_put_u64(w, SPAWN_A_SEQ, (uint64_t)(uint32_t)spawner.control);
    spawn_put_u64(w, SPAWN_A_CODE, spawner.gone_on);
    spawn_put_u64(w, SPAWN_A_STATE, spawner.lingering);
    spawn_put_u64(w, SPAWN_A_BEFORE, (uint64_t)spawner.cleared_at);
    spawn_put_id(w, SPAWN_A_INSTANCE, &spawner.life);
    spawn_put_bytes(w, SPAWN_A_OUT, spawner.config, spawner.config_length);
}

/* One message into the memfd. */
static int save(int fd, spawn_writer *w, uint16_t type, const void *what)
{
    ssize_t n;
    int rv;

    spawn_writer_begin(w, type, 0);
    if (type == SAVED_JOB)
        save_job(w, what);
    else if (type == SAVED_HELD)
        save_held(w, what);
    else
        save_self(w);
    rv = spawn_writer_finish(w, 0);
    if (rv < 0)
        return rv;
    n = write(fd, w->data, w->length);
    if (n < 0)
        return -errno;
    return (size_t)n == w->length ? 0 : -ENOSPC;
}

static int save_all(int fd)
{
    spawn_writer w;
    const held *h;
    uint32_t i;
    int rv;

    spawn_writer_init(&w, STATE_MAX);
    rv = save(fd, &w, SAVED_SELF, NULL);
    for (i = 1; rv == 0 && i < table_end(); i++) {
        if (table_at(i)->state != JOB_FREE)
            rv = save(fd, &w, SAVED_JOB, table_at(i));
    }
    for (h = held_first(); rv == 0 && h; h = h->next)
        rv = save(fd, &w, SAVED_HELD, h);
    spawn_writer_free(&w);
    return rv;
}

/* Descriptors that the new self needs stay open across exec; it makes them
 * close-on-exec again at once. */
static void keep_open(int fd)
{
    (void)fcntl(fd, F_SETFD, 0); /* nothing happens for -1 */
}

static void keep_all_open(void)
{
    const template_note *note;
    const held *h;
    uint32_t i;
    unsigned k;

    for (k = 1; k < SPAWN_FD_ROLES; k++) {
        if (k != SPAWN_FD_SPAWNER_BIN)
            keep_open(spawner.fds[k]);
    }
    for (k = 0; k < spawner.vhost_logs_count; k++)
        keep_open(spawner.vhost_logs[k]);
    keep_open(spawner.control);
    keep_open(spawner.failures[0]);
    keep_open(spawner.failures[1]);
    for (k = 0; k < CGROUP_BASES; k++)
        keep_open(cgroup_base(k));
    for (i = 1; i < table_end(); i++) { /* a free place has none */
        const job *j = table_at(i);

        note = template_note_of(j);
        keep_open(j->start_pipe);
        keep_open(j->link);
        keep_open(j->group);
        keep_open(note ? note->pidfd : -1);
        for (k = 0; k < SPAWN_KEEP_MAX; k++)
            keep_open(j->keep[k]);
    }
    for (h = held_first(); h; h = h->next) {
        for (k = 0; k < h->count; k++)
            keep_open(h->fds[k]);
    }
}

int upgrade_exec(void)
{
    static char name[] = "mod_spawn spawner";
    char number[16];
    char *argv[] = {name, spawner.socket_path, number, NULL};
    extern char **environ;
    int fd = spawn_os_memfd("spawn-upgrade");
    int rv = fd < 0 ? fd : save_all(fd);

    if (rv == 0) {
        spawn_closer_end();
        keep_open(fd);
        keep_all_open();
        (void)snprintf(number, sizeof(number), "%d", fd);
        rv = spawn_os_exec_fd(spawner.fds[SPAWN_FD_SPAWNER_BIN], argv, environ);
        (void)spawn_os_cloexec_from(3);
        spawn_closer_again();
    }
    spawn_log(SPAWN_LOG_ERR,
              MSNO(0314) "the new release of the spawner cannot be executed, "
                         "release " SPAWN_RELEASE " goes on: %s",
              strerror(-rv));
    spawn_close_fds(&fd, 1);
    return rv;
}
