/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page of numbers: label values are escaped, times are seconds without
 * rounding, buckets add up, what is not known has no sample, and a sink that
 * fails is not called again. (A real broker's page is parsed in
 * t/httpd/metrics.t.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/prometheus.h"

#define NOW 1700000000000

static char text[65536];
static size_t length;
static unsigned calls;
static spawn_meters_answer numbers;
static spawn_meter_row queue;

static int keep(void *arg, const char *from, size_t n)
{
    (void)arg;
    assert_true(length + n < sizeof(text));
    memcpy(text + length, from, n);
    length += n;
    text[length] = '\0';
    return 0;
}

static int refuse(void *arg, const char *from, size_t n)
{
    (void)arg;
    (void)from;
    (void)n;
    calls++;
    return -7;
}

static int set_up(void **state)
{
    (void)state;
    memset(&numbers, 0, sizeof(numbers));
    memset(&queue, 0, sizeof(queue));
    (void)snprintf(queue.queue, sizeof(queue.queue), "q");
    queue.has_jobs = true;
    numbers.queues = &queue;
    numbers.count = 1;
    length = 0;
    return 0;
}

static void write_page(void)
{
    assert_int_equal(spawn_prometheus_write(&numbers, NOW, keep, NULL), 0);
}

/* A whole line of the page. */
static void has(const char *line)
{
    char wanted[512];

    (void)snprintf(wanted, sizeof(wanted), "\n%s\n", line);
    if (!strstr(text, wanted))
        fail_msg("no line '%s' in:\n%s", line, text);
}

static void label_values_are_escaped(void **state)
{
    (void)state;
    (void)snprintf(queue.queue, sizeof(queue.queue), "a\"b\\c\nd\xff");
    queue.running = 3;
    write_page();
    has("mod_spawn_jobs_running{queue=\"a\\\"b\\\\c\\nd?\"} 3");
}

static void the_longest_name_is_whole(void **state)
{
    char line[512];

    (void)state;
    memset(queue.queue, '"', SPAWN_NAME_MAX);
    (void)strcpy(line, "mod_spawn_jobs_running{queue=\"");
    while (strlen(line) < 30 + 2 * SPAWN_NAME_MAX)
        (void)strcat(line, "\\\"");
    (void)strcat(line, "\"} 0");
    write_page();
    has(line);
}

static void a_histogram_is_one(void **state)
{
    static const spawn_times t = {.sum_us = 1234567,
                                  .count = 9,
                                  .bounds = 2,
                                  .of = {{2500, 4}, {1000000, 7}}};

    (void)state;
    queue.waited = t;
    numbers.commits = t;
    write_page();
    has("# TYPE mod_spawn_wait_seconds histogram\n"
        "mod_spawn_wait_seconds_bucket{queue=\"q\",le=\"0.0025\"} 4\n"
        "mod_spawn_wait_seconds_bucket{queue=\"q\",le=\"1\"} 7\n"
        "mod_spawn_wait_seconds_bucket{queue=\"q\",le=\"+Inf\"} 9\n"
        "mod_spawn_wait_seconds_sum{queue=\"q\"} 1.234567\n"
        "mod_spawn_wait_seconds_count{queue=\"q\"} 9");
    has("mod_spawn_store_commit_seconds_bucket{le=\"0.0025\"} 4");
    has("mod_spawn_store_commit_seconds_sum 1.234567\n"
        "mod_spawn_store_commit_seconds_count 9");
}

static void ends_and_refusals_have_their_words(void **state)
{
    (void)state;
    queue.ended[SPAWN_OUTCOME_TIMED_OUT] = 5;
    queue.refused[SPAWN_E_TOO_BIG] = 2;
    numbers.whole.has_jobs = true;
    numbers.elsewhere[SPAWN_E_UNKNOWN_QUEUE] = 4;
    write_page();
    has("mod_spawn_jobs_total{queue=\"q\",outcome=\"timed_out\"} 5");
    has("mod_spawn_jobs_total{queue=\"q\",outcome=\"exited\"} 0");
    has("mod_spawn_refusals_total{queue=\"q\",reason=\"too_big\"} 2");
    has("mod_spawn_refusals_total{queue=\"q\",reason=\"queue_full\"} 0");
    has("mod_spawn_refusals_total{queue=\"\",reason=\"unknown_queue\"} 4");
    assert_null(strstr(text, "not_dead"));
}

static void what_is_not_known_has_no_sample(void **state)
{
    (void)state;
    queue.has_jobs = false; /* more queues than the broker has places */
    queue.waiting = 2;
    queue.oldest_at = NOW - 1500;
    numbers.pair[SPAWN_PAIR_BROKERS] = 3;
    numbers.pair[SPAWN_PAIR_BROKER_MEMORY] = 4096;
    write_page();
    assert_null(strstr(text, "jobs_total{"));
    assert_null(strstr(text, "\nmod_spawn_wait_seconds"));
    assert_null(strstr(text, "\"spawner\"")); /* it is not shown to us */
    has("mod_spawn_jobs_waiting{queue=\"q\"} 2");
    has("mod_spawn_oldest_waiting_seconds{queue=\"q\"} 1.5");
    has("mod_spawn_restarts_total{process=\"broker\"} 2");
    has("mod_spawn_resident_memory_bytes{process=\"broker\"} 4096");
}

static void a_sink_that_fails_is_not_called_again(void **state)
{
    (void)state;
    calls = 0;
    assert_int_equal(spawn_prometheus_write(&numbers, NOW, refuse, NULL), -7);
    assert_int_equal(calls, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(label_values_are_escaped, set_up),
        cmocka_unit_test_setup(the_longest_name_is_whole, set_up),
        cmocka_unit_test_setup(a_histogram_is_one, set_up),
        cmocka_unit_test_setup(ends_and_refusals_have_their_words, set_up),
        cmocka_unit_test_setup(what_is_not_known_has_no_sample, set_up),
        cmocka_unit_test_setup(a_sink_that_fails_is_not_called_again, set_up)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
