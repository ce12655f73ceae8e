/* SPDX-License-Identifier: Apache-2.0 */
/* The check of a job as it came over the wire: of each limit the first value
 * that is refused and the last that is not, and the field is named. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/spawn_check.h"
#include "common/spawn_field.h"
#include "common/spawn_rule.h"

static spawn_writer w;
static spawn_failure why;

static void begin(const char *argv0, const char *function)
{
    static const spawn_id id = {{1, 2, 3, 4, 5, 6, 0x70, 8, 0x80}};
    size_t mark;

    spawn_writer_free(&w);
    spawn_writer_init(&w, SPAWN_SUBMIT_MAX);
    spawn_writer_begin(&w, SPAWN_M_SUBMIT, 0);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    if (argv0) {
        mark = spawn_open_strv(&w, SPAWN_A_ARGV);
        spawn_add_text(&w, mark, argv0, strlen(argv0));
        spawn_close(&w, mark);
    }
    if (function)
        spawn_put_str(&w, SPAWN_A_FUNCTION, function);
}

static int check(unsigned fds)
{
    spawn_message m;

    memset(&why, 0, sizeof(why));
    assert_int_equal(spawn_writer_finish(&w, fds), 0);
    assert_int_equal(
        spawn_message_parse(w.data, w.length, SPAWN_FROM_CALLER, fds, &m, &why),
        0);
    return spawn_job_check(&m, &why);
}

static void taken(unsigned fds)
{
    if (check(fds) != 0)
        fail_msg("refused: %s", why.text);
}

static void refused(unsigned fds, const char *what)
{
    assert_int_equal(check(fds), -EINVAL);
    assert_int_equal(why.code, SPAWN_E_INVALID);
    assert_int_equal(why.step, SPAWN_STEP_OPTIONS);
    if (!strstr(why.text, what))
        fail_msg("'%s' is not in: %s", what, why.text);
}

static void with_u64(unsigned attr, uint64_t value)
{
    begin("true", NULL);
    spawn_put_u64(&w, (uint16_t)attr, value);
}

static void with_i64(const char *argv0, unsigned attr, int64_t value)
{
    begin(argv0, argv0 ? NULL : "My::f");
    spawn_put_i64(&w, (uint16_t)attr, value);
}

static void with_str(unsigned attr, const char *value)
{
    begin("true", NULL);
    spawn_put_str(&w, (uint16_t)attr, value);
}

static void numbers_have_their_most(void **state)
{
    static const struct {
        unsigned attr;
        uint64_t most;
    } cases[] = {{SPAWN_A_UMASK, 0777},
                 {SPAWN_A_TIMEOUT, SPAWN_DURATION_MAX_MS},
                 {SPAWN_A_GRACE, SPAWN_DURATION_MAX_MS},
                 {SPAWN_A_NO_NEW_PRIVS, 1},
                 {SPAWN_A_LEFTOVERS, SPAWN_LEFTOVERS_KILL},
                 {SPAWN_A_REPLY, SPAWN_REPLY_FINISHED},
                 {SPAWN_A_CAPTURE_LIMIT, SPAWN_CAPTURE_MAX}};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        with_u64(cases[i].attr, 0);
        taken(0);
        with_u64(cases[i].attr, cases[i].most);
        taken(0);
        with_u64(cases[i].attr, cases[i].most + 1);
        refused(0, spawn_attr_name(cases[i].attr));
        with_u64(cases[i].attr, UINT64_MAX);
        refused(0, spawn_attr_name(cases[i].attr));
    }
}

/* The broker sorts them. */
static void an_environment_has_so_many_variables(void **state)
{
    size_t mark;
    int most, i;

    (void)state;
    for (most = SPAWN_ENV_MAX; most <= SPAWN_ENV_MAX + 1; most++) {
        begin("true", NULL);
        mark = spawn_open_strv(&w, SPAWN_A_ENV);
        for (i = 0; i < most; i++)
            spawn_add_text(&w, mark, "A", 1);
        spawn_close(&w, mark);
        if (most == SPAWN_ENV_MAX)
            taken(0);
        else
            refused(0, "env: 16385 are too many; wanted: at most 16384");
    }
}

