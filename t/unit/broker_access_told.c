/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What SpawnAccess says is told with each queue, as httpd.conf has it, and a
 * submit that it forbids is counted. The protocol of broker_listed.h.
 */
#include "t/unit/broker_listed.h"
#include "t/unit/corner.h"

/* The row of this queue, or its numbers, of an answer that has others, too. */
static uint8_t row_bytes[sizeof(buffer)];
static spawn_message row;

static void ask_for(uint16_t type, const char *queue)
{
    bool found = false;
    spawn_writer w;

    begin(&w, type, NULL);
    if (type == SPAWN_M_QUEUES)
        spawn_put_u64(&w, SPAWN_A_QUEUE_DO, SPAWN_QUEUE_LIST);
    ask(&w);
    while (receive_at(caller, SPAWN_FROM_BROKER) == 1
           && message.header.type != SPAWN_M_END) {
        if (strcmp(spawn_str_or(&message, SPAWN_A_QUEUE, ""), queue) != 0)
            continue;
        memcpy(row_bytes, packet.data, packet.length);
        assert_int_equal(spawn_message_parse(row_bytes, packet.length,
                                             SPAWN_FROM_BROKER, 0, &row, NULL),
                         0);
        found = true;
    }
    assert_true(found);
}

static const char *told_of(const char *queue)
{
    ask_for(SPAWN_M_QUEUES, queue);
    return spawn_has(&row, SPAWN_A_ACCESS_TEXT)
               ? spawn_attr_str(&row.attr[SPAWN_A_ACCESS_TEXT])
               : "-";
}

static void a_queue_tells_all_that_is_said_of_it(void **state)
{
    (void)state;
    say_of(NULL, OTHER, 0, SPAWN_MAY_KILL);
    say_of("other", BACKUP, 0, SPAWN_MAY_SUBMIT | SPAWN_MAY_SEE);
    say_of("other", 0, OPS, SPAWN_MAY_CONTROL);
    reach_go_and_call_in();
    assert_string_equal(told_of("other"),
                        "user=backup:submit,see;group=:control");
}

static void another_one_tells_what_is_said_outside(void **state)
{
    (void)state;
    say_of(NULL, OTHER, 0, SPAWN_MAY_KILL);
    say_of("other", BACKUP, 0, SPAWN_MAY_SEE);
    reach_go_and_call_in();
    assert_string_equal(told_of("default"), "user=backup:kill");
}

static void none_is_told(void **state)
{
    (void)state;
    say_of("other", 0, 0, 0);
    reach_go_and_call_in();
    assert_string_equal(told_of("other"), "none");
}

static void where_nothing_is_said_nothing_is_told(void **state)
{
    (void)state;
    say_of("other", BACKUP, 0, SPAWN_MAY_SEE);
    reach_go_and_call_in();
    assert_string_equal(told_of("default"), "-");
}

static void what_is_no_longer_said_is_not_told(void **state)
{
    (void)state;
    say_of(NULL, BACKUP, 0, SPAWN_MAY_SEE);
    say_of(NULL, 0, OPS, SPAWN_MAY_SEE);
    reach_go_and_call_in();
    said_count = 1;
    configure_again();
    assert_string_equal(told_of("default"), "user=backup:see");
}

static void nor_does_it_count(void **state)
{
    NEEDS_ROOT;
    say_of(NULL, BACKUP, 0, SPAWN_MAY_SEE);
    say_of(NULL, OTHER, 0, SPAWN_MAY_SEE);
    reach_go_and_call_in();
    said_count = 1;
    configure_again();
    connect_with(OTHER, OTHER, 0);
    say_hello();
    expect_refusal(SPAWN_E_NOT_PERMITTED);
}

/* 27 rules of 72 bytes, one that would take the room of the dots with it, and
 * another one. */
static void put_very_many(spawn_writer *w)
{
    static const char name[] =
        "a_name_of_sixty_three_bytes_as_an_account_may_have_it_for_tests";
    unsigned i;

    for (i = 0; i < 29; i++) {
        size_t nest = spawn_open_nest(w, SPAWN_A_ACCESS);

        spawn_put_u64(w, SPAWN_A_UID, BACKUP + i);
        spawn_put_u64(w, SPAWN_A_RIGHTS, SPAWN_MAY_SEE);
        spawn_put_str(w, SPAWN_A_TEXT, i == 27 ? name + 7 : name);
        spawn_close(w, nest);
    }
    put_said(w);
}

static void dots_tell_of_more_than_has_room(void **state)
{
    const char *text;

    (void)state;
    more_rules = put_very_many;
    reach_go_and_call_in();
    text = told_of("default");
    assert_int_equal(strlen(text), 27 * 73 - 1 + 4);
    assert_string_equal(text + 27 * 73 - 1, ";...");
}

static void a_submit_that_it_forbids_is_counted(void **state)
{
    spawn_writer w;

    NEEDS_ROOT;
    say_of("other", BACKUP, 0, SPAWN_MAY_SEE);
    reach_go_and_call_in();
    connect_with(BACKUP, BACKUP, 0);
    say_hello();
    expect_answer(SPAWN_M_WELCOME);
    (void)spawn_id_make(&job);
    begin_submit(&w, &job, "/bin/true");
    spawn_put_str(&w, SPAWN_A_QUEUE, "other");
    ask(&w);
    expect_refusal(SPAWN_E_NOT_PERMITTED);
    ask_for(SPAWN_M_METERS, "other");
    assert_int_equal(
        spawn_u64v_at(&row.attr[SPAWN_A_REFUSALS], SPAWN_E_NOT_PERMITTED), 1);
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up_each, tear_down_all)
    const struct CMUnitTest tests[] = {
        ALONE(a_queue_tells_all_that_is_said_of_it),
        ALONE(another_one_tells_what_is_said_outside),
        ALONE(none_is_told),
        ALONE(where_nothing_is_said_nothing_is_told),
        ALONE(what_is_no_longer_said_is_not_told),
        ALONE(nor_does_it_count),
        ALONE(dots_tell_of_more_than_has_room),
        ALONE(a_submit_that_it_forbids_is_counted),
    };

    find_broker();
    return cmocka_run_group_tests_name("what SpawnAccess says", tests, NULL,
                                       NULL);
}
