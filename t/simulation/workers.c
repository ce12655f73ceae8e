/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workers as their broker sees them (perl/xs/template/worker.c), and what the
 * spawner keeps of them: a board, a ticket, the broker's end of the link. They
 * are told of, but link and board are real. What is checked here: a call is
 * given to one worker once, an end comes to a worker only for the call that it
 * runs, and no worker is forgotten that was not told to have ended.
 */
#include "t/simulation/workers.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "t/simulation/body.h"
#include "t/simulation/worker.h"

#define WORKERS_MAX 200
#define PID_OF(w)   (4300000u + worker_number(w))

bool workers_failed;

static bool some;
static worker workers[WORKERS_MAX];
static unsigned used;
static spawn_id template;
static struct {
    unsigned min, max;
    uint64_t jobs, idle_ms;
} rules;

unsigned worker_number(const worker *w)
{
    return (unsigned)(w - workers);
}

static worker *find(const spawn_id *id)
{
    unsigned i;

    for (i = 0; i < used; i++) {
        if (workers[i].place != NONE && spawn_id_equal(&workers[i].id, id))
            return &workers[i];
    }
    return NULL;
}

/* ---- a run ---- */

static void let_go(worker *w)
{
    if (w->board)
        (void)munmap(w->board, SPAWN_BOARD_FILE);
    w->board = NULL;
    lent_is_gone(w);
    spawn_close_fds(&w->link, 1);
    spawn_close_fds(w->kept, WORKER_KEPT);
}

void workers_close(void)
{
    unsigned i;

    for (i = 0; i < used; i++)
        let_go(&workers[i]);
    used = 0;
}

static void new_template(void)
{
    int i;

    for (i = 0; i < SPAWN_ID_SIZE; i++)
        template.bytes[i] = (uint8_t)random_bits();
}

void workers_reset(bool any)
{
    some = any;
    workers_failed = false;
    if (!some)
        return;
    new_template();
    rules.max = 1 + random_below(3);
    rules.min = random_below(rules.max + 1);
    rules.jobs = chance(50) ? 1 + random_below(5) : 0;
    rules.idle_ms = 100 + random_below(3000);
}

/* ---- what the broker is told ---- */

void workers_put_rules(spawn_writer *w)
{
    if (!some)
        return;
    spawn_put_u64(w, SPAWN_A_WORKERS_MIN, rules.min);
    spawn_put_u64(w, SPAWN_A_WORKERS_MAX, rules.max);
    spawn_put_u64(w, SPAWN_A_WORKER_IDLE, rules.idle_ms);
    if (rules.jobs)
        spawn_put_u64(w, SPAWN_A_WORKER_JOBS, rules.jobs);
}

void workers_put_template(spawn_writer *w)
{
    size_t nest;

    if (!some)
        return;
    nest = spawn_open_nest(w, SPAWN_A_TEMPLATE_RULES);
    spawn_put_str(w, SPAWN_A_TEMPLATE, "app");
    spawn_put_u64(w, SPAWN_A_TEMPLATE_KIND, SPAWN_TEMPLATE_PARENT);
    spawn_close(w, nest);
}

static void begin(spawn_writer *w, unsigned type, const spawn_id *id)
{
    spawn_writer_init(w, SPAWN_REQUEST_MAX);
    spawn_writer_begin(w, (uint16_t)type, 0);
    spawn_put_id(w, SPAWN_A_ID, id);
}

static void put_started(const worker *w, spawn_writer *said)
{
    spawn_put_u64(said, SPAWN_A_PID, PID_OF(w));
    spawn_put_u64(said, SPAWN_A_MONO_STARTED, (uint64_t)w->began_ms);
    spawn_put_u64(said, SPAWN_A_BOOT_STARTED,
                  (uint64_t)(w->began_ms - board->boot_began));
}

static void tell_started(worker *w)
{
    spawn_writer said;

    if (!alive)
        return;
    begin(&said, SPAWN_M_STARTED, &w->id);
    put_started(w, &said);
    life_send(&said, NULL, 0);
    w->started = true;
}

