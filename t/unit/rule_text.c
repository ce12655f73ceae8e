/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of a job as people write them: words, back-offs, lists of ends and
 * of ids; and what is refused leaves the result as it was. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/spawn_rule.h"
#include "common/spawn_text.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define UNTOUCHED   12345

/* This piece so often, with commas between. */
static const char *repeated(const char *piece, unsigned count)
{
    static char text[4096];
    size_t length = 0;

    while (count-- > 0)
        length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%s",
                                   piece, count ? "," : "");
    return text;
}

/* ---- one number ---- */

typedef int parse_number(const char *text, uint64_t *ret);

static void words_and_times_are_numbers(void **state)
{
    static const struct {
        parse_number *parse;
        const char *text;
        int rv;
        uint64_t value;
    } cases[] = {
        {spawn_parse_conflict, "reject", 0, SPAWN_CONFLICT_REJECT},
        {spawn_parse_conflict, "keep", 0, SPAWN_CONFLICT_KEEP},
        {spawn_parse_conflict, "replace", 0, SPAWN_CONFLICT_REPLACE},
        {spawn_parse_conflict, "after", 0, SPAWN_CONFLICT_AFTER},
        {spawn_parse_conflict, "", -EINVAL, 0},
        {spawn_parse_conflict, "kee", -EINVAL, 0},
        {spawn_parse_conflict, "cancel", -EINVAL, 0},
        {spawn_parse_after_failed, "cancel", 0, SPAWN_AFTER_FAILED_CANCEL},
        {spawn_parse_after_failed, "run", 0, SPAWN_AFTER_FAILED_RUN},
        {spawn_parse_after_failed, "keep", 0, SPAWN_AFTER_FAILED_KEEP},
        {spawn_parse_after_failed, "reject", -EINVAL, 0},
        {spawn_parse_unique_for, "waiting", 0, SPAWN_UNIQUE_WAITING},
        {spawn_parse_unique_for, "ended", 0, SPAWN_UNIQUE_ENDED},
        {spawn_parse_unique_for, "1ms", 0, SPAWN_UNIQUE_ENDED + 1},
        {spawn_parse_unique_for, "2ms", 0, 2},
        {spawn_parse_unique_for, "3ms", 0, 3},
        {spawn_parse_unique_for, "366d", 0, SPAWN_DURATION_MAX_MS},
        {spawn_parse_unique_for, "0", -ERANGE, 0},
        {spawn_parse_unique_for, "367d", -ERANGE, 0},
        {spawn_parse_unique_for, "soon", -EINVAL, 0},
        {spawn_parse_expiry, "none", 0, 0},
        {spawn_parse_expiry, "None", 0, 0},
        {spawn_parse_expiry, "1ms", 0, 1},
        {spawn_parse_expiry, "366d", 0, SPAWN_DURATION_MAX_MS},
        {spawn_parse_expiry, "0", -ERANGE, 0},
        {spawn_parse_expiry, "367d", -ERANGE, 0},
        {spawn_parse_expiry, "no", -EINVAL, 0},
        {spawn_parse_expiry, "1970-01-01T00:00:01Z", 0,
         1000 | SPAWN_EXPIRES_MOMENT},
        {spawn_parse_expiry, "1969-01-01T00:00:01Z", -ERANGE, 0},
        {spawn_parse_expiry, "1970-01-01", -EINVAL, 0}};
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        uint64_t value = UNTOUCHED;
        int rv = cases[i].parse(cases[i].text, &value);

        if (rv != cases[i].rv
            || value != (rv == 0 ? cases[i].value : UNTOUCHED))
            fail_msg("%s: %d, %llu", cases[i].text, rv,
                     (unsigned long long)value);
    }
}

/* ---- back-offs ---- */

