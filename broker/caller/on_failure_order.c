/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of the job that follows from a failure: a Perl function with one
 * hash, or a program with variables. Runs in the broker. Must submit nothing:
 * on_failure.c does. The same end must make the same order, byte by byte.
 */
#include "broker/caller/on_failure_order.h"

#include <stdio.h>
#include <string.h>

#include "common/spawn_rule.h"
#include "broker/base/document.h"
#include "broker/base/logs.h"
#include "broker/job/defaults.h"
#include "broker/job/queue.h"

#define ROOM      65536
#define ARGV_MOST 32768 /* bytes of arguments that are told */
#define TEXT_MOST 4096
#define LABEL     "on failure"

/* FNV-1a, and the mixer of splitmix64 behind it. */
static uint64_t hash(uint64_t h, const spawn_id *id)
{
    size_t i;

    for (i = 0; i < SPAWN_ID_SIZE; i++)
        h = (h ^ id->bytes[i]) * 0x100000001b3u;
    h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9u;
    h = (h ^ h >> 27) * 0x94d049bb133111ebu;
    return h ^ h >> 31;
}

/* The time is that of the other one: ids lie beside each other. */
static void make_id(const spawn_id *failed, unsigned number, spawn_id *ret)
{
    const uint64_t a = hash(0xcbf29ce484222325u ^ number, failed);
    const uint64_t b = hash(a ^ 0x9e3779b97f4a7c15u, failed);
    int i;

    *ret = *failed;
    for (i = 0; i < 2; i++)
        ret->bytes[6 + i] = (uint8_t)(a >> (8 * i));
    for (i = 0; i < 8; i++)
        ret->bytes[8 + i] = (uint8_t)(b >> (8 * i));
    ret->bytes[6] = (uint8_t)(0x70 | (ret->bytes[6] & 0x0f));
    ret->bytes[8] = (uint8_t)(0x80 | (ret->bytes[8] & 0x3f));
}

void spawn_on_failure_id(const spawn_id *failed, spawn_id *ret)
{
    make_id(failed, 0, ret);
}

/* The id comes first: spawn_on_failure_order(). */
void spawn_on_failure_rename(const spawn_id *failed, unsigned number,
                             uint8_t *data, size_t length, spawn_id *ret)
{
    spawn_reader r;
    spawn_attr a;

    make_id(failed, number, ret);
    spawn_reader_init(&r, data + SPAWN_WIRE_HEADER, length - SPAWN_WIRE_HEADER);
    if (spawn_reader_next(&r, &a) == 1 && a.id == SPAWN_A_ID)
        memcpy(data + (a.data - data), ret->bytes, SPAWN_ID_SIZE);
}

/* ---- a Perl function ---- */

/* As many words as fit. */
static void put_argv(spawn_document *d, const spawn_attr *argv)
{
    const char *text = NULL;
    uint32_t count = spawn_strv_count(argv), fit = 0, i;
    size_t bytes = 0;

    for (; fit < count; fit++) {
        text = spawn_strv_next(argv, text);
        bytes += strlen(text) + 8;
        if (bytes > ARGV_MOST)
            break;
    }
    spawn_document_list(d, "argv", fit);
    for (i = 0, text = NULL; i < fit; i++) {
        text = spawn_strv_next(argv, text);
        spawn_document_item(d, text);
    }
    if (fit < count)
        spawn_document_number(d, "argv_cut", count - fit);
}

static void put_what(spawn_document *d, const spawn_message *order)
{
    if (spawn_has(order, SPAWN_A_FUNCTION))
        spawn_document_text(d, "function",
                            spawn_attr_str(&order->attr[SPAWN_A_FUNCTION]),
                            TEXT_MOST);
    else if (spawn_has(order, SPAWN_A_ARGV))
        put_argv(d, &order->attr[SPAWN_A_ARGV]);
}

static void put_end(spawn_document *d, const spawn_job *job)
{
    const spawn_end *end = job->end;

    spawn_document_text(d, "outcome", spawn_outcome_name(end->outcome), 100);
    if (end->exit_code >= 0)
        spawn_document_number(d, "exit_code", (uint64_t)end->exit_code);
    if (end->signo)
        spawn_document_number(d, "signal", (uint64_t)end->signo);
    if (end->text)
        spawn_document_text(d, "text", end->text, TEXT_MOST);
    spawn_document_number(d, "attempt", job->attempt);
}