static void tell_exited(worker *w)
{
    spawn_writer said;

    if (!alive)
        return;
    begin(&said, SPAWN_M_EXITED, &w->id);
    spawn_put_u64(&said, SPAWN_A_PID, PID_OF(w));
    spawn_put_u64(&said, SPAWN_A_WAIT_STATUS, (uint64_t)w->status);
    spawn_put_u64(&said, SPAWN_A_ELAPSED,
                  (uint64_t)(w->ended_ms - w->began_ms) * 1000);
    life_send(&said, NULL, 0);
    w->told_end = true;
    w->told_in = turns;
}

static void tell_template(void)
{
    spawn_writer said;

    begin(&said, SPAWN_M_RUNNING, &template);
    spawn_put_u64(&said, SPAWN_A_STATE, SPAWN_STATE_RUNNING);
    spawn_put_u64(&said, SPAWN_A_IS_TEMPLATE, 2);
    spawn_put_str(&said, SPAWN_A_TEMPLATE, "app");
    spawn_put_u64(&said, SPAWN_A_TEMPLATE_KIND, SPAWN_TEMPLATE_PARENT);
    life_send(&said, NULL, 0);
}

static void tell_running(worker *w)
{
    static const uint64_t keep[] = {
        0, SPAWN_KEEP_BOARD,  1, SPAWN_KEEP_WORKER,
        2, SPAWN_KEEP_TICKET, 3, SPAWN_KEEP_ERR_PIPE};
    spawn_writer said;

    begin(&said, SPAWN_M_RUNNING, &w->id);
    spawn_put_u64(&said, SPAWN_A_STATE,
                  w->place == COMING ? SPAWN_STATE_STARTING
                                     : SPAWN_STATE_RUNNING);
    put_started(w, &said);
    spawn_put_u64(&said, SPAWN_A_IS_WORKER, 1);
    spawn_put_u64v(&said, SPAWN_A_KEEP, keep, 8);
    life_send(&said, w->kept, WORKER_KEPT);
}

void workers_table(void)
{
    unsigned i;

    if (!some)
        return;
    tell_template();
    for (i = 0; i < used; i++) {
        worker *w = &workers[i];

        if (w->place == NONE)
            continue;
        w->told_end = false;
        tell_running(w);
        w->started = w->place != COMING;
        if (w->call && w->stage != NOTED) {
            w->call->told_in = turns;
            w->call->term_ms = -1;
            w->call->kill_ordered = false;
        }
        if (w->place == GONE)
            tell_exited(w);
    }
}

/* ---- what it says ---- */

static void launch(const spawn_id *id, const spawn_message *m, spawn_packet *p)
{
    static const int kept[WORKER_KEPT] = {2, 3, 4, 5};
    worker *w = &workers[used];
    int i;

    if (used == WORKERS_MAX || p->fds_count != 6) {
        promise_broken("a worker too many, or with %u descriptors",
                       p->fds_count);
        return;
    }
    used++;
    memset(w, 0, sizeof(*w));
    w->id = *id;
    w->place = COMING;
    w->direct = -1;
    w->link = body_world_fd(p->fds[1]);
    p->fds[1] = -1;
    for (i = 0; i < WORKER_KEPT; i++) {
        w->kept[i] = body_world_fd(p->fds[kept[i]]);
        p->fds[kept[i]] = -1;
    }
    w->board = spawn_board_map(w->kept[0]);
    if (w->link < 0 || w->kept[WORKER_KEPT - 1] < 0 || !w->board)
        promise_broken("a worker has no board or no link");
    w->calls_left = spawn_u64_or(m, SPAWN_A_WORKER_JOBS, 0);
    w->began_ms = board->mono_ms;
    say("worker %u is launched", worker_number(w));
    if (!going)
        promise_broken("worker %u is launched before GO", worker_number(w));
}

