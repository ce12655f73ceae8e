/* SPDX-License-Identifier: Apache-2.0 */
/* The protocol's check: what the tables do not allow is refused by name. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/spawn_proto.h"
#include "common/spawn_release.h"

static spawn_writer w;
static spawn_message m;
static spawn_failure why;

static void begin(uint16_t type)
{
    static const spawn_id id = {{1, 2, 3, 4, 5, 6, 0x70, 8, 0x80}};
    size_t mark;

    spawn_writer_free(&w);
    spawn_writer_init(&w, SPAWN_ANSWER_MAX);
    spawn_writer_begin(&w, type, 5);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    if (type == SPAWN_M_SUBMIT || type == SPAWN_M_POST) {
        mark = spawn_open_strv(&w, SPAWN_A_ARGV);
        spawn_add_text(&w, mark, "/bin/true", 9);
        spawn_close(&w, mark);
    }
}

static int parse(unsigned from, unsigned fds)
{
    assert_int_equal(spawn_writer_finish(&w, fds), 0);
    memset(&why, 0, sizeof(why));
    return spawn_message_parse(w.data, w.length, from, fds, &m, &why);
}

static void a_submit_is_taken_from_a_caller_only(void **state)
{
    (void)state;
    begin(SPAWN_M_SUBMIT);
    assert_int_equal(parse(SPAWN_FROM_CALLER, 0), 0);
    assert_true(spawn_has(&m, SPAWN_A_ARGV));
    assert_int_equal(m.header.seq, 5);
    assert_int_equal(parse(SPAWN_FROM_BROKER_TO_SPAWNER, 0), -EBADMSG);
    assert_int_equal(parse(SPAWN_FROM_PARENT, 0), -EBADMSG);
    assert_int_equal(parse(SPAWN_FROM_POST, 0), -EBADMSG);
    assert_int_equal(why.code, SPAWN_E_PROTOCOL);
}

static void an_unknown_attribute_is_refused_by_number(void **state)
{
    (void)state;
    begin(SPAWN_M_SUBMIT);
    spawn_put_u64(&w, 999, 1);
    assert_int_equal(parse(SPAWN_FROM_CALLER, 0), -EBADMSG);
    assert_non_null(strstr(why.text, "999"));
}

static void an_attribute_of_another_message_is_refused_by_name(void **state)
{
    (void)state;
    begin(SPAWN_M_SUBMIT);
    spawn_put_u64(&w, SPAWN_A_UID, 0);
    assert_int_equal(parse(SPAWN_FROM_CALLER, 0), -EBADMSG);
    assert_non_null(strstr(why.text, "'uid'"));
}

static void a_wrong_kind_a_repeat_and_a_missing_one_are_refused(void **state)
{
    (void)state;
    begin(SPAWN_M_SUBMIT);
    spawn_put_str(&w, SPAWN_A_TIMEOUT, "60");
    assert_int_equal(parse(SPAWN_FROM_CALLER, 0), -EBADMSG);
    assert_non_null(strstr(why.text, "'timeout'"));
    begin(SPAWN_M_SUBMIT);
    spawn_put_u64(&w, SPAWN_A_TIMEOUT, 1);
    spawn_put_u64(&w, SPAWN_A_TIMEOUT, 2);
    assert_int_equal(parse(SPAWN_FROM_CALLER, 0), -EBADMSG);
    assert_non_null(strstr(why.text, "twice"));
    begin(SPAWN_M_WAIT);
    assert_int_equal(parse(SPAWN_FROM_CALLER, 0), -EBADMSG);
    assert_non_null(strstr(why.text, "'wait_for'"));
}

static void too_long_an_attribute_is_refused_as_too_big(void **state)
{
    char name[200];

    (void)state;
    memset(name, 'q', sizeof(name));
    begin(SPAWN_M_SUBMIT);
    spawn_put_strn(&w, SPAWN_A_QUEUE, name, sizeof(name));
    assert_int_equal(parse(SPAWN_FROM_CALLER, 0), -EMSGSIZE);
    assert_int_equal(why.code, SPAWN_E_TOO_BIG);
}

static void descriptors_are_counted_and_indices_checked(void **state)
{
    const spawn_stdio fd1 = {SPAWN_STDIO_FD, 0, 1, ""};
    const uint64_t pair[] = {3, 5};

    (void)state;
    begin(SPAWN_M_SUBMIT);
    spawn_put_stdio(&w, SPAWN_A_STDIN, &fd1);
    assert_int_equal(parse(SPAWN_FROM_CALLER, 2), 0);
    assert_int_equal(parse(SPAWN_FROM_CALLER, 1), -EBADMSG);
    begin(SPAWN_M_SUBMIT);
    spawn_put_u64v(&w, SPAWN_A_FDS, pair, 2);
    assert_int_equal(parse(SPAWN_FROM_CALLER, 3), -EBADMSG);
    assert_int_equal(parse(SPAWN_FROM_CALLER, 4), 0);
    begin(SPAWN_M_SUBMIT);
    spawn_put_u64v(&w, SPAWN_A_FDS, pair, 1);
    assert_int_equal(parse(SPAWN_FROM_CALLER, 4), -EBADMSG);
    begin(SPAWN_M_POST);
    assert_int_equal(parse(SPAWN_FROM_POST, 0), 0);
    assert_int_equal(parse(SPAWN_FROM_POST, 1), -EBADMSG);
    begin(SPAWN_M_SUBMIT);
    assert_int_equal(spawn_writer_finish(&w, 1), 0);
    assert_int_equal(
        spawn_message_parse(w.data, w.length, SPAWN_FROM_CALLER, 0, &m, &why),
        -EBADMSG);
}

static void put_process(unsigned pids)
{
    static const uint64_t numbers[SPAWN_PIDS_MAX + 1];

    spawn_writer_free(&w);
    spawn_writer_init(&w, SPAWN_ANSWER_MAX);
    spawn_writer_begin(&w, SPAWN_M_PROCESS, 5);
    spawn_put_str(&w, SPAWN_A_TEMPLATE, "app");
    spawn_put_u64(&w, SPAWN_A_PROCESS_STATE, SPAWN_PROCESS_READY);
    spawn_put_u64v(&w, SPAWN_A_PIDS, numbers, pids);
}

static void a_process_is_the_brokers_and_names_so_many_jobs(void **state)
{
    (void)state;
    put_process(SPAWN_PIDS_MAX);
    assert_int_equal(parse(SPAWN_FROM_BROKER, 0), 0);
    assert_int_equal(spawn_u64v_count(&m.attr[SPAWN_A_PIDS]), SPAWN_PIDS_MAX);
    assert_int_equal(parse(SPAWN_FROM_CALLER, 0), -EBADMSG);
    put_process(SPAWN_PIDS_MAX + 1);
    assert_int_equal(parse(SPAWN_FROM_BROKER, 0), -EMSGSIZE);
    assert_non_null(strstr(why.text, "'pids'"));
    spawn_writer_begin(&w, SPAWN_M_TEMPLATES, 5);
    assert_int_equal(parse(SPAWN_FROM_CALLER, 0), 0);
    assert_int_equal(parse(SPAWN_FROM_POST, 0), -EBADMSG);
    spawn_put_str(&w, SPAWN_A_TEMPLATE, "app");
    assert_int_equal(parse(SPAWN_FROM_CALLER, 0), -EBADMSG);
}

static void every_process_state_has_a_name(void **state)
{
    (void)state;
    assert_string_equal(spawn_process_name(SPAWN_PROCESS_NONE), "none");
    assert_string_equal(spawn_process_name(SPAWN_PROCESS_LEAVING), "leaving");
    assert_string_equal(spawn_process_name(SPAWN_PROCESS_LEAVING + 1),
                        "unknown");
}

static void a_header_that_lies_about_the_body_is_refused(void **state)
{
    (void)state;
    begin(SPAWN_M_SUBMIT);
    assert_int_equal(parse(SPAWN_FROM_CALLER, 0), 0);
    assert_int_equal(spawn_message_parse(w.data, w.length - 8,
                                         SPAWN_FROM_CALLER, 0, &m, &why),
                     -EBADMSG);
    w.data[2] = 7;
    assert_int_equal(
        spawn_message_parse(w.data, w.length, SPAWN_FROM_CALLER, 0, &m, &why),
        -EPROTONOSUPPORT);
    assert_int_equal(why.code, SPAWN_E_VERSION);
}

static void every_name_and_number_of_the_tables_is_there(void **state)
{
    unsigned i, attrs = 0, messages = 0;

    (void)state;
    for (i = 0; i < SPAWN_A_COUNT; i++)
        attrs += strcmp(spawn_attr_name(i), "unknown") != 0;
    for (i = 0; i < SPAWN_M_COUNT; i++)
        messages += strcmp(spawn_message_name(i), "unknown") != 0;
#define ONE(...) +1
    assert_int_equal(attrs, 0 SPAWN_ATTR_LIST(ONE));
    assert_int_equal(messages, 0 SPAWN_MESSAGE_LIST(ONE));
    assert_string_equal(spawn_attr_name(60000), "unknown");
}

static void the_first_number_that_is_none_is_refused(void **state)
{
    (void)state;
    assert_string_equal(spawn_attr_name(SPAWN_A_COUNT), "unknown");
    assert_string_equal(spawn_message_name(SPAWN_M_COUNT), "unknown");
    assert_int_equal(spawn_message_max(SPAWN_M_COUNT), 0);
    assert_int_equal(spawn_message_max(SPAWN_M_WAIT), 1024 + SPAWN_WIRE_HEADER);
    begin(SPAWN_M_SUBMIT);
    spawn_put_u64(&w, SPAWN_A_COUNT, 1);
    assert_int_equal(parse(SPAWN_FROM_CALLER, 0), -EBADMSG);
    assert_non_null(strstr(why.text, "not known"));
}

static void begin_configure(void)
{
    size_t mark;
    unsigned i;

    spawn_writer_begin(&w, SPAWN_M_CONFIGURE, 5);
    spawn_put_str(&w, SPAWN_A_RELEASE, "1");
    spawn_put_bytes(&w, SPAWN_A_SECRET, "s", 1);
    spawn_put_str(&w, SPAWN_A_STORE_PATH, "/s");
    spawn_put_str(&w, SPAWN_A_SOCKET_PATH, "/s");
    for (i = 0; i < 4; i++) {
        mark = spawn_open_nest(&w, i < 2 ? SPAWN_A_QUEUE_RULES
                                         : SPAWN_A_TEMPLATE_RULES);
        spawn_put_str(&w, i < 2 ? SPAWN_A_QUEUE : SPAWN_A_TEMPLATE,
                      i % 2 ? "second" : "first");
        spawn_close(&w, mark);
    }
}

static void rules_may_repeat_and_the_first_is_at_hand(void **state)
{
    static const uint64_t roles[] = {SPAWN_FD_LISTEN, SPAWN_FD_LOG};

    (void)state;
    begin_configure();
    spawn_put_u64v(&w, SPAWN_A_FD_ROLES, roles, 2);
    assert_int_equal(parse(SPAWN_FROM_PARENT, 2), 0);
    assert_memory_equal(m.attr[SPAWN_A_QUEUE_RULES].data + 8, "first", 6);
    assert_memory_equal(m.attr[SPAWN_A_TEMPLATE_RULES].data + 8, "first", 6);
}

/* A CONFIGURE of this release that knows more than we do: some of it before the
 * release, some behind. */
