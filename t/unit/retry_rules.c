/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of further attempts as an order has them: after which ends there is
 * another one, how many there are, and how long each of them waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/spawn_retry.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static spawn_writer w;
static spawn_message order;
static spawn_failure why;

static void begin(void)
{
    static const spawn_id id = {{1, 2, 3, 4, 5, 6, 0x70, 8, 0x80}};

    spawn_writer_free(&w);
    spawn_writer_init(&w, SPAWN_SUBMIT_MAX);
    spawn_writer_begin(&w, SPAWN_M_SUBMIT, 0);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    spawn_put_str(&w, SPAWN_A_FUNCTION, "My::f");
}

static void parse(unsigned fds)
{
    assert_int_equal(spawn_writer_finish(&w, fds), 0);
    assert_int_equal(spawn_message_parse(w.data, w.length, SPAWN_FROM_CALLER,
                                         fds, &order, &why),
                     0);
}

/* An order that may be tried again so often. */
static void with_retry(int64_t retry)
{
    begin();
    spawn_put_i64(&w, SPAWN_A_RETRY, retry);
    parse(0);
}

static void with_backoff(int64_t retry, const uint64_t *values, unsigned count)
{
    begin();
    spawn_put_i64(&w, SPAWN_A_RETRY, retry);
    spawn_put_u64v(&w, SPAWN_A_BACKOFF, values, count);
    spawn_put_str(&w, SPAWN_A_LABEL, "behind"); /* that is no number */
    parse(0);
}

static void with_on(const uint64_t *values, unsigned count)
{
    begin();
    spawn_put_i64(&w, SPAWN_A_RETRY, 1);
    spawn_put_u64v(&w, SPAWN_A_RETRY_ON, values, count);
    parse(0);
}

/* ---- whether ---- */

static const struct {
    spawn_attempt_end end;
    uint64_t named; /* in RETRY_ON; 0: it is never tried again */
    bool without;   /* is it tried again when the order names nothing? */
} ends[] = {
    {{SPAWN_OUTCOME_EXITED, 0, false}, 0, false},
    {{SPAWN_OUTCOME_EXITED, 1, true}, 0, false},
    {{SPAWN_OUTCOME_SIGNALLED, -1, true}, 0, false},
    {{SPAWN_OUTCOME_EXITED, 1, false}, SPAWN_RETRY_ON_FAILED, true},
    {{SPAWN_OUTCOME_EXITED, 1, false}, SPAWN_RETRY_CODE + 1, true},
    {{SPAWN_OUTCOME_EXITED, 75, false}, SPAWN_RETRY_CODE + 75, true},
    {{SPAWN_OUTCOME_EXITED, 255, false}, SPAWN_RETRY_CODE + 255, true},
    {{SPAWN_OUTCOME_EXITED, -1, false}, SPAWN_RETRY_ON_FAILED, true},
    {{SPAWN_OUTCOME_SIGNALLED, -1, false}, SPAWN_RETRY_ON_FAILED, true},
    {{SPAWN_OUTCOME_SIGNALLED, -1, false}, SPAWN_RETRY_ON_SIGNAL, true},
    {{SPAWN_OUTCOME_OUT_OF_MEMORY, -1, false}, SPAWN_RETRY_ON_FAILED, true},
    {{SPAWN_OUTCOME_OUT_OF_MEMORY, -1, false}, SPAWN_RETRY_ON_SIGNAL, true},
    {{SPAWN_OUTCOME_OUT_OF_MEMORY, -1, false},
     SPAWN_RETRY_ON_OUT_OF_MEMORY,
     true},
    {{SPAWN_OUTCOME_LOST, -1, false}, SPAWN_RETRY_ON_LOST, true},
    {{SPAWN_OUTCOME_ENDED, -1, false}, SPAWN_RETRY_ON_LOST, true},
    {{SPAWN_OUTCOME_TIMED_OUT, -1, false}, SPAWN_RETRY_ON_TIMEOUT, false},
    {{SPAWN_OUTCOME_START_FAILED, -1, false},
     SPAWN_RETRY_ON_START_FAILED,
     false},
    {{SPAWN_OUTCOME_CANCELLED, -1, false}, 0, false},
    {{SPAWN_OUTCOME_EXPIRED, -1, false}, 0, false}};

