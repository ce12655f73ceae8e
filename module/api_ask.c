/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions of other modules about a job: wait, status, kill, revive,
 * start_now. Runs in
 * httpd children, in any thread. Must end at its deadline.
 */
#include "module/api.h"

#include <signal.h>
#include <string.h>

#include "module/api_client.h"
#include "module/api_info.h"

#define ASK_ROOM 128

#define INVALID(f, ...)                                                        \
    spawn_failure_set(f, SPAWN_E_INVALID, SPAWN_STEP_OPTIONS, 0, __VA_ARGS__)

typedef struct {
    spawn_client *client;
    spawn_id id;
    spawn_answer answer;
    spawn_failure fault;
} question;

/* Can it be asked? p: NULL when no text is copied. */
static bool begin(question *q, server_rec *s, const char *id, bool no_pool)
{
    memset(q, 0, sizeof(*q));
    if (!id || spawn_id_parse(id, &q->id))
        INVALID(&q->fault, "id: '%.64s' is not the id of a job",
                id ? id : "(NULL)");
    else if (no_pool)
        INVALID(&q->fault, "the pool is NULL: info needs one for its texts");
    else
        q->client = spawn_api_client(s, &q->fault);
    return q->client != NULL;
}

static apr_status_t end(question *q, apr_pool_t *p, spawn_job_info *info,
                        spawn_job_failure *why)
{
    const spawn_message *m = &q->answer.message;

    if (p)
        spawn_api_tell(info, p, &q->id,
                       m->header.type == SPAWN_M_JOB ? m : NULL);
    spawn_answer_free(&q->answer);
    return spawn_api_fail(why, &q->fault);
}

/* A question with one more number. 0 with q->answer, or -1 with q->fault. */
static int ask(question *q, uint16_t type, uint16_t attr, uint64_t value)
{
    uint8_t room[ASK_ROOM];
    spawn_writer w;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, type, 0);
    spawn_put_id(&w, SPAWN_A_ID, &q->id);
    spawn_put_u64(&w, attr, value);
    (void)spawn_writer_finish(&w, 0);
    return spawn_client_ask(q->client, &w, 0, &q->answer, &q->fault);
}

/* ---- wait ---- */

static int ask_later(question *q, spawn_until until, apr_interval_time_t wait,
                     bool with_output)
{
    uint32_t wait_ms = spawn_api_wait_ms(wait);
    uint8_t room[ASK_ROOM];
    spawn_writer w;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_WAIT, 0);
    spawn_put_id(&w, SPAWN_A_ID, &q->id);
    spawn_put_u64(&w, SPAWN_A_WAIT_FOR, (uint64_t)until);
    spawn_put_u64(&w, SPAWN_A_WAIT_MS, wait_ms);
    spawn_put_u64(&w, SPAWN_A_WITH_OUTPUT, with_output);
    (void)spawn_writer_finish(&w, 0);
    return spawn_client_ask(q->client, &w, wait_ms, &q->answer, &q->fault);
}

static bool reached(const spawn_message *m, spawn_until until)
{
    uint64_t state = spawn_u64_or(m, SPAWN_A_STATE, 0);

    return state == SPAWN_STATE_DONE
           || (until == SPAWN_UNTIL_STARTED && state == SPAWN_STATE_RUNNING);
}

/* How it is when the time is over: it may have come this far meanwhile. */
static void look(question *q, spawn_until until, bool with_output)
{
    memset(&q->fault, 0, sizeof(q->fault));
    if (ask(q, SPAWN_M_GET, SPAWN_A_WITH_OUTPUT, with_output) == 0
        && !reached(&q->answer.message, until))
        spawn_failure_set(&q->fault, SPAWN_E_TIMED_OUT, SPAWN_STEP_RECEIVE, 0,
                          "the job is %s when the time to wait for it is over; "
                          "it goes on",
                          spawn_state_name((unsigned)spawn_u64_or(
                              &q->answer.message, SPAWN_A_STATE, 0)));
}

apr_status_t spawn_job_wait(server_rec *s, apr_pool_t *p, const char *id,
                            spawn_until until, apr_interval_time_t wait,
                            spawn_job_info *info, spawn_job_failure *why)
{
    bool with_output = info && until == SPAWN_UNTIL_FINISHED;
    question q;

    if (!spawn_api_sized(info, why))
        return APR_EINVAL;
    if (!begin(&q, s, id, info && !p))
        ;
    else if (until != SPAWN_UNTIL_STARTED && until != SPAWN_UNTIL_FINISHED)
        INVALID(&q.fault,
                "until: %d is not allowed; wanted: started or "
                "finished",
                (int)until);
    else if (wait == 0)
        look(&q, until, with_output);
    else if (ask_later(&q, until, wait, with_output) < 0
             && q.fault.code == SPAWN_E_TIMED_OUT)
        look(&q, until, with_output);
    return end(&q, p, info, why);
}

/* ---- status, kill, revive and start_now ---- */

apr_status_t spawn_job_status(server_rec *s, apr_pool_t *p, const char *id,
                              int with_output, spawn_job_info *info,
                              spawn_job_failure *why)
{
    question q;

    if (!spawn_api_sized(info, why))
        return APR_EINVAL;
    if (begin(&q, s, id, info && !p))
        (void)ask(&q, SPAWN_M_GET, SPAWN_A_WITH_OUTPUT, with_output != 0);
    return end(&q, p, info, why);
}

apr_status_t spawn_job_kill(server_rec *s, const char *id, int signal,
                            spawn_job_failure *why)
{
    question q;

    if (!spawn_api_sized(NULL, why))
        return APR_EINVAL;
    if (!begin(&q, s, id, false))
        ;
    else if (signal < 1 || signal >= NSIG)
        INVALID(&q.fault, "signal: there is no signal %d; wanted: 1 to %d",
                signal, NSIG - 1);
    else
        (void)ask(&q, SPAWN_M_KILL, SPAWN_A_SIGNO, (uint64_t)signal);
    return end(&q, NULL, NULL, why);
}

/* A request that has nothing but the id. */
static apr_status_t request(server_rec *s, const char *id, uint16_t type,
                            spawn_job_failure *why)
{
    uint8_t room[ASK_ROOM];
    spawn_writer w;
    question q;

    if (!spawn_api_sized(NULL, why))
        return APR_EINVAL;
    if (begin(&q, s, id, false)) {
        spawn_writer_init_fixed(&w, room, sizeof(room));
        spawn_writer_begin(&w, type, 0);
        spawn_put_id(&w, SPAWN_A_ID, &q.id);
        (void)spawn_writer_finish(&w, 0);
        (void)spawn_client_ask(q.client, &w, 0, &q.answer, &q.fault);
    }
    return end(&q, NULL, NULL, why);
}

apr_status_t spawn_job_revive(server_rec *s, const char *id,
                              spawn_job_failure *why)
{
    return request(s, id, SPAWN_M_REVIVE, why);
}

apr_status_t spawn_job_start_now(server_rec *s, const char *id,
                                 spawn_job_failure *why)
{
    return request(s, id, SPAWN_M_START_NOW, why);
}