static int parse_newer(const char *release, bool release_first)
{
    static const uint64_t roles[] = {SPAWN_FD_LISTEN, SPAWN_FD_LOG};
    size_t mark;

    spawn_writer_begin(&w, SPAWN_M_CONFIGURE, 5);
    if (release && release_first)
        spawn_put_str(&w, SPAWN_A_RELEASE, release);
    spawn_put_u64(&w, 999, 1);
    spawn_put_str(&w, SPAWN_A_STORE_PATH, SPAWN_RELEASE);
    if (release && !release_first)
        spawn_put_str(&w, SPAWN_A_RELEASE, release);
    spawn_put_bytes(&w, SPAWN_A_SECRET, "s", 1);
    spawn_put_str(&w, SPAWN_A_SOCKET_PATH, "/s");
    mark = spawn_open_nest(&w, SPAWN_A_QUEUE_RULES);
    spawn_put_str(&w, SPAWN_A_QUEUE, "q");
    spawn_close(&w, mark);
    spawn_put_u64v(&w, SPAWN_A_FD_ROLES, roles, 2);
    spawn_put_u64(&w, SPAWN_A_PID, 1); /* of other messages */
    spawn_put_str(&w, SPAWN_A_COUNT + 1, "new");
    return parse(SPAWN_FROM_PARENT, 2);
}

