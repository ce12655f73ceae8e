/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Submit a job. Runs in callers, in any thread. Checks before it sends, so that
 * a mistake is told where it was made; must post without a round trip and
 * without an allocation of its own.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "common/spawn_check.h"
#include "common/spawn_os.h"
#include "client/exchange.h"

/* ---- the check ---- */

static int unfinished(int error, spawn_failure *why)
{
    switch (error) {
    case -EMSGSIZE:
        spawn_failure_set(why, SPAWN_E_TOO_BIG, SPAWN_STEP_OPTIONS, 0,
                          "the job has more than %u bytes", SPAWN_SUBMIT_MAX);
        break;
    case -EINVAL:
        spawn_failure_set(why, SPAWN_E_INVALID, SPAWN_STEP_OPTIONS, 0,
                          "a text has a NUL byte in it");
        break;
    default:
        spawn_failure_set(why, SPAWN_E_SYSTEM, SPAWN_STEP_OPTIONS, -error,
                          "the job could not be written down: %s",
                          strerrordesc_np(-error));
        break;
    }
    return -1;
}

static int check(const spawn_writer *w, unsigned fds_count, spawn_message *ret,
                 spawn_failure *why)
{
    if (w->error)
        return unfinished(w->error, why);
    if (spawn_message_parse(w->data, w->length, SPAWN_FROM_CALLER, fds_count,
                            ret, why))
        return -1;
    if (ret->header.type != SPAWN_M_SUBMIT) {
        spawn_failure_set(why, SPAWN_E_INVALID, SPAWN_STEP_OPTIONS, 0,
                          "a %s message is not a job",
                          spawn_message_name(ret->header.type));
        return -1;
    }
    return spawn_job_check(ret, why) ? -1 : 0;
}

/* ---- posting ---- */

static int post_failed(int rv, const spawn_endpoint *endpoint,
                       spawn_failure *why)
{
    if (rv == -ETIMEDOUT)
        spawn_failure_set(why, SPAWN_E_QUEUE_FULL, SPAWN_STEP_SEND, EAGAIN,
                          "the post socket is full and was not emptied "
                          "within %u ms: jobs are posted faster than the "
                          "broker takes them, or it is stopped",
                          endpoint->timeout_ms);
    else if (rv == -ENOBUFS)
        spawn_failure_set(why, SPAWN_E_QUEUE_FULL, SPAWN_STEP_SEND, ENOBUFS,
                          "the job could not be posted, and the spool is full: "
                          "jobs come faster than the broker takes them, or "
                          "none is there");
    else if (rv == -EPIPE || rv == -ECONNRESET || rv == -ENOTCONN)
        spawn_failure_set(why, SPAWN_E_UNREACHABLE, SPAWN_STEP_SEND, -rv,
                          "nobody holds the other end of the post socket: "
                          "%s; check httpd's error log",
                          strerrordesc_np(-rv));
    else
        spawn_failure_set(why, SPAWN_E_SYSTEM, SPAWN_STEP_SEND, -rv,
                          "the job could not be posted: %s",
                          strerrordesc_np(-rv));
    return -1;
}

/* -EMSGSIZE: too big for this socket, nothing was sent. */
static int post(const spawn_endpoint *endpoint, spawn_writer *w)
{
    int64_t deadline = 0;
    int rv;

    spawn_writer_set_type(w, SPAWN_M_POST);
    spawn_writer_set_seq(w, spawn_seq(0, spawn_os_cpu()));
    while (
        (rv = spawn_packet_send(endpoint->post_fd, w->data, w->length, NULL, 0))
        == -EAGAIN) {
        if (deadline == 0)
            deadline = spawn_mono_ms() + endpoint->timeout_ms;
        rv = spawn_poll(endpoint->post_fd, POLLOUT, deadline);
        if (rv)
            break;
    }
    spawn_writer_set_type(w, SPAWN_M_SUBMIT);
    return rv;
}

