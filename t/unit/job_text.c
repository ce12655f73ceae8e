/* SPDX-License-Identifier: Apache-2.0 */
/* The fields of a job as people write them: what each text means on the wire,
 * and the first that is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/spawn_field.h"
#include "common/spawn_rule.h"

static spawn_writer w;

/* So that what is used without having been set is seen to be wrong. */
static __attribute__((noinline)) void make_stack_dirty(void)
{
    volatile uint8_t room[4096];
    size_t i;

    for (i = 0; i < sizeof(room); i++)
        room[i] = 0xa5;
}

/* The field by this text, taken apart. 0, or negative with why. */
static int put(const char *field, const char *text, spawn_attr *ret,
               spawn_failure *why)
{
    const spawn_field *f = spawn_field_find(field);
    spawn_reader r;
    int rv;

    assert_non_null(f);
    memset(why, 0, sizeof(*why));
    spawn_writer_free(&w);
    spawn_writer_init(&w, SPAWN_REQUEST_MAX);
    spawn_writer_begin(&w, SPAWN_M_SUBMIT, 0);
    make_stack_dirty();
    rv = spawn_field_put_text(&w, f, text, why);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    spawn_reader_init(&r, w.data + SPAWN_WIRE_HEADER,
                      w.length - SPAWN_WIRE_HEADER);
    if (rv) {
        assert_int_equal(spawn_reader_next(&r, ret), 0); /* nothing put */
        return rv;
    }
    assert_int_equal(spawn_reader_next(&r, ret), 1);
    assert_int_equal(ret->id, f->attr);
    return 0;
}

static void numbers_travel_as_what_they_mean(void **state)
{
    static const struct {
        const char *field, *text;
        uint64_t value;
    } cases[] = {{"timeout", "60", 60000},
                 {"timeout", "none", 0},
                 {"timeout", "NONE", 0},
                 {"timeout", "0.5s", 500},
                 {"timeout", "366d", SPAWN_DURATION_MAX_MS},
                 {"grace", "1500ms", 1500},
                 {"grace", "3", 3000},
                 {"umask", "077", 077},
                 {"delay", "90", 90000},
                 {"delay", "2h", 7200000},
                 {"at", "1900000000", 1900000000000},
                 {"at", "2030-01-31T18:30:00+01:00", 1896111000000},
                 {"expires", "10", 10000},
                 {"expires", "2030-01-31T17:30:00Z",
                  1896111000000 | SPAWN_EXPIRES_MOMENT},
                 {"on_conflict", "after", SPAWN_CONFLICT_AFTER},
                 {"unique_for", "ended", SPAWN_UNIQUE_ENDED},
                 {"unique_for", "1ms", 2},
                 {"unique_for", "5", 5000},
                 {"after_failed", "run", SPAWN_AFTER_FAILED_RUN},
                 {"durable", "1", 1},
                 {"umask", "0", 0},
                 {"umask", "17", 15},
                 {"capture_limit", "1k", 1024},
                 {"capture_limit", "2M", 2 << 20},
                 {"no_new_privs", "1", 1},
                 {"no_new_privs", "on", 1},
                 {"no_new_privs", "yes", 1},
                 {"no_new_privs", "true", 1},
                 {"no_new_privs", "0", 0},
                 {"no_new_privs", "off", 0},
                 {"no_new_privs", "no", 0},
                 {"no_new_privs", "false", 0},
                 {"no_new_privs", "", 0},
                 {"ionice", "idle", 3 << 8},
                 {"ionice", "best-effort", 2 << 8 | 4},
                 {"ionice", "best-effort:0", 2 << 8},
                 {"ionice", "best-effort:7", 2 << 8 | 7},
                 {"leftovers", "keep", SPAWN_LEFTOVERS_KEEP},
                 {"leftovers", "kill", SPAWN_LEFTOVERS_KILL},
                 {"reply", "posted", SPAWN_REPLY_POSTED},
                 {"reply", "accepted", SPAWN_REPLY_ACCEPTED},
                 {"reply", "finished", SPAWN_REPLY_FINISHED}};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        spawn_failure why;
        spawn_attr a;

        if (put(cases[i].field, cases[i].text, &a, &why) != 0)
            fail_msg("%s", why.text);
        assert_int_equal(a.kind, SPAWN_KIND_U64);
        if (spawn_attr_u64(&a) != cases[i].value)
            fail_msg("%s '%s' became %llu", cases[i].field, cases[i].text,
                     (unsigned long long)spawn_attr_u64(&a));
    }
}