static void without_a_list_what_failed_or_is_lost_is_tried_again(void **state)
{
    size_t i;

    (void)state;
    with_retry(1);
    for (i = 0; i < COUNT(ends); i++) {
        if (spawn_retry_applies(&order, &ends[i].end) != ends[i].without)
            fail_msg("end %zu", i);
    }
}

/* Does this number name this end, by any row? */
static bool names_it(const spawn_attempt_end *end, uint64_t number)
{
    size_t i;

    for (i = 0; i < COUNT(ends); i++) {
        if (ends[i].named == number && ends[i].end.outcome == end->outcome
            && ends[i].end.returned == end->returned
            && (number == SPAWN_RETRY_ON_FAILED
                || ends[i].end.exit_code == end->exit_code))
            return true;
    }
    return false;
}

static void each_word_is_of_its_own_ends(void **state)
{
    static const uint64_t all[] = {SPAWN_RETRY_ON_FAILED,
                                   SPAWN_RETRY_ON_LOST,
                                   SPAWN_RETRY_ON_TIMEOUT,
                                   SPAWN_RETRY_ON_SIGNAL,
                                   SPAWN_RETRY_ON_START_FAILED,
                                   SPAWN_RETRY_ON_OUT_OF_MEMORY,
                                   SPAWN_RETRY_CODE,
                                   SPAWN_RETRY_CODE + 1,
                                   SPAWN_RETRY_CODE + 75,
                                   SPAWN_RETRY_CODE + 255};
    size_t i, k;

    (void)state;
    for (k = 0; k < COUNT(all); k++) {
        /* beside one that is of no end here */
        const uint64_t two[] = {SPAWN_RETRY_CODE + 42, all[k]};
        const uint64_t turned[] = {all[k], SPAWN_RETRY_CODE + 42};

        for (i = 0; i < COUNT(ends); i++) {
            bool wanted = ends[i].named && names_it(&ends[i].end, all[k]);

            with_on(&all[k], 1);
            if (spawn_retry_applies(&order, &ends[i].end) != wanted)
                fail_msg("end %zu, number %llu", i, (unsigned long long)all[k]);
            with_on(two, 2);
            assert_int_equal(spawn_retry_applies(&order, &ends[i].end), wanted);
            with_on(turned, 2);
            assert_int_equal(spawn_retry_applies(&order, &ends[i].end), wanted);
        }
    }
}

static void what_was_told_of_a_function_is_its_end(void **state)
{
    const spawn_attempt_end returned = {SPAWN_OUTCOME_SIGNALLED, -1, true};
    const spawn_attempt_end zero = {SPAWN_OUTCOME_EXITED, 0, false};
    const spawn_attempt_end one = {SPAWN_OUTCOME_EXITED, 1, false};
    const spawn_attempt_end killed = {SPAWN_OUTCOME_SIGNALLED, 0, false};

    (void)state;
    assert_true(spawn_attempt_good(&returned));
    assert_true(spawn_attempt_good(&zero));
    assert_false(spawn_attempt_good(&one));
    assert_false(spawn_attempt_good(&killed));
}

/* ---- how many ---- */

