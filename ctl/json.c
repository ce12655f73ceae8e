/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs as JSON. Runs in spawnctl. Names are those of the wire's attributes, and
 * must stay. Arguments and output are bytes, JSON is UTF-8: invalid bytes
 * become U+FFFD, and then the output comes a second time in base64.
 */
#include <stdlib.h>
#include <string.h>

#include "common/spawn_escape.h"
#include "ctl/ctl.h"

/* Text of any bytes; *ret_changed says whether it is not the same. */
static json_t *text_of(const uint8_t *bytes, size_t length, bool *ret_changed)
{
    static const char replacement[] = "\xef\xbf\xbd";
    json_t *value = json_stringn((const char *)bytes, length);
    char *text;
    size_t used = 0;

    *ret_changed = !value;
    if (value)
        return value;
    text = malloc(length * 3 + 1);
    if (!text)
        return json_null();
    while (length > 0) {
        size_t n = spawn_utf8_length(bytes, length);

        if (n) {
            memcpy(text + used, bytes, n);
            used += n;
        }
        else {
            memcpy(text + used, replacement, 3);
            used += 3;
            n = 1;
        }
        bytes += n;
        length -= n;
    }
    value = json_stringn(text, used);
    free(text);
    return value;
}

json_t *ctl_json_string(const char *text)
{
    bool changed;

    return text_of((const uint8_t *)text, strlen(text), &changed);
}

static json_t *base64_of(const uint8_t *p, size_t length)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/";
    char *text = malloc((length + 2) / 3 * 4 + 1);
    char *to = text;
    json_t *value;

    if (!text)
        return json_null();
    for (; length > 0; p += 3) {
        uint32_t bits = (uint32_t)p[0] << 16;

        bits |= length > 1 ? (uint32_t)p[1] << 8 : 0;
        bits |= length > 2 ? p[2] : 0;
        *to++ = digits[bits >> 18];
        *to++ = digits[bits >> 12 & 63];
        *to++ = length > 1 ? digits[bits >> 6 & 63] : '=';
        *to++ = length > 2 ? digits[bits & 63] : '=';
        if (length <= 3)
            break;
        length -= 3;
    }
    value = json_stringn(text, (size_t)(to - text));
    free(text);
    return value;
}

static void add(json_t *o, unsigned attr, json_t *value)
{
    (void)json_object_set_new(o, spawn_attr_name(attr), value);
}

static void add_number(json_t *o, const spawn_message *m, unsigned attr)
{
    if (spawn_has(m, attr))
        add(o, attr, json_integer((json_int_t)spawn_attr_u64(&m->attr[attr])));
}

static void add_string(json_t *o, const spawn_message *m, unsigned attr)
{
    if (spawn_has(m, attr))
        add(o, attr, ctl_json_string(spawn_attr_str(&m->attr[attr])));
}

static void add_argv(json_t *o, const spawn_message *m)
{
    const spawn_attr *a = &m->attr[SPAWN_A_ARGV];
    json_t *words = json_array();
    const char *word = NULL;
    uint32_t i;

    for (i = 0; spawn_has(m, SPAWN_A_ARGV) && i < spawn_strv_count(a); i++) {
        word = spawn_strv_next(a, word);
        (void)json_array_append_new(words, ctl_json_string(word));
    }
    add(o, SPAWN_A_ARGV, words);
}

/* A number as the job wrote it, or else as text. */
static json_t *number_of(const char *text)
{
    json_error_t error;
    json_t *value = json_loads(text, JSON_DECODE_ANY, &error);

    if (json_is_number(value))
        return value;
    json_decref(value);
    return ctl_json_string(text);
}

/* Parts that the job left out are left out. */
static void add_progress(json_t *o, const spawn_message *m)
{
    static const char *const names[] = {"done", "of", "text"};
    const spawn_attr *a = &m->attr[SPAWN_A_PROGRESS];
    const char *text = NULL;
    json_t *map;
    unsigned i;

    if (!spawn_has(m, SPAWN_A_PROGRESS) || spawn_strv_count(a) != 3)
        return;
    map = json_object();
    for (i = 0; i < 3; i++) {
        text = spawn_strv_next(a, text);
        if (*text)
            (void)json_object_set_new(
                map, names[i], i < 2 ? number_of(text) : ctl_json_string(text));
    }
    add(o, SPAWN_A_PROGRESS, map);
}

static void add_result(json_t *o, const spawn_message *m)
{
    const spawn_attr *a = &m->attr[SPAWN_A_RESULT];
    const char *kind = spawn_result_kind_name(m);

    if (kind)
        add(o, SPAWN_A_RESULT_KIND, json_string(kind));
    if (spawn_has(m, SPAWN_A_RESULT))
        (void)json_object_set_new(o, "result_base64",
                                  base64_of(a->data, a->length));
    if (spawn_cut_of(m, 2))
        (void)json_object_set_new(o, "result_cut",
                                  json_integer((json_int_t)spawn_cut_of(m, 2)));
}