/* A file, which every later broker finds: none needs to be there now. */
static int spool(const spawn_endpoint *endpoint, const spawn_message *job,
                 const spawn_writer *w)
{
    if (!endpoint->spool)
        return -ENOENT;
    return endpoint->spool(job->attr[SPAWN_A_ID].data, w->data, w->length);
}

/* 1: posted; 0: submit it as an accepted job; -1: with why filled. */
static int post_or_spool(const spawn_endpoint *endpoint,
                         const spawn_message *job, spawn_writer *w,
                         spawn_failure *why)
{
    int rv = -EMSGSIZE, spooled;

    if (endpoint->post_fd >= 0 && job->header.body <= SPAWN_INLINE_MAX)
        rv = post(endpoint, w);
    if (rv == 0)
        return 1;
    spooled = spool(endpoint, job, w);
    if (spooled == 0)
        return 1;
    if (rv == -EMSGSIZE)
        return 0;
    return post_failed(spooled == -ENOBUFS ? spooled : rv, endpoint, why);
}

/* ---- the answer ---- */

bool spawn_client_start_failed(const spawn_message *job, spawn_failure *why)
{
    const char *text = spawn_str_or(job, SPAWN_A_TEXT, "");
    const char *program = spawn_str_or(job, SPAWN_A_FUNCTION, "the job");

    if (spawn_u64_or(job, SPAWN_A_OUTCOME, 0) != SPAWN_OUTCOME_START_FAILED)
        return false;
    if (spawn_has(job, SPAWN_A_ARGV)
        && spawn_strv_count(&job->attr[SPAWN_A_ARGV]) > 0)
        program = spawn_strv_next(&job->attr[SPAWN_A_ARGV], NULL);
    spawn_failure_set(why, SPAWN_E_START_FAILED,
                      (spawn_step)spawn_u64_or(job, SPAWN_A_STEP, 0),
                      (int)spawn_u64_or(job, SPAWN_A_ERRNO, 0),
                      "%.120s could not be started%s%s", program,
                      *text ? ": " : "", text);
    return true;
}

static int unconfirmed(const spawn_endpoint *endpoint, int error,
                       const char *what, spawn_failure *why)
{
    spawn_failure_set(why, SPAWN_E_UNCONFIRMED, SPAWN_STEP_RECEIVE, error,
                      "the job was sent to %s and %s: it may or may not be "
                      "accepted; submit it again with the same id to find out",
                      endpoint->socket_path, what);
    return -1;
}

/* Fill ret, unless that is where it is, or free the answer. */
static void deliver(spawn_answer *answer, spawn_answer *ret)
{
    if (!ret)
        spawn_answer_free(answer);
    else if (ret != answer)
        *ret = *answer;
}

static int read_answer(unsigned reply, spawn_answer *answer, spawn_answer *ret,
                       spawn_failure *why)
{
    const spawn_message *m = &answer->message;
    unsigned wanted =
        reply >= SPAWN_REPLY_STARTED ? SPAWN_M_JOB : SPAWN_M_ACCEPTED;

    if (m->header.type == SPAWN_M_REFUSED) {
        spawn_refused(m, why);
        spawn_answer_free(answer);
        return -1;
    }
    if (m->header.type != wanted) {
        spawn_failure_set(why, SPAWN_E_PROTOCOL, SPAWN_STEP_RECEIVE, 0,
                          "a submit was answered with '%s'",
                          spawn_message_name(m->header.type));
        spawn_answer_free(answer);
        return -1;
    }
    if (reply == SPAWN_REPLY_STARTED
        && spawn_u64_or(m, SPAWN_A_OUTCOME, 0) == SPAWN_OUTCOME_START_FAILED) {
        spawn_step step = (spawn_step)spawn_u64_or(m, SPAWN_A_STEP, 0);
        int error = (int)spawn_u64_or(m, SPAWN_A_ERRNO, 0);

        spawn_failure_set(why, SPAWN_E_START_FAILED, step, error, "%s",
                          spawn_str_or(m, SPAWN_A_TEXT, ""));
        if (why && why->text[0] == '\0')
            spawn_failure_set(why, SPAWN_E_START_FAILED, step, error,
                              "the job could not be started: %s: %s",
                              spawn_step_name(step), strerrordesc_np(error));
        deliver(answer, ret);
        return -1;
    }
    deliver(answer, ret);
    return 0;
}

