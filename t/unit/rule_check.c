/* SPDX-License-Identifier: Apache-2.0 */
/* The check of the rules that a job brings: of each limit the last value that
 * is taken and the first that is not, and what does not go together. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/spawn_rule.h"
#include "common/spawn_moment.h"
#include "common/spawn_text.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static const spawn_id own = {{1, 2, 3, 4, 5, 6, 0x70, 8, 0x80}};
static const spawn_id other = {{1, 2, 3, 4, 5, 7, 0x70, 8, 0x80}};

static spawn_writer w;
static spawn_failure why;
static unsigned from; /* its sender */

static void begin_as(uint16_t type, unsigned sender)
{
    from = sender;
    spawn_writer_free(&w);
    spawn_writer_init(&w, SPAWN_SUBMIT_MAX);
    spawn_writer_begin(&w, type, 0);
    spawn_put_id(&w, SPAWN_A_ID, &own);
    spawn_put_str(&w, SPAWN_A_FUNCTION, "My::f");
}

static void begin(void)
{
    begin_as(SPAWN_M_SUBMIT, SPAWN_FROM_CALLER);
}

static int check(unsigned fds)
{
    spawn_message m;

    memset(&why, 0, sizeof(why));
    assert_int_equal(spawn_writer_finish(&w, fds), 0);
    assert_int_equal(spawn_message_parse(w.data, w.length, from, fds, &m, &why),
                     0);
    return spawn_rules_check(&m, &why);
}

static void taken(unsigned fds)
{
    if (check(fds) != 0)
        fail_msg("refused: %s", why.text);
}

static void refused(unsigned fds, const char *what)
{
    if (check(fds) != -EINVAL)
        fail_msg("taken: %s", what);
    assert_int_equal(why.code, SPAWN_E_INVALID);
    assert_int_equal(why.step, SPAWN_STEP_OPTIONS);
    if (!strstr(why.text, what))
        fail_msg("'%s' is not in: %s", what, why.text);
}

static void numbers_have_their_most(void **state)
{
    static const struct {
        uint16_t attr, beside;
        uint64_t most;
    } cases[] = {
        {SPAWN_A_DELAY, 0, SPAWN_DURATION_MAX_MS},
        {SPAWN_A_AT, 0, SPAWN_MOMENT_MAX_MS},
        {SPAWN_A_EXPIRES, 0, SPAWN_DURATION_MAX_MS},
        {SPAWN_A_EXPIRES, 0, SPAWN_MOMENT_MAX_MS | SPAWN_EXPIRES_MOMENT},
        {SPAWN_A_ON_CONFLICT, SPAWN_A_UNIQUE, SPAWN_CONFLICT_AFTER},
        {SPAWN_A_UNIQUE_FOR, SPAWN_A_UNIQUE, SPAWN_DURATION_MAX_MS},
        {SPAWN_A_AFTER_FAILED, SPAWN_A_AFTER, SPAWN_AFTER_FAILED_KEEP},
        {SPAWN_A_DURABLE, 0, 1}};
    size_t i;
    uint64_t more;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        for (more = 0; more < 2; more++) {
            begin();
            if (cases[i].beside == SPAWN_A_UNIQUE)
                spawn_put_str(&w, SPAWN_A_UNIQUE, "key");
            if (cases[i].beside == SPAWN_A_AFTER)
                spawn_put_bytes(&w, SPAWN_A_AFTER, &other, sizeof(other));
            spawn_put_u64(&w, cases[i].attr, cases[i].most + more);
            if (more)
                refused(0, spawn_attr_name(cases[i].attr));
            else
                taken(0);
        }
    }
}

static void on_failure_is_a_function_or_none(void **state)
{
    static const char *const good[] = {"My::f", "none", "A::B::c"};
    static const char *const bad[] = {"", "f", "My::f g", "/bin/true", "None"};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(good); i++) {
        begin();
        spawn_put_str(&w, SPAWN_A_ON_FAILURE, good[i]);
        taken(0);
    }
    for (i = 0; i < COUNT(bad); i++) {
        begin();
        spawn_put_str(&w, SPAWN_A_ON_FAILURE, bad[i]);
        refused(0, "on_failure");
    }
}

static void priority_is_from_minus_100_to_100(void **state)
{
    static const int64_t good[] = {-100, 0, 100}, bad[] = {-101, 101};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(good); i++) {
        begin();
        spawn_put_i64(&w, SPAWN_A_PRIORITY, good[i]);
        taken(0);
    }
    for (i = 0; i < COUNT(bad); i++) {
        begin();
        spawn_put_i64(&w, SPAWN_A_PRIORITY, bad[i]);
        refused(0, "priority");
    }
}

/* ---- times ---- */

#define NONE UINT64_MAX

static void with_times(uint64_t delay, uint64_t at, uint64_t expires)
{
    begin();
    if (delay != NONE)
        spawn_put_u64(&w, SPAWN_A_DELAY, delay);
    if (at != NONE)
        spawn_put_u64(&w, SPAWN_A_AT, at);
    if (expires != NONE)
        spawn_put_u64(&w, SPAWN_A_EXPIRES, expires);
}