/* An older spawner has to understand all that it needs for its upgrade. */
static void what_another_release_says_more_is_passed_over(void **state)
{
    (void)state;
    assert_int_equal(parse_newer("1", true), 0);
    assert_string_equal(spawn_str_or(&m, SPAWN_A_RELEASE, ""), "1");
    assert_false(spawn_has(&m, SPAWN_A_PID));
    assert_int_equal(parse_newer("1", false), 0);
    assert_int_equal(parse_newer(SPAWN_RELEASE, true), -EBADMSG);
    assert_non_null(strstr(why.text, "999"));
    assert_int_equal(parse_newer(SPAWN_RELEASE, false), -EBADMSG);
    assert_non_null(strstr(why.text, "999"));
    assert_int_equal(parse_newer(NULL, false), -EBADMSG);
    assert_non_null(strstr(why.text, "999"));
}

static void each_descriptor_has_its_role(void **state)
{
    static const uint64_t roles[] = {SPAWN_FD_LISTEN, SPAWN_FD_LOG};

    (void)state;
    begin_configure();
    spawn_put_u64v(&w, SPAWN_A_FD_ROLES, roles, 2);
    assert_int_equal(parse(SPAWN_FROM_PARENT, 1), -EBADMSG);
    assert_non_null(strstr(why.text, "'fd_roles'"));
    assert_int_equal(parse(SPAWN_FROM_PARENT, 3), -EBADMSG);
}

