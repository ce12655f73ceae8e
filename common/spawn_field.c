/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fields of a job: names and text forms. Runs in every process. Must keep
 * no state and allocate nothing.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>

#include "common/spawn_field.h"
#include "common/spawn_moment.h"
#include "common/spawn_rule.h"

#define X_FIELD(ATTR, name, FORM, dflt, what)                                  \
    {SPAWN_A_##ATTR, SPAWN_FORM_##FORM, name},
static const spawn_field fields[] = {SPAWN_FIELD_LIST(X_FIELD)};
#define FIELDS (sizeof(fields) / sizeof(fields[0]))

static const struct {
    const char *name;
    int resource;
} limits[] = {
#define X_LIMIT(n, RLIM, name) [n] = {name, RLIMIT_##RLIM},
    SPAWN_LIMIT_LIST(X_LIMIT)};
#define LIMITS (sizeof(limits) / sizeof(limits[0]))

const spawn_field *spawn_field_find(const char *name)
{
    size_t i;

    for (i = 0; i < FIELDS; i++) {
        if (*fields[i].name == *name && strcmp(fields[i].name, name) == 0)
            return &fields[i];
    }
    return NULL;
}

const spawn_field *spawn_field_at(unsigned i)
{
    return i < FIELDS ? &fields[i] : NULL;
}

/* ---- text forms ---- */

static int parse_u64(const char *text, int base, uint64_t *ret,
                     const char **ret_end)
{
    char *end;
    unsigned long long v;

    if (!isdigit((unsigned char)*text))
        return -EINVAL;
    errno = 0;
    v = strtoull(text, &end, base);
    if (errno)
        return -ERANGE;
    *ret = v;
    *ret_end = end;
    return 0;
}

int spawn_parse_size(const char *text, uint64_t *ret_bytes)
{
    const char *end;
    uint64_t v;
    unsigned shift = 0;
    int rv = parse_u64(text, 10, &v, &end);

    if (rv)
        return rv;
    switch (toupper((unsigned char)*end)) {
    case 'K':
        shift = 10;
        break;
    case 'M':
        shift = 20;
        break;
    case 'G':
        shift = 30;
        break;
    case '\0':
        break;
    default:
        return -EINVAL;
    }
    if (*end && end[1])
        return -EINVAL;
    if (v > UINT64_MAX >> (shift + 1))
        return -ERANGE;
    *ret_bytes = v << shift;
    return 0;
}

int spawn_parse_octal(const char *text, uint64_t *ret)
{
    const char *end;
    uint64_t v;
    int rv = parse_u64(text, 8, &v, &end);

    if (rv)
        return rv;
    if (*end)
        return -EINVAL;
    *ret = v;
    return 0;
}

int spawn_parse_bool(const char *text, uint64_t *ret)
{
    static const char *const yes[] = {"1", "on", "yes", "true"};
    static const char *const no[] = {"", "0", "off", "no", "false"};
    size_t i;

    for (i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        if (strcmp(text, yes[i]) == 0) {
            *ret = 1;
            return 0;
        }
    }
    for (i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
        if (strcmp(text, no[i]) == 0) {
            *ret = 0;
            return 0;
        }
    }
    return -EINVAL;
}

int spawn_parse_ionice(const char *text, uint64_t *ret)
{
    static const char effort[] = "best-effort";

    if (strcmp(text, "idle") == 0) {
        *ret = 3 << 8;
        return 0;
    }
    if (strncmp(text, effort, sizeof(effort) - 1) != 0)
        return -EINVAL;
    text += sizeof(effort) - 1;
    if (*text == '\0') {
        *ret = 2 << 8 | 4;
        return 0;
    }
    if (text[0] != ':' || text[1] < '0' || text[1] > '7' || text[2] != '\0')
        return -EINVAL;
    *ret = 2 << 8 | (uint64_t)(text[1] - '0');
    return 0;
}

int spawn_parse_leftovers(const char *text, uint64_t *ret)
{
    if (strcmp(text, "keep") == 0)
        *ret = SPAWN_LEFTOVERS_KEEP;
    else if (strcmp(text, "kill") == 0)
        *ret = SPAWN_LEFTOVERS_KILL;
    else
        return -EINVAL;
    return 0;
}

int spawn_parse_stdio(const char *text, spawn_stdio *ret)
{
    static const struct {
        const char *name;
        spawn_stdio_how how;
    } words[] = {{"null", SPAWN_STDIO_NULL},
                 {"log", SPAWN_STDIO_LOG},
                 {"capture", SPAWN_STDIO_CAPTURE},
                 {"stdout", SPAWN_STDIO_STDOUT}};
    spawn_stdio s = {SPAWN_STDIO_PATH, 0, 0, ""};
    size_t i;

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(text, words[i].name) == 0) {
            s.how = words[i].how;
            *ret = s;
            return 0;
        }
    }
    if (strncmp(text, ">>", 2) == 0) {
        s.flags = SPAWN_STDIO_APPEND;
        text += 2;
    }
    else if (*text == '>') {
        text++;
    }
    if (*text != '/')
        return -EINVAL;
    s.path = text;
    *ret = s;
    return 0;
}