static bool reached(unsigned reply, const spawn_message *job)
{
    unsigned state = (unsigned)spawn_u64_or(job, SPAWN_A_STATE, 0);

    return state == SPAWN_STATE_DONE
           || (reply == SPAWN_REPLY_STARTED && state == SPAWN_STATE_RUNNING);
}

/* started and finished have one answer, at the end. When that is late, only a
 * question tells whether the job goes on or never arrived; it may even have
 * ended meanwhile. */
static int late(spawn_client *client, const spawn_message *job, unsigned reply,
                spawn_answer *ret, spawn_failure *why)
{
    const spawn_endpoint *endpoint = spawn_pool_endpoint(client);
    uint8_t room[128];
    spawn_failure unused;
    spawn_answer answer;
    spawn_writer w;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_GET, 0);
    spawn_put_attr(&w, SPAWN_A_ID, &job->attr[SPAWN_A_ID]);
    spawn_put_u64(&w, SPAWN_A_WITH_OUTPUT, reply == SPAWN_REPLY_FINISHED);
    (void)spawn_writer_finish(&w, 0);
    if (spawn_client_ask(client, &w, 0, &answer, &unused))
        return unconfirmed(endpoint, ETIMEDOUT,
                           "there was no answer within the deadline", why);
    if (reached(reply, &answer.message))
        return read_answer(reply, &answer, ret, why);
    spawn_failure_set(why, SPAWN_E_TIMED_OUT, SPAWN_STEP_RECEIVE, 0,
                      "the job is %s when the time to wait for it is over; "
                      "it goes on",
                      spawn_state_name((unsigned)spawn_u64_or(
                          &answer.message, SPAWN_A_STATE, 0)));
    spawn_answer_free(&answer);
    return -1;
}

/* Its connection is closed by now, and the broker ends the job: there is
 * nothing to ask for. A connection that another side broke tells nothing. */
static int late_bound(spawn_client *client, spawn_failure *why)
{
    if (!spawn_client_holds(client))
        return unconfirmed(spawn_pool_endpoint(client), EPIPE,
                           "the connection broke and cannot be made again",
                           why);
    spawn_failure_set(why, SPAWN_E_TIMED_OUT, SPAWN_STEP_RECEIVE, 0,
                      "the job was not started in time, and was ended with its "
                      "connection");
    return -1;
}

static int not_answered(spawn_client *client, const spawn_exchange *x, int rv,
                        const spawn_message *job, unsigned reply,
                        spawn_answer *ret, spawn_failure *why)
{
    const spawn_endpoint *endpoint = spawn_pool_endpoint(client);

    if (rv == -ETIMEDOUT && !x->sent) {
        spawn_failure_set(why, SPAWN_E_UNREACHABLE, SPAWN_STEP_SEND, EAGAIN,
                          "%s takes nothing within %u ms: the broker is busy "
                          "or stopped; the job was not sent",
                          endpoint->socket_path, endpoint->timeout_ms);
        return -1;
    }
    if (!x->sent)
        return -1;
    if (rv == -ETIMEDOUT && reply >= SPAWN_REPLY_STARTED)
        return spawn_pool_bound(client) ? late_bound(client, why)
                                        : late(client, job, reply, ret, why);
    if (rv == -ETIMEDOUT)
        return unconfirmed(endpoint, ETIMEDOUT,
                           "there was no answer within the deadline", why);
    if (rv == -EBADMSG || rv == -EPROTONOSUPPORT)
        return unconfirmed(endpoint, -rv, "the answer cannot be read", why);
    return unconfirmed(endpoint, -rv,
                       "the connection broke and cannot be made again", why);
}

/* The submit was answered: that nobody is there to tell of the other job must
 * not read as if nothing had been sent. */
