/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages of the relay: their table. Runs in the broker, on checked
 * messages.
 */
#include "broker/relay/says.h"

#include <string.h>

#include "common/spawn_log.h"
#include "broker/base/conf.h"
#include "broker/base/loop.h"
#include "broker/job/queue.h"
#include "broker/job/share.h"
#include "broker/relay/link.h"
#include "broker/relay/origin.h"
#include "broker/relay/taking.h"

static spawn_batch *batch;

void spawn_relay_ruled(void)
{
    const spawn_queue *q;
    spawn_writer w;
    size_t mark;

    if (!spawn_conf.relay_url || !spawn_conf.host)
        return;
    spawn_writer_init(&w, spawn_message_max(SPAWN_M_RELAY_RULES));
    spawn_writer_begin(&w, SPAWN_M_RELAY_RULES, 0);
    spawn_put_str(&w, SPAWN_A_RELAY_URL, spawn_conf.relay_url);
    spawn_put_str(&w, SPAWN_A_HOST, spawn_conf.host);
    mark = spawn_open_strv(&w, SPAWN_A_QUEUE_NAMES);
    for (q = spawn_queue_next(NULL); q; q = spawn_queue_next(q)) {
        if (q->configured && q->shared)
            spawn_add_text(&w, mark, q->name, strlen(q->name));
    }
    spawn_close(&w, mark);
    spawn_relay_send(&w);
    spawn_writer_free(&w);
}

static void closed(const char *why)
{
    if (spawn_shares.open)
        spawn_log(SPAWN_LOG_WARN,
                  MSNO(0706) "shared queues: the connection to the engine is "
                             "lost: %.300s; jobs wait here until it is back",
                  why);
    spawn_shares.open = false;
    spawn_origin_cut();
}

/* RUNNING: is it connected? */
static void state(const spawn_message *m)
{
    if (!spawn_attr_u64(&m->attr[SPAWN_A_RUNNING])) {
        closed(spawn_str_or(m, SPAWN_A_TEXT, "no reason is told"));
        return;
    }
    spawn_log(SPAWN_LOG_NOTICE,
              MSNO(0707) "shared queues: connected to the engine: %.300s",
              spawn_str_or(m, SPAWN_A_TEXT, ""));
    spawn_shares.open = true;
    spawn_taking_begin(batch);
}

static void carried(const spawn_message *m)
{
    spawn_id id;

    spawn_attr_id(&m->attr[SPAWN_A_ID], &id);
    switch (spawn_attr_u64(&m->attr[SPAWN_A_STATE])) {
    case SPAWN_STATE_QUEUED:
        spawn_origin_carried(&id);
        break;
    case SPAWN_STATE_DONE:
        spawn_taking_carried(&id);
        break;
    default:
        break;
    }
}

static void came(const spawn_message *m)
{
    const spawn_attr *load = &m->attr[SPAWN_A_LOAD_BYTES];
    uint64_t delivery = spawn_attr_u64(&m->attr[SPAWN_A_SEQ]);

    if (spawn_has(m, SPAWN_A_QUEUE))
        spawn_taking_came(batch, delivery, load->data, load->length);
    else
        spawn_origin_news(delivery, load->data, load->length);
}

static void message(const spawn_message *m)
{
    static const struct {
        uint16_t type;
        void (*obey)(const spawn_message *m);
    } messages[] = {{SPAWN_M_RELAY_STATE, state},
                    {SPAWN_M_CARRIED, carried},
                    {SPAWN_M_CAME, came}};
    size_t i;

    for (i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
        if (messages[i].type == m->header.type)
            messages[i].obey(m);
    }
    spawn_loop_again(); /* there may be room for more on the way */
}

static void gone(void)
{
    closed("the relay has ended");
}

static const spawn_relay_events events = {message, gone};

void spawn_relay_begin(spawn_batch *of, int fd)
{
    batch = of;
    if (spawn_relay_open(fd, &events) == 0)
        spawn_relay_ruled();
}
