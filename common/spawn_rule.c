/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules that a job brings: their text forms, and the check of their values.
 * Runs in every process, on hostile bytes. Must keep no state and allocate
 * nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/spawn_moment.h"
#include "common/spawn_name.h"
#include "common/spawn_rule.h"
#include "common/spawn_text.h"

typedef struct {
    uint64_t number;
    const char *name;
} word;

#define X_WORD(n, NAME, name) {n, name},
static const word retry_words[] = {SPAWN_RETRY_ON_LIST(X_WORD){0, NULL}};
static const word conflict_words[] = {SPAWN_CONFLICT_LIST(X_WORD){0, NULL}};
static const word after_failed_words[] = {
    SPAWN_AFTER_FAILED_LIST(X_WORD){0, NULL}};
static const word unique_for_words[] = {{SPAWN_UNIQUE_WAITING, "waiting"},
                                        {SPAWN_UNIQUE_ENDED, "ended"},
                                        {0, NULL}};

static int find(const word *words, const char *text, uint64_t *ret)
{
    for (; words->name; words++) {
        if (strcmp(words->name, text) == 0) {
            *ret = words->number;
            return 0;
        }
    }
    return -EINVAL;
}

/* The next piece between commas, without the blanks around it, in a room of its
 * own. 1; 0: there are no more; -EINVAL: it is empty or too long. */
static int piece(const char **at, char *room, size_t size)
{
    const char *start = *at, *end;

    if (!start)
        return 0;
    end = strchrnul(start, ',');
    *at = *end ? end + 1 : NULL;
    while (*start == ' ')
        start++;
    while (end > start && end[-1] == ' ')
        end--;
    if (end == start || (size_t)(end - start) >= size)
        return -EINVAL;
    memcpy(room, start, (size_t)(end - start));
    room[end - start] = '\0';
    return 1;
}

/* ---- one number ---- */

int spawn_parse_expiry(const char *text, uint64_t *ret)
{
    uint64_t ms;
    int rv;

    if (strcasecmp(text, "none") == 0) {
        *ret = 0;
        return 0;
    }
    if (!spawn_looks_like_a_date(text)) {
        rv = spawn_parse_duration(text, &ms);
        if (rv == 0 && ms == 0) /* on the wire that is none */
            rv = -ERANGE;
        if (rv == 0)
            *ret = ms;
        return rv;
    }
    rv = spawn_parse_moment(text, &ms);
    if (rv == 0)
        *ret = ms | SPAWN_EXPIRES_MOMENT;
    return rv;
}

int spawn_parse_conflict(const char *text, uint64_t *ret)
{
    return find(conflict_words, text, ret);
}

int spawn_parse_after_failed(const char *text, uint64_t *ret)
{
    return find(after_failed_words, text, ret);
}

int spawn_parse_unique_for(const char *text, uint64_t *ret)
{
    uint64_t ms;
    int rv;

    if (find(unique_for_words, text, ret) == 0)
        return 0;
    rv = spawn_parse_duration(text, &ms);
    if (rv == 0 && ms == 0)
        rv = -ERANGE;
    if (rv == 0)
        *ret = ms > SPAWN_UNIQUE_ENDED ? ms : SPAWN_UNIQUE_ENDED + 1;
    return rv;
}

/* ---- several ---- */

static int backoff_exponential(const char *text, uint64_t *values,
                               uint32_t *ret_count)
{
    uint64_t first = SPAWN_BACKOFF_FIRST_MS, most = SPAWN_BACKOFF_MOST_MS;
    char room[32];
    const char *colon;
    int rv = 0;

    if (*text == ':') {
        colon = strchrnul(++text, ':');
        if ((size_t)(colon - text) >= sizeof(room))
            return -EINVAL;
        memcpy(room, text, (size_t)(colon - text));
        room[colon - text] = '\0';
        rv = spawn_parse_duration(room, &first);
        if (rv == 0 && *colon)
            rv = spawn_parse_duration(colon + 1, &most);
    }
    else if (*text) {
        return -EINVAL;
    }
    if (rv)
        return rv;
    values[0] = SPAWN_BACKOFF_EXPONENTIAL;
    values[1] = first;
    values[2] = most > first ? most : first;
    *ret_count = 3;
    return 0;
}

int spawn_parse_backoff(const char *text, uint64_t *values, uint32_t *ret_count)
{
    static const char exponential[] = "exponential", fixed[] = "fixed:";
    uint32_t count = 1;
    char room[32];
    int rv;

    if (strncmp(text, exponential, sizeof(exponential) - 1) == 0)
        return backoff_exponential(text + sizeof(exponential) - 1, values,
                                   ret_count);
    if (strncmp(text, fixed, sizeof(fixed) - 1) == 0) {
        text += sizeof(fixed) - 1;
        if (strchr(text, ','))
            return -EINVAL;
    }
    while ((rv = piece(&text, room, sizeof(room))) == 1) {
        if (count == SPAWN_BACKOFF_MAX)
            return -ERANGE;
        rv = spawn_parse_duration(room, &values[count++]);
        if (rv)
            return rv;
    }
    if (rv)
        return rv;
    values[0] = count == 2 ? SPAWN_BACKOFF_FIXED : SPAWN_BACKOFF_LIST;
    *ret_count = count;
    return 0;
}