static void nice_is_from_0_to_19(void **state)
{
    static const int64_t good[] = {0, 1, 19}, bad[] = {-1, 20, INT64_MIN};
    size_t i;

    (void)state;
    for (i = 0; i < 3; i++) {
        with_i64("true", SPAWN_A_NICE, good[i]);
        taken(0);
        with_i64("true", SPAWN_A_NICE, bad[i]);
        refused(0, "nice");
    }
}

static void retry_is_from_0_to_100(void **state)
{
    static const int64_t good[] = {0, 1, 100}, bad[] = {-1, 101, INT64_MIN};
    size_t i;

    (void)state;
    for (i = 0; i < 3; i++) {
        with_i64(NULL, SPAWN_A_RETRY, good[i]);
        taken(0);
        with_i64(NULL, SPAWN_A_RETRY, bad[i]);
        refused(0, "retry");
    }
}

static void with_retry(int64_t retry)
{
    begin("true", NULL);
    spawn_put_i64(&w, SPAWN_A_RETRY, retry);
}

static void what_belongs_to_retry_needs_one(void **state)
{
    static const uint64_t fixed[] = {SPAWN_BACKOFF_FIXED, 1000};
    static const uint64_t from_0[] = {SPAWN_BACKOFF_EXPONENTIAL, 0, 1000};
    static const uint64_t down[] = {SPAWN_BACKOFF_EXPONENTIAL, 2000, 1000};
    static const uint64_t lost[] = {SPAWN_RETRY_ON_LOST};

    (void)state;
    with_retry(1);
    spawn_put_u64v(&w, SPAWN_A_BACKOFF, fixed, 2);
    spawn_put_u64v(&w, SPAWN_A_RETRY_ON, lost, 1);
    taken(0);
    with_retry(0);
    spawn_put_u64v(&w, SPAWN_A_BACKOFF, fixed, 2);
    refused(0, "belong to retry");
    begin("true", NULL);
    spawn_put_u64v(&w, SPAWN_A_RETRY_ON, lost, 1);
    refused(0, "belong to retry");
    with_retry(1);
    spawn_put_u64v(&w, SPAWN_A_RETRY_ON, lost, 0);
    refused(0, "empty");
    with_retry(1);
    spawn_put_u64v(&w, SPAWN_A_BACKOFF, from_0, 3);
    refused(0, "exponential");
    with_retry(1);
    spawn_put_u64v(&w, SPAWN_A_BACKOFF, down, 3);
    refused(0, "exponential");
}

static void handles_go_with_the_first_attempt(void **state)
{
    static const uint64_t five[] = {0, 5};
    const spawn_stdio handle = {SPAWN_STDIO_FD, 0, 0, ""};
    const spawn_stdio data = {SPAWN_STDIO_DATA, 0, 0, ""};

    (void)state;
    with_retry(1);
    spawn_put_stdio(&w, SPAWN_A_STDOUT, &handle);
    refused(1, "handles");
    with_retry(0);
    spawn_put_stdio(&w, SPAWN_A_STDOUT, &handle);
    taken(1);
    with_retry(1);
    spawn_put_u64v(&w, SPAWN_A_FDS, five, 2);
    refused(1, "handles");
    with_retry(1);
    spawn_put_stdio(&w, SPAWN_A_STDIN, &data);
    spawn_put_bytes(&w, SPAWN_A_STDIN_DATA, "x", 1);
    taken(0);
}

static void a_durable_job_has_no_handles_and_is_not_posted(void **state)
{
    spawn_stdio stream = {SPAWN_STDIO_FD, 0, 0, ""};

    (void)state;
    begin("/bin/true", NULL);
    spawn_put_u64(&w, SPAWN_A_DURABLE, 1);
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    taken(0);
    begin("/bin/true", NULL);
    spawn_put_u64(&w, SPAWN_A_DURABLE, 2);
    refused(0, "durable");
    begin("/bin/true", NULL);
    spawn_put_u64(&w, SPAWN_A_DURABLE, 1);
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_POSTED);
    refused(0, "durable");
    begin("/bin/true", NULL);
    spawn_put_u64(&w, SPAWN_A_DURABLE, 1);
    spawn_put_stdio(&w, SPAWN_A_STDOUT, &stream);
    refused(1, "durable");
    begin("/bin/true", NULL);
    spawn_put_u64(&w, SPAWN_A_DURABLE, 0);
    spawn_put_stdio(&w, SPAWN_A_STDOUT, &stream);
    taken(1);
}

