/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker's life, seen from the spawner: start it, forward the
 * configuration, tell it what lives, start it again when it dies. What it
 * orders is in orders.c. Runs in the spawner only.
 *
 * What has to be told is kept as flags here and in the table, and sent as far
 * as the link takes it, in a fixed order: configuration, the table up to
 * TABLE_END, GO, LINGER, then starts and exits. Nothing is queued in memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "spawner/spawner.h"

#define LINK_FD         3
#define LINK_BUFFER     (1 << 20)
#define YOUNG_MS        5000 /* a broker that dies younger is backed off */
#define BACK_OFF_MS     100  /* from the second young death in a row, doubled */
#define BACK_OFF_MAX_MS 10000
#define LOOK_MS         1000 /* at a broker that has handles */
#define END_HANGS_MS    2000 /* in its end so long: it is counted as dead */
#define GIVE_UP_DEATHS  10   /* when lingering with nothing running */

static struct {
    bool configure;
    bool sync; /* the table, from cursor on, then the held handles */
    bool held; /* the cursor is among the held handles */
    bool table_end;
    bool go;
    bool places;
    bool linger;
    bool quit;
    bool wants_write;
} tell;
static uint32_t cursor;
static held *held_cursor;

/* ---- start and end ---- */

/* In its process; its exit code when it cannot be executed. */
static int run_broker(int link)
{
    static char name[] = "mod_spawn broker";
    char *argv[] = {name, spawner.socket_path, NULL};
    char path[] = "PATH=/usr/bin:/bin";
    char zone[128] = "TZ=";
    const char *tz = getenv("TZ");
    char *envp[] = {path, NULL, NULL};
    int bin = spawner.fds[SPAWN_FD_BROKER_BIN];
    sigset_t none;
    spawn_step step;

    if (tz && strlen(tz) < sizeof(zone) - 3) {
        (void)strcpy(zone + 3, tz);
        envp[1] = zone;
    }
    step = spawn_child_become(&spawner.broker_as);
    if (step) {
        spawn_log(SPAWN_LOG_CRIT, MSNO(0304) "the broker cannot start: %s: %s",
                  spawn_step_name(step), strerror(errno));
        return 1;
    }
    /* It executes nothing; what made it execute something would gain nothing.
     */
    (void)spawn_os_no_new_privs();
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    /* Number 3 may be taken by the very program that is to be executed. */
    bin = fcntl(bin, F_DUPFD_CLOEXEC, LINK_FD + 1);
    if (bin >= 0 && dup2(link, LINK_FD) >= 0)
        errno = -spawn_os_exec_fd(bin, argv, envp);
    spawn_log(SPAWN_LOG_CRIT,
              MSNO(0305) "the broker's program cannot be executed: %s",
              strerror(errno));
    return 1;
}

static void told_nothing(void)
{
    memset(&tell, 0, sizeof(tell));
    cursor = 1;
    held_cursor = NULL;
}

void brains_start(void)
{
    int ends[2];
    int size = LINK_BUFFER;
    pid_t pid;

    spawner.broker_start_at = 0;
    spawner.broker_since = spawn_mono_ms();
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                   ends)
        < 0) {
        brains_died(-1);
        return;
    }
    (void)setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    (void)setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    pid = fork();
    if (pid == 0)
        _exit(run_broker(ends[1]));
    (void)close(ends[1]);
    if (pid < 0) {
        (void)close(ends[0]);
        brains_died(-1);
        return;
    }
    spawner.link = ends[0];
    spawner.broker_pid = pid;
    spawner.broker_ready = spawner.broker_refused = false;
    told_nothing();
    tell.configure = tell.sync = tell.table_end = true;
    tell.linger = spawner.lingering;
    tell.go = spawner.gone_on && !spawner.lingering;
    (void)watch(ends[0], ON_LINK, EPOLLIN);
}

#define END_HANGS (-2) /* of no status */

static void describe(int status, char *text, size_t room)
{
    if (status == -1)
        (void)strncpy(text, "could not be forked", room);
    else if (status == END_HANGS)
        (void)strncpy(text, "hangs in its end, in a handle that does not close",
                      room);
    else if (WIFSIGNALED(status))
        (void)snprintf(text, room, "was killed by signal %d", WTERMSIG(status));
    else
        (void)snprintf(text, room, "ended with code %d", WEXITSTATUS(status));
}

/* At the end of lingering. What is posted in this moment, by children of an
 * httpd that was killed, goes either nowhere, and their clients write it to the
 * spool, or is there and has to be stored. */
static bool nothing_posted(void)
{
    int rx = spawner.fds[SPAWN_FD_POST_RX], bytes = 0;

    spawner.ending = true;
    (void)shutdown(rx, SHUT_RD);
    /* where there is none, there is nothing in it */
    return ioctl(rx, FIONREAD, &bytes) < 0 || bytes == 0;
}

