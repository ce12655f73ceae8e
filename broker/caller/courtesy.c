/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Callers on the broker's CPU go on first: a caller that was told that its job
 * is accepted, or has posted one, needs the CPU for some microseconds, and the
 * broker for a hundred, with the start of the job after it. Runs in the broker.
 *
 * sched_yield is not enough: the caller has just run, the broker has slept, and
 * the scheduler mostly goes on with the broker. So the broker sleeps for a
 * moment. Must not when somebody else waits for its turn, nor go on with it
 * when others take the CPU meanwhile: then it comes back a time slice later.
 */
#include "broker/caller/courtesy.h"

#include <sched.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "common/spawn_os.h"
#include "common/spawn_proto.h"
#include "broker/base/loop.h"
#include "broker/run/schedule.h"

#define CALLER_US 30  /* a caller takes its answer and goes on */
#define SENDER_US 20  /* a sender returns from its post */
#define LATE_US   300 /* so much longer, and others had the CPU */
#define PAUSE     300 /* times what it was too long: without naps */

static bool answered;      /* in this turn, and nobody has the CPU for it yet */
static bool napped;        /* in this turn, for a caller */
static int64_t not_before; /* mono us */

/* Nobody else waits for this turn, and the one that we are polite to waits for
 * our CPU. */
static bool may_nap(unsigned cpu)
{
    return cpu && cpu == spawn_os_cpu() && spawn_loop_one_event()
           && spawn_mono_us() >= not_before;
}

static void nap(unsigned us)
{
    int64_t due = spawn_mono_us() + us, late;

    spawn_os_nap(us);
    late = spawn_mono_us() - due;
    if (late > LATE_US)
        not_before = due + late * PAUSE;
}

void spawn_courtesy_answered(void)
{
    answered = true;
}

/* A caller that sends more than it waits for needs one. */
void spawn_courtesy_accepted(uint32_t seq, const spawn_queue *q)
{
    if (napped || !may_nap(spawn_seq_cpu(seq)) || !spawn_schedule_at_once(q))
        return;
    nap(CALLER_US);
    napped = true;
    answered = false;
}

void spawn_courtesy_to_caller(void)
{
    if (answered)
        (void)sched_yield();
    answered = napped = false;
}

/* Those that were answered since have the CPU when the broker waits. */
void spawn_courtesy_turn_over(void)
{
    answered = false;
}

static unsigned sender_cpu(int fd)
{
    uint8_t bytes[SPAWN_WIRE_HEADER];
    spawn_wire_header head;
    ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);

    if (n != (ssize_t)sizeof(bytes)
        || spawn_wire_read_header(bytes, sizeof(bytes), &head))
        return 0;
    return spawn_seq_cpu(head.seq);
}

void spawn_courtesy_to_sender(int fd)
{
    if (may_nap(sender_cpu(fd)))
        nap(SENDER_US);
    else
        (void)sched_yield();
}
