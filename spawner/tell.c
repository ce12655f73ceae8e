/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages to the broker: the configuration, and what lives, starts and exits.
 * Runs in the spawner only.
 *
 * Things to tell are kept as flags in the state and in the table, and sent as
 * far as the link takes them, in a fixed order: ALIVE, configuration, the table
 * up to TABLE_END, GO, LINGER, then starts and exits. Must queue nothing in
 * memory.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "spawner/spawner.h"
#include "spawner/template_note.h"

/* To a broker that comes anew. */
void tell_begin(void)
{
    memset(&spawner.tell, 0, sizeof(spawner.tell));
    spawner.tell.cursor = 1;
    spawner.tell.held_cursor = NULL;
    spawner.tell.configure = spawner.tell.sync = spawner.tell.table_end = true;
    spawner.tell.linger = spawner.lingering;
    spawner.tell.go = spawner.gone_on && !spawner.lingering;
}

void tell_configure(void)
{
    /* a broker that comes later is told both, the configuration first */
    spawner.tell.linger = false;
    spawner.tell.configure = spawner.link >= 0;
}

void tell_go(void)
{
    spawner.tell.go = true;
}

void tell_places(void)
{
    /* the next broker is told by CONFIGURE */
    spawner.tell.places = spawner.link >= 0;
}

void tell_linger(void)
{
    spawner.tell.go = false;
    spawner.tell.linger = true;
}

void tell_quit(void)
{
    spawner.tell.quit = true;
}

void tell_alive(void)
{
    spawner.tell.alive = true;
}

static int send_small(spawn_writer *w, const int *fds, unsigned count)
{
    int rv = spawn_writer_finish(w, count);

    return rv ? rv
              : spawn_packet_send(spawner.link, w->data, w->length, fds, count);
}

static int send_plain(uint16_t type)
{
    uint8_t buffer[SPAWN_WIRE_HEADER];
    spawn_writer w;

    spawn_writer_init_fixed(&w, buffer, sizeof(buffer));
    spawn_writer_begin(&w, type, 0);
    return send_small(&w, NULL, 0);
}

static int send_configure(void)
{
    int fds[SPAWN_FDS_MAX];
    unsigned count;
    spawn_writer w;
    int rv;

    spawn_writer_init(&w, SPAWN_REQUEST_MAX);
    rv = config_for_broker(&w, fds, &count);
    if (rv == 0)
        rv = spawn_packet_send(spawner.link, w.data, w.length, fds, count);
    spawn_writer_free(&w);
    return rv;
}

static int send_places(void)
{
    const uint64_t role = SPAWN_FD_LISTEN;
    uint8_t buffer[64];
    spawn_writer w;

    spawn_writer_init_fixed(&w, buffer, sizeof(buffer));
    spawn_writer_begin(&w, SPAWN_M_PLACES, 0);
    spawn_put_u64v(&w, SPAWN_A_FD_ROLES, &role, 1);
    return send_small(&w, &spawner.fds[SPAWN_FD_LISTEN], 1);
}

static void put_started(spawn_writer *w, const job *j)
{
    spawn_put_u64(w, SPAWN_A_PID, (uint64_t)j->pid);
    spawn_put_u64(w, SPAWN_A_MONO_STARTED, (uint64_t)(j->mono_us / 1000));
    spawn_put_u64(w, SPAWN_A_BOOT_STARTED, (uint64_t)j->boot_ms);
}

/* Which attempt at its job it is, when it is not the first. */
static void put_attempt(spawn_writer *w, const job *j)
{
    if (j->attempt)
        spawn_put_u64(w, SPAWN_A_ATTEMPT, j->attempt);
}