static void a_broken_body_or_header_is_refused(void **state)
{
    (void)state;
    begin(SPAWN_M_SUBMIT);
    w.data[SPAWN_WIRE_HEADER + 2] = 99; /* the kind of the first attribute */
    assert_int_equal(parse(SPAWN_FROM_CALLER, 0), -EBADMSG);
    assert_non_null(strstr(why.text, "malformed"));
    w.data[0]++;
    memset(&m, 0xff, sizeof(m));
    assert_int_equal(parse(SPAWN_FROM_CALLER, 0), -EBADMSG);
    assert_non_null(strstr(why.text, "not a message"));
    assert_int_equal(m.header.type, 0);
}

static void a_body_has_its_most_bytes_and_no_more(void **state)
{
    static const char text[1100];
    size_t full = SPAWN_WIRE_HEADER + 1024;

    (void)state;
    spawn_writer_begin(&w, SPAWN_M_TEMPLATES, 5);
    spawn_put_bytes(&w, SPAWN_A_OUT, text, 1024 - 8);
    assert_int_equal(w.length, full);
    assert_int_equal(parse(SPAWN_FROM_CALLER, 0), -EBADMSG);
    assert_non_null(strstr(why.text, "does not belong"));
    spawn_writer_begin(&w, SPAWN_M_TEMPLATES, 5);
    spawn_put_bytes(&w, SPAWN_A_OUT, text, 1024);
    assert_int_equal(w.length, full + 8);
    assert_int_equal(parse(SPAWN_FROM_CALLER, 0), -EMSGSIZE);
    assert_int_equal(why.code, SPAWN_E_TOO_BIG);
}

static void a_stored_body_is_checked_as_its_message(void **state)
{
    (void)state;
    begin(SPAWN_M_SUBMIT);
    memset(&m, 0xff, sizeof(m));
    assert_int_equal(spawn_body_parse(w.data + SPAWN_WIRE_HEADER,
                                      w.length - SPAWN_WIRE_HEADER,
                                      SPAWN_M_SUBMIT, 0, &m, &why),
                     0);
    assert_int_equal(m.header.type, SPAWN_M_SUBMIT);
    assert_int_equal(m.header.fds, 0);
    assert_int_equal(m.header.seq, 0);
    assert_int_equal(spawn_body_parse(w.data + SPAWN_WIRE_HEADER,
                                      w.length - SPAWN_WIRE_HEADER,
                                      SPAWN_M_KILL, 0, &m, &why),
                     -EBADMSG);
    memset(&m, 0xff, sizeof(m));
    assert_int_equal(spawn_body_parse(w.data, 0, SPAWN_M_COUNT, 0, &m, &why),
                     -EBADMSG);
    assert_non_null(strstr(why.text, "not known"));
    assert_int_equal(m.header.type, 0);
    assert_int_equal(
        spawn_body_parse(w.data, 0, SPAWN_BODY_QUEUE_RULES, 0, &m, &why),
        -EBADMSG);
    assert_non_null(strstr(why.text, "'queue'"));
    assert_int_equal(
        spawn_body_parse(w.data, 0, SPAWN_BODY_TEMPLATE_RULES, 0, &m, &why),
        -EBADMSG);
    assert_non_null(strstr(why.text, "'template'"));
    assert_int_equal(
        spawn_body_parse(w.data, 0, SPAWN_BODY_VHOST_LOG, 0, &m, &why),
        -EBADMSG);
    assert_non_null(strstr(why.text, "'text'"));
}