/* The broker says to nobody which call it means. */
void workers_signal_is_for(const spawn_id *id, const job *j)
{
    worker *w = find(id);

    if (w)
        w->pending_for = j;
}

static void signalled(worker *w, int signo)
{
    say("worker %u gets signal %d", worker_number(w), signo);
    if (w->place == GONE)
        return;
    if (w->call && w->stage != NOTED)
        spawner_signalled(w->call, signo);
    else {
        if (!w->pending)
            w->pending_by = lives;
        w->pending = signo;
    }
}

bool workers_obey(const spawn_message *m, spawn_packet *p)
{
    spawn_id id;
    worker *w;

    if (!some || !spawn_has(m, SPAWN_A_ID))
        return false;
    spawn_attr_id(&m->attr[SPAWN_A_ID], &id);
    if (m->header.type == SPAWN_M_LAUNCH && spawn_has(m, SPAWN_A_IS_WORKER)) {
        launch(&id, m, p);
        return true;
    }
    w = find(&id);
    if (!w)
        return spawn_id_equal(&id, &template);
    if (m->header.type == SPAWN_M_SIGNAL)
        signalled(w, (int)spawn_u64_or(m, SPAWN_A_SIGNO, 0));
    else if (m->header.type == SPAWN_M_TELL_PID && w->place == COMING)
        tell_started(w);
    else if (m->header.type == SPAWN_M_FORGET)
        (void)workers_forget(&id);
    return true;
}

bool workers_forget(const spawn_id *id)
{
    worker *w = some ? find(id) : NULL;

    if (!w)
        return false;
    say("worker %u is forgotten", worker_number(w));
    if (w->place != GONE || !w->told_end)
        promise_broken("worker %u was not told to have ended, and is to be "
                       "forgotten",
                       worker_number(w));
    w->place = NONE;
    let_go(w);
    return true;
}

void worker_check_pending(const worker *w, const job *j)
{
    if (w->pending && w->pending_for != j)
        promise_broken("worker %u takes job %u, and will end by signal %d, "
                       "which was for another one",
                       worker_number(w), job_number(j), w->pending);
}

void worker_begins(worker *w, job *j, const char *function)
{
    say("worker %u takes job %u", worker_number(w), job_number(j));
    spawner_launches(j, function, 1);
    j->place = RUNNING;
    j->started_ms =
        j->given_ms; /* a broker that was killed may not have sent it */
    j->told_pid = true;
    j->told_in = turns;
    w->call = j;
    if (w->pending)
        spawner_signalled(j, w->pending);
    w->pending = 0;
}

static void take_call(worker *w, const spawn_message *m)
{
    spawn_id id;
    job *j;

    spawn_attr_id(&m->attr[SPAWN_A_ID], &id);
    j = job_find(&id);
    if (!j) {
        promise_broken("worker %u is called for a job that nobody has made",
                       worker_number(w));
        return;
    }
    if (j == w->last_call) /* a worker takes what a broker sends it once */
        return;
    w->last_call = j;
    if (w->call)
        promise_broken("worker %u runs job %u, and is called for job %u",
                       worker_number(w), job_number(w->call), job_number(j));
    if (w->slate)
        promise_broken("worker %u is lent, and is called for job %u",
                       worker_number(w), job_number(j));
    worker_check_pending(w, j);
    worker_begins(w, j, spawn_attr_str(&m->attr[SPAWN_A_FUNCTION]));
}

static void take(worker *w, const spawn_message *m, spawn_packet *p)
{
    if (m->header.type == SPAWN_M_CALL) {
        take_call(w, m);
    }
    else if (m->header.type == SPAWN_M_LEND && p->fds_count == 1) {
        lent_begins(w, m, p->fds[0]);
        p->fds_count = 0;
    }
    else if (m->header.type == SPAWN_M_TAKE_BACK) {
        lent_is_wanted(w, m);
    }
}