static void attempts_are_counted(void **state)
{
    (void)state;
    begin();
    parse(0);
    assert_int_equal(spawn_retry_most(&order), 0);
    assert_int_equal(spawn_retry_left(&order, 1), 0);
    with_retry(2);
    assert_int_equal(spawn_retry_most(&order), 2);
    assert_int_equal(spawn_retry_left(&order, 1), 2);
    assert_int_equal(spawn_retry_left(&order, 2), 1);
    assert_int_equal(spawn_retry_left(&order, 3), 0);
    assert_int_equal(spawn_retry_left(&order, 4), 0);
    with_retry(SPAWN_RETRY_MAX);
    assert_int_equal(spawn_retry_most(&order), SPAWN_RETRY_MAX);
    with_retry(SPAWN_RETRY_MAX + 1); /* not checked, or of another release */
    assert_int_equal(spawn_retry_most(&order), 0);
    with_retry(-1);
    assert_int_equal(spawn_retry_most(&order), 0);
}

/* ---- how long ---- */

/* The longest and the shortest wait after so many failed attempts. */
static void waits(unsigned failed, uint64_t longest, uint64_t shortest)
{
    assert_true(spawn_retry_delay(&order, failed, 0) == longest);
    assert_true(spawn_retry_delay(&order, failed, longest / 2) == shortest);
    assert_true(spawn_retry_delay(&order, failed, longest / 2 + 1) == longest);
}

static void without_a_backoff_it_doubles_from_a_second_to_minutes(void **state)
{
    (void)state;
    with_retry(100);
    waits(1, 1000, 500);
    waits(2, 2000, 1000);
    waits(3, 4000, 2000);
    waits(9, 256000, 128000);
    waits(10, 300000, 150000);
    waits(100, 300000, 150000);
}

static void an_exponential_one_has_its_own_numbers(void **state)
{
    static const uint64_t odd[] = {SPAWN_BACKOFF_EXPONENTIAL, 3, 11};
    static const uint64_t same[] = {SPAWN_BACKOFF_EXPONENTIAL, 7000, 7000};

    (void)state;
    with_backoff(4, odd, 3);
    waits(1, 3, 2);
    waits(2, 6, 3);
    waits(3, 11, 6);
    waits(4, 11, 6);
    assert_true(spawn_retry_delays(&order) == 3 + 6 + 11 + 11);
    with_backoff(2, same, 3);
    waits(1, 7000, 3500);
    waits(2, 7000, 3500);
}

static void a_fixed_one_and_a_list_are_waited_as_they_stand(void **state)
{
    static const uint64_t fixed[] = {SPAWN_BACKOFF_FIXED, 2500};
    static const uint64_t list[] = {SPAWN_BACKOFF_LIST, 10, 2000, 300};
    uint64_t random;

    (void)state;
    for (random = 0; random < 3; random++) {
        with_backoff(3, fixed, 2);
        assert_true(spawn_retry_delay(&order, 1, random) == 2500);
        assert_true(spawn_retry_delay(&order, 3, random) == 2500);
        with_backoff(5, list, 4);
        assert_true(spawn_retry_delay(&order, 1, random) == 10);
        assert_true(spawn_retry_delay(&order, 2, random) == 2000);
        assert_true(spawn_retry_delay(&order, 3, random) == 300);
        assert_true(spawn_retry_delay(&order, 4, random) == 300);
    }
    assert_true(spawn_retry_delays(&order) == 10 + 2000 + 300 + 300 + 300);
    with_backoff(0, list, 4);
    assert_true(spawn_retry_delays(&order) == 0);
    with_retry(1);
    assert_true(spawn_retry_delays(&order) == 1000);
    with_retry(2);
    assert_true(spawn_retry_delays(&order) == 1000 + 2000);
}

/* ---- the check ---- */

static void taken(void)
{
    memset(&why, 0, sizeof(why));
    if (spawn_retry_check(&order, &why) != 0)
        fail_msg("refused: %s", why.text);
}

static void refused(const char *what)
{
    memset(&why, 0, sizeof(why));
    assert_int_equal(spawn_retry_check(&order, &why), -1);
    assert_int_equal(why.code, SPAWN_E_INVALID);
    if (!strstr(why.text, what))
        fail_msg("'%s' is not in: %s", what, why.text);
}

