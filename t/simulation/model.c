/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the world knows of each job, the seed, and the words for what goes
 * wrong.
 */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/spawn_rule.h"
#include "t/simulation/crons.h"
#include "t/simulation/durable.h"
#include "t/simulation/ordered.h"
#include "t/simulation/workers.h"

job jobs[JOBS_MAX];
unsigned jobs_used;
limits queue_limits[QUEUES];
const char *const queue_names[QUEUES] = {"default", "slow"};
bool tracing, broken, with_workers, with_leases, calls_unsure;

static void give_rules(job *j)
{
    int64_t about = board->wall_ms - 1000 + random_below(6000);

    if (chance(15))
        j->delay_ms = 1 + random_below(5000);
    else if (chance(8))
        j->at_ms = about;
    if (chance(12))
        j->expires_ms = j->delay_ms + 1 + random_below(4000);
    else if (chance(5))
        j->expires_at = (j->at_ms ? j->at_ms : about) + 1 + random_below(3000);
}

static void make_id(spawn_id *ret)
{
    uint64_t ms = (uint64_t)board->wall_ms;
    int i;

    for (i = 0; i < SPAWN_ID_SIZE; i++)
        ret->bytes[i] =
            i < 6 ? (uint8_t)(ms >> (8 * (5 - i))) : (uint8_t)random_bits();
    ret->bytes[6] = (uint8_t)(0x70 | (ret->bytes[6] & 0x0f));
    ret->bytes[8] = (uint8_t)(0x80 | (ret->bytes[8] & 0x3f));
}

static job *blank(way_in way, unsigned queue)
{
    job *j = &jobs[jobs_used++];

    memset(j, 0, sizeof(*j));
    j->way = way;
    j->queue = queue;
    j->grace_ms = 500;
    j->term_ms = -1;
    j->most = 1;
    j->made_ms = board->mono_ms;
    j->made_wall = board->wall_ms;
    j->made_boot = board->boot;
    j->least_ahead = board->wall_ms - board->mono_ms;
    return j;
}

job *job_of_broker(const spawn_id *id, unsigned queue)
{
    job *j;

    if (jobs_used == JOBS_MAX) {
        promise_broken("the world has no room for so many runs");
        return NULL;
    }
    j = blank(BY_CRON, queue);
    j->id = *id;
    j->stubborn = chance(10);
    j->claims = 1;
    j->sent_ms = board->mono_ms;
    j->sent_turn = turns;
    return j;
}

job *job_by_hand(unsigned queue)
{
    job *j;

    if (jobs_used >= JOBS_SENT)
        return NULL;
    j = blank(BY_HAND, queue);
    make_id(&j->id);
    j->stubborn = chance(10);
    return j;
}

bool job_is_run(const job *j)
{
    return j->way == BY_CRON || j->way == BY_HAND;
}

job *job_new(way_in way)
{
    job *j;

    if (jobs_used >= JOBS_SENT)
        return NULL;
    j = blank(way, 0);
    make_id(&j->id);
    j->queue = random_below(QUEUES);
    j->is_call = with_workers && j->queue == WORKER_QUEUE;
    if (chance(30))
        j->timeout_ms = 50 + random_below(3000);
    j->stubborn = chance(30);
    if (chance(15))
        j->data = random_below(way == BY_SUBMIT ? DATA_MAX : DATA_OF_POST);
    if (!j->is_call && chance(30)) {
        j->retry = 1 + random_below(3);
        j->good_at = 1 + random_below(j->retry + 2);
        if (j->good_at == j->retry + 2 && job_number(j) % 2)
            j->good_at = UINT_MAX; /* nor does one that is revived */
        j->retry_starts = chance(50);
        j->pause_ms = chance(30) ? 0 : random_below(800);
    }
    j->most = j->retry + 1;
    j->durable = with_durable && way == BY_SUBMIT && !j->is_call && chance(60);
    if (j->durable)
        j->data %= DATA_OF_POST;
    if (j->data % 4 != 0) /* to copy much takes long, so most is small */
        j->data /= 16;
    give_rules(j);
    ordered_new(j);
    return j;
}

job *job_call(void)
{
    job *j;

    if (jobs_used >= JOBS_SENT)
        return NULL;
    j = blank(BY_SUBMIT, WORKER_QUEUE);
    make_id(&j->id);
    j->is_call = true;
    j->stubborn = chance(30);
    if (chance(20))
        j->timeout_ms = 900 + random_below(3000);
    if (chance(10))
        j->data = random_below(DATA_OF_POST);
    return j;
}

bool job_has_rules(const job *j)
{
    return ordered_has(j) || j->delay_ms || j->at_ms || j->expires_ms
           || j->expires_at;
}

/* A moment that is to come is at an earlier time of day then. */
void jobs_clock_is_set(void)
{
    int64_t ahead = board->wall_ms - board->mono_ms;
    unsigned i;

    for (i = 0; i < jobs_used; i++) {
        if (jobs[i].made_boot == board->boot && jobs[i].least_ahead > ahead)
            jobs[i].least_ahead = ahead;
    }
}