int spawn_parse_limit(const char *name, const char *value, uint64_t *ret_limit,
                      uint64_t *ret_value)
{
    uint64_t v;
    size_t i;
    int rv;

    for (i = 1; i < LIMITS; i++) {
        if (strcmp(limits[i].name, name) == 0)
            break;
    }
    if (i == LIMITS)
        return -EINVAL;
    if (strcmp(value, "unlimited") == 0) {
        v = SPAWN_LIMIT_UNLIMITED;
    }
    else {
        rv = spawn_parse_size(value, &v);
        if (rv)
            return rv;
    }
    if (!spawn_limit_may_be(i, v))
        return -ERANGE;
    *ret_limit = i;
    *ret_value = v;
    return 0;
}

bool spawn_limit_may_be(uint64_t limit, uint64_t value)
{
    return spawn_limit_resource(limit) != RLIMIT_SPAWN_TREE_WEIGHT
           || value == SPAWN_LIMIT_UNLIMITED
           || (value >= SPAWN_WEIGHT_LEAST && value <= SPAWN_WEIGHT_MOST);
}

int spawn_limit_resource(uint64_t limit)
{
    return limit > 0 && limit < LIMITS ? limits[limit].resource : -EINVAL;
}

bool spawn_limits_of_tree(const spawn_message *order)
{
    const spawn_attr *a = &order->attr[SPAWN_A_LIMITS];
    uint32_t i;

    for (i = 0; spawn_has(order, SPAWN_A_LIMITS) && i < spawn_u64v_count(a);
         i += 2) {
        if (spawn_limit_resource(spawn_u64v_at(a, i))
                >= RLIMIT_SPAWN_TREE_MEMORY
            && spawn_u64v_at(a, i + 1) != SPAWN_LIMIT_UNLIMITED)
            return true;
    }
    return false;
}

const char *spawn_limit_name(uint64_t limit)
{
    return limit > 0 && limit < LIMITS ? limits[limit].name : "?";
}

const char *spawn_limit_text(uint64_t limit, uint64_t value, char *room)
{
    int resource = spawn_limit_resource(limit);
    bool size = resource == RLIMIT_AS || resource == RLIMIT_CORE
                || resource == RLIMIT_FSIZE
                || resource == RLIMIT_SPAWN_TREE_MEMORY;
    unsigned unit = 0;

    if (value == SPAWN_LIMIT_UNLIMITED) {
        (void)strcpy(room, "unlimited");
        return room;
    }
    while (size && unit < 3 && value && value % 1024 == 0) {
        value /= 1024;
        unit++;
    }
    (void)snprintf(room, 32, "%llu%.1s", (unsigned long long)value,
                   &"\0KMG"[unit]);
    return room;
}

