/* SPDX-License-Identifier: Apache-2.0 */
/* The fields of a job: their text forms, and values that are refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "common/spawn_check.h"
#include "common/spawn_field.h"
#include "common/spawn_name.h"

static void durations(void **state)
{
    static const struct {
        const char *text;
        int rv;
        uint64_t ms;
    } cases[] = {
        {"60", 0, 60000},     {"0", 0, 0},          {"1.5", 0, 1500},
        {"250ms", 0, 250},    {"2m", 0, 120000},    {"1h", 0, 3600000},
        {"1d", 0, 86400000},  {"0.0001", 0, 1},     {"", -EINVAL, 0},
        {"-1", -EINVAL, 0},   {"x", -EINVAL, 0},    {"1w", -EINVAL, 0},
        {"0x10", -EINVAL, 0}, {"1e99", -ERANGE, 0}, {"1e-400", 0, 1},
        {"1e-400ms", 0, 1},   {"400d", -ERANGE, 0}, {"nan", -EINVAL, 0},
        {"inf", -EINVAL, 0},  {"5min", 0, 300000},  {"5mi", 0, 300000},
        {"5M", 0, 300000},    {"5Min", 0, 300000},  {"5S", 0, 5000},
        {"5sec", -EINVAL, 0}, {"5 s", -EINVAL, 0},  {"none", -EINVAL, 0}};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t ms = 12345;

        assert_int_equal(spawn_parse_duration(cases[i].text, &ms), cases[i].rv);
        assert_int_equal(ms, cases[i].rv ? 12345 : cases[i].ms);
    }
}

static void sizes(void **state)
{
    uint64_t v = 0;

    (void)state;
    assert_int_equal(spawn_parse_size("512M", &v), 0);
    assert_true(v == 512ull << 20);
    assert_int_equal(spawn_parse_size("3k", &v), 0);
    assert_int_equal(v, 3072);
    assert_int_equal(spawn_parse_size("7", &v), 0);
    assert_int_equal(v, 7);
    assert_int_equal(spawn_parse_size("1MB", &v), -EINVAL);
    assert_int_equal(spawn_parse_size("-1", &v), -EINVAL);
    assert_int_equal(spawn_parse_size("99999999999999G", &v), -ERANGE);
    assert_int_equal(spawn_parse_size("99999999999999999999", &v), -ERANGE);
}

static void streams(void **state)
{
    spawn_stdio s;

    (void)state;
    assert_int_equal(spawn_parse_stdio(">>/var/log/x", &s), 0);
    assert_int_equal(s.how, SPAWN_STDIO_PATH);
    assert_int_equal(s.flags, SPAWN_STDIO_APPEND);
    assert_string_equal(s.path, "/var/log/x");
    assert_int_equal(spawn_parse_stdio(">/x", &s), 0);
    assert_int_equal(s.flags, 0);
    assert_int_equal(spawn_parse_stdio("capture", &s), 0);
    assert_int_equal(s.how, SPAWN_STDIO_CAPTURE);
    assert_int_equal(spawn_parse_stdio("relative", &s), -EINVAL);
    assert_int_equal(spawn_parse_stdio(">>", &s), -EINVAL);
    assert_int_equal(spawn_parse_stdio("", &s), -EINVAL);
}

static void limits(void **state)
{
    uint64_t limit, value;

    (void)state;
    assert_int_equal(spawn_parse_limit("memory", "1G", &limit, &value), 0);
    assert_int_equal(spawn_limit_resource(limit), RLIMIT_AS);
    assert_true(value == 1ull << 30);
    assert_int_equal(spawn_parse_limit("core", "unlimited", &limit, &value), 0);
    assert_true(value == SPAWN_LIMIT_UNLIMITED);
    assert_int_equal(spawn_parse_limit("ram", "1G", &limit, &value), -EINVAL);
    assert_int_equal(spawn_parse_limit("cpu", "x", &limit, &value), -EINVAL);
    assert_int_equal(spawn_limit_resource(0), -EINVAL);
    assert_int_equal(spawn_limit_resource(77), -EINVAL);
}

static void queue_names(void **state)
{
    char name[70];

    (void)state;
    memset(name, 'a', sizeof(name));
    name[64] = '\0';
    assert_true(spawn_queue_name_ok(name));
    name[64] = 'a';
    name[65] = '\0';
    assert_false(spawn_queue_name_ok(name));
    assert_true(spawn_queue_name_ok("images-2.x_y"));
    assert_false(spawn_queue_name_ok(""));
    assert_false(spawn_queue_name_ok(".x"));
    assert_false(spawn_queue_name_ok("-x"));
    assert_false(spawn_queue_name_ok("a b"));
    assert_false(spawn_queue_name_ok("\xc3\xa4"));
}

static void ids_of_requests(void **state)
{
    char id[300];

    (void)state;
    assert_true(spawn_request_id_ok("a"));
    assert_true(spawn_request_id_ok("!~"));
    assert_false(spawn_request_id_ok(""));
    assert_false(spawn_request_id_ok("a b"));
    assert_false(spawn_request_id_ok("a\x7f"));
    memset(id, 'a', sizeof(id));
    id[256] = '\0';
    assert_true(spawn_request_id_ok(id));
    id[256] = 'a';
    id[257] = '\0';
    assert_false(spawn_request_id_ok(id));
}

/* A job with one more field, given as text, as the front ends do. */
static int check_with(const char *field, const char *value, spawn_failure *why)
{
    spawn_message m;
    spawn_writer w;
    spawn_id id;
    size_t mark;
    int rv;

    spawn_writer_init(&w, SPAWN_REQUEST_MAX);
    spawn_writer_begin(&w, SPAWN_M_SUBMIT, 0);
    assert_int_equal(spawn_id_make(&id), 0);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    mark = spawn_open_strv(&w, SPAWN_A_ARGV);
    spawn_add_text(&w, mark, "true", 4);
    spawn_close(&w, mark);
    if (field && (!strcmp(field, "backoff") || !strcmp(field, "retry_on")))
        spawn_put_i64(&w, SPAWN_A_RETRY, 1); /* they belong to it */
    rv = field ? spawn_field_put_text(&w, spawn_field_find(field), value, why)
               : 0;
    if (rv == 0) {
        assert_int_equal(spawn_writer_finish(&w, 0), 0);
        rv = spawn_message_parse(w.data, w.length, SPAWN_FROM_CALLER, 0, &m,
                                 why);
    }
    if (rv == 0)
        rv = spawn_job_check(&m, why);
    spawn_writer_free(&w);
    return rv;
}

