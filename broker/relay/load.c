/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What travels between brokers. Runs in the broker. An order leaves without
 * what its origin has dealt with, or keeps: when it may start, after which
 * jobs, its unique key, whether somebody waits for it.
 */
#include "broker/relay/load.h"

#include <stdio.h>

#include "broker/base/conf.h"
#include "broker/job/body.h"
#include "broker/job/queue.h"
#include "broker/relay/link.h"

/* ---- an order ---- */

static bool stays_here(unsigned attr)
{
    switch (attr) {
    case SPAWN_A_ID:
    case SPAWN_A_QUEUE:
    case SPAWN_A_REPLY:
    case SPAWN_A_DELAY:
    case SPAWN_A_AT:
    case SPAWN_A_UNIQUE:
    case SPAWN_A_UNIQUE_FOR:
    case SPAWN_A_ON_CONFLICT:
    case SPAWN_A_AFTER:
    case SPAWN_A_AFTER_FAILED:
    case SPAWN_A_FDS:
        return true;
    default:
        return false;
    }
}

static void write_job(const spawn_job *job, const spawn_body *body,
                      spawn_writer *w)
{
    spawn_reader r;
    spawn_attr a;

    spawn_writer_begin(w, SPAWN_M_SHARED_JOB, 0);
    spawn_put_id(w, SPAWN_A_ID, &job->id);
    spawn_put_str(w, SPAWN_A_HOST, spawn_conf.host);
    spawn_put_u64(w, SPAWN_A_ATTEMPT, job->attempt);
    spawn_put_str(w, SPAWN_A_QUEUE, job->queue->name);
    spawn_reader_init(&r, body->data, body->length);
    while (spawn_reader_next(&r, &a) == 1) {
        if (!stays_here(a.id))
            spawn_put_attr(w, a.id, &a);
    }
    if (body->input)
        spawn_put_bytes(w, SPAWN_A_STDIN_DATA, body->input, body->input_length);
    if (body->args)
        spawn_put_bytes(w, SPAWN_A_ARGS, body->args, body->args_length);
}

static void carry(const char *prefix, const char *name, const spawn_id *id,
                  unsigned state, const spawn_writer *load)
{
    char to[SPAWN_ENGINE_QUEUE_MAX + 1];
    spawn_writer w;

    (void)snprintf(to, sizeof(to), "%s%s", prefix, name);
    spawn_writer_init(&w, spawn_message_max(SPAWN_M_CARRY));
    spawn_writer_begin(&w, SPAWN_M_CARRY, 0);
    spawn_put_str(&w, SPAWN_A_TO, to);
    spawn_put_id(&w, SPAWN_A_ID, id);
    spawn_put_u64(&w, SPAWN_A_STATE, state);
    spawn_put_bytes(&w, SPAWN_A_LOAD_BYTES, load->data, load->length);
    spawn_relay_send(&w);
    spawn_writer_free(&w);
}

int spawn_load_send_job(const spawn_job *job, const spawn_body *body,
                        spawn_failure *why)
{
    spawn_writer load;
    int rv;

    if (!body) {
        spawn_failure_set(why, SPAWN_E_STORE, SPAWN_STEP_STORE, 0,
                          "its order could not be read from the store");
        return -1;
    }
    spawn_writer_init(&load, spawn_message_max(SPAWN_M_SHARED_JOB));
    write_job(job, body, &load);
    rv = spawn_writer_finish(&load, 0);
    if (rv == 0)
        carry("spawn.q.", job->queue->name, &job->id, SPAWN_STATE_QUEUED,
              &load);
    else
        spawn_failure_set(why, SPAWN_E_TOO_BIG, SPAWN_STEP_ORDER, -rv,
                          "its order is too big to be sent to another host");
    spawn_writer_free(&load);
    return rv ? -1 : 0;
}

int spawn_load_submit(const uint8_t *attrs, size_t length, spawn_writer *w)
{
    spawn_reader r;
    spawn_attr a;

    spawn_writer_begin(w, SPAWN_M_SUBMIT, 0);
    spawn_reader_init(&r, attrs, length);
    while (spawn_reader_next(&r, &a) == 1) {
        if (a.id != SPAWN_A_HOST && a.id != SPAWN_A_ATTEMPT)
            spawn_put_attr(w, a.id, &a);
    }
    return spawn_writer_finish(w, 0) ? -1 : 0;
}

/* ---- news ---- */

void spawn_load_send_news(const spawn_id *id, unsigned attempt,
                          const char *origin, unsigned state,
                          const spawn_writer *answer)
{
    spawn_writer load;

    spawn_writer_init(&load, spawn_message_max(SPAWN_M_SHARED_NEWS));
    spawn_writer_begin(&load, SPAWN_M_SHARED_NEWS, 0);
    spawn_put_id(&load, SPAWN_A_ID, id);
    spawn_put_str(&load, SPAWN_A_HOST, spawn_conf.host);
    spawn_put_u64(&load, SPAWN_A_ATTEMPT, attempt);
    spawn_put_bytes(&load, SPAWN_A_LOAD_BYTES, answer->data, answer->length);
    if (spawn_writer_finish(&load, 0) == 0)
        carry("spawn.o.", origin, id, state, &load);
    spawn_writer_free(&load);
}