static void
texts_that_mean_nothing_are_refused_with_what_is_wanted(void **state)
{
    static const struct {
        const char *field, *text, *wanted;
    } cases[] = {
        {"id", "x", "the text of a UUIDv7"},
        {"timeout", "soon", "a number and a unit"},
        {"timeout", ".", "a number and a unit"},
        {"timeout", "367d", "at most a year"},
        {"grace", "none", "a number and a unit"},
        {"umask", "8", "an octal number"},
        {"umask", "", "an octal number"},
        {"umask", "-1", "an octal number"},
        {"umask", "7 ", "an octal number"},
        {"umask", "7777777777777777777777777", "an octal number"},
        {"capture_limit", "x", "K, M or G"},
        {"capture_limit", "1T", "K, M or G"},
        {"capture_limit", "1KB", "K, M or G"},
        {"capture_limit", "99999999999999999999", "K, M or G"},
        {"nice", "x", "a whole number"},
        {"nice", "", "a whole number"},
        {"nice", "-", "a whole number"},
        {"nice", "+1", "a whole number"},
        {"nice", " 1", "a whole number"},
        {"nice", "- 1", "a whole number"},
        {"nice", "1.5", "a whole number"},
        {"nice", "99999999999999999999", "a whole number"},
        {"no_new_privs", "2", "0 or 1"},
        {"no_new_privs", "On", "0 or 1"},
        {"ionice", "", "idle, best-effort or best-effort:0 to"},
        {"ionice", "idle:1", "idle, best-effort or best-effort:0 to"},
        {"ionice", "best", "idle, best-effort or best-effort:0 to"},
        {"ionice", "best-effort4", "idle, best-effort or best-effort:0 to"},
        {"ionice", "best-effort:", "idle, best-effort or best-effort:0 to"},
        {"ionice", "best-effort:8", "idle, best-effort or best-effort:0 to"},
        {"ionice", "best-effort:/", "idle, best-effort or best-effort:0 to"},
        {"ionice", "best-effort:44", "idle, best-effort or best-effort:0 to"},
        {"ionice", "best-efforx:4", "idle, best-effort or best-effort:0 to"},
        {"ionice", "best-effort-4", "idle, best-effort or best-effort:0 to"},
        {"leftovers", "", "keep or kill"},
        {"reply", "later", "posted, accepted, started or finished"},
        {"stdout", "log x", "null, log, capture"},
        {"env", "a=1", "given in another form"},
        {"limits", "cpu=1", "given in another form"},
        {"fds", "3", "given in another form"}};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        spawn_failure why;
        spawn_attr a;
        char start[120];

        if (put(cases[i].field, cases[i].text, &a, &why) != -EINVAL)
            fail_msg("%s '%s' is taken", cases[i].field, cases[i].text);
        assert_int_equal(why.code, SPAWN_E_INVALID);
        (void)snprintf(start, sizeof(start),
                       "%s: '%s' is not allowed; wanted: ", cases[i].field,
                       cases[i].text);
        if (strncmp(why.text, start, strlen(start)) != 0
            || !strstr(why.text + strlen(start), cases[i].wanted))
            fail_msg("not what is wanted: %s", why.text);
    }
}

static void each_field_takes_a_text_or_refuses_it(void **state)
{
    unsigned i;

    (void)state;
    for (i = 0; spawn_field_at(i); i++) {
        const spawn_field *f = spawn_field_at(i);
        spawn_failure why;
        spawn_attr a;

        if (put(f->name, "1 m", &a, &why) != 0 && !strstr(why.text, "wanted: "))
            fail_msg("%s: %s", f->name, why.text);
    }
    assert_true(i > 20);
}