static void good_values_pass(void **state)
{
    static const char *const good[][2] = {{"queue", "images"},
                                          {"cwd", "/tmp"},
                                          {"umask", "077"},
                                          {"stdout", ">>/tmp/x"},
                                          {"stderr", "stdout"},
                                          {"stdin", "null"},
                                          {"timeout", "60"},
                                          {"grace", "0.5"},
                                          {"nice", "19"},
                                          {"ionice", "idle"},
                                          {"no_new_privs", "1"},
                                          {"leftovers", "kill"},
                                          {"reply", "finished"},
                                          {"label", "a word"},
                                          {"capture_limit", "16M"},
                                          {"priority", "-100"},
                                          {"delay", "366d"},
                                          {"at", "4102444800"},
                                          {"expires", "1ms"},
                                          {"unique", "a key"},
                                          {"backoff", "exponential:1:300"},
                                          {"backoff", "1,5,30"},
                                          {"backoff", "0"},
                                          {"retry_on", "failed, 75"}};
    spawn_failure why;
    size_t i;

    (void)state;
    assert_int_equal(check_with(NULL, NULL, &why), 0);
    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_int_equal(check_with(good[i][0], good[i][1], &why), 0);
}

static void bad_values_are_refused_with_the_fields_name(void **state)
{
    static const char *const bad[][2] = {{"id", "1"},
                                         {"queue", "a b"},
                                         {"cwd", "tmp"},
                                         {"umask", "9"},
                                         {"umask", "1000"},
                                         {"stdin", "log"},
                                         {"stdin", "capture"},
                                         {"stdout", "stdout"},
                                         {"stdout", "x"},
                                         {"timeout", "soon"},
                                         {"grace", "-1"},
                                         {"nice", "-1"},
                                         {"nice", "20"},
                                         {"ionice", "realtime"},
                                         {"ionice", "best-effort:8"},
                                         {"no_new_privs", "maybe"},
                                         {"leftovers", "eat"},
                                         {"reply", "later"},
                                         {"label", "a\nb"},
                                         {"capture_limit", "17M"},
                                         {"priority", "101"},
                                         {"delay", "367d"},
                                         {"delay", "-1"},
                                         {"at", "tomorrow"},
                                         {"at", "2030-01-31T17:30:00"},
                                         {"expires", "soon"},
                                         {"expires", "0"},
                                         {"unique", ""},
                                         {"unique", "a\nb"},
                                         {"on_conflict", "keep"},
                                         {"on_conflict", "fight"},
                                         {"unique_for", "ended"},
                                         {"unique_for", "0"},
                                         {"after", "1"},
                                         {"after_failed", "run"},
                                         {"backoff", ""},
                                         {"backoff", "fixed:1,2"},
                                         {"backoff", "exponential:x"},
                                         {"backoff", "1,,2"},
                                         {"retry_on", "never"},
                                         {"retry_on", "256"}};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        spawn_failure why;

        memset(&why, 0, sizeof(why));
        assert_int_equal(check_with(bad[i][0], bad[i][1], &why), -EINVAL);
        assert_int_equal(why.code, SPAWN_E_INVALID);
        if (!strstr(why.text, bad[i][0]))
            fail_msg("'%s' is not named in: %s", bad[i][0], why.text);
    }
}