static void add_context(json_t *o, const spawn_message *m)
{
    const spawn_attr *a = &m->attr[SPAWN_A_CONTEXT];
    json_t *map = json_object();
    const char *text = NULL;
    uint32_t i;

    for (i = 0; i < spawn_strv_count(a); i++) {
        const char *equals;
        json_t *name;
        bool changed;

        text = spawn_strv_next(a, text);
        equals = strchr(text, '=');
        if (!equals)
            continue;
        name =
            text_of((const uint8_t *)text, (size_t)(equals - text), &changed);
        if (json_is_string(name))
            (void)json_object_set_new(map, json_string_value(name),
                                      ctl_json_string(equals + 1));
        json_decref(name);
    }
    add(o, SPAWN_A_CONTEXT, map);
}

void ctl_json_time(json_t *o, const char *name, uint64_t ms)
{
    char text[64], name_ms[64];

    spawn_time_iso(ms, text, sizeof(text));
    (void)json_object_set_new(o, name, json_string(text));
    (void)snprintf(name_ms, sizeof(name_ms), "%s_ms", name);
    (void)json_object_set_new(o, name_ms, json_integer((json_int_t)ms));
}

static void add_time(json_t *o, const spawn_message *m, unsigned attr)
{
    if (spawn_has(m, attr))
        ctl_json_time(o, spawn_attr_name(attr), spawn_attr_u64(&m->attr[attr]));
}

static void add_rusage(json_t *o, const spawn_message *m)
{
    const spawn_attr *a = &m->attr[SPAWN_A_RUSAGE];
    json_t *usage;
    uint32_t i;

    if (!spawn_has(m, SPAWN_A_RUSAGE))
        return;
    usage = json_object();
    for (i = 0; i < spawn_u64v_count(a) && i < SPAWN_RU_ALL; i++) {
        if (spawn_u64v_at(a, i) != SPAWN_RU_UNKNOWN)
            (void)json_object_set_new(
                usage, spawn_rusage_name(i),
                json_integer((json_int_t)spawn_u64v_at(a, i)));
    }
    add(o, SPAWN_A_RUSAGE, usage);
}

static void add_bytes(json_t *o, const char *key, const uint8_t *data,
                      size_t length)
{
    char name[32];
    bool changed;

    (void)json_object_set_new(o, key, text_of(data, length, &changed));
    if (!changed)
        return;
    (void)snprintf(name, sizeof(name), "%s_base64", key);
    (void)json_object_set_new(o, name, base64_of(data, length));
}

/* The kept part of an output: all, or beginning and end (or nothing). */
static void add_output(json_t *o, const spawn_message *m, unsigned attr,
                       unsigned which)
{
    const spawn_attr *a = &m->attr[attr];
    uint64_t cut = spawn_cut_of(m, which);
    size_t head = a->length;
    char name[32];

    if (!spawn_has(m, attr))
        return;
    if (cut && head > SPAWN_KEPT_HEAD)
        head = SPAWN_KEPT_HEAD;
    add_bytes(o, spawn_attr_name(attr), a->data, head);
    if (!cut)
        return;
    (void)snprintf(name, sizeof(name), "%s_end", spawn_attr_name(attr));
    add_bytes(o, name, a->data + head, a->length - head);
    (void)snprintf(name, sizeof(name), "%s_cut", spawn_attr_name(attr));
    (void)json_object_set_new(o, name, json_integer((json_int_t)cut));
}

/* How a job, or an attempt at it, ended. */
static void add_end(json_t *o, const spawn_message *m)
{
    add_number(o, m, SPAWN_A_PID);
    if (spawn_has(m, SPAWN_A_OUTCOME))
        add(o, SPAWN_A_OUTCOME,
            json_string(spawn_outcome_name(
                (unsigned)spawn_attr_u64(&m->attr[SPAWN_A_OUTCOME]))));
    add_number(o, m, SPAWN_A_EXIT_CODE);
    add_number(o, m, SPAWN_A_SIGNAL);
    if (spawn_has(m, SPAWN_A_CORE))
        add(o, SPAWN_A_CORE,
            json_boolean(spawn_attr_u64(&m->attr[SPAWN_A_CORE])));
    if (spawn_has(m, SPAWN_A_STEP))
        add(o, SPAWN_A_STEP,
            json_string(spawn_step_name(
                (unsigned)spawn_attr_u64(&m->attr[SPAWN_A_STEP]))));
    add_number(o, m, SPAWN_A_ERRNO);
    add_string(o, m, SPAWN_A_TEXT);
    add_time(o, m, SPAWN_A_SUBMITTED_AT);
    add_time(o, m, SPAWN_A_DUE_AT);
    add_time(o, m, SPAWN_A_EXPIRES_AT);
    add_time(o, m, SPAWN_A_STARTED_AT);
    add_time(o, m, SPAWN_A_ENDED_AT);
    if (spawn_has(m, SPAWN_A_ELAPSED)) {
        uint64_t us = spawn_attr_u64(&m->attr[SPAWN_A_ELAPSED]);

        add(o, SPAWN_A_ELAPSED, json_real((double)us / 1e6));
        (void)json_object_set_new(o, "elapsed_ms",
                                  json_integer((json_int_t)(us / 1000)));
    }
}

