/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the world knows of each job, the seed, and the words for what goes
 * wrong.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "t/simulation/world.h"

job jobs[JOBS_MAX];
unsigned jobs_used;
limits queue_limits[QUEUES];
const char *const queue_names[QUEUES] = {"default", "slow"};
bool tracing, broken;

job *job_new(way_in way)
{
    job *j = &jobs[jobs_used];
    uint64_t ms = (uint64_t)board->wall_ms;
    int i;

    if (jobs_used == JOBS_MAX)
        return NULL;
    memset(j, 0, sizeof(*j));
    for (i = 0; i < SPAWN_ID_SIZE; i++)
        j->id.bytes[i] =
            i < 6 ? (uint8_t)(ms >> (8 * (5 - i))) : (uint8_t)random_bits();
    j->id.bytes[6] = (uint8_t)(0x70 | (j->id.bytes[6] & 0x0f));
    j->id.bytes[8] = (uint8_t)(0x80 | (j->id.bytes[8] & 0x3f));
    j->way = way;
    j->queue = random_below(QUEUES);
    j->grace_ms = 500;
    j->term_ms = -1;
    if (chance(30))
        j->timeout_ms = 50 + random_below(3000);
    j->stubborn = chance(30);
    if (chance(15))
        j->data = random_below(way == BY_SUBMIT ? DATA_MAX : DATA_OF_POST);
    jobs_used++;
    return j;
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

    (void)snprintf(text, sizeof(text), "/bin/job-%u", job_number(j));
    return text;
}

void job_write(const job *j, spawn_writer *w, bool other_contents)
{
    static const uint8_t data[DATA_MAX];
    size_t mark;

    spawn_put_id(w, SPAWN_A_ID, &j->id);
    mark = spawn_open_strv(w, SPAWN_A_ARGV);
    spawn_add_text(w, mark, job_program(j), strlen(job_program(j)));
    if (other_contents)
        spawn_add_text(w, mark, "other", 5);
    spawn_close(w, mark);
    spawn_put_str(w, SPAWN_A_QUEUE, queue_names[j->queue]);
    if (j->timeout_ms)
        spawn_put_u64(w, SPAWN_A_TIMEOUT, j->timeout_ms);
    spawn_put_u64(w, SPAWN_A_GRACE, j->grace_ms);
    if (j->data)
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