static void hear(worker *w)
{
    static uint8_t buffer[WHOLE];
    spawn_message m;
    spawn_failure why;
    spawn_packet p;
    int rv = -EAGAIN;

    while (!broken && !lent_is_busy(w)
           && (rv = spawn_packet_receive(w->link, buffer, sizeof(buffer), &p))
                  == 1) {
        if (spawn_message_parse(p.data, p.length, SPAWN_FROM_BROKER_TO_SPAWNER,
                                p.fds_count, &m, &why)
            < 0)
            promise_broken("worker %u is sent what is not understood: %s",
                           worker_number(w), why.text);
        else
            take(w, &m, &p);
        spawn_packet_close(&p);
    }
    if (!broken && rv != -EAGAIN && !w->leaves) {
        say("worker %u reads the end of its calls", worker_number(w));
        w->leaves = true;
    }
}

/* A signal that a killed broker had ordered for a worker was sent before the
 * next one came, and the worker is at its end. */
static bool reads(const worker *w)
{
    return w->ready && w->link >= 0 && !w->leaves
           && (!w->pending || w->pending_by == lives);
}

void workers_hear(void)
{
    unsigned i;

    for (i = 0; i < used && !broken; i++) {
        if (reads(&workers[i]))
            hear(&workers[i]);
    }
}

void workers_check(void)
{
    unsigned i;

    for (i = 0; i < used && !broken; i++) {
        lent_check(&workers[i]);
        if (with_leases)
            lent_note_read(&workers[i], false);
    }
}

void workers_lose_broker(bool killed)
{
    unsigned i;

    for (i = 0; i < used && with_leases; i++)
        lent_note_read(&workers[i], killed);
}

bool workers_has(const spawn_id *id)
{
    return find(id) != NULL;
}

int workers_status(const spawn_id *id)
{
    unsigned i;

    for (i = 0; i < used; i++) {
        if (spawn_id_equal(&workers[i].id, id))
            return workers[i].place == GONE || workers[i].place == NONE
                       ? workers[i].status
                       : -1;
    }
    return -1;
}

bool workers_lent(void)
{
    unsigned i;

    for (i = 0; i < used; i++) {
        if (workers[i].slate)
            return true;
    }
    return false;
}

bool workers_end_unknown(const spawn_id *id, unsigned turn)
{
    const worker *w = find(id);

    return w && (!w->told_end || w->told_in >= turn);
}

/* ---- what happens to them ---- */

/* call NULL: it is ready, or cannot be. */
static void say_returned(const worker *w, const job *call, unsigned code,
                         bool last)
{
    spawn_writer said;

    spawn_writer_init(&said, SPAWN_REQUEST_MAX);
    spawn_writer_begin(&said, SPAWN_M_RETURNED, call ? 0 : SPAWN_SLATE_FORM);
    if (call)
        spawn_put_id(&said, SPAWN_A_ID, &call->id);
    else
        spawn_put_u64(&said, SPAWN_A_CODE, code);
    if (last)
        spawn_put_u64(&said, SPAWN_A_LAST, 1);
    if (spawn_writer_finish(&said, 0) == 0)
        (void)spawn_packet_send(w->link, said.data, said.length, NULL, 0);
    spawn_writer_free(&said);
}

void worker_call_ends(worker *w, int status)
{
    job *j = w->call;

    j->place = FORGOTTEN; /* the spawner never knew it */
    j->status = status;
    j->ended_ms = board->mono_ms;
    j->told_exit = true;
    w->call = NULL;
}

static void ends(worker *w, int status)
{
    if (w->call && w->stage != NOTED) {
        say("job %u ends with worker %u", job_number(w->call),
            worker_number(w));
        worker_call_ends(w, status);
    }
    say("worker %u ends: wait status 0x%04x", worker_number(w),
        (unsigned)status);
    w->place = GONE;
    w->status = status;
    w->ended_ms = board->mono_ms;
    w->call = NULL;
    lent_is_gone(w);
    spawn_close_fds(&w->link, 1);
    tell_exited(w);
}