static void the_least_and_the_most_are_taken(void **state)
{
    static const uint64_t same[] = {SPAWN_BACKOFF_EXPONENTIAL, 1, 1};
    static const uint64_t up[] = {SPAWN_BACKOFF_EXPONENTIAL, 1, 2};
    static const uint64_t none[] = {SPAWN_BACKOFF_EXPONENTIAL, 0, 2};
    static const uint64_t down[] = {SPAWN_BACKOFF_EXPONENTIAL, 2, 1};
    static const uint64_t pauses[] = {SPAWN_BACKOFF_LIST, 0, 5, 1};

    (void)state;
    begin();
    parse(0);
    taken();
    with_retry(0);
    taken();
    with_retry(SPAWN_RETRY_MAX);
    taken();
    with_retry(SPAWN_RETRY_MAX + 1);
    refused("retry: 101 is not allowed");
    with_retry(-1);
    refused("retry: -1 is not allowed");
    with_backoff(1, same, 3);
    taken();
    with_backoff(1, up, 3);
    taken();
    with_backoff(1, pauses, 4); /* may begin at once, and go down */
    taken();
    with_backoff(1, none, 3);
    refused("above 0");
    with_backoff(1, down, 3);
    refused("above 0");
}

static void what_belongs_to_retries_needs_some(void **state)
{
    static const uint64_t fixed[] = {SPAWN_BACKOFF_FIXED, 2500};
    static const uint64_t lost[] = {SPAWN_RETRY_ON_LOST};

    (void)state;
    with_backoff(1, fixed, 2);
    taken();
    with_on(lost, 1);
    taken();
    with_on(NULL, 0);
    refused("the list is empty");
    with_backoff(0, fixed, 2);
    refused("belong to retry");
    begin();
    spawn_put_u64v(&w, SPAWN_A_RETRY_ON, lost, 1);
    parse(0);
    refused("belong to retry");
}

static void handles_are_for_the_only_attempt(void **state)
{
    static const uint16_t streams[] = {SPAWN_A_STDIN, SPAWN_A_STDOUT,
                                       SPAWN_A_STDERR};
    static const uint64_t five[] = {0, 5};
    const spawn_stdio handle = {SPAWN_STDIO_FD, 0, 0, ""};
    const spawn_stdio null = {SPAWN_STDIO_NULL, 0, 0, ""};
    int64_t retry;
    size_t i;

    (void)state;
    for (retry = 0; retry < 2; retry++) {
        for (i = 0; i < COUNT(streams); i++) {
            begin();
            spawn_put_i64(&w, SPAWN_A_RETRY, retry);
            spawn_put_stdio(&w, streams[i], &handle);
            parse(1);
            if (retry)
                refused("was given handles");
            else
                taken();
            begin();
            spawn_put_i64(&w, SPAWN_A_RETRY, retry);
            spawn_put_stdio(&w, streams[i], &null);
            parse(0);
            taken();
        }
        begin();
        spawn_put_i64(&w, SPAWN_A_RETRY, retry);
        spawn_put_u64v(&w, SPAWN_A_FDS, five, 2);
        parse(1);
        if (retry)
            refused("was given handles");
        else
            taken();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_list_what_failed_or_is_lost_is_tried_again),
        cmocka_unit_test(each_word_is_of_its_own_ends),
        cmocka_unit_test(what_was_told_of_a_function_is_its_end),
        cmocka_unit_test(attempts_are_counted),
        cmocka_unit_test(without_a_backoff_it_doubles_from_a_second_to_minutes),
        cmocka_unit_test(an_exponential_one_has_its_own_numbers),
        cmocka_unit_test(a_fixed_one_and_a_list_are_waited_as_they_stand),
        cmocka_unit_test(the_least_and_the_most_are_taken),
        cmocka_unit_test(what_belongs_to_retries_needs_some),
        cmocka_unit_test(handles_are_for_the_only_attempt)};

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("retry_rules", tests, NULL, NULL);
}
