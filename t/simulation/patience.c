/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nothing that can go on waits for a timer that is there for something else: a
 * job without rules, in a queue with room, starts soon. And what has ended
 * leaves nothing in the inbox.
 */
#include "t/simulation/patience.h"

#include <string.h>

#include "t/simulation/controls.h"
#include "t/simulation/durable.h"
#include "t/simulation/world.h"

#define SOON 3000 /* ms: the spool is read each second */

typedef struct {
    int64_t since;    /* one of its jobs could start; 0: none can */
    unsigned started; /* launches, then */
} waiting;

static waiting queues[QUEUES];
static unsigned life; /* of the broker that is waited for */

void patience_reset(void)
{
    memset(queues, 0, sizeof(queues));
    life = 0;
}

static bool may_start(const job *j)
{
    return j->promised && j->known && !j->unsure && !j->is_call && !j->durable
           && !job_has_rules(j) && !job_is_run(j) && j->launches == 0
           && j->place == ABSENT && !j->done && !j->cancelled && !j->kill_asked
           && !j->abandoned;
}

/* Its start may wait for the disk, and has its place in the queue meanwhile. */
static bool waits_for_disk(const job *j)
{
    return j->durable && j->claims && !j->done && !j->gone;
}

static void check_queue(unsigned queue)
{
    waiting *q = &queues[queue];
    const job *one = NULL;
    unsigned i, started = 0;
    bool busy = spawner_busy(queue) > 0;

    for (i = 0; i < jobs_used; i++) {
        if (jobs[i].queue != queue)
            continue;
        started += jobs[i].launches;
        busy = busy || waits_for_disk(&jobs[i]);
        if (!one && may_start(&jobs[i]))
            one = &jobs[i];
    }
    if (!one || busy)
        q->since = 0;
    else if (q->since == 0 || started != q->started)
        q->since = board->mono_ms;
    else if (board->mono_ms - q->since > SOON)
        promise_broken("job %u could start, and none has started in its queue "
                       "for %lld ms",
                       job_number(one), (long long)(board->mono_ms - q->since));
    q->started = started;
}

void patience_check(void)
{
    unsigned i;

    if (!alive || !broker_ready || !going || !controls_undone()
        || life != lives)
        patience_reset();
    life = lives;
    for (i = 0; i < QUEUES && life && !broken; i++)
        check_queue(i);
}