static void a_job_that_could_never_start_is_refused(void **state)
{
    static const struct {
        uint64_t delay, at, expires;
        const char *what; /* NULL: it is taken */
    } cases[] = {
        {5000, NONE, 5001, NULL},
        {5000, NONE, 5000, "both count from the submit"},
        {5000, NONE, 4999, "both count from the submit"},
        {5000, NONE, 0, NULL}, /* never */
        {0, NONE, 1, NULL},
        {0, NONE, 0, NULL},
        {5000, NONE, 1000 | SPAWN_EXPIRES_MOMENT, NULL}, /* by the clock */
        {NONE, 5000, 5001 | SPAWN_EXPIRES_MOMENT, NULL},
        {NONE, 5000, 5000 | SPAWN_EXPIRES_MOMENT, "not after its at"},
        {NONE, 5000, 4999 | SPAWN_EXPIRES_MOMENT, "not after its at"},
        {NONE, 5000, 1000, NULL}, /* that counts from the submit */
        {NONE, 5000, NONE, NULL},
        {NONE, NONE, SPAWN_EXPIRES_MOMENT, NULL}, /* it is over: it expires */
        {NONE, NONE, 1000 | SPAWN_EXPIRES_MOMENT, NULL},
        {5000, 5000, NONE, "delay and at"},
        {5000, 0, NONE, "delay and at"},
        {0, 5000, NONE, NULL}};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        with_times(cases[i].delay, cases[i].at, cases[i].expires);
        if (cases[i].what)
            refused(0, cases[i].what);
        else
            taken(0);
    }
}

/* ---- further attempts ---- */

/* So many numbers, and a field behind them, which is none of them. */
static void with_numbers(uint16_t attr, const uint64_t *values, unsigned count)
{
    begin();
    spawn_put_u64v(&w, attr, values, count);
    spawn_put_str(&w, SPAWN_A_LABEL, "a field of some length");
}

static void a_backoff_has_a_kind_and_its_pauses(void **state)
{
    static const struct {
        uint64_t kind;
        unsigned least, most; /* numbers, kind included */
    } kinds[] = {{SPAWN_BACKOFF_FIXED, 2, 2},
                 {SPAWN_BACKOFF_EXPONENTIAL, 3, 3},
                 {SPAWN_BACKOFF_LIST, 2, SPAWN_BACKOFF_MAX},
                 {0, 1, 0},
                 {SPAWN_BACKOFF_LIST + 1, 1, 0}};
    uint64_t values[SPAWN_BACKOFF_MAX];
    unsigned count;
    size_t i;

    (void)state;
    for (i = 1; i < COUNT(values); i++)
        values[i] = SPAWN_DURATION_MAX_MS;
    for (i = 0; i < COUNT(kinds); i++) {
        values[0] = kinds[i].kind;
        for (count = 0; count <= SPAWN_BACKOFF_MAX; count++) {
            with_numbers(SPAWN_A_BACKOFF, values, count);
            if (count >= kinds[i].least && count <= kinds[i].most)
                taken(0);
            else
                refused(0, "backoff: wanted: a kind");
        }
    }
    values[0] = SPAWN_BACKOFF_LIST;
    for (i = 1; i < SPAWN_BACKOFF_MAX; i++) {
        values[i]++;
        with_numbers(SPAWN_A_BACKOFF, values, SPAWN_BACKOFF_MAX);
        refused(0, "backoff: wanted: pauses of at most a year");
        values[i]--;
    }
}

static void retries_are_for_known_ends(void **state)
{
    static const struct {
        uint64_t number;
        bool good;
    } cases[] = {{0, false},
                 {SPAWN_RETRY_ON_FAILED, true},
                 {SPAWN_RETRY_ON_LOST, true},
                 {SPAWN_RETRY_ON_TIMEOUT, true},
                 {SPAWN_RETRY_ON_START_FAILED, true},
                 {SPAWN_RETRY_ON_SIGNAL, true},
                 {SPAWN_RETRY_ON_OUT_OF_MEMORY, true},
                 {SPAWN_RETRY_ON_OUT_OF_MEMORY + 1, false},
                 {SPAWN_RETRY_CODE - 1, false},
                 {SPAWN_RETRY_CODE, true},
                 {SPAWN_RETRY_CODE + 255, true},
                 {SPAWN_RETRY_CODE + 256, false},
                 {UINT64_MAX, false}};
    uint64_t values[SPAWN_RETRY_ON_MAX];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        const uint64_t last[] = {SPAWN_RETRY_ON_LOST, cases[i].number};

        with_numbers(SPAWN_A_RETRY_ON, last + 1, 1);
        if (cases[i].good)
            taken(0);
        else
            refused(0, "retry_on: wanted");
        with_numbers(SPAWN_A_RETRY_ON, last, 2);
        if (cases[i].good)
            taken(0);
        else
            refused(0, "retry_on: wanted");
    }
    for (i = 0; i < COUNT(values); i++)
        values[i] = SPAWN_RETRY_CODE + i;
    with_numbers(SPAWN_A_RETRY_ON, values, SPAWN_RETRY_ON_MAX);
    taken(0);
}