/* with_state: it is still starting, but its process is there. */
static int send_started(const job *j, bool with_state)
{
    uint8_t buffer[256];
    spawn_writer w;

    spawn_writer_init_fixed(&w, buffer, sizeof(buffer));
    spawn_writer_begin(&w, SPAWN_M_STARTED, 0);
    spawn_put_id(&w, SPAWN_A_ID, &j->id);
    put_attempt(&w, j);
    put_started(&w, j);
    spawn_put_u64(&w, SPAWN_A_STARTED_AT, (uint64_t)j->wall_ms);
    if (with_state)
        spawn_put_u64(&w, SPAWN_A_STATE, SPAWN_STATE_STARTING);
    return send_small(&w, NULL, 0);
}

/* Of one that could not be set up. */
static void put_step(spawn_writer *w, const job *j)
{
    if (!j->step)
        return;
    spawn_put_u64(w, SPAWN_A_STEP, j->step);
    spawn_put_u64(w, SPAWN_A_ERRNO, (uint64_t)j->error);
}

/* with_start: its start was not told yet, and is by this. */
static int send_exited(const job *j, bool with_start)
{
    uint64_t usage[SPAWN_RU_ALL];
    uint8_t buffer[512];
    spawn_writer w;
    int i;

    spawn_writer_init_fixed(&w, buffer, sizeof(buffer));
    spawn_writer_begin(&w, SPAWN_M_EXITED, 0);
    spawn_put_id(&w, SPAWN_A_ID, &j->id);
    put_attempt(&w, j);
    if (with_start)
        put_started(&w, j);
    else
        spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)j->pid);
    put_step(&w, j);
    if (!j->step)
        spawn_put_u64(&w, SPAWN_A_WAIT_STATUS, (uint64_t)(uint32_t)j->status);
    spawn_put_u64(&w, SPAWN_A_STARTED_AT, (uint64_t)j->wall_ms);
    spawn_put_u64(&w, SPAWN_A_ENDED_AT, (uint64_t)j->ended_ms);
    spawn_put_u64(&w, SPAWN_A_ELAPSED, (uint64_t)j->elapsed_us);
    usage[SPAWN_RU_UTIME_US] = j->utime_us;
    usage[SPAWN_RU_STIME_US] = j->stime_us;
    for (i = 2; i < SPAWN_RU_COUNT; i++)
        usage[i] = j->counts[i - 2];
    if (j->has_tree)
        memcpy(&usage[SPAWN_RU_COUNT], table_tree(j),
               SPAWN_RU_TREE_COUNT * sizeof(usage[0]));
    spawn_put_u64v(&w, SPAWN_A_RUSAGE, usage,
                   j->has_tree ? SPAWN_RU_ALL : SPAWN_RU_COUNT);
    return send_small(&w, NULL, 0);
}

/* A job that lives or has ended, for a broker that comes anew. An ended one may
 * have output in its pipes, so RUNNING is sent for it too. */
static int send_running(const job *j)
{
    uint64_t keep[2 * SPAWN_KEEP_MAX];
    int fds[SPAWN_KEEP_MAX];
    unsigned count = 0;
    uint8_t buffer[512];
    spawn_writer w;
    int i;

    spawn_writer_init_fixed(&w, buffer, sizeof(buffer));
    spawn_writer_begin(&w, SPAWN_M_RUNNING, 0);
    spawn_put_id(&w, SPAWN_A_ID, &j->id);
    put_attempt(&w, j);
    spawn_put_u64(&w, SPAWN_A_STATE,
                  j->state == JOB_STARTING ? SPAWN_STATE_STARTING
                                           : SPAWN_STATE_RUNNING);
    put_started(&w, j);
    for (i = 0; i < SPAWN_KEEP_MAX; i++) {
        if (j->keep[i] < 0)
            continue;
        keep[2 * count] = count;
        keep[2 * count + 1] = (uint64_t)i + 1;
        fds[count++] = j->keep[i];
    }
    if (count)
        spawn_put_u64v(&w, SPAWN_A_KEEP, keep, 2 * count);
    if (j->flags & JOB_IS_TEMPLATE) {
        spawn_put_u64(&w, SPAWN_A_IS_TEMPLATE, j->said == SAID_READY ? 2 : 1);
        spawn_put_u64(&w, SPAWN_A_TEMPLATE_KIND,
                      j->flags & JOB_FOREIGN ? SPAWN_TEMPLATE_PARENT
                                             : SPAWN_TEMPLATE_EXEC);
        template_put_name(&w, j);
    }
    if (j->flags & JOB_IS_WORKER)
        spawn_put_u64(&w, SPAWN_A_IS_WORKER, 1);
    if (j->template)
        spawn_put_id(&w, SPAWN_A_TEMPLATE_ID, &table_at(j->template)->id);
    return send_small(&w, fds, count);
}