static void put_hash(const spawn_job *job, const spawn_message *order,
                     spawn_writer *w)
{
    static uint8_t room[ROOM];
    char id[SPAWN_ID_TEXT];
    spawn_whose whose;
    spawn_document d;

    spawn_document_begin(&d, room, sizeof(room));
    spawn_document_text(&d, "id", spawn_id_format(&job->id, id), sizeof(id));
    spawn_document_text(&d, "queue", job->queue->name, SPAWN_NAME_MAX);
    if (spawn_has(order, SPAWN_A_LABEL))
        spawn_document_text(&d, "label",
                            spawn_attr_str(&order->attr[SPAWN_A_LABEL]),
                            SPAWN_LABEL_MAX);
    put_end(&d, job);
    spawn_logs_whose(order, &whose);
    if (whose.request[0])
        spawn_document_text(&d, "request_id", whose.request,
                            sizeof(whose.request));
    put_what(&d, order);
    spawn_put_bytes(w, SPAWN_A_ARGS, d.data, d.length);
}

/* ---- a program ---- */

static void add_variable(spawn_writer *w, size_t mark, const char *name,
                         const char *value)
{
    char text[1024];
    int n = snprintf(text, sizeof(text), "SPAWN_FAILED_%s=%s", name, value);

    spawn_add_text(w, mark, text,
                   n < (int)sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

static void add_number(spawn_writer *w, size_t mark, const char *name,
                       long value)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%ld", value);
    add_variable(w, mark, name, text);
}

static void put_variables(const spawn_job *job, const spawn_message *order,
                          spawn_writer *w)
{
    size_t mark = spawn_open_strv(w, SPAWN_A_ENV);
    const spawn_end *end = job->end;
    char id[SPAWN_ID_TEXT];
    spawn_whose whose;

    add_variable(w, mark, "ID", spawn_id_format(&job->id, id));
    add_variable(w, mark, "QUEUE", job->queue->name);
    add_variable(w, mark, "LABEL", spawn_str_or(order, SPAWN_A_LABEL, ""));
    add_variable(w, mark, "OUTCOME", spawn_outcome_name(end->outcome));
    if (end->exit_code >= 0)
        add_number(w, mark, "EXIT_CODE", end->exit_code);
    if (end->signo)
        add_number(w, mark, "SIGNAL", end->signo);
    add_number(w, mark, "ATTEMPT", job->attempt);
    spawn_logs_whose(order, &whose);
    add_variable(w, mark, "REQUEST_ID", whose.request);
    add_variable(w, mark, "WHAT", spawn_logs_what(order));
    spawn_close(w, mark);
}

/* ---- both ---- */

/* What is called: the job's own, or its queue's; NULL: nothing. */
static const spawn_attr *handler_of(const spawn_job *job,
                                    const spawn_message *order)
{
    const spawn_attr *a = spawn_has(order, SPAWN_A_ON_FAILURE)
                              ? &order->attr[SPAWN_A_ON_FAILURE]
                              : spawn_defaults_on_failure(job->queue);

    if (spawn_has(order, SPAWN_A_FAILURE_OF) || !a)
        return NULL;
    return a->id == SPAWN_A_ON_FAILURE
                   && strcmp(spawn_attr_str(a), SPAWN_ON_FAILURE_NONE) == 0
               ? NULL
               : a;
}

bool spawn_on_failure_order(const spawn_job *job, const spawn_message *order,
                            spawn_writer *w)
{
    static const uint8_t same[] = {SPAWN_A_USER, SPAWN_A_GROUP,
                                   SPAWN_A_CONTEXT};
    const spawn_attr *handler = handler_of(job, order);
    spawn_id id;
    size_t i;

    spawn_writer_init(w, spawn_message_max(SPAWN_M_SUBMIT));
    if (!handler)
        return false;
    spawn_writer_begin(w, SPAWN_M_SUBMIT, 0);
    spawn_on_failure_id(&job->id, &id);
    spawn_put_id(w, SPAWN_A_ID, &id);
    spawn_put_id(w, SPAWN_A_FAILURE_OF, &job->id);
    spawn_put_str(w, SPAWN_A_QUEUE, job->queue->name);
    spawn_put_str(w, SPAWN_A_LABEL, LABEL);
    for (i = 0; i < sizeof(same); i++) {
        if (spawn_has(order, same[i]))
            spawn_put_attr(w, same[i], &order->attr[same[i]]);
    }
    if (handler->id == SPAWN_A_ON_FAILURE) {
        spawn_put_attr(w, SPAWN_A_FUNCTION, handler);
        if (spawn_has(order, SPAWN_A_TEMPLATE))
            spawn_put_attr(w, SPAWN_A_TEMPLATE, &order->attr[SPAWN_A_TEMPLATE]);
        put_hash(job, order, w);
    }
    else {
        spawn_put_attr(w, SPAWN_A_ARGV, handler);
        put_variables(job, order, w);
    }
    return spawn_writer_finish(w, 0) == 0;
}
