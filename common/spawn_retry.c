/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of further attempts, as an order has them. Runs in the broker and
 * in callers, on checked messages, spawn_retry_check on hostile ones. Must not
 * know of jobs.
 */
#include "common/spawn_retry.h"

/* ---- whether ---- */

bool spawn_attempt_good(const spawn_attempt_end *end)
{
    return end->returned
           || (end->outcome == SPAWN_OUTCOME_EXITED && end->exit_code == 0);
}

/* Without a list: what failed, and what is lost. */
static bool names(const spawn_message *order, uint64_t word)
{
    const spawn_attr *on = &order->attr[SPAWN_A_RETRY_ON];
    uint32_t i;

    if (!spawn_has(order, SPAWN_A_RETRY_ON))
        return word == SPAWN_RETRY_ON_FAILED || word == SPAWN_RETRY_ON_LOST;
    for (i = 0; i < spawn_u64v_count(on); i++) {
        if (spawn_u64v_at(on, i) == word)
            return true;
    }
    return false;
}

bool spawn_retry_applies(const spawn_message *order,
                         const spawn_attempt_end *end)
{
    if (spawn_attempt_good(end))
        return false;
    switch (end->outcome) {
    case SPAWN_OUTCOME_EXITED:
        return names(order, SPAWN_RETRY_ON_FAILED)
               || (end->exit_code > 0
                   && names(order,
                            SPAWN_RETRY_CODE + (uint64_t)end->exit_code));
    case SPAWN_OUTCOME_SIGNALLED:
        return names(order, SPAWN_RETRY_ON_FAILED)
               || names(order, SPAWN_RETRY_ON_SIGNAL);
    case SPAWN_OUTCOME_OUT_OF_MEMORY: /* by SIGKILL */
        return names(order, SPAWN_RETRY_ON_FAILED)
               || names(order, SPAWN_RETRY_ON_SIGNAL)
               || names(order, SPAWN_RETRY_ON_OUT_OF_MEMORY);
    case SPAWN_OUTCOME_LOST:
    case SPAWN_OUTCOME_ENDED:
        return names(order, SPAWN_RETRY_ON_LOST);
    case SPAWN_OUTCOME_TIMED_OUT:
        return names(order, SPAWN_RETRY_ON_TIMEOUT);
    case SPAWN_OUTCOME_START_FAILED:
        return names(order, SPAWN_RETRY_ON_START_FAILED);
    default:
        return false;
    }
}

unsigned spawn_retry_most(const spawn_message *order)
{
    int64_t most = spawn_has(order, SPAWN_A_RETRY)
                       ? spawn_attr_i64(&order->attr[SPAWN_A_RETRY])
                       : 0;

    return most < 0 || most > SPAWN_RETRY_MAX ? 0 : (unsigned)most;
}

unsigned spawn_retry_left(const spawn_message *order, unsigned attempt)
{
    unsigned most = spawn_retry_most(order);

    return attempt <= most ? most - attempt + 1 : 0;
}

/* ---- how long ---- */

/* One after another; the last one stays. */
static uint64_t listed(const spawn_attr *backoff, unsigned failed)
{
    uint32_t last = spawn_u64v_count(backoff) - 1;

    return spawn_u64v_at(backoff, failed < last ? failed : last);
}

static uint64_t doubled(uint64_t first, uint64_t most, unsigned failed)
{
    uint64_t ms = first;

    while (--failed > 0 && ms < most)
        ms *= 2;
    return ms < most ? ms : most;
}

/* Before anything of it is left out. */
static uint64_t longest(const spawn_message *order, unsigned failed)
{
    const spawn_attr *backoff = &order->attr[SPAWN_A_BACKOFF];

    if (!spawn_has(order, SPAWN_A_BACKOFF))
        return doubled(SPAWN_BACKOFF_FIRST_MS, SPAWN_BACKOFF_MOST_MS, failed);
    if (spawn_u64v_at(backoff, 0) != SPAWN_BACKOFF_EXPONENTIAL)
        return listed(backoff, failed);
    return doubled(spawn_u64v_at(backoff, 1), spawn_u64v_at(backoff, 2),
                   failed);
}

uint64_t spawn_retry_delay(const spawn_message *order, unsigned failed,
                           uint64_t random)
{
    const spawn_attr *backoff = &order->attr[SPAWN_A_BACKOFF];
    uint64_t ms = longest(order, failed);

    if (spawn_has(order, SPAWN_A_BACKOFF)
        && spawn_u64v_at(backoff, 0) != SPAWN_BACKOFF_EXPONENTIAL)
        return ms;
    return ms - random % (ms / 2 + 1);
}

uint64_t spawn_retry_delays(const spawn_message *order)
{
    unsigned most = spawn_retry_most(order), i;
    uint64_t sum = 0;

    for (i = 1; i <= most; i++)
        sum += longest(order, i);
    return sum;
}

/* ---- the check ---- */

#define REFUSE(...)                                                            \
    do {                                                                       \
        spawn_failure_set(why, SPAWN_E_INVALID, SPAWN_STEP_OPTIONS, 0,         \
                          __VA_ARGS__);                                        \
        return -1;                                                             \
    } while (0)

static int check_retry(const spawn_message *order, spawn_failure *why)
{
    int64_t retry;

    if (!spawn_has(order, SPAWN_A_RETRY))
        return 0;
    retry = spawn_attr_i64(&order->attr[SPAWN_A_RETRY]);
    if (retry < 0 || retry > SPAWN_RETRY_MAX)
        REFUSE("retry: %lld is not allowed; wanted: 0 to %d", (long long)retry,
               SPAWN_RETRY_MAX);
    return 0;
}

static int check_backoff(const spawn_message *order, spawn_failure *why)
{
    const spawn_attr *a = &order->attr[SPAWN_A_BACKOFF];

    if (spawn_has(order, SPAWN_A_BACKOFF)
        && spawn_u64v_at(a, 0) == SPAWN_BACKOFF_EXPONENTIAL
        && (spawn_u64v_at(a, 1) == 0
            || spawn_u64v_at(a, 1) > spawn_u64v_at(a, 2)))
        REFUSE("backoff: exponential begins above 0, and not above its most");
    return 0;
}

/* Handles are gone when the first attempt has them, or were read. */
static bool has_handles(const spawn_message *order)
{
    static const uint8_t streams[] = {SPAWN_A_STDIN, SPAWN_A_STDOUT,
                                      SPAWN_A_STDERR};
    spawn_stdio s;
    unsigned i;

    for (i = 0; i < sizeof(streams); i++) {
        if (!spawn_has(order, streams[i]))
            continue;
        spawn_attr_stdio(&order->attr[streams[i]], &s);
        if (s.how == SPAWN_STDIO_FD)
            return true;
    }
    return spawn_has(order, SPAWN_A_FDS);
}

int spawn_retry_check(const spawn_message *order, spawn_failure *why)
{
    if (check_retry(order, why) || check_backoff(order, why))
        return -1;
    if (spawn_has(order, SPAWN_A_RETRY_ON)
        && spawn_u64v_count(&order->attr[SPAWN_A_RETRY_ON]) == 0)
        REFUSE("retry_on: the list is empty; without retry nothing is tried "
               "again");
    if (spawn_retry_most(order) == 0
        && (spawn_has(order, SPAWN_A_BACKOFF)
            || spawn_has(order, SPAWN_A_RETRY_ON)))
        REFUSE("backoff and retry_on belong to retry, which is not given or 0");
    if (spawn_retry_most(order) > 0 && has_handles(order))
        REFUSE("retry: a job that was given handles cannot be started again; "
               "give it paths, data, log or capture");
    return 0;
}
