/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last lines of jobs: whole ones, the newest, of the jobs that wrote last;
 * in a bounded memory, whatever jobs write. Links process/log_tail.c alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "broker/process/log_tail.h"

static spawn_id job_of(unsigned n)
{
    spawn_id id = {{0}};

    memcpy(id.bytes, &n, sizeof(n));
    id.bytes[15] = 1;
    return id;
}

static void add(unsigned job, const char *text)
{
    spawn_id id = job_of(job);

    spawn_log_tail_add(&id, text, strlen(text));
}

static void has(unsigned job, const char *wanted)
{
    spawn_id id = job_of(job);
    size_t length = 7;
    const char *text = spawn_log_tail_get(&id, &length);

    assert_int_equal(length, strlen(wanted));
    if (length)
        assert_memory_equal(text, wanted, length);
}

static void each_job_has_its_lines(void **state)
{
    (void)state;
    has(1, "");
    add(1, "one");
    add(2, "other");
    add(1, "");
    add(1, "two");
    has(1, "one\n\ntwo\n");
    has(2, "other\n");
    has(3, "");
}

/* From a whole line on, to the last one; at least the half is there. */
static void of_many_lines_the_last_are_there(void **state)
{
    spawn_id id = job_of(4);
    const char *text;
    char line[32];
    size_t length;
    unsigned i, first, n = 0;

    (void)state;
    for (i = 0; i < 100000; i++) {
        (void)snprintf(line, sizeof(line), "line %06u", i);
        add(4, line);
        text = spawn_log_tail_get(&id, &length);
        assert_in_range(length, 1, SPAWN_LOG_TAIL_MAX);
    }
    assert_in_range(length, SPAWN_LOG_TAIL_MAX / 2 - 16, SPAWN_LOG_TAIL_MAX);
    assert_int_equal(sscanf(text, "line %6u\n", &first), 1);
    for (i = first; i < 100000; i++, n += 12) {
        (void)snprintf(line, sizeof(line), "line %06u\n", i);
        assert_memory_equal(text + n, line, 12);
    }
    assert_int_equal(n, length);
}

static void a_line_fills_it_at_most(void **state)
{
    static char line[2 * SPAWN_LOG_TAIL_MAX];
    const size_t lengths[] = {SPAWN_LOG_TAIL_MAX - 2, SPAWN_LOG_TAIL_MAX - 1,
                              SPAWN_LOG_TAIL_MAX, sizeof(line)};
    spawn_id id = job_of(5);
    const char *text;
    size_t i, length;

    (void)state;
    memset(line, 'x', sizeof(line));
    for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        add(5, "before");
        spawn_log_tail_add(&id, line, lengths[i]);
        text = spawn_log_tail_get(&id, &length);
        assert_int_equal(length, lengths[i] < SPAWN_LOG_TAIL_MAX
                                     ? lengths[i] + 1
                                     : SPAWN_LOG_TAIL_MAX);
        assert_int_equal(text[0], 'x');
        assert_int_equal(text[length - 1], '\n');
        add(5, "behind");
        has(5, "behind\n");
    }
}

static void the_jobs_that_wrote_last_are_there(void **state)
{
    unsigned i;

    (void)state;
    for (i = 0; i < SPAWN_LOG_TAIL_JOBS; i++)
        add(1000 + i, "here");
    add(1000, "again"); /* so it is not the one that goes */
    has(1001, "here\n");
    add(5000, "one more");
    has(5000, "one more\n");
    has(1000, "here\nagain\n");
    has(1001, "");
    has(1002, "here\n");
    add(1001, "anew");
    has(1001, "anew\n");
    has(1002, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_job_has_its_lines),
        cmocka_unit_test(of_many_lines_the_last_are_there),
        cmocka_unit_test(a_line_fills_it_at_most),
        cmocka_unit_test(the_jobs_that_wrote_last_are_there)};

    return cmocka_run_group_tests_name("log_tail", tests, NULL, NULL);
}