static void whole_numbers_have_a_sign(void **state)
{
    spawn_failure why;
    spawn_attr a;

    (void)state;
    assert_int_equal(put("nice", "-20", &a, &why), 0);
    assert_int_equal(a.kind, SPAWN_KIND_I64);
    assert_true(spawn_attr_i64(&a) == -20);
    assert_int_equal(put("nice", "-5", &a, &why), 0);
    assert_true(spawn_attr_i64(&a) == -5);
    assert_int_equal(put("nice", "7", &a, &why), 0);
    assert_true(spawn_attr_i64(&a) == 7);
    errno = ERANGE; /* of somebody else */
    assert_int_equal(put("nice", "7", &a, &why), 0);
}

static void texts_ids_and_streams_travel_once(void **state)
{
    static const char id_text[] = "0198c0de-0000-7000-8000-000000000001";
    spawn_failure why;
    spawn_stdio s;
    spawn_attr a;
    spawn_id id, same;

    (void)state;
    assert_int_equal(put("id", id_text, &a, &why), 0);
    assert_int_equal(a.kind, SPAWN_KIND_ID);
    spawn_attr_id(&a, &id);
    assert_int_equal(spawn_id_parse(id_text, &same), 0);
    assert_true(spawn_id_equal(&id, &same));
    assert_int_equal(w.length, SPAWN_WIRE_HEADER + 8 + 16);
    assert_int_equal(put("label", "a b", &a, &why), 0);
    assert_string_equal(spawn_attr_str(&a), "a b");
    assert_int_equal(w.length, SPAWN_WIRE_HEADER + 16);
    assert_int_equal(put("cwd", "/tmp", &a, &why), 0);
    assert_string_equal(spawn_attr_str(&a), "/tmp");
    assert_int_equal(put("stdout", ">>/x", &a, &why), 0);
    spawn_attr_stdio(&a, &s);
    assert_int_equal(s.how, SPAWN_STDIO_PATH);
    assert_int_equal(s.flags, SPAWN_STDIO_APPEND);
    assert_string_equal(s.path, "/x");
    assert_int_equal(put("stdout", ">/x", &a, &why), 0);
    spawn_attr_stdio(&a, &s);
    assert_int_equal(s.flags, 0);
    assert_string_equal(s.path, "/x");
    assert_int_equal(put("stdin", "/x", &a, &why), 0);
    spawn_attr_stdio(&a, &s);
    assert_string_equal(s.path, "/x");
    assert_int_equal(put("stderr", "log", &a, &why), 0);
    spawn_attr_stdio(&a, &s);
    assert_int_equal(s.how, SPAWN_STDIO_LOG);
}

static void a_stream_keeps_all_of_its_path(void **state)
{
    spawn_stdio s;

    (void)state;
    assert_int_equal(spawn_parse_stdio("/x", &s), 0);
    assert_string_equal(s.path, "/x");
    assert_int_equal(spawn_parse_stdio("//x", &s), 0);
    assert_string_equal(s.path, "//x");
    assert_int_equal(spawn_parse_stdio("x/y", &s), -EINVAL);
    assert_int_equal(spawn_parse_stdio(">>>/x", &s), -EINVAL);
}

static void durations_have_an_end(void **state)
{
    uint64_t v = 7;

    (void)state;
    assert_int_equal(spawn_parse_time_to("10", 10000, &v), 0);
    assert_int_equal(v, 10000);
    assert_int_equal(spawn_parse_time_to("10001ms", 10000, &v), -ERANGE);
    assert_int_equal(v, 10000);
    assert_int_equal(spawn_parse_time_to("0.4ms", 10000, &v), 0);
    assert_int_equal(v, 1);
    assert_int_equal(spawn_parse_time_to("1.4ms", 10000, &v), 0);
    assert_int_equal(v, 1);
    assert_int_equal(spawn_parse_time_to("1.5ms", 10000, &v), 0);
    assert_int_equal(v, 2);
    assert_int_equal(spawn_parse_time_to(".5", 10000, &v), 0);
    assert_int_equal(v, 500);
    assert_int_equal(spawn_parse_time_to("..5", 10000, &v), -EINVAL);
    assert_int_equal(spawn_parse_time_to("0X10", 10000, &v), -EINVAL);
    errno = ERANGE; /* of somebody else */
    assert_int_equal(spawn_parse_time_to("0", 10000, &v), 0);
    assert_int_equal(v, 0);
}