int spawn_parse_retry_on(const char *text, uint64_t *values,
                         uint32_t *ret_count)
{
    uint32_t count = 0;
    char room[32];
    int64_t code;
    int rv;

    while ((rv = piece(&text, room, sizeof(room))) == 1) {
        if (count == SPAWN_RETRY_ON_MAX)
            return -ERANGE;
        if (find(retry_words, room, &values[count]) == 0) {
            count++;
            continue;
        }
        rv = spawn_parse_integer(room, &code);
        if (rv)
            return rv;
        if (code < 0 || code > 255)
            return -ERANGE;
        values[count++] = SPAWN_RETRY_CODE + (uint64_t)code;
    }
    if (rv == 0)
        *ret_count = count;
    return rv;
}

int spawn_parse_ids(const char *text, spawn_id *ids, uint32_t *ret_count)
{
    uint32_t count = 0;
    char room[SPAWN_ID_TEXT + 1];
    int rv;

    while ((rv = piece(&text, room, sizeof(room))) == 1) {
        if (count == SPAWN_AFTER_MAX)
            return -ERANGE;
        rv = spawn_id_parse(room, &ids[count++]);
        if (rv)
            return rv;
    }
    if (rv == 0)
        *ret_count = count;
    return rv;
}

/* ---- the check ---- */

#define FAIL(...)                                                              \
    do {                                                                       \
        spawn_failure_set(why, SPAWN_E_INVALID, SPAWN_STEP_OPTIONS, 0,         \
                          __VA_ARGS__);                                        \
        return -EINVAL;                                                        \
    } while (0)

static int most(const spawn_message *m, unsigned attr, uint64_t limit,
                const char *wanted, spawn_failure *why)
{
    if (spawn_u64_or(m, attr, 0) > limit)
        FAIL("%s: %llu is not allowed; wanted: %s", spawn_attr_name(attr),
             (unsigned long long)spawn_attr_u64(&m->attr[attr]), wanted);
    return 0;
}

/* A job that could never start is a mistake. A value that depends on the clock
 * is left to the broker: the job expires. */
static int check_times(const spawn_message *m, spawn_failure *why)
{
    uint64_t expires = spawn_u64_or(m, SPAWN_A_EXPIRES, 0);
    uint64_t at = spawn_u64_or(m, SPAWN_A_AT, 0);
    uint64_t delay = spawn_u64_or(m, SPAWN_A_DELAY, 0);
    bool moment = expires & SPAWN_EXPIRES_MOMENT;
    int rv;

    if ((rv = most(m, SPAWN_A_DELAY, SPAWN_DURATION_MAX_MS, "at most a year",
                   why))
        || (rv = most(m, SPAWN_A_AT, SPAWN_MOMENT_MAX_MS,
                      "a moment before the year 10000", why)))
        return rv;
    if (delay && spawn_has(m, SPAWN_A_AT))
        FAIL("delay and at: a job can have one of them");
    expires &= ~SPAWN_EXPIRES_MOMENT;
    if (expires > (moment ? SPAWN_MOMENT_MAX_MS : SPAWN_DURATION_MAX_MS))
        FAIL("expires: wanted: at most a year, or a moment before the year "
             "10000");
    if (expires && !moment && delay >= expires)
        FAIL("expires: %llu ms after the submit the job could not have started "
             "yet: its delay is %llu ms; both count from the submit",
             (unsigned long long)expires, (unsigned long long)delay);
    if (moment && at && at >= expires)
        FAIL("expires: the job could not have started by then: that is not "
             "after its at");
    return 0;
}

/* How many numbers there may be is known to the codec. */
static int check_retry(const spawn_message *m, spawn_failure *why)
{
    const spawn_attr *on = &m->attr[SPAWN_A_RETRY_ON];
    const spawn_attr *backoff = &m->attr[SPAWN_A_BACKOFF];
    uint32_t i;

    if (spawn_has(m, SPAWN_A_BACKOFF)) {
        uint32_t count = spawn_u64v_count(backoff);
        uint64_t kind = count ? spawn_u64v_at(backoff, 0) : 0;

        if (!((kind == SPAWN_BACKOFF_FIXED && count == 2)
              || (kind == SPAWN_BACKOFF_EXPONENTIAL && count == 3)
              || (kind == SPAWN_BACKOFF_LIST && count >= 2)))
            FAIL("backoff: wanted: a kind with its pauses");
        for (i = 1; i < count; i++) {
            if (spawn_u64v_at(backoff, i) > SPAWN_DURATION_MAX_MS)
                FAIL("backoff: wanted: pauses of at most a year");
        }
    }
    /* none, when there is no list */
    for (i = 0; i < spawn_u64v_count(on); i++) {
        uint64_t n = spawn_u64v_at(on, i);

        if (!(n >= SPAWN_RETRY_ON_FAILED && n <= SPAWN_RETRY_ON_OUT_OF_MEMORY)
            && !(n >= SPAWN_RETRY_CODE && n <= SPAWN_RETRY_CODE + 255))
            FAIL("retry_on: wanted: failed, lost, timeout, start_failed, "
                 "signal, out_of_memory or exit codes");
    }
    return 0;
}