static int send_held(const held *h)
{
    uint8_t buffer[64];
    spawn_writer w;

    spawn_writer_init_fixed(&w, buffer, sizeof(buffer));
    spawn_writer_begin(&w, SPAWN_M_HELD, 0);
    spawn_put_id(&w, SPAWN_A_ID, &h->id);
    if (h->boxed)
        spawn_put_u64(&w, SPAWN_A_BOXED, h->boxed);
    return send_small(&w, h->fds, h->count);
}

/* The next piece of the table, then of the held handles. 1: told; 0: nothing is
 * left; negative errno: not now. */
static int sync_next(void)
{
    int rv;

    while (spawner.tell.cursor < table_end()
           && (table_at(spawner.tell.cursor)->state == JOB_FREE
               || (table_at(spawner.tell.cursor)->flags & JOB_GIVEN_UP)))
        spawner.tell.cursor++;
    if (spawner.tell.cursor < table_end()) {
        job *j = table_at(spawner.tell.cursor);

        rv = send_running(j);
        if (rv < 0)
            return rv;
        j->flags &= (uint16_t)~JOB_TELL_STARTED;
        template_word_again(j);
        if (j->state == JOB_ENDED)
            table_tell(j, j->said == SAID_ORPHAN || (j->flags & JOB_TELL_ORPHAN)
                              ? JOB_TELL_ORPHAN
                              : JOB_TELL_EXITED);
        spawner.tell.cursor++;
        return 1;
    }
    if (!spawner.tell.held) {
        spawner.tell.held = true;
        spawner.tell.held_cursor = held_first();
    }
    if (!spawner.tell.held_cursor)
        return 0;
    rv = send_held(spawner.tell.held_cursor);
    if (rv < 0)
        return rv;
    spawner.tell.held_cursor = spawner.tell.held_cursor->next;
    return 1;
}

/* A template's report on its preloading. */
static int send_said(const job *j)
{
    uint8_t buffer[8192];
    spawn_writer w;

    spawn_writer_init_fixed(&w, buffer, sizeof(buffer));
    spawn_writer_begin(&w, SPAWN_M_TEMPLATE_SAID, 0);
    spawn_put_id(&w, SPAWN_A_ID, &j->id);
    spawn_put_u64(&w, SPAWN_A_CODE,
                  j->said == SAID_READY    ? SPAWN_E_OK
                  : j->said == SAID_ABSENT ? SPAWN_E_UNREACHABLE
                  : j->said == SAID_ENDED  ? SPAWN_E_NOT_RUNNING
                                           : SPAWN_E_START_FAILED);
    template_put_text(&w, j);
    template_put_name(&w, j);
    if (j->pid > 0)
        spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)j->pid);
    if (spawner.broker_is_of_our_release) /* others may not know it here */
        spawn_put_u64(&w, SPAWN_A_MONO_STARTED, (uint64_t)(j->mono_us / 1000));
    return send_small(&w, NULL, 0);
}

static int send_orphaned(const job *j)
{
    uint8_t buffer[256];
    spawn_writer w;

    spawn_writer_init_fixed(&w, buffer, sizeof(buffer));
    spawn_writer_begin(&w, SPAWN_M_ORPHANED, 0);
    spawn_put_id(&w, SPAWN_A_ID, &j->id);
    put_attempt(&w, j);
    spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)j->pid);
    put_step(&w, j);
    spawn_put_u64(&w, SPAWN_A_BOOT_STARTED, (uint64_t)j->boot_ms);
    return send_small(&w, NULL, 0);
}