static void sizes_have_an_end(void **state)
{
    uint64_t v = 7;

    (void)state;
    errno = ERANGE; /* of somebody else */
    assert_int_equal(spawn_parse_size("0", &v), 0);
    assert_int_equal(v, 0);
    assert_int_equal(spawn_parse_size("8589934591G", &v), 0);
    assert_true(v == 8589934591ull << 30);
    assert_int_equal(spawn_parse_size("8589934592G", &v), -ERANGE);
    assert_int_equal(spawn_parse_size("9223372036854775807", &v), 0);
    assert_true(v == INT64_MAX);
    assert_int_equal(spawn_parse_size("9223372036854775808", &v), -ERANGE);
    assert_int_equal(spawn_parse_size("99999999999999999999", &v), -ERANGE);
    assert_true(v == INT64_MAX);
    assert_int_equal(spawn_parse_size("", &v), -EINVAL);
}

static void too_big_is_told_from_wrong(void **state)
{
    uint64_t u = 7;
    int64_t i = 7;

    (void)state;
    assert_int_equal(spawn_parse_octal("7777777777777777777777777", &u),
                     -ERANGE);
    assert_int_equal(spawn_parse_integer("99999999999999999999", &i), -ERANGE);
    assert_int_equal(spawn_parse_integer("-99999999999999999999", &i), -ERANGE);
    assert_int_equal(spawn_parse_integer("9223372036854775807", &i), 0);
    assert_true(i == INT64_MAX);
    errno = ERANGE; /* of somebody else */
    assert_int_equal(spawn_parse_octal("10", &u), 0);
    assert_int_equal(u, 8);
    assert_int_equal(spawn_parse_octal("0x8", &u), -EINVAL);
}

static void words_are_numbers(void **state)
{
    uint64_t v = 7;

    (void)state;
    assert_int_equal(spawn_parse_bool("off", &v), 0);
    assert_int_equal(v, 0);
    v = 7;
    assert_int_equal(spawn_parse_leftovers("keep", &v), 0);
    assert_int_equal(v, SPAWN_LEFTOVERS_KEEP);
    v = 7;
    assert_int_equal(spawn_parse_leftovers("eat", &v), -EINVAL);
    assert_int_equal(spawn_parse_bool("maybe", &v), -EINVAL);
    assert_int_equal(v, 7);
}

static void every_limit_has_a_number(void **state)
{
    static const char *const names[] = {
        "cpu",      "memory",      "files",    "processes",      "core",
        "filesize", "tree-memory", "tree-cpu", "tree-processes", "tree-weight"};
    uint64_t limit = 0, value = 0, seen = 0;
    size_t i;

    (void)state;
    for (i = 0; i < 10; i++) {
        assert_int_equal(spawn_parse_limit(names[i], "2k", &limit, &value), 0);
        assert_in_range(limit, 1, 10);
        assert_int_equal(value, 2048);
        seen |= 1ull << limit;
        assert_true(spawn_limit_resource(limit) >= 0);
    }
    assert_int_equal(seen, 0x7fe);
    assert_int_equal(spawn_limit_resource(11), -EINVAL);
    assert_int_equal(
        spawn_parse_limit("cpu", "99999999999999999999", &limit, &value),
        -ERANGE);
}

static void a_weight_is_of_a_range(void **state)
{
    static const char *const good[] = {"1", "100", "10000", "unlimited"};
    static const char *const bad[] = {"0", "10001", "10K"};
    uint64_t limit = 7, value = 7;
    size_t i;

    (void)state;
    for (i = 0; i < 3; i++) {
        assert_int_equal(
            spawn_parse_limit("tree-weight", bad[i], &limit, &value), -ERANGE);
        assert_int_equal(limit, 7);
        assert_int_equal(value, 7);
    }
    for (i = 0; i < 4; i++)
        assert_int_equal(
            spawn_parse_limit("tree-weight", good[i], &limit, &value), 0);
    assert_int_equal(value, SPAWN_LIMIT_UNLIMITED);
    assert_int_equal(spawn_parse_limit("tree-memory", "0", &limit, &value), 0);
}

