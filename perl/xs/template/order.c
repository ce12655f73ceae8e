/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of the call that this process runs, and what Perl is told of it
 * when it asks: most functions never do. Runs in a job, and in a template while
 * it rehearses.
 *
 * The order's bytes stay where they were received, for as long as the call
 * runs. Must never show the order of one call to the next one of a worker.
 */
#include <unistd.h>

#include "perl/xs/template/template.h"

/* The object of the call that runs, or undef. */
#define CURRENT "Apache2::Spawn::Current::current"

static struct {
    const spawn_message *order; /* NULL: no call runs */
    pid_t pid;
} current;

static const spawn_message *of_process; /* a worker has one of its own */

void spawn_template_order_of_process(const spawn_message *order)
{
    of_process = order;
}

void spawn_template_order_begins(const spawn_message *order)
{
    current.order = order;
    current.pid = getpid();
}

void spawn_template_order_ends(pTHX)
{
    SV *made = get_sv(CURRENT, 0);

    current.order = NULL;
    if (made && SvOK(made))
        sv_set_undef(made);
}

/* ---- as a hash ---- */

static void put(pTHX_ HV *to, const char *name, SV *value)
{
    (void)hv_store(to, name, (I32)strlen(name), value, 0);
}

static void put_text(pTHX_ HV *to, const spawn_message *order, unsigned attr)
{
    if (spawn_has(order, attr))
        put(aTHX_ to, spawn_attr_name(attr),
            newSVpv(spawn_attr_str(&order->attr[attr]), 0));
}

static void put_number(pTHX_ HV *to, const spawn_message *order, unsigned attr)
{
    if (spawn_has(order, attr))
        put(aTHX_ to, spawn_attr_name(attr),
            newSVuv((UV)spawn_attr_u64(&order->attr[attr])));
}

static void put_texts(pTHX_ HV *to, const spawn_message *order, unsigned attr)
{
    const spawn_attr *a = &order->attr[attr];
    const char *text = NULL;
    AV *list = newAV();
    uint32_t i;

    for (i = 0; spawn_has(order, attr) && i < spawn_strv_count(a); i++) {
        text = spawn_strv_next(a, text);
        av_push(list, newSVpv(text, 0));
    }
    put(aTHX_ to, spawn_attr_name(attr), newRV_noinc((SV *)list));
}

/* The numbers of the job's handles. */
static void put_fds(pTHX_ HV *to, const spawn_message *order)
{
    const spawn_attr *a = &order->attr[SPAWN_A_FDS];
    AV *list = newAV();
    uint32_t i;

    for (i = 0; spawn_has(order, SPAWN_A_FDS) && i < spawn_u64v_count(a);
         i += 2)
        av_push(list, newSVuv((UV)spawn_u64v_at(a, i + 1)));
    put(aTHX_ to, spawn_attr_name(SPAWN_A_FDS), newRV_noinc((SV *)list));
}

HV *spawn_template_hash(pTHX_ const spawn_message *order)
{
    HV *hash = newHV();
    char text[SPAWN_ID_TEXT];
    spawn_id id;

    spawn_attr_id(&order->attr[SPAWN_A_ID], &id);
    put(aTHX_ hash, spawn_attr_name(SPAWN_A_ID),
        newSVpv(spawn_id_format(&id, text), 0));
    put_text(aTHX_ hash, order, SPAWN_A_FUNCTION);
    put_text(aTHX_ hash, order, SPAWN_A_QUEUE);
    put_text(aTHX_ hash, order, SPAWN_A_LABEL);
    put_number(aTHX_ hash, order, SPAWN_A_ATTEMPT);
    put_number(aTHX_ hash, order, SPAWN_A_WORKER_JOBS);
    put_number(aTHX_ hash, order, SPAWN_A_WORKER_MEMORY);
    put_texts(aTHX_ hash, order, SPAWN_A_CONTEXT);
    put_fds(aTHX_ hash, order);
    return hash;
}

SV *spawn_template_own_order(pTHX)
{
    HV *hash;

    if (!current.order)
        return newSV(0);
    hash = spawn_template_hash(aTHX_ current.order);
    if (!spawn_has(current.order, SPAWN_A_QUEUE) && of_process)
        put_text(aTHX_ hash, of_process, SPAWN_A_QUEUE);
    put(aTHX_ hash, "pid", newSViv(current.pid));
    return newRV_noinc((SV *)hash);
}
