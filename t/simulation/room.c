/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Room in a queue: how many jobs may be in it, and whether a refusal for want
 * of room is a true one.
 */
#include "t/simulation/room.h"
#include "t/simulation/durable.h"

static unsigned waiting_or_running(unsigned queue)
{
    unsigned i, count = 0;

    for (i = 0; i < jobs_used; i++)
        count += jobs[i].queue == queue
                 && (jobs[i].left_in ? jobs[i].left_in == turns
                                     : jobs[i].claims > 0);
    return count;
}

/* Of a post. Any other job that is taken has a place already; files of the
 * spool wait for one. */
bool room_may_have_refused(const job *j)
{
    const limits *l = &queue_limits[j->queue];

    return j->posted_in
           && (with_power_cuts || controls_may_refuse(j->queue, j->sent_turn)
               || l->most_there > l->least_room
               || waiting_or_running(j->queue) > l->least_room);
}

/* The store may have lost with the power that they ended. */
static unsigned come_back(unsigned queue)
{
    unsigned i, count = 0;

    for (i = 0; i < jobs_used; i++)
        count += jobs[i].queue == queue && jobs[i].unsure && jobs[i].left_in
                 && jobs[i].left_in != turns;
    return count;
}

void room_judge_full(const job *j)
{
    const limits *l = &queue_limits[j->queue];
    unsigned there = waiting_or_running(j->queue) - 1 /* but for this one */
                     + come_back(j->queue);

    if (j->delay_ms)
        promise_broken("job %u waits for its time, and is refused by a full "
                       "queue",
                       job_number(j));
    if (j->launches == 0 && there < l->least_room)
        promise_broken("job %u is refused by a full queue, in which there are "
                       "at most %u jobs",
                       job_number(j), there);
}

bool room_may_be_full(const request *r)
{
    const job *j = r->job;

    return with_power_cuts || controls_may_refuse(j->queue, r->asked_in)
           || waiting_or_running(j->queue) > queue_limits[j->queue].least_room;
}

void room_turn(void)
{
    unsigned i;

    for (i = 0; i < QUEUES; i++) {
        unsigned there = waiting_or_running(i);

        if (there > queue_limits[i].most_there)
            queue_limits[i].most_there = there;
    }
}