/* Ms until another is started, after so many young deaths in a row. */
static int64_t back_off(unsigned deaths)
{
    int64_t delay = BACK_OFF_MS;

    if (deaths < 2)
        return 0;
    for (; deaths > 2 && delay < BACK_OFF_MAX_MS; deaths--)
        delay *= 2;
    return delay < BACK_OFF_MAX_MS ? delay : BACK_OFF_MAX_MS;
}

void brains_died(int status)
{
    int64_t now = spawn_mono_ms();
    bool young = now - spawner.broker_since < YOUNG_MS;
    int64_t delay;
    bool said_bye;
    char how[80] = "";

    /* What it ordered before it died counts: handles to hold, exits that the
     * store has, its good-bye. Nothing more can be sent there. */
    (void)shutdown(spawner.link, SHUT_RD);
    while (spawner.link >= 0 && orders_take_one() > 0)
        continue;
    said_bye = spawner.broker_said_bye;
    unwatch(&spawner.link);
    spawner.broker_pid = 0;
    spawner.broker_ending_at = 0;
    spawner.broker_said_bye = false;
    if (said_bye && spawner.lingering) {
        if (nothing_posted())
            spawner_end(0, "");
        parent_gone("its broker had ended"); /* who has just adopted us */
        brains_start(); /* it stores them, and says bye again */
        return;
    }
    if (spawner.upgrading) {
        (void)upgrade_exec();
        spawner.upgrading = false; /* the old self goes on */
    }
    describe(status, how, sizeof(how));
    /* adopted just when it said bye: its successor will be ready */
    if (!spawner.broker_ready && !said_bye)
        parent_tell_ready(false, "the broker ended before it was ready; the "
                                 "lines above say why");
    spawner.broker_deaths = young ? spawner.broker_deaths + 1 : 0;
    if (spawner.lingering && table_jobs() == 0
        && (spawner.broker_deaths >= GIVE_UP_DEATHS || !spawner.gone_on))
        spawner_end(1, "no broker can be started, and nothing is running");
    delay = back_off(spawner.broker_deaths);
    spawn_log(SPAWN_LOG_ERR,
              MSNO(0306) "the broker %s; another starts in %d ms, running jobs "
                         "go on",
              how, (int)delay);
    if (delay == 0)
        brains_start();
    else
        spawner.broker_start_at = now + delay;
}

void brains_configure(void)
{
    tell.linger = false; /* what is told later begins with this */
    if (spawner.link >= 0)
        tell.configure = true;
    else if (!spawner.broker_start_at)
        brains_start();
}

void brains_go(void)
{
    tell.go = true;
}

void brains_places(void)
{
    tell.places = spawner.link >= 0; /* the next one is told by CONFIGURE */
}

void brains_linger(void)
{
    tell.go = false;
    tell.linger = true;
}

void brains_quit(void)
{
    tell.quit = true;
}

/* ---- telling ---- */

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

/* With its state while it is starting: its process is there. */
static int send_started(const job *j, bool with_state)
{
    uint8_t buffer[256];
    spawn_writer w;

    spawn_writer_init_fixed(&w, buffer, sizeof(buffer));
    spawn_writer_begin(&w, SPAWN_M_STARTED, 0);
    spawn_put_id(&w, SPAWN_A_ID, &j->id);
    put_started(&w, j);
    spawn_put_u64(&w, SPAWN_A_STARTED_AT, (uint64_t)j->wall_ms);
    if (with_state)
        spawn_put_u64(&w, SPAWN_A_STATE, SPAWN_STATE_STARTING);
    return send_small(&w, NULL, 0);
}

static int send_exited(const job *j)
{
    uint64_t usage[SPAWN_RU_COUNT];
    uint8_t buffer[512];
    spawn_writer w;
    int i;

    spawn_writer_init_fixed(&w, buffer, sizeof(buffer));
    spawn_writer_begin(&w, SPAWN_M_EXITED, 0);
    spawn_put_id(&w, SPAWN_A_ID, &j->id);
    spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)j->pid);
    if (j->step) {
        spawn_put_u64(&w, SPAWN_A_STEP, j->step);
        spawn_put_u64(&w, SPAWN_A_ERRNO, (uint64_t)j->error);
    }
    else
        spawn_put_u64(&w, SPAWN_A_WAIT_STATUS, (uint64_t)(uint32_t)j->status);
    spawn_put_u64(&w, SPAWN_A_STARTED_AT, (uint64_t)j->wall_ms);
    spawn_put_u64(&w, SPAWN_A_ENDED_AT, (uint64_t)j->ended_ms);
    spawn_put_u64(&w, SPAWN_A_ELAPSED, (uint64_t)j->elapsed_us);
    usage[SPAWN_RU_UTIME_US] = j->utime_us;
    usage[SPAWN_RU_STIME_US] = j->stime_us;
    for (i = 2; i < SPAWN_RU_COUNT; i++)
        usage[i] = j->counts[i - 2];
    spawn_put_u64v(&w, SPAWN_A_RUSAGE, usage, SPAWN_RU_COUNT);
    return send_small(&w, NULL, 0);
}

/* A job that lives or has ended, for a broker that comes anew. What an ended
 * one still has in its pipes comes along, so RUNNING is sent for it too. */
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