static void ionice_is_a_class_and_a_level(void **state)
{
    static const uint64_t good[] = {2 << 8, 2 << 8 | 7, 3 << 8, 3 << 8 | 7};
    static const uint64_t bad[] = {
        0,      1 << 8 | 4, 2 << 8 | 8,         3 << 8 | 8,
        4 << 8, 6 << 8,     1ull << 40 | 2 << 8};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        with_u64(SPAWN_A_IONICE, good[i]);
        taken(0);
    }
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        with_u64(SPAWN_A_IONICE, bad[i]);
        refused(0, "ionice");
    }
}

static void with_map(unsigned attr, const char *one, const char *two)
{
    size_t mark;

    begin("true", NULL);
    mark = spawn_open_strv(&w, (uint16_t)attr);
    spawn_add_text(&w, mark, one, strlen(one));
    if (two)
        spawn_add_text(&w, mark, two, strlen(two));
    spawn_close(&w, mark);
}

static void each_text_of_a_map_has_a_name(void **state)
{
    static const unsigned attrs[] = {SPAWN_A_ENV, SPAWN_A_CONTEXT};
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        const char *name = spawn_attr_name(attrs[i]);

        with_map(attrs[i], "a=1", "b=");
        taken(0);
        with_map(attrs[i], "a=1", "=2");
        refused(0, name);
        with_map(attrs[i], "", "a=1");
        refused(0, name);
        with_map(attrs[i], "=", NULL);
        refused(0, name);
        /* the last one is the last: what lies behind it is not looked at */
        with_map(attrs[i], "a=1234", NULL);
        spawn_put_str(&w, SPAWN_A_LABEL, "x");
        taken(0);
    }
    with_map(SPAWN_A_ENV, "GONE", "a=1"); /* is not to be there */
    taken(0);
    with_map(SPAWN_A_CONTEXT, "a=1", "b");
    refused(0, "context");
}

static void a_label_has_no_control_characters(void **state)
{
    (void)state;
    with_str(SPAWN_A_LABEL, " !~\x80\xff");
    taken(0);
    with_str(SPAWN_A_LABEL, "");
    taken(0);
    with_str(SPAWN_A_LABEL, "x\x1f");
    refused(0, "label");
    with_str(SPAWN_A_LABEL, "x\x7f");
    refused(0, "label");
}

static void queue_and_directory_are_checked(void **state)
{
    (void)state;
    with_str(SPAWN_A_QUEUE, "images");
    taken(0);
    with_str(SPAWN_A_QUEUE, "a/b");
    refused(0, "queue");
    with_str(SPAWN_A_CWD, "/");
    taken(0);
    with_str(SPAWN_A_CWD, "");
    refused(0, "cwd");
    with_str(SPAWN_A_CWD, "./");
    refused(0, "cwd");
}

static void with_stream(unsigned attr, spawn_stdio_how how, const char *path)
{
    const spawn_stdio s = {how, 0, 0, path};

    begin("true", NULL);
    spawn_put_stdio(&w, (uint16_t)attr, &s);
}

static void each_stream_takes_its_own_kinds(void **state)
{
    static const struct {
        unsigned attr;
        const char *good; /* by number */
    } cases[] = {{SPAWN_A_STDIN, "012"},
                 {SPAWN_A_STDOUT, "01245"},
                 {SPAWN_A_STDERR, "012456"}};
    size_t i;
    int how;

    (void)state;
    for (i = 0; i < 3; i++) {
        for (how = SPAWN_STDIO_NULL; how <= SPAWN_STDIO_STDOUT; how++) {
            with_stream(cases[i].attr, (spawn_stdio_how)how, "/x");
            if (strchr(cases[i].good, '0' + how))
                taken(1);
            else
                refused(1, spawn_attr_name(cases[i].attr));
        }
        with_stream(cases[i].attr, SPAWN_STDIO_PATH, "x");
        refused(0, "absolute");
        with_stream(cases[i].attr, SPAWN_STDIO_PATH, "");
        refused(0, spawn_attr_name(cases[i].attr));
    }
    with_stream(SPAWN_A_STDIN, SPAWN_STDIO_DATA, "");
    spawn_put_bytes(&w, SPAWN_A_STDIN_DATA, "data", 4);
    taken(0);
    with_stream(SPAWN_A_STDOUT, SPAWN_STDIO_DATA, "");
    spawn_put_bytes(&w, SPAWN_A_STDIN_DATA, "data", 4);
    refused(0, "stdout");
}