static int other_not_told(const spawn_id *other, spawn_failure *why)
{
    spawn_failure was = *why;
    char id[SPAWN_ID_TEXT];

    if (was.code == SPAWN_E_UNREACHABLE || was.code == SPAWN_E_DEADLINE)
        spawn_failure_set(why, SPAWN_E_UNCONFIRMED, SPAWN_STEP_RECEIVE,
                          was.error,
                          "job %s has the unique key and is kept, and nobody "
                          "tells of it; ask for that one: %.160s",
                          spawn_id_format(other, id), was.text);
    return -1;
}

/* Another job is kept in its place. It is asked for by a request of its own:
 * when the broker is killed meanwhile, the job itself is not sent again. */
static int wait_for_other(spawn_client *client, const spawn_id *other,
                          unsigned reply, int64_t deadline, spawn_answer *ret,
                          spawn_failure *why)
{
    spawn_answer answer;
    uint8_t room[128];
    int64_t left = 0;
    spawn_writer w;

    if (deadline != SPAWN_NO_DEADLINE) {
        left = deadline - spawn_mono_ms();
        left = left > 1 ? left : 1;
    }
    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_WAIT, 0);
    spawn_put_id(&w, SPAWN_A_ID, other);
    spawn_put_u64(&w, SPAWN_A_WAIT_FOR, reply);
    if (left)
        spawn_put_u64(&w, SPAWN_A_WAIT_MS, (uint64_t)left);
    spawn_put_u64(&w, SPAWN_A_WITH_OUTPUT, reply == SPAWN_REPLY_FINISHED);
    (void)spawn_writer_finish(&w, 0);
    if (spawn_client_ask(client, &w, (uint32_t)left, &answer, why))
        return other_not_told(other, why);
    return read_answer(reply, &answer, ret, why);
}

/* A worker, or a broker before this one, may have had it run, and it is
 * refused. A broker that cannot look it up now does not say that it has not
 * run. When it is submitted again the broker is told of that worker again. */
static int refused_in_doubt(const spawn_exchange *x, const spawn_message *job,
                            spawn_answer *answer, spawn_failure *why)
{
    spawn_failure says;
    spawn_id id;

    spawn_attr_id(&job->attr[SPAWN_A_ID], &id);
    if (x->lost)
        spawn_pool_doubt(&id, &x->worker);
    spawn_refused(&answer->message, &says);
    spawn_answer_free(answer);
    if (says.code == SPAWN_E_STORE || says.code == SPAWN_E_SYSTEM)
        spawn_failure_set(
            why, SPAWN_E_UNCONFIRMED, SPAWN_STEP_RECEIVE, says.error,
            "the job was sent to a %s, and the broker cannot "
            "tell whether it has run; submit it again with the "
            "same id to find out: %.160s",
            x->lost ? "worker" : "broker that has gone", says.text);
    else if (why)
        *why = says;
    return -1;
}

/* Nobody wants the answer itself: whether it is good is all. */
typedef struct {
    const spawn_exchange *x;
    const spawn_message *job;
    unsigned reply;
    spawn_failure *why;
    bool kept;
    spawn_id other;
    int rv;
} verdict;

/* True: another job is kept. */
static bool takes_other(const spawn_message *answer, spawn_id *ret)
{
    if (answer->header.type != SPAWN_M_ACCEPTED
        || !spawn_has(answer, SPAWN_A_OTHER))
        return false;
    spawn_attr_id(&answer->attr[SPAWN_A_OTHER], ret);
    return true;
}

static int read_verdict(const verdict *v, spawn_answer *answer,
                        spawn_answer *ret)
{
    return (v->x->lost || v->x->sent_before)
                   && answer->message.header.type == SPAWN_M_REFUSED
               ? refused_in_doubt(v->x, v->job, answer, v->why)
               : read_answer(v->reply, answer, ret, v->why);
}

static int judge(void *arg, spawn_answer *answer)
{
    verdict *v = arg;

    v->kept = takes_other(&answer->message, &v->other);
    v->rv = v->kept ? 0 : read_verdict(v, answer, NULL);
    if (v->kept)
        spawn_answer_free(answer);
    return 0;
}