/* Parse a stream by the words that this field takes. */
static int parse_stream(unsigned attr, const char *text, spawn_stdio *ret,
                        const char **ret_wanted)
{
    spawn_stdio s;
    int rv = spawn_parse_stdio(text, &s);
    bool output = rv == 0 && s.how != SPAWN_STDIO_NULL
                  && (s.how != SPAWN_STDIO_PATH || *text == '>');

    if (attr == SPAWN_A_STDIN) {
        *ret_wanted = "null or an absolute path";
        if (output)
            rv = -EINVAL;
    }
    else if (attr == SPAWN_A_STDOUT) {
        *ret_wanted = "null, log, capture or an absolute path (>> before it "
                      "appends)";
        if (rv == 0 && s.how == SPAWN_STDIO_STDOUT)
            rv = -EINVAL;
    }
    else {
        *ret_wanted = "null, log, capture, stdout or an absolute path (>> "
                      "before it appends)";
    }
    if (rv == 0)
        *ret = s;
    return rv;
}

/* ---- a field from text ---- */

static int put_plain(spawn_writer *w, const spawn_field *field,
                     const char *text, const char **ret_wanted)
{
    (void)ret_wanted;
    spawn_put_str(w, field->attr, text);
    return 0;
}

static int put_text(spawn_writer *w, const spawn_field *field, const char *text,
                    const char **ret_wanted)
{
    spawn_id id;
    int rv;

    if (field->attr != SPAWN_A_ID)
        return put_plain(w, field, text, ret_wanted);
    rv = spawn_id_parse(text, &id);
    if (rv == 0)
        spawn_put_id(w, field->attr, &id);
    return rv;
}

static int put_integer(spawn_writer *w, const spawn_field *field,
                       const char *text, const char **ret_wanted)
{
    int64_t i;
    int rv = spawn_parse_integer(text, &i);

    (void)ret_wanted;
    if (rv == 0)
        spawn_put_i64(w, field->attr, i);
    return rv;
}

static int put_stream(spawn_writer *w, const spawn_field *field,
                      const char *text, const char **ret_wanted)
{
    spawn_stdio s;
    int rv = parse_stream(field->attr, text, &s, ret_wanted);

    if (rv == 0)
        spawn_put_stdio(w, field->attr, &s);
    return rv;
}

/* "none" stands for 0, as it does in httpd.conf. */
static int put_duration(spawn_writer *w, const spawn_field *field,
                        const char *text, const char **ret_wanted)
{
    uint64_t ms = 0;
    int rv = field->attr == SPAWN_A_TIMEOUT && strcasecmp(text, "none") == 0
                 ? 0
                 : spawn_parse_duration(text, &ms);

    (void)ret_wanted;
    if (rv == 0)
        spawn_put_u64(w, field->attr, ms);
    return rv;
}

static int put_backoff(spawn_writer *w, const spawn_field *field,
                       const char *text, const char **ret_wanted)
{
    uint64_t values[SPAWN_BACKOFF_MAX];
    uint32_t count;
    int rv = spawn_parse_backoff(text, values, &count);

    (void)ret_wanted;
    if (rv == 0)
        spawn_put_u64v(w, field->attr, values, count);
    return rv;
}

static int put_retry_on(spawn_writer *w, const spawn_field *field,
                        const char *text, const char **ret_wanted)
{
    uint64_t values[SPAWN_RETRY_ON_MAX];
    uint32_t count;
    int rv = spawn_parse_retry_on(text, values, &count);

    (void)ret_wanted;
    if (rv == 0)
        spawn_put_u64v(w, field->attr, values, count);
    return rv;
}

static int put_ids(spawn_writer *w, const spawn_field *field, const char *text,
                   const char **ret_wanted)
{
    spawn_id ids[SPAWN_AFTER_MAX];
    uint32_t count;
    int rv = spawn_parse_ids(text, ids, &count);

    (void)ret_wanted;
    if (rv == 0)
        spawn_put_bytes(w, field->attr, ids, (size_t)count * sizeof(ids[0]));
    return rv;
}

/* Fields that are no single text. */
static int put_none(spawn_writer *w, const spawn_field *field, const char *text,
                    const char **ret_wanted)
{
    (void)w;
    (void)field;
    (void)text;
    (void)ret_wanted;
    return -EINVAL;
}

static int parse_reply(const char *text, uint64_t *ret)
{
    int rv = spawn_reply_number(text);

    if (rv < 0)
        return rv;
    *ret = (uint64_t)rv;
    return 0;
}