/* The next piece of the table, then of the held handles. 1: told, 0: all is,
 * negative errno: not now. */
static int sync_next(void)
{
    int rv;

    while (cursor < table_end()
           && (table_at(cursor)->state == JOB_FREE
               || (table_at(cursor)->flags & JOB_GIVEN_UP)))
        cursor++;
    if (cursor < table_end()) {
        job *j = table_at(cursor);

        rv = send_running(j);
        if (rv < 0)
            return rv;
        j->flags &= (uint16_t)~JOB_TELL_STARTED;
        if (j->state == JOB_ENDED)
            table_tell(j, j->said == SAID_ORPHAN || (j->flags & JOB_TELL_ORPHAN)
                              ? JOB_TELL_ORPHAN
                              : JOB_TELL_EXITED);
        cursor++;
        return 1;
    }
    if (!tell.held) {
        tell.held = true;
        held_cursor = held_first();
    }
    if (!held_cursor)
        return 0;
    rv = send_held(held_cursor);
    if (rv < 0)
        return rv;
    held_cursor = held_cursor->next;
    return 1;
}

/* What a template said of its preloading; its text once. */
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
                                           : SPAWN_E_START_FAILED);
    template_put_text(&w, j);
    template_put_name(&w, j);
    if (j->pid > 0)
        spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)j->pid);
    return send_small(&w, NULL, 0);
}

static int send_orphaned(const job *j)
{
    uint8_t buffer[256];
    spawn_writer w;

    spawn_writer_init_fixed(&w, buffer, sizeof(buffer));
    spawn_writer_begin(&w, SPAWN_M_ORPHANED, 0);
    spawn_put_id(&w, SPAWN_A_ID, &j->id);
    spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)j->pid);
    spawn_put_u64(&w, SPAWN_A_BOOT_STARTED, (uint64_t)j->boot_ms);
    return send_small(&w, NULL, 0);
}

static int tell_job(job *j)
{
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
    if (j->flags & JOB_TELL_STARTED) {
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
        rv = send_exited(j);
        if (rv < 0)
            return rv;
        j->flags &= (uint16_t)~JOB_TELL_EXITED;
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

/* One thing. 1: told, 0: nothing to tell, negative errno: not now. */
static int tell_next(void)
{
    int rv;

    if (tell.configure) {
        rv = send_configure();
        if (rv < 0)
            return rv;
        tell.configure = false;
        return 1;
    }
    if (tell.sync) {
        rv = sync_next();
        if (rv == 0)
            tell.sync = false;
        return rv < 0 ? rv : 1;
    }
    if (tell.table_end && !table_first_to_tell())
        return tell_flag(&tell.table_end, SPAWN_M_TABLE_END);
    if (tell.places && !tell.table_end && spawner.fds[SPAWN_FD_LISTEN] >= 0) {
        rv = send_places();
        if (rv < 0)
            return rv;
        tell.places = false;
        return 1;
    }
    if (tell.go && !tell.table_end)
        return tell_flag(&tell.go, SPAWN_M_GO);
    if (tell.linger && !tell.table_end)
        return tell_flag(&tell.linger, SPAWN_M_LINGER);
    if (table_first_to_tell())
        return tell_job(table_first_to_tell());
    if (tell.quit)
        return tell_flag(&tell.quit, SPAWN_M_QUIT);
    return 0;
}

bool brains_flush(void)
{
    int rv = 1;
    bool wants;

    if (spawner.link < 0)
        return true;
    while (rv > 0)
        rv = tell_next();
    /* A link that broke is seen as the broker's death by SIGCHLD. */
    wants = rv == -EAGAIN;
    if (wants != tell.wants_write) {
        tell.wants_write = wants;
        (void)rewatch(spawner.link, ON_LINK,
                      wants ? EPOLLIN | EPOLLOUT : EPOLLIN);
    }
    return rv == 0 || wants || rv == -EPIPE || rv == -ECONNRESET;
}

void brains_step_over(const spawn_id *id)
{
    while (held_cursor && spawn_id_equal(&held_cursor->id, id))
        held_cursor = held_cursor->next;
}

/* ---- does it hang in its end? ---- */

/* A process that was killed runs no more of its code, but while the kernel
 * cannot close what it had (a file of a file system that does not answer),
 * nothing tells of its death, its link does not end either. It is reaped
 * without a word when that comes. Only a broker that has handles of callers can
 * get there. */
int brains_timers(int64_t now)
{
    if (!held_first() || spawner.broker_pid <= 0)
        return -1;
    if (now - spawner.broker_looked_at < LOOK_MS)
        return (int)(LOOK_MS - (now - spawner.broker_looked_at));
    spawner.broker_looked_at = now;
    if (!spawn_os_exiting(spawner.broker_pid))
        spawner.broker_ending_at = 0;
    else if (!spawner.broker_ending_at)
        spawner.broker_ending_at = now;
    else if (now - spawner.broker_ending_at >= END_HANGS_MS)
        brains_died(END_HANGS);
    return LOOK_MS;
}