#define START_AND_END (JOB_TELL_STARTED | JOB_TELL_EXITED)

static int tell_job(job *j)
{
    bool at_once;
    int rv;

    if (j->flags & JOB_TELL_SAID) {
        rv = send_said(j);
        if (rv < 0)
            return rv;
        j->flags &= (uint16_t)~JOB_TELL_SAID;
    }
    if (j->flags & JOB_TELL_PID) {
        rv = j->state == JOB_STARTING ? send_started(j, true) : 0;
        if (rv < 0)
            return rv;
        j->flags &= (uint16_t)~JOB_TELL_PID;
    }
    at_once = (j->flags & START_AND_END) == START_AND_END
              && spawner.broker_is_of_our_release;
    if ((j->flags & JOB_TELL_STARTED) && !at_once) {
        rv = send_started(j, false);
        if (rv < 0)
            return rv;
        j->flags &= (uint16_t)~JOB_TELL_STARTED;
    }
    if (j->flags & JOB_TELL_ORPHAN) {
        rv = send_orphaned(j);
        if (rv < 0)
            return rv;
        j->flags &= (uint16_t)~JOB_TELL_ORPHAN;
        j->said = SAID_ORPHAN;
    }
    if (j->flags & JOB_TELL_EXITED) {
        rv = send_exited(j, at_once);
        if (rv < 0)
            return rv;
        j->flags &= (uint16_t)~START_AND_END;
    }
    table_told();
    return 1;
}

static int tell_flag(bool *flag, uint16_t type)
{
    int rv = send_plain(type);

    if (rv < 0)
        return rv;
    *flag = false;
    return 1;
}

/* Tell one thing. 1: told; 0: nothing to tell; negative errno: not now. */
static int tell_next(void)
{
    int rv;

    if (spawner.tell.alive)
        return tell_flag(&spawner.tell.alive, SPAWN_M_ALIVE);
    if (spawner.tell.configure) {
        rv = send_configure();
        if (rv < 0)
            return rv;
        spawner.tell.configure = false;
        return 1;
    }
    if (spawner.tell.sync) {
        rv = sync_next();
        if (rv == 0)
            spawner.tell.sync = false;
        return rv < 0 ? rv : 1;
    }
    if (spawner.tell.table_end && !table_first_to_tell())
        return tell_flag(&spawner.tell.table_end, SPAWN_M_TABLE_END);
    if (spawner.tell.places && !spawner.tell.table_end
        && spawner.fds[SPAWN_FD_LISTEN] >= 0) {
        rv = send_places();
        if (rv < 0)
            return rv;
        spawner.tell.places = false;
        return 1;
    }
    if (spawner.tell.go && !spawner.tell.table_end)
        return tell_flag(&spawner.tell.go, SPAWN_M_GO);
    if (spawner.tell.linger && !spawner.tell.table_end)
        return tell_flag(&spawner.tell.linger, SPAWN_M_LINGER);
    if (table_first_to_tell())
        return tell_job(table_first_to_tell());
    if (spawner.tell.quit)
        return tell_flag(&spawner.tell.quit, SPAWN_M_QUIT);
    return 0;
}

bool tell_flush(void)
{
    int rv = 1;
    bool wants;

    if (spawner.link < 0)
        return true;
    while (rv > 0)
        rv = tell_next();
    /* when a link broke, SIGCHLD tells of the broker's death */
    wants = rv == -EAGAIN;
    if (wants != spawner.tell.wants_write) {
        spawner.tell.wants_write = wants;
        (void)rewatch(spawner.link, ON_LINK,
                      wants ? EPOLLIN | EPOLLOUT : EPOLLIN);
    }
    return rv == 0 || wants || rv == -EPIPE || rv == -ECONNRESET;
}

void tell_step_over(const spawn_id *id)
{
    while (spawner.tell.held_cursor
           && spawn_id_equal(&spawner.tell.held_cursor->id, id))
        spawner.tell.held_cursor = spawner.tell.held_cursor->next;
}