/* Of each stream only what that stream takes is offered. */
static void a_bad_stream_is_told_what_it_takes(void **state)
{
    static const struct {
        const char *field, *value, *wanted, *never;
    } cases[] = {
        {"stdin", "data", "null or an absolute path", "capture"},
        {"stdin", "capture", "null or an absolute path", "log"},
        {"stdin", "stdout", "null or an absolute path", "capture"},
        {"stdin", ">/tmp/x", "null or an absolute path", "before it"},
        {"stdin", ">>/tmp/x", "null or an absolute path", "before it"},
        {"stdout", "x", "null, log, capture or an absolute path", "stdout or"},
        {"stdout", "stdout", "null, log, capture or an absolute path",
         "stdout or"},
        {"stderr", "x", "null, log, capture, stdout or an absolute path",
         "data"}};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char start[64];
        spawn_failure why;

        memset(&why, 0, sizeof(why));
        assert_int_equal(check_with(cases[i].field, cases[i].value, &why),
                         -EINVAL);
        (void)snprintf(start, sizeof(start),
                       "%s: '%s' is not allowed; wanted: ", cases[i].field,
                       cases[i].value);
        if (strncmp(why.text, start, strlen(start)) != 0
            || !strstr(why.text, cases[i].wanted)
            || strstr(why.text, cases[i].never))
            fail_msg("not what is wanted: %s", why.text);
    }
}

static void every_field_has_a_wire_attribute_of_the_same_name(void **state)
{
    const spawn_field *f;
    unsigned i;

    (void)state;
    for (i = 0; (f = spawn_field_at(i)) != NULL; i++) {
        assert_string_equal(f->name, spawn_attr_name(f->attr));
        assert_ptr_equal(spawn_field_find(f->name), f);
    }
    assert_null(spawn_field_find("colour"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations),
        cmocka_unit_test(sizes),
        cmocka_unit_test(streams),
        cmocka_unit_test(limits),
        cmocka_unit_test(queue_names),
        cmocka_unit_test(ids_of_requests),
        cmocka_unit_test(good_values_pass),
        cmocka_unit_test(bad_values_are_refused_with_the_fields_name),
        cmocka_unit_test(a_bad_stream_is_told_what_it_takes),
        cmocka_unit_test(every_field_has_a_wire_attribute_of_the_same_name)};

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("job", tests, NULL, NULL);
}