static int check_after(const spawn_message *m, spawn_failure *why)
{
    const spawn_attr *a = &m->attr[SPAWN_A_AFTER];
    spawn_id id, own;
    size_t i;

    if (!spawn_has(m, SPAWN_A_AFTER))
        return 0;
    if (a->length == 0 || a->length % SPAWN_ID_SIZE != 0)
        FAIL("after: not made of ids");
    spawn_attr_id(&m->attr[SPAWN_A_ID], &own);
    for (i = 0; i < a->length; i += SPAWN_ID_SIZE) {
        memcpy(id.bytes, (const uint8_t *)a->data + i, SPAWN_ID_SIZE);
        if (!spawn_id_valid(&id))
            FAIL("after: not an id of a job");
        if (spawn_id_equal(&id, &own))
            FAIL("after: a job cannot come after itself");
    }
    return 0;
}

/* Does it come with descriptors? */
static bool has_handles(const spawn_message *m)
{
    static const uint8_t streams[] = {SPAWN_A_STDIN, SPAWN_A_STDOUT,
                                      SPAWN_A_STDERR};
    spawn_stdio stream;
    size_t i;

    for (i = 0; i < sizeof(streams); i++) {
        if (!spawn_has(m, streams[i]))
            continue;
        spawn_attr_stdio(&m->attr[streams[i]], &stream);
        if (stream.how == SPAWN_STDIO_FD)
            return true;
    }
    return spawn_has(m, SPAWN_A_FDS);
}

static int check_durable(const spawn_message *m, spawn_failure *why)
{
    int rv = most(m, SPAWN_A_DURABLE, 1, "0 or 1", why);

    if (rv || !spawn_u64_or(m, SPAWN_A_DURABLE, 0))
        return rv;
    if (m->header.type == SPAWN_M_POST
        || spawn_u64_or(m, SPAWN_A_REPLY, SPAWN_REPLY_ACCEPTED)
               == SPAWN_REPLY_POSTED)
        FAIL("durable: a job that is posted has no answer, so nobody could be "
             "told that it is not on the disk; submit it with reply "
             "'accepted'");
    if (has_handles(m))
        FAIL("durable: the handles that it comes with do not outlive a "
             "reboot; give paths, or data for stdin");
    return 0;
}

bool spawn_on_failure_ok(const char *function)
{
    return strcmp(function, SPAWN_ON_FAILURE_NONE) == 0
           || (spawn_perl_name_ok(function) && strstr(function, "::"));
}

static int check_on_failure(const spawn_message *m, spawn_failure *why)
{
    const char *function =
        spawn_str_or(m, SPAWN_A_ON_FAILURE, SPAWN_ON_FAILURE_NONE);

    if (!spawn_on_failure_ok(function))
        FAIL("on_failure: '%.100s' is not a name; wanted: the full name of a "
             "Perl function, such as My::Report::failed, or none",
             function);
    return 0;
}

int spawn_rules_check(const spawn_message *m, spawn_failure *why)
{
    int rv;

    if (spawn_has(m, SPAWN_A_PRIORITY)) {
        int64_t priority = spawn_attr_i64(&m->attr[SPAWN_A_PRIORITY]);

        if (priority < -SPAWN_PRIORITY_MAX || priority > SPAWN_PRIORITY_MAX)
            FAIL("priority: %lld is not allowed; wanted: -%d to %d",
                 (long long)priority, SPAWN_PRIORITY_MAX, SPAWN_PRIORITY_MAX);
    }
    if ((rv = check_times(m, why)) || (rv = check_retry(m, why))
        || (rv = check_after(m, why)) || (rv = check_on_failure(m, why)))
        return rv;
    if (spawn_has(m, SPAWN_A_UNIQUE)
        && *spawn_attr_str(&m->attr[SPAWN_A_UNIQUE]) == '\0')
        FAIL("unique: the key is empty");
    if (!spawn_has(m, SPAWN_A_UNIQUE)
        && (spawn_has(m, SPAWN_A_ON_CONFLICT)
            || spawn_has(m, SPAWN_A_UNIQUE_FOR)))
        FAIL("on_conflict and unique_for belong to unique, which this job does "
             "not have");
    if (!spawn_has(m, SPAWN_A_AFTER) && spawn_has(m, SPAWN_A_AFTER_FAILED))
        FAIL("after_failed belongs to after, which this job does not have");
    if ((rv = most(m, SPAWN_A_ON_CONFLICT, SPAWN_CONFLICT_AFTER,
                   "reject, keep, replace or after", why))
        || (rv = most(m, SPAWN_A_UNIQUE_FOR, SPAWN_DURATION_MAX_MS,
                      "waiting, ended or at most a year", why))
        || (rv = most(m, SPAWN_A_AFTER_FAILED, SPAWN_AFTER_FAILED_KEEP,
                      "cancel, run or keep", why))
        || (rv = check_durable(m, why)))
        return rv;
    return 0;
}