static void with_fds(uint64_t one, uint64_t two)
{
    const uint64_t pairs[] = {0, one, 1, two};

    begin("true", NULL);
    spawn_put_u64v(&w, SPAWN_A_FDS, pairs, 4);
}

static void handles_go_to_3_to_63_each_once(void **state)
{
    (void)state;
    with_fds(3, 63);
    taken(2);
    with_fds(63, 3);
    taken(2);
    with_fds(2, 5);
    refused(2, "fds: 2 ");
    with_fds(5, 64);
    refused(2, "fds: 64 ");
    with_fds(5, UINT64_MAX);
    refused(2, "fds");
    with_fds(5, 5);
    refused(2, "twice");
    with_fds(63, 63);
    refused(2, "twice");
}

static void with_limits(uint64_t one, uint64_t two, unsigned numbers)
{
    const uint64_t pairs[] = {one, 5, two, 5};

    begin("true", NULL);
    spawn_put_u64v(&w, SPAWN_A_LIMITS, pairs, numbers);
    spawn_put_str(&w, SPAWN_A_LABEL, "x"); /* an attribute behind it */
}

static void limits_are_pairs_of_what_can_be_limited(void **state)
{
    uint64_t n;

    (void)state;
    for (n = 1; spawn_limit_resource(n) >= 0; n++) {
        with_limits(n, 1, 4);
        taken(0);
    }
    assert_int_equal(n, 11);
    with_limits(1, 11, 4);
    refused(0, "limits");
    with_limits(1, 0, 4);
    refused(0, "limits");
    with_limits(11, 1, 2);
    refused(0, "limits");
    with_limits(1, 1, 3);
    refused(0, "pairs");
    with_limits(1, 1, 0);
    taken(0);
}

static void a_weight_is_in_its_range(void **state)
{
    static const struct {
        uint64_t value;
        bool good;
    } cases[] = {{0, false},
                 {1, true},
                 {10000, true},
                 {10001, false},
                 {SPAWN_LIMIT_UNLIMITED - 1, false},
                 {SPAWN_LIMIT_UNLIMITED, true}};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const uint64_t pairs[] = {9, cases[i].value, 10, cases[i].value};

        begin("true", NULL);
        spawn_put_u64v(&w, SPAWN_A_LIMITS, pairs, 4);
        if (cases[i].good)
            taken(0);
        else
            refused(0, "limits: tree-weight: wanted: 1 to 10000");
    }
}

static void a_job_is_a_program_or_a_function(void **state)
{
    static const unsigned perls[] = {SPAWN_A_ARGS, SPAWN_A_LOAD,
                                     SPAWN_A_TEMPLATE, SPAWN_A_WANT};
    size_t i, mark;

    (void)state;
    begin("true", NULL);
    taken(0);
    begin(NULL, "My::f");
    taken(0);
    begin("true", "My::f");
    refused(0, "either");
    begin(NULL, NULL);
    refused(0, "either");
    begin("", NULL);
    refused(0, "argv");
    begin(NULL, NULL);
    mark = spawn_open_strv(&w, SPAWN_A_ARGV);
    spawn_close(&w, mark);
    refused(0, "argv");
    for (i = 0; i < 4; i++) {
        begin("true", NULL);
        if (perls[i] == SPAWN_A_ARGS)
            spawn_put_bytes(&w, SPAWN_A_ARGS, "", 0);
        else if (perls[i] == SPAWN_A_WANT)
            spawn_put_u64(&w, SPAWN_A_WANT, 0);
        else
            spawn_put_str(&w, (uint16_t)perls[i], "app");
        refused(0, "is a program");
    }
}