/* A nest of this kind with one number in it: what it is parsed as, and what is
 * unknown of it. */
static int parse_nest(uint16_t nest_id, unsigned type, uint16_t id,
                      unsigned *ret_unknown)
{
    spawn_attr nest;
    spawn_reader r;
    size_t mark;

    spawn_writer_begin(&w, SPAWN_M_CONFIGURE, 0);
    mark = spawn_open_nest(&w, nest_id);
    spawn_put_u64(&w, id, 1);
    spawn_close(&w, mark);
    spawn_reader_init(&r, w.data + SPAWN_WIRE_HEADER,
                      w.length - SPAWN_WIRE_HEADER);
    assert_int_equal(spawn_reader_next(&r, &nest), 1);
    *ret_unknown = spawn_nest_unknown(&nest);
    return spawn_body_parse(nest.data, nest.length, type, 0, &m, &why);
}

/* httpd's module may be newer than the broker; attempts are the store's. */
static void what_is_unknown_in_a_nest_is_passed_over(void **state)
{
    static const struct {
        uint16_t id;
        unsigned type;
        const char *missing; /* another attribute that it needs */
    } kinds[] = {
        {SPAWN_A_QUEUE_RULES, SPAWN_BODY_QUEUE_RULES, "no 'queue'"},
        {SPAWN_A_QUEUE_DEFAULTS, SPAWN_BODY_QUEUE_DEFAULTS, NULL},
        {SPAWN_A_TEMPLATE_RULES, SPAWN_BODY_TEMPLATE_RULES, "no 'template'"},
        {SPAWN_A_VHOST_LOG, SPAWN_BODY_VHOST_LOG, "no 'text'"},
        {SPAWN_A_CRON_RULES, SPAWN_BODY_CRON_RULES, "no 'cron'"},
        {SPAWN_A_ATTEMPTS, SPAWN_BODY_ATTEMPT, "is not known"}};
    unsigned unknown, i;

    (void)state;
    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        bool of_configure = kinds[i].type != SPAWN_BODY_ATTEMPT;
        int rv =
            parse_nest(kinds[i].id, kinds[i].type, SPAWN_A_COUNT + 3, &unknown);

        assert_int_equal(unknown, of_configure ? SPAWN_A_COUNT + 3 : 0);
        assert_int_equal(rv, kinds[i].missing ? -EBADMSG : 0);
        if (kinds[i].missing)
            assert_non_null(strstr(why.text, kinds[i].missing));
    }
    assert_int_equal(parse_nest(SPAWN_A_QUEUE_DEFAULTS,
                                SPAWN_BODY_QUEUE_DEFAULTS, SPAWN_A_GRACE,
                                &unknown),
                     0);
    assert_int_equal(unknown, 0);
    assert_int_equal(spawn_u64_or(&m, SPAWN_A_GRACE, 0), 1);
}

static void put_launch(uint64_t boxed, uint16_t in, uint64_t fd, uint64_t keep)
{
    const spawn_stdio s = {SPAWN_STDIO_FD, 0, in, ""};
    const uint64_t fds[] = {fd, 3}, keeps[] = {keep, SPAWN_KEEP_BOARD};
    size_t mark;

    begin(SPAWN_M_LAUNCH);
    mark = spawn_open_strv(&w, SPAWN_A_ENV);
    spawn_close(&w, mark);
    spawn_put_u64(&w, SPAWN_A_BOXED, boxed);
    spawn_put_stdio(&w, SPAWN_A_STDIN, &s);
    spawn_put_u64v(&w, SPAWN_A_FDS, fds, 2);
    spawn_put_u64v(&w, SPAWN_A_KEEP, keeps, 2);
}