/* ---- other jobs ---- */

static void with_after(const void *ids, size_t length)
{
    begin();
    spawn_put_bytes(&w, SPAWN_A_AFTER, ids, length);
}

static void a_job_comes_after_others(void **state)
{
    spawn_id ids[3] = {other, other, other};

    (void)state;
    with_after(ids, sizeof(ids[0]));
    taken(0);
    with_after(ids, sizeof(ids));
    taken(0);
    with_after(ids, 0);
    refused(0, "after: not made of ids");
    with_after(ids, sizeof(ids[0]) + 1);
    refused(0, "after: not made of ids");
    with_after(ids, sizeof(ids[0]) - 1);
    refused(0, "after: not made of ids");
    ids[2] = own;
    with_after(ids, sizeof(ids));
    refused(0, "after itself");
    ids[2].bytes[6] = 0x40;
    with_after(ids, sizeof(ids));
    refused(0, "after: not an id of a job");
    ids[0] = own;
    with_after(ids, sizeof(ids[0]));
    refused(0, "after itself");
    begin();
    spawn_put_u64(&w, SPAWN_A_AFTER_FAILED, SPAWN_AFTER_FAILED_RUN);
    refused(0, "after_failed belongs to after");
}

static void a_key_is_not_empty_and_what_belongs_to_it_needs_it(void **state)
{
    (void)state;
    begin();
    spawn_put_str(&w, SPAWN_A_UNIQUE, "k");
    taken(0);
    begin();
    spawn_put_str(&w, SPAWN_A_UNIQUE, "");
    refused(0, "unique: the key is empty");
    begin();
    spawn_put_u64(&w, SPAWN_A_ON_CONFLICT, SPAWN_CONFLICT_KEEP);
    refused(0, "belong to unique");
    begin();
    spawn_put_u64(&w, SPAWN_A_UNIQUE_FOR, SPAWN_UNIQUE_ENDED);
    refused(0, "belong to unique");
    begin();
    spawn_put_str(&w, SPAWN_A_UNIQUE, "k");
    spawn_put_u64(&w, SPAWN_A_ON_CONFLICT, SPAWN_CONFLICT_KEEP);
    spawn_put_u64(&w, SPAWN_A_UNIQUE_FOR, SPAWN_UNIQUE_ENDED);
    taken(0);
}

/* ---- durable ones ---- */

static void a_durable_job_is_answered(void **state)
{
    uint64_t durable;

    (void)state;
    for (durable = 0; durable < 2; durable++) {
        begin_as(SPAWN_M_POST, SPAWN_FROM_POST);
        spawn_put_u64(&w, SPAWN_A_DURABLE, durable);
        if (durable)
            refused(0, "durable: a job that is posted");
        else
            taken(0);
        begin();
        spawn_put_u64(&w, SPAWN_A_DURABLE, durable);
        spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_POSTED);
        if (durable)
            refused(0, "durable: a job that is posted");
        else
            taken(0);
        begin();
        spawn_put_u64(&w, SPAWN_A_DURABLE, durable);
        spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
        taken(0);
        begin();
        spawn_put_u64(&w, SPAWN_A_DURABLE, durable);
        taken(0);
    }
}

static void a_durable_job_has_no_handles(void **state)
{
    static const uint16_t streams[] = {SPAWN_A_STDIN, SPAWN_A_STDOUT,
                                       SPAWN_A_STDERR};
    static const uint64_t five[] = {0, 5};
    const spawn_stdio handle = {SPAWN_STDIO_FD, 0, 0, ""};
    const spawn_stdio null = {SPAWN_STDIO_NULL, 0, 0, ""};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(streams); i++) {
        begin();
        spawn_put_u64(&w, SPAWN_A_DURABLE, 1);
        spawn_put_stdio(&w, streams[i], &handle);
        refused(1, "durable: the handles");
        begin();
        spawn_put_stdio(&w, streams[i], &handle);
        taken(1);
        begin();
        spawn_put_u64(&w, SPAWN_A_DURABLE, 1);
        spawn_put_stdio(&w, streams[i], &null);
        taken(0);
    }
    begin();
    spawn_put_u64(&w, SPAWN_A_DURABLE, 1);
    spawn_put_u64v(&w, SPAWN_A_FDS, five, 2);
    refused(1, "durable: the handles");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_have_their_most),
        cmocka_unit_test(priority_is_from_minus_100_to_100),
        cmocka_unit_test(on_failure_is_a_function_or_none),
        cmocka_unit_test(a_job_that_could_never_start_is_refused),
        cmocka_unit_test(a_backoff_has_a_kind_and_its_pauses),
        cmocka_unit_test(retries_are_for_known_ends),
        cmocka_unit_test(a_job_comes_after_others),
        cmocka_unit_test(a_key_is_not_empty_and_what_belongs_to_it_needs_it),
        cmocka_unit_test(a_durable_job_is_answered),
        cmocka_unit_test(a_durable_job_has_no_handles)};

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("rule_check", tests, NULL, NULL);
}