static void a_backoff_is_a_pause_a_list_or_doubles(void **state)
{
    static const struct {
        const char *text;
        unsigned count;
        uint64_t values[4];
    } cases[] = {
        {"10", 2, {SPAWN_BACKOFF_FIXED, 10000}},
        {"fixed:10", 2, {SPAWN_BACKOFF_FIXED, 10000}},
        {"fixed:1ms", 2, {SPAWN_BACKOFF_FIXED, 1}},
        {"1,5m", 3, {SPAWN_BACKOFF_LIST, 1000, 300000}},
        {" 1 ,  0,30 ", 4, {SPAWN_BACKOFF_LIST, 1000, 0, 30000}},
        {"0000000000000000000000000000001",
         2,
         {SPAWN_BACKOFF_FIXED, 1000}}, /* 31 characters */
        {"exponential", 3, {SPAWN_BACKOFF_EXPONENTIAL, 1000, 300000}},
        {"exponential:2", 3, {SPAWN_BACKOFF_EXPONENTIAL, 2000, 300000}},
        {"exponential:400", 3, {SPAWN_BACKOFF_EXPONENTIAL, 400000, 400000}},
        {"exponential:1:1m", 3, {SPAWN_BACKOFF_EXPONENTIAL, 1000, 60000}},
        {"exponential:60:1", 3, {SPAWN_BACKOFF_EXPONENTIAL, 60000, 60000}},
        {"exponential:0000000000000000000000000000002:3",
         3,
         {SPAWN_BACKOFF_EXPONENTIAL, 2000, 3000}}};
    uint64_t values[SPAWN_BACKOFF_MAX];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        uint32_t count = UNTOUCHED;

        memset(values, 0xff, sizeof(values));
        if (spawn_parse_backoff(cases[i].text, values, &count)
            || count != cases[i].count
            || memcmp(values, cases[i].values, count * sizeof(values[0])) != 0)
            fail_msg("%s: %u numbers, %llu, %llu", cases[i].text, count,
                     (unsigned long long)values[0],
                     (unsigned long long)values[1]);
    }
}

static void another_backoff_is_refused(void **state)
{
    static const struct {
        const char *text;
        int rv;
    } cases[] = {{"", -EINVAL},
                 {",", -EINVAL},
                 {"1,", -EINVAL},
                 {",1", -EINVAL},
                 {"1,,2", -EINVAL},
                 {"1, ,2", -EINVAL},
                 {" ", -EINVAL},
                 {"soon", -EINVAL},
                 {"1,soon", -EINVAL},
                 {"367d", -ERANGE},
                 {"1,367d", -ERANGE},
                 {"fixed", -EINVAL},
                 {"fixed:", -EINVAL},
                 {"fixed:1,2", -EINVAL},
                 {"fixedx1", -EINVAL},
                 {"00000000000000000000000000000001", -EINVAL}, /* 32 */
                 {"exponentials", -EINVAL},
                 {"exponentiax:1", -EINVAL},
                 {"exponential:", -EINVAL},
                 {"exponential:x", -EINVAL},
                 {"exponential:1:", -EINVAL},
                 {"exponential:1:x", -EINVAL},
                 {"exponential:1:2:3", -EINVAL},
                 {"exponential:367d", -ERANGE},
                 {"exponential:1:367d", -ERANGE},
                 {"exponential:00000000000000000000000000000002", -EINVAL}};
    uint64_t values[SPAWN_BACKOFF_MAX];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        uint32_t count = UNTOUCHED;
        int rv = spawn_parse_backoff(cases[i].text, values, &count);

        if (rv != cases[i].rv || count != UNTOUCHED)
            fail_msg("%s: %d", cases[i].text, rv);
    }
}

static void lists_have_their_most(void **state)
{
    static const char id_text[] = "0198c0de-0000-7000-8000-000000000001";
    uint64_t values[128];
    spawn_id ids[SPAWN_AFTER_MAX + 1];
    uint32_t count = UNTOUCHED;

    (void)state;
    memset(values, 0, sizeof(values));
    assert_int_equal(
        spawn_parse_backoff(repeated("2", SPAWN_BACKOFF_MAX), values, &count),
        -ERANGE);
    assert_int_equal(count, UNTOUCHED);
    assert_true(values[SPAWN_BACKOFF_MAX] == 0); /* there is no room */
    assert_int_equal(spawn_parse_backoff(repeated("2", SPAWN_BACKOFF_MAX - 1),
                                         values, &count),
                     0);
    assert_int_equal(count, SPAWN_BACKOFF_MAX);
    assert_true(values[SPAWN_BACKOFF_MAX - 1] == 2000);

    memset(values, 0, sizeof(values));
    count = UNTOUCHED;
    assert_int_equal(spawn_parse_retry_on(repeated("7", SPAWN_RETRY_ON_MAX + 1),
                                          values, &count),
                     -ERANGE);
    assert_int_equal(count, UNTOUCHED);
    assert_true(values[SPAWN_RETRY_ON_MAX] == 0);
    assert_int_equal(
        spawn_parse_retry_on(repeated("7", SPAWN_RETRY_ON_MAX), values, &count),
        0);
    assert_int_equal(count, SPAWN_RETRY_ON_MAX);

    memset(ids, 0, sizeof(ids));
    count = UNTOUCHED;
    assert_int_equal(
        spawn_parse_ids(repeated(id_text, SPAWN_AFTER_MAX + 1), ids, &count),
        -ERANGE);
    assert_int_equal(count, UNTOUCHED);
    assert_int_equal(ids[SPAWN_AFTER_MAX].bytes[0], 0);
    assert_int_equal(
        spawn_parse_ids(repeated(id_text, SPAWN_AFTER_MAX), ids, &count), 0);
    assert_int_equal(count, SPAWN_AFTER_MAX);
}