static void add_outputs(json_t *o, const spawn_message *m)
{
    add_result(o, m);
    add_output(o, m, SPAWN_A_OUT, 0);
    add_number(o, m, SPAWN_A_OUT_LOST);
    add_output(o, m, SPAWN_A_ERR, 1);
    add_number(o, m, SPAWN_A_ERR_LOST);
    if (spawn_has(m, SPAWN_A_LOG_TAIL))
        add_bytes(o, spawn_attr_name(SPAWN_A_LOG_TAIL),
                  m->attr[SPAWN_A_LOG_TAIL].data,
                  m->attr[SPAWN_A_LOG_TAIL].length);
}

static void add_attempt(void *list, const spawn_message *attempt)
{
    json_t *o = json_object();

    add_number(o, attempt, SPAWN_A_ATTEMPT);
    add_end(o, attempt);
    add_outputs(o, attempt);
    (void)json_array_append_new(list, o);
}

static void add_rule(void *arg, const char *name, const char *text)
{
    (void)json_object_set_new(arg, name, ctl_json_string(text));
}

/* A list has none. */
static void add_rules(json_t *o, const spawn_message *m)
{
    json_t *rules = json_object();

    spawn_job_rules_each(m, add_rule, rules);
    if (json_object_size(rules))
        (void)json_object_set(o, "rules", rules);
    json_decref(rules);
}

json_t *ctl_json_job(const spawn_message *m)
{
    char id_text[SPAWN_ID_TEXT];
    json_t *o = json_object();
    spawn_id id;

    spawn_attr_id(&m->attr[SPAWN_A_ID], &id);
    add(o, SPAWN_A_ID, json_string(spawn_id_format(&id, id_text)));
    add(o, SPAWN_A_STATE,
        json_string(
            spawn_state_name((unsigned)spawn_u64_or(m, SPAWN_A_STATE, 0))));
    add_string(o, m, SPAWN_A_QUEUE);
    if (spawn_has(m, SPAWN_A_ARGV))
        add_argv(o, m);
    add_number(o, m, SPAWN_A_ARGV_CUT);
    add_string(o, m, SPAWN_A_FUNCTION);
    add_string(o, m, SPAWN_A_LABEL);
    if (spawn_has(m, SPAWN_A_CONTEXT))
        add_context(o, m);
    add_rules(o, m);
    ctl_rules_json(o, m);
    add_string(o, m, SPAWN_A_UNIQUE);
    add_number(o, m, SPAWN_A_SEQ);
    add_number(o, m, SPAWN_A_ATTEMPT);
    if (spawn_has(m, SPAWN_A_DEAD))
        add(o, SPAWN_A_DEAD, json_true());
    add_end(o, m);
    add_number(o, m, SPAWN_A_HANDLES);
    add_rusage(o, m);
    add_progress(o, m);
    add_outputs(o, m);
    if (spawn_has(m, SPAWN_A_ATTEMPTS)) {
        json_t *list = json_array();

        spawn_attempts_each(m, add_attempt, list);
        add(o, SPAWN_A_ATTEMPTS, list);
    }
    return o;
}

/* A character beyond ASCII stands in a string: it may be written as \u. One
 * that a terminal obeys is, and the others stay for people to read. */
static void print_safely(const char *text)
{
    size_t left = strlen(text), n = 1;

    for (; left > 0; text += n, left -= n) {
        uint32_t c = spawn_escape_decode(text, left, &n);

        if (c >= 0x7f && spawn_escape_obeyed(c))
            (void)printf("\\u%04x", (unsigned)c);
        else
            (void)fwrite(text, 1, n, stdout);
    }
}

void ctl_json_print(json_t *value)
{
    char *text = json_dumps(value, JSON_REAL_PRECISION(12));

    if (text)
        print_safely(text);
    else
        (void)fputs("spawnctl: no memory for so much JSON\n", stderr);
    (void)fputc('\n', stdout);
    free(text);
    json_decref(value);
}