/* When the machine is started anew, a moment is one of the time of day, as that
 * is when it is read; and the clock may be set later, or was before. */
static int64_t passed_since_boot(const job *j)
{
    if (j->made_boot == board->boot)
        return 0;
    return board->mono_ms + board->ahead_most - (j->made_ms + j->least_ahead);
}

/* A post counts from the time in its id, and the clock may have been set since.
 */
bool job_may_have_expired(const job *j)
{
    int64_t ms = (int64_t)j->expires_ms;

    if (j->expires_at)
        return board->wall_most >= j->expires_at;
    return ms
           && (board->mono_ms - j->made_ms >= ms
               || board->wall_most - j->made_wall >= ms
               || passed_since_boot(j) >= ms);
}

job *job_find(const spawn_id *id)
{
    unsigned i;

    for (i = 0; i < jobs_used; i++) {
        if (spawn_id_equal(&jobs[i].id, id))
            return &jobs[i];
    }
    return NULL;
}

unsigned job_number(const job *j)
{
    return (unsigned)(j - jobs);
}

const char *job_program(const job *j)
{
    static char text[32];

    if (job_is_run(j))
        (void)snprintf(text, sizeof(text), "/bin/cron-%s", cron_name(j->cron));
    else
        (void)snprintf(text, sizeof(text),
                       j->is_call ? "My::f%u" : "/bin/job-%u", job_number(j));
    return text;
}

void job_put_retry(unsigned retry, uint64_t pause_ms, bool starts,
                   spawn_writer *w)
{
    static const uint64_t also[] = {SPAWN_RETRY_ON_FAILED, SPAWN_RETRY_ON_LOST,
                                    SPAWN_RETRY_ON_TIMEOUT,
                                    SPAWN_RETRY_ON_START_FAILED};
    const uint64_t pause[] = {SPAWN_BACKOFF_FIXED, pause_ms};

    spawn_put_i64(w, SPAWN_A_RETRY, retry);
    spawn_put_u64v(w, SPAWN_A_BACKOFF, pause, 2);
    if (starts)
        spawn_put_u64v(w, SPAWN_A_RETRY_ON, also, 4);
}

void job_write(const job *j, spawn_writer *w, bool other_contents)
{
    static const uint8_t data[DATA_MAX];
    size_t mark;

    spawn_put_id(w, SPAWN_A_ID, &j->id);
    if (j->is_call) {
        spawn_put_str(w, SPAWN_A_FUNCTION, job_program(j));
        if (j->data)
            spawn_put_bytes(w, SPAWN_A_ARGS, data, j->data);
        if (other_contents)
            spawn_put_str(w, SPAWN_A_LABEL, "other");
    }
    else {
        mark = spawn_open_strv(w, SPAWN_A_ARGV);
        spawn_add_text(w, mark, job_program(j), strlen(job_program(j)));
        if (other_contents)
            spawn_add_text(w, mark, "other", 5);
        spawn_close(w, mark);
    }
    spawn_put_str(w, SPAWN_A_QUEUE, queue_names[j->queue]);
    if (j->retry)
        job_put_retry(j->retry, j->pause_ms, j->retry_starts, w);
    if (j->timeout_ms)
        spawn_put_u64(w, SPAWN_A_TIMEOUT, j->timeout_ms);
    spawn_put_u64(w, SPAWN_A_GRACE, j->grace_ms);
    if (j->delay_ms)
        spawn_put_u64(w, SPAWN_A_DELAY, j->delay_ms);
    if (j->at_ms)
        spawn_put_u64(w, SPAWN_A_AT, (uint64_t)j->at_ms);
    if (j->expires_ms)
        spawn_put_u64(w, SPAWN_A_EXPIRES, j->expires_ms);
    if (j->expires_at)
        spawn_put_u64(w, SPAWN_A_EXPIRES,
                      (uint64_t)j->expires_at | SPAWN_EXPIRES_MOMENT);
    if (j->durable)
        spawn_put_u64(w, SPAWN_A_DURABLE, 1);
    ordered_write(j, w);
    if (j->data && !j->is_call)
        spawn_put_bytes(w, SPAWN_A_STDIN_DATA, data, j->data);
}

/* ---- words ---- */

static void print(const char *fmt, va_list ap)
    __attribute__((format(printf, 1, 0)));

static void print(const char *fmt, va_list ap)
{
    (void)printf("%8lld ms  ", (long long)board->mono_ms % 10000000);
    (void)vprintf(fmt, ap);
    (void)putchar('\n');
}

void say(const char *fmt, ...)
{
    va_list ap;

    if (!tracing)
        return;
    va_start(ap, fmt);
    print(fmt, ap);
    va_end(ap);
}

void promise_broken(const char *fmt, ...)
{
    va_list ap;

    if (broken)
        return;
    broken = true;
    (void)printf("BROKEN: ");
    va_start(ap, fmt);
    print(fmt, ap);
    va_end(ap);
}