/* ---- ends, and ids ---- */

static void ends_are_words_and_exit_codes(void **state)
{
    static const struct {
        const char *text;
        int rv;
        unsigned count;
        uint64_t values[5];
    } cases[] = {
        {"failed", 0, 1, {SPAWN_RETRY_ON_FAILED}},
        {"failed,lost,timeout,start_failed,signal",
         0,
         5,
         {SPAWN_RETRY_ON_FAILED, SPAWN_RETRY_ON_LOST, SPAWN_RETRY_ON_TIMEOUT,
          SPAWN_RETRY_ON_START_FAILED, SPAWN_RETRY_ON_SIGNAL}},
        {"signal,out_of_memory",
         0,
         2,
         {SPAWN_RETRY_ON_SIGNAL, SPAWN_RETRY_ON_OUT_OF_MEMORY}},
        {" 0, 255 ,lost",
         0,
         3,
         {SPAWN_RETRY_CODE, SPAWN_RETRY_CODE + 255, SPAWN_RETRY_ON_LOST}},
        {"75", 0, 1, {SPAWN_RETRY_CODE + 75}},
        {"256", -ERANGE, 0, {0}},
        {"-1", -ERANGE, 0, {0}},
        {"1,256", -ERANGE, 0, {0}},
        {"", -EINVAL, 0, {0}},
        {"lost,", -EINVAL, 0, {0}},
        {"fail", -EINVAL, 0, {0}},
        {"1,x", -EINVAL, 0, {0}},
        {"99999999999999999999", -ERANGE, 0, {0}},
        {"00000000000000000000000000000001", -EINVAL, 0, {0}}};
    uint64_t values[SPAWN_RETRY_ON_MAX];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        uint32_t count = UNTOUCHED;
        int rv = spawn_parse_retry_on(cases[i].text, values, &count);

        if (rv != cases[i].rv || count != (rv ? UNTOUCHED : cases[i].count)
            || (rv == 0
                && memcmp(values, cases[i].values, count * sizeof(values[0]))
                       != 0))
            fail_msg("%s: %d, %u numbers", cases[i].text, rv, count);
    }
}

static void ids_stand_one_behind_the_other(void **state)
{
    static const char two[] = "0198c0de-0000-7000-8000-000000000001 , "
                              "0198c0de-0000-7000-8000-000000000002";
    static const char *const bad[] = {"", "x",
                                      "0198c0de-0000-7000-8000-000000000001,",
                                      "0198c0de-0000-7000-8000-000000000001,x",
                                      "0198c0de-0000-7000-8000-0000000000011"};
    spawn_id ids[SPAWN_AFTER_MAX], second;
    uint32_t count = UNTOUCHED;
    size_t i;

    (void)state;
    assert_int_equal(spawn_parse_ids(two, ids, &count), 0);
    assert_int_equal(count, 2);
    assert_int_equal(
        spawn_id_parse("0198c0de-0000-7000-8000-000000000002", &second), 0);
    assert_true(spawn_id_equal(&ids[1], &second));
    for (i = 0; i < COUNT(bad); i++) {
        count = UNTOUCHED;
        if (spawn_parse_ids(bad[i], ids, &count) != -EINVAL
            || count != UNTOUCHED)
            fail_msg("%s is taken", bad[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_and_times_are_numbers),
        cmocka_unit_test(a_backoff_is_a_pause_a_list_or_doubles),
        cmocka_unit_test(another_backoff_is_refused),
        cmocka_unit_test(lists_have_their_most),
        cmocka_unit_test(ends_are_words_and_exit_codes),
        cmocka_unit_test(ids_stand_one_behind_the_other)};

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("rule_text", tests, NULL, NULL);
}