bool worker_was_last(worker *w)
{
    bool last = w->calls_left && --w->calls_left == 0;

    w->leaves |= last;
    return last;
}

static void returns(worker *w)
{
    bool last = worker_was_last(w);
    job *j = w->call;

    say("job %u returns%s", job_number(j), last ? ", the last one" : "");
    (void)spawn_board_put_result(w->board, SPAWN_RESULT_RETURNED, "value", 5);
    worker_call_ends(w, 0);
    say_returned(w, j, SPAWN_E_OK, last);
}

/* It ends by a signal only. */
static bool hangs(const job *j)
{
    return j->timeout_ms && (j->id.bytes[SPAWN_ID_SIZE - 1] & 3) == 0;
}

static void comes(worker *w, bool may_fail)
{
    if (may_fail && chance(5)) {
        workers_failed = true;
        ends(w, 9);
    }
    else if (!w->ready && chance(50)) {
        w->ready = true;
        if (may_fail && chance(5)) {
            say("worker %u cannot get ready", worker_number(w));
            say_returned(w, NULL, SPAWN_E_SYSTEM, false);
            w->leaves = workers_failed = true;
        }
        else {
            say("worker %u is ready", worker_number(w));
            say_returned(w, NULL, SPAWN_E_OK, false);
        }
    }
    else if (!w->started) {
        say("worker %u has begun", worker_number(w));
        tell_started(w);
    }
    if (w->place == COMING && w->ready && w->started)
        w->place = SERVES;
}

/* False: it has nothing to do. */
static bool goes_on(worker *w, bool may_fail)
{
    int signo = w->call && w->stage != NOTED ? w->call->pending : w->pending;

    if (signo)
        ends(w, signo);
    else if (w->place == COMING)
        comes(w, may_fail);
    else if (may_fail && chance(w->call ? 10 : 2))
        ends(w, chance(50) ? 11 : 3 << 8);
    else if (w->slate)
        return lent_goes_on(w, w->call && hangs(w->call));
    else if (w->call && !hangs(w->call))
        returns(w);
    else if (w->call)
        return false;
    else if (w->leaves)
        ends(w, 0);
    else
        return false;
    return true;
}

bool workers_something(void)
{
    unsigned i, first = some && used ? random_below(used) : 0;

    for (i = 0; i < used; i++) {
        worker *w = &workers[(first + i) % used];

        if ((w->place == COMING || w->place == SERVES) && goes_on(w, true))
            return true;
    }
    return false;
}

bool workers_all(void)
{
    bool any = false;
    unsigned i;

    for (i = 0; i < used; i++) {
        worker *w = &workers[i];

        if (w->place == COMING || w->place == SERVES)
            any |= goes_on(w, false);
    }
    return any;
}

/* Calls that are sent to it stay unread. */
static bool any_leaves(void)
{
    unsigned i;

    for (i = 0; i < used; i++) {
        if (workers[i].link >= 0 && (workers[i].leaves || workers[i].pending))
            return true;
    }
    return false;
}

/* Nobody will be told of what they run, or have run since the broker looked. */
void workers_lose_spawner(void)
{
    bool unread = any_leaves();
    unsigned i;

    for (i = 0; i < jobs_used && some; i++) {
        job *j = &jobs[i];

        if (j->is_call && j->launches == 0 && (unread || j->direct)) {
            j->order_may_be_lost = true;
            j->lost_in = lives;
        }
        if (!j->is_call || j->launches == 0 || j->place == UNPARENTED)
            continue;
        j->had_ended = j->place != RUNNING;
        j->record_unsure |=
            j->direct && (!j->had_ended || (!alive && !j->read_ms));
        j->place = UNPARENTED;
    }
    for (i = 0; i < used; i++) {
        workers[i].place = NONE;
        workers[i].call = NULL;
        let_go(&workers[i]);
    }
    if (some)
        new_template();
}