/* A form has a parser of a number, or a function that puts the field. */
static const struct {
    int (*parse)(const char *text, uint64_t *ret);
    int (*put)(spawn_writer *w, const spawn_field *field, const char *text,
               const char **ret_wanted);
    const char *wanted;
} forms[] = {
    [SPAWN_FORM_TEXT] = {NULL, put_text, "the text of a UUIDv7"},
    [SPAWN_FORM_PATH] = {NULL, put_plain, ""},
    [SPAWN_FORM_DURATION] =
        {NULL, put_duration,
         "a time: a number and a unit (ms, s, min or m, h, d; s when "
         "there is none), at most a year; 0 is none"},
    [SPAWN_FORM_SIZE] = {spawn_parse_size, NULL,
                         "bytes (a whole number; K, M or G may follow)"},
    [SPAWN_FORM_OCTAL] = {spawn_parse_octal, NULL,
                          "an octal number such as 022"},
    [SPAWN_FORM_INTEGER] = {NULL, put_integer, "a whole number"},
    [SPAWN_FORM_BOOL] = {spawn_parse_bool, NULL, "0 or 1"},
    [SPAWN_FORM_IONICE] =
        {spawn_parse_ionice, NULL,
         "idle, best-effort or best-effort:0 to best-effort:7"},
    [SPAWN_FORM_LEFTOVERS] = {spawn_parse_leftovers, NULL, "keep or kill"},
    [SPAWN_FORM_REPLY] = {parse_reply, NULL,
                          "posted, accepted, started or finished"},
    [SPAWN_FORM_MAP] = {NULL, put_none, "given in another form"},
    [SPAWN_FORM_LIMITS] = {NULL, put_none, "given in another form"},
    [SPAWN_FORM_STDIO] = {NULL, put_stream, ""},
    [SPAWN_FORM_FDS] = {NULL, put_none, "given in another form"},
    [SPAWN_FORM_MOMENT] = {spawn_parse_moment, NULL, SPAWN_MOMENT_WANTED},
    [SPAWN_FORM_EXPIRY] =
        {spawn_parse_expiry, NULL,
         "a time after the submit, a number and a unit (ms, s, min or m, h, d; "
         "s when there is none), or a moment: 2030-01-31T17:30:00Z"},
    [SPAWN_FORM_BACKOFF] =
        {NULL, put_backoff,
         "fixed:10, exponential, exponential:1:300 or a list, 1,5,30: seconds, "
         "or with a unit"},
    [SPAWN_FORM_RETRY_ON] =
        {NULL, put_retry_on,
         "failed, lost, timeout, start_failed, signal, out_of_memory or exit "
         "codes, with commas between them"},
    [SPAWN_FORM_IDS] = {NULL, put_ids,
                        "at most 64 ids of jobs, with commas between them"},
    [SPAWN_FORM_CONFLICT] = {spawn_parse_conflict, NULL,
                             "reject, keep, replace or after"},
    [SPAWN_FORM_UNIQUE_FOR] = {spawn_parse_unique_for, NULL,
                               "waiting, ended or a time"},
    [SPAWN_FORM_AFTER_FAILED] = {spawn_parse_after_failed, NULL,
                                 "cancel, run or keep"},
};

static int put(spawn_writer *w, const spawn_field *field, const char *text,
               const char **ret_wanted)
{
    uint64_t value;
    int rv;

    *ret_wanted = forms[field->form].wanted;
    if (forms[field->form].put)
        return forms[field->form].put(w, field, text, ret_wanted);
    rv = forms[field->form].parse(text, &value);
    if (rv == 0)
        spawn_put_u64(w, field->attr, value);
    return rv;
}

int spawn_field_put_text(spawn_writer *w, const spawn_field *field,
                         const char *text, spawn_failure *why)
{
    const char *wanted;

    if (put(w, field, text, &wanted) == 0)
        return 0;
    spawn_failure_set(why, SPAWN_E_INVALID, SPAWN_STEP_OPTIONS, 0,
                      "%s: '%.100s' is not allowed; wanted: %s", field->name,
                      text, wanted);
    return -EINVAL;
}