static void limits_are_shown_as_people_write_them(void **state)
{
    static const struct {
        const char *name, *value, *shown;
    } cases[] = {{"memory", "2048", "2K"},
                 {"memory", "1500", "1500"},
                 {"memory", "3145728", "3M"},
                 {"core", "0", "0"},
                 {"core", "5G", "5G"},
                 {"filesize", "1024G", "1024G"},
                 {"filesize", "1025K", "1025K"},
                 {"cpu", "2048", "2048"},
                 {"files", "1024", "1024"},
                 {"processes", "1M", "1048576"},
                 {"memory", "unlimited", "unlimited"}};
    uint64_t limit = 0, value = 0;
    char room[32];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(
            spawn_parse_limit(cases[i].name, cases[i].value, &limit, &value),
            0);
        assert_string_equal(spawn_limit_name(limit), cases[i].name);
        assert_string_equal(spawn_limit_text(limit, value, room),
                            cases[i].shown);
    }
    assert_string_equal(spawn_limit_name(11), "?");
    assert_non_null(spawn_limit_name(0));
    assert_string_equal(spawn_limit_name(0), "?");
}

static void lists_travel_whole(void **state)
{
    static const char first[] = "0198c0de-0000-7000-8000-000000000001",
                      second[] = "0198c0de-0000-7000-8000-000000000002";
    char text[2 * sizeof(first)];
    spawn_failure why;
    spawn_id ids[2];
    spawn_attr a;

    (void)state;
    assert_int_equal(put("backoff", "1,5,30", &a, &why), 0);
    assert_int_equal(spawn_u64v_count(&a), 4);
    assert_int_equal(spawn_u64v_at(&a, 0), SPAWN_BACKOFF_LIST);
    assert_int_equal(spawn_u64v_at(&a, 1), 1000);
    assert_int_equal(spawn_u64v_at(&a, 2), 5000);
    assert_int_equal(spawn_u64v_at(&a, 3), 30000);
    assert_int_equal(put("retry_on", "75,1", &a, &why), 0);
    assert_int_equal(spawn_u64v_count(&a), 2);
    assert_int_equal(spawn_u64v_at(&a, 0), SPAWN_RETRY_CODE + 75);
    assert_int_equal(spawn_u64v_at(&a, 1), SPAWN_RETRY_CODE + 1);
    (void)snprintf(text, sizeof(text), "%s,%s", first, second);
    assert_int_equal(put("after", text, &a, &why), 0);
    assert_int_equal(spawn_id_parse(first, &ids[0]), 0);
    assert_int_equal(spawn_id_parse(second, &ids[1]), 0);
    assert_int_equal(a.length, sizeof(ids));
    assert_memory_equal(a.data, ids, sizeof(ids));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_travel_as_what_they_mean),
        cmocka_unit_test(
            texts_that_mean_nothing_are_refused_with_what_is_wanted),
        cmocka_unit_test(each_field_takes_a_text_or_refuses_it),
        cmocka_unit_test(whole_numbers_have_a_sign),
        cmocka_unit_test(texts_ids_and_streams_travel_once),
        cmocka_unit_test(a_stream_keeps_all_of_its_path),
        cmocka_unit_test(durations_have_an_end),
        cmocka_unit_test(sizes_have_an_end),
        cmocka_unit_test(too_big_is_told_from_wrong),
        cmocka_unit_test(words_are_numbers),
        cmocka_unit_test(every_limit_has_a_number),
        cmocka_unit_test(a_weight_is_of_a_range),
        cmocka_unit_test(limits_are_shown_as_people_write_them),
        cmocka_unit_test(lists_travel_whole),
    };
    int failed;

    cmocka_set_message_output(CM_OUTPUT_TAP);
    failed = cmocka_run_group_tests_name("job_text", tests, NULL, NULL);
    spawn_writer_free(&w);
    return failed;
}