static void a_function_has_a_full_name(void **state)
{
    static const char *const good[] = {"A::b", "_::_", "A1::B2::c_3", "a::B"};
    static const char *const bad[] = {
        "f",     "A::",    "::f",   "A:f",          "A:::f", "A::1f",
        "A::f ", "A-B::f", "1A::f", "A::b\xc3\xa4", "",      "A::b::"};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        begin(NULL, good[i]);
        taken(0);
    }
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        begin(NULL, bad[i]);
        refused(0, "function");
    }
    begin(NULL, "My::f");
    spawn_put_str(&w, SPAWN_A_LOAD, "Module");
    taken(0);
    begin(NULL, "My::f");
    spawn_put_str(&w, SPAWN_A_LOAD, "Module.pm");
    refused(0, "load");
    begin(NULL, "My::f");
    spawn_put_str(&w, SPAWN_A_LOAD, "");
    refused(0, "load");
    begin(NULL, "My::f");
    spawn_put_str(&w, SPAWN_A_TEMPLATE, "report");
    taken(0);
    begin(NULL, "My::f");
    spawn_put_str(&w, SPAWN_A_TEMPLATE, "re port");
    refused(0, "template");
}

static void what_is_wanted_is_void_scalar_or_list(void **state)
{
    static const unsigned added = SPAWN_WANT_OBJECTS | SPAWN_WANT_EARLY;
    unsigned want;

    (void)state;
    for (want = 0; want < 40; want++) {
        begin(NULL, "My::f");
        spawn_put_u64(&w, SPAWN_A_WANT, want);
        if (want <= (added | SPAWN_WANT_LIST)
            && (want & ~added) <= SPAWN_WANT_LIST)
            taken(0);
        else
            refused(0, "want");
    }
}

static void an_id_is_a_uuid7(void **state)
{
    (void)state;
    begin("true", NULL);
    w.data[SPAWN_WIRE_HEADER + 8 + 6] = 0x40;
    refused(0, "id");
}

static void put_tty(uint64_t yes, unsigned how)
{
    spawn_stdio stdin_ = {(uint8_t)how, 0, 0,
                          how == SPAWN_STDIO_PATH ? "/x" : ""};

    spawn_put_u64(&w, SPAWN_A_TTY, yes);
    spawn_put_stdio(&w, SPAWN_A_STDIN, &stdin_);
}

static void a_terminal_is_a_handle_of_a_program(void **state)
{
    (void)state;
    begin("true", NULL);
    put_tty(1, SPAWN_STDIO_FD);
    taken(1);
    begin("true", NULL);
    put_tty(2, SPAWN_STDIO_FD);
    refused(1, "tty: ");
    begin("true", NULL);
    put_tty(1, SPAWN_STDIO_PATH);
    refused(0, "tty: it needs a terminal as stdin");
    begin("true", NULL);
    put_tty(0, SPAWN_STDIO_PATH);
    taken(0);
    with_u64(SPAWN_A_TTY, 1);
    refused(0, "tty: it needs a terminal as stdin");
    begin(NULL, "My::f");
    put_tty(1, SPAWN_STDIO_FD);
    refused(1, "tty: it belongs to programs");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_have_their_most),
        cmocka_unit_test(an_environment_has_so_many_variables),
        cmocka_unit_test(nice_is_from_0_to_19),
        cmocka_unit_test(retry_is_from_0_to_100),
        cmocka_unit_test(what_belongs_to_retry_needs_one),
        cmocka_unit_test(handles_go_with_the_first_attempt),
        cmocka_unit_test(ionice_is_a_class_and_a_level),
        cmocka_unit_test(each_text_of_a_map_has_a_name),
        cmocka_unit_test(a_label_has_no_control_characters),
        cmocka_unit_test(queue_and_directory_are_checked),
        cmocka_unit_test(each_stream_takes_its_own_kinds),
        cmocka_unit_test(handles_go_to_3_to_63_each_once),
        cmocka_unit_test(limits_are_pairs_of_what_can_be_limited),
        cmocka_unit_test(a_weight_is_in_its_range),
        cmocka_unit_test(a_job_is_a_program_or_a_function),
        cmocka_unit_test(a_durable_job_has_no_handles_and_is_not_posted),
        cmocka_unit_test(a_function_has_a_full_name),
        cmocka_unit_test(what_is_wanted_is_void_scalar_or_list),
        cmocka_unit_test(a_terminal_is_a_handle_of_a_program),
        cmocka_unit_test(an_id_is_a_uuid7),
    };
    int failed;

    cmocka_set_message_output(CM_OUTPUT_TAP);
    failed = cmocka_run_group_tests_name("job_check", tests, NULL, NULL);
    spawn_writer_free(&w);
    return failed;
}