static int submit(spawn_client *client, const spawn_message *job,
                  unsigned reply, spawn_exchange *x, spawn_id *kept,
                  spawn_answer *ret, spawn_failure *why)
{
    verdict v = {.x = x, .job = job, .reply = reply, .why = why};
    spawn_id id;
    int rv;

    spawn_attr_id(&job->attr[SPAWN_A_ID], &id);
    if (!x->direct) /* else its id is new */
        x->lost = spawn_pool_doubts(&id, &x->worker);
    x->look = !ret;
    rv = ret ? spawn_exchange_run(x, ret, why)
             : spawn_exchange_many(x, judge, spawn_exchange_nothing, &v, why);
    if (rv && x->lost)
        spawn_pool_doubt(&id, &x->worker);
    if (rv)
        return not_answered(client, x, rv, job, reply, ret, why);
    if (ret)
        v.kept = takes_other(&ret->message, &v.other);
    if (v.kept && kept)
        *kept = v.other;
    if (!v.kept || reply < SPAWN_REPLY_STARTED)
        return ret ? read_verdict(&v, ret, ret) : v.rv;
    if (ret)
        spawn_answer_free(ret);
    return wait_for_other(client, &v.other, reply, x->deadline, ret, why);
}

static int submit_any(spawn_client *client, spawn_writer *w, const int *fds,
                      unsigned fds_count, uint32_t wait_ms, bool is_new,
                      spawn_id *kept, spawn_answer *ret, spawn_failure *why)
{
    const spawn_endpoint *endpoint = spawn_pool_endpoint(client);
    spawn_exchange x = {
        .client = client, .w = w, .fds = fds, .fds_count = fds_count};
    spawn_message job;
    unsigned reply;
    int rv;

    if (check(w, fds_count, &job, why))
        return -1;
    reply = (unsigned)spawn_u64_or(&job, SPAWN_A_REPLY, SPAWN_REPLY_ACCEPTED);
    if (reply == SPAWN_REPLY_POSTED) {
        rv = fds_count == 0 ? post_or_spool(endpoint, &job, w, why) : 0;
        if (rv == 1 && ret)
            memset(ret, 0, sizeof(*ret));
        if (rv)
            return rv == 1 ? 0 : rv;
        reply = SPAWN_REPLY_ACCEPTED;
        spawn_rewrite_u64(w, &job.attr[SPAWN_A_REPLY], reply);
    }
    x.deadline = spawn_mono_ms() + endpoint->timeout_ms;
    if (reply >= SPAWN_REPLY_STARTED)
        x.deadline = wait_ms ? x.deadline + wait_ms : SPAWN_NO_DEADLINE;
    if (is_new && reply == SPAWN_REPLY_FINISHED && fds_count == 0)
        x.direct = &job;
    return submit(client, &job, reply, &x, kept, ret, why);
}

int spawn_client_submit(spawn_client *client, spawn_writer *w, const int *fds,
                        unsigned fds_count, uint32_t wait_ms, spawn_id *kept,
                        spawn_answer *ret, spawn_failure *why)
{
    return submit_any(client, w, fds, fds_count, wait_ms, false, kept, ret,
                      why);
}

int spawn_client_submit_new(spawn_client *client, spawn_writer *w,
                            const int *fds, unsigned fds_count,
                            uint32_t wait_ms, spawn_id *kept, spawn_answer *ret,
                            spawn_failure *why)
{
    return submit_any(client, w, fds, fds_count, wait_ms, true, kept, ret, why);
}

void spawn_submit_id(const spawn_writer *w, spawn_id *ret)
{
    spawn_reader r;
    spawn_attr a;

    if (w->error || w->length < SPAWN_WIRE_HEADER)
        return;
    spawn_reader_init(&r, w->data + SPAWN_WIRE_HEADER,
                      w->length - SPAWN_WIRE_HEADER);
    while (spawn_reader_next(&r, &a) == 1) {
        if (a.id == SPAWN_A_ID)
            spawn_attr_id(&a, ret);
    }
}
