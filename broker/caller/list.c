/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LIST: which jobs a caller wants to see, as a question that is answered from
 * the store (ask.c). Runs in the broker, on checked messages. Must keep a copy
 * of all that the question needs: the message goes before it is answered.
 */
#include "broker/caller/list.h"

#include <stdio.h>
#include <string.h>

#include "broker/base/alloc.h"
#include "broker/job/changes.h"
#include "broker/caller/access.h"
#include "broker/caller/ask.h"

#define ROWS_DEFAULT 100

static bool are_pairs(const spawn_message *m)
{
    const spawn_attr *a = &m->attr[SPAWN_A_CONTEXT];
    uint32_t left = spawn_has(m, SPAWN_A_CONTEXT) ? spawn_strv_count(a) : 0;
    const char *text = NULL;

    while (left-- > 0) {
        text = spawn_strv_next(a, text);
        if (!strchr(text, '='))
            return false;
    }
    return true;
}

static int64_t time_of(const spawn_message *m, unsigned attr)
{
    uint64_t ms = spawn_u64_or(m, attr, 0);

    return ms > INT64_MAX ? INT64_MAX : (int64_t)ms;
}

/* ---- texts, which are kept behind the question ---- */

static size_t length_of(const spawn_message *m, unsigned attr)
{
    return spawn_has(m, attr) ? m->attr[attr].length : 0;
}

/* An empty one is in each text. */
static const char *keep_text(const spawn_message *m, unsigned attr,
                             uint8_t **room)
{
    const char *text = spawn_str_or(m, attr, "");
    char *kept = (char *)*room;
    size_t length = strlen(text) + 1;

    if (length == 1)
        return NULL;
    memcpy(kept, text, length);
    *room += length;
    return kept;
}

static void keep_texts(spawn_ask *a, const spawn_message *m)
{
    const spawn_attr *context = &m->attr[SPAWN_A_CONTEXT];
    uint8_t *room = a->texts;

    if (spawn_has(m, SPAWN_A_CONTEXT)) {
        memcpy(room, context->data, context->length);
        a->filter.context = *context;
        a->filter.context.data = room;
        room += context->length;
    }
    a->filter.what = keep_text(m, SPAWN_A_WHAT, &room);
    a->filter.label = keep_text(m, SPAWN_A_LABEL, &room);
    a->filter.search = keep_text(m, SPAWN_A_SEARCH, &room);
}

/* ---- the question ---- */

static void take_place(spawn_ask *a, const spawn_message *m)
{
    spawn_list_filter *f = &a->filter;
    uint64_t before;

    f->oldest_first = spawn_u64_or(m, SPAWN_A_OLDEST_FIRST, 0) != 0;
    before = spawn_u64_or(m, SPAWN_A_BEFORE,
                          f->oldest_first ? 0 : (uint64_t)INT64_MAX);
    f->before = before > INT64_MAX ? INT64_MAX : (int64_t)before;
    a->from_start = f->oldest_first ? f->before == 0 : f->before == INT64_MAX;
}

static void take_filter(spawn_ask *a, const spawn_message *m)
{
    spawn_list_filter *f = &a->filter;
    uint64_t argv_most = spawn_u64_or(m, SPAWN_A_ARGV_MOST, 0);

    f->states = spawn_u64_or(m, SPAWN_A_STATES, 0);
    f->ended = spawn_u64_or(m, SPAWN_A_ENDED_AS, 0);
    f->since = time_of(m, SPAWN_A_SINCE);
    f->until = time_of(m, SPAWN_A_UNTIL);
    f->ended_since = time_of(m, SPAWN_A_ENDED_SINCE);
    f->argv_limited = spawn_has(m, SPAWN_A_ARGV_MOST);
    f->argv_most = argv_most > SIZE_MAX ? SIZE_MAX : (size_t)argv_most;
    (void)snprintf(f->queue, sizeof(f->queue), "%s",
                   spawn_str_or(m, SPAWN_A_QUEUE, ""));
    keep_texts(a, m);
    /* of these alone it is known how many are dead */
    a->counts = !f->context.data && !f->what && !f->label && !f->search
                && !f->ended && !f->since && !f->until && !f->ended_since;
}

void spawn_request_list(spawn_peer *peer, const spawn_message *m,
                        spawn_packet *p, const spawn_id *id)
{
    uint64_t rows = spawn_u64_or(m, SPAWN_A_ROWS, ROWS_DEFAULT);
    spawn_failure why;
    spawn_ask *a;

    (void)p;
    (void)id;
    if (!are_pairs(m)) {
        spawn_failure_set(&why, SPAWN_E_INVALID, SPAWN_STEP_CHECK, 0,
                          "context: wanted: name=value");
        spawn_peer_refuse(peer, m->header.seq, NULL, &why);
        return;
    }
    a = spawn_alloc(sizeof(*a) + length_of(m, SPAWN_A_CONTEXT)
                    + length_of(m, SPAWN_A_WHAT) + length_of(m, SPAWN_A_LABEL)
                    + length_of(m, SPAWN_A_SEARCH));
    spawn_batch_store_now(peer->batch);
    a->seq = m->header.seq;
    a->list = true;
    a->rows = rows > SPAWN_LIST_MAX ? SPAWN_LIST_MAX : rows;
    a->looks = spawn_u64_or(m, SPAWN_A_LOOKS, 0);
    take_place(a, m);
    take_filter(a, m);
    if (spawn_access_limits(peer)) {
        a->filter.sees = spawn_access_sees;
        a->filter.who = peer;
    }
    if (a->filter.since || a->filter.until)
        spawn_store_list_narrow(peer->batch->store, &a->filter);
    spawn_peer_ask(peer, a);
}