/* A kept descriptor came by itself; the last one that came is the box. */
static void a_launch_names_what_came_and_what_is_in_its_box(void **state)
{
    (void)state;
    put_launch(2, SPAWN_FDS_BOXED, SPAWN_FDS_BOXED + 1, 0);
    assert_int_equal(parse(SPAWN_FROM_BROKER_TO_SPAWNER, 1), 0);
    assert_int_equal(parse(SPAWN_FROM_BROKER_TO_SPAWNER, 0), -EBADMSG);
    begin(SPAWN_M_LAUNCH);
    spawn_close(&w, spawn_open_strv(&w, SPAWN_A_ENV));
    spawn_put_u64(&w, SPAWN_A_BOXED, 2);
    spawn_put_stdio(&w, SPAWN_A_STDIN,
                    &(spawn_stdio){SPAWN_STDIO_FD, 0, SPAWN_FDS_BOXED, ""});
    assert_int_equal(parse(SPAWN_FROM_BROKER_TO_SPAWNER, 0),
                     -EBADMSG); /* no box */
    assert_int_equal(parse(SPAWN_FROM_BROKER_TO_SPAWNER, 1), 0);
    put_launch(2, SPAWN_FDS_BOXED + 2, 0, 0);
    assert_int_equal(parse(SPAWN_FROM_BROKER_TO_SPAWNER, 1), -EBADMSG);
    put_launch(2, SPAWN_FDS_BOXED - 1, 0, 0);
    assert_int_equal(parse(SPAWN_FROM_BROKER_TO_SPAWNER, 1), -EBADMSG);
    put_launch(2, 0, SPAWN_FDS_BOXED + 2, 0);
    assert_int_equal(parse(SPAWN_FROM_BROKER_TO_SPAWNER, 1), -EBADMSG);
    put_launch(2, 0, 0, SPAWN_FDS_BOXED);
    assert_int_equal(parse(SPAWN_FROM_BROKER_TO_SPAWNER, 1), -EBADMSG);
    assert_non_null(strstr(why.text, "'keep'"));
    put_launch(SPAWN_JOB_FDS_MAX, SPAWN_FDS_BOXED, 0, 0);
    assert_int_equal(parse(SPAWN_FROM_BROKER_TO_SPAWNER, 1), 0);
    put_launch(SPAWN_JOB_FDS_MAX + 1, SPAWN_FDS_BOXED, 0, 0);
    assert_int_equal(parse(SPAWN_FROM_BROKER_TO_SPAWNER, 1), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_submit_is_taken_from_a_caller_only),
        cmocka_unit_test(an_unknown_attribute_is_refused_by_number),
        cmocka_unit_test(an_attribute_of_another_message_is_refused_by_name),
        cmocka_unit_test(a_wrong_kind_a_repeat_and_a_missing_one_are_refused),
        cmocka_unit_test(too_long_an_attribute_is_refused_as_too_big),
        cmocka_unit_test(descriptors_are_counted_and_indices_checked),
        cmocka_unit_test(a_process_is_the_brokers_and_names_so_many_jobs),
        cmocka_unit_test(the_first_number_that_is_none_is_refused),
        cmocka_unit_test(rules_may_repeat_and_the_first_is_at_hand),
        cmocka_unit_test(what_another_release_says_more_is_passed_over),
        cmocka_unit_test(each_descriptor_has_its_role),
        cmocka_unit_test(a_broken_body_or_header_is_refused),
        cmocka_unit_test(a_body_has_its_most_bytes_and_no_more),
        cmocka_unit_test(a_stored_body_is_checked_as_its_message),
        cmocka_unit_test(what_is_unknown_in_a_nest_is_passed_over),
        cmocka_unit_test(a_launch_names_what_came_and_what_is_in_its_box),
        cmocka_unit_test(every_process_state_has_a_name),
        cmocka_unit_test(a_header_that_lies_about_the_body_is_refused),
        cmocka_unit_test(every_name_and_number_of_the_tables_is_there)};
    int failed;

    cmocka_set_message_output(CM_OUTPUT_TAP);
    failed = cmocka_run_group_tests_name("proto", tests, NULL, NULL);
    spawn_writer_free(&w);
    return failed;
}
