/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The content of a slot of the inbox, of the job that has it: only the next
 * broker or the next pair would notice a fault there.
 */
#include "t/unit/broker_slotted.h"

static void it_has_the_call_as_it_was_sent(void **state)
{
    static const char *const given[] = {"arguments", NULL};
    uint8_t *map;
    unsigned i;

    (void)state;
    reach_a_worker(&the_worker, &template);
    time_stands();
    for (i = 0; i < 2; i++) {
        spawn_wire_header head;
        spawn_message m;

        a_call_runs(given[i]);
        map = slots();
        map[MARK_AT] = 0;
        assert_int_equal(spawn_wire_read_header(map, SLOT_SIZE, &head), 0);
        assert_int_equal(spawn_message_parse(map, SPAWN_WIRE_HEADER + head.body,
                                             SPAWN_FROM_POST, 0, &m, &why),
                         0);
        assert_string_equal(spawn_str_or(&m, SPAWN_A_LABEL, ""), "a call");
        assert_int_equal(spawn_has(&m, SPAWN_A_ARGS), given[i] != NULL);
        if (given[i])
            assert_memory_equal(m.attr[SPAWN_A_ARGS].data, given[i],
                                strlen(given[i]));
        (void)munmap(map, (size_t)SIZE);
        returns_and_is_told();
        is_there();
    }
}

/* Neither its slot nor the ticket could tell the next broker all of it. */
static void one_that_is_too_long_for_its_ticket_is_stored_before(void **state)
{
    static char args[33001];

    (void)state;
    memset(args, 'a', sizeof(args) - 1);
    reach_a_worker(&the_worker, &template);
    time_stands();
    a_call_runs(args);
    the_store_has("1");
}

/* By when its process began, which is not another one with its number. */
static void its_process_is_found_by_another_pair(void **state)
{
    spawn_writer w;

    (void)state;
    child_runs(CHILD_OBEYS);
    begins();
    (void)spawn_id_make(&job);
    submit_program(SPAWN_REPLY_FINISHED);
    expect_id(SPAWN_M_LAUNCH, &job);
    begin(&w, SPAWN_M_STARTED, &job);
    spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)child);
    spawn_put_u64(&w, SPAWN_A_BOOT_STARTED, (uint64_t)child_started);
    send_fds(&w, NULL, 0);
    is_there();
    kill_broker();
    another_spawner();
    start_broker();
    go();
    call_in();
    get();
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_STATE]),
                     SPAWN_STATE_RUNNING);
    child_ends();
    time_goes_on();
    submit_program(SPAWN_REPLY_FINISHED);
    expect_answer(SPAWN_M_JOB);
    assert_true(spawn_has(&message, SPAWN_A_OUTCOME));
}

static void so_is_one_in_the_last_slot(void **state)
{
    static const uint8_t zeros[SLOT_SIZE];
    uint8_t *map, *at, *last;

    (void)state;
    begins();
    (void)spawn_id_make(&job);
    submit_program(SPAWN_REPLY_FINISHED);
    expect_id(SPAWN_M_LAUNCH, &job);
    is_there();
    kill_broker();
    map = slots();
    last = map + SIZE - SLOT_SIZE;
    for (at = map; memcmp(at, zeros, 16) == 0; at += SLOT_SIZE)
        assert_true(at < last);
    assert_true(at < last);
    memcpy(last, at, SLOT_SIZE);
    memset(at, 0, SLOT_SIZE);
    (void)munmap(map, (size_t)SIZE);
    start_broker();
    go();
    expect_id(SPAWN_M_LAUNCH, &job);
}

/* Its process and its start, too, when only its end was told. */
static void an_end_has_all_that_was_told_with_it(void **state)
{
    (void)state;
    begins();
    (void)spawn_id_make(&job);
    submit_program(SPAWN_REPLY_FINISHED);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started_and_exited(&job, 5 << 8);
    expect_answer(SPAWN_M_JOB);
    kill_broker();
    another_spawner();
    start_broker();
    go();
    end_broker();
    expect_sql("SELECT outcome || ' ' || exit_code || ' ' || pid || ' ' ||"
               " started_at FROM job",
               "1 5 4000000 1234");
}

/* It was given up, and the spawner still has it: nobody else ends that. */
static void one_that_was_given_up_is_forgotten(void **state)
{
    (void)state;
    begins();
    (void)spawn_id_make(&job);
    submit_program(SPAWN_REPLY_FINISHED);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started_and_exited(&job, 5 << 8);
    expect_answer(SPAWN_M_JOB);
    kill_broker();
    start_broker();
    say_running(SPAWN_STATE_RUNNING, 4000000, 5000);
    expect_ready();
    expect_id(SPAWN_M_FORGET, &job);
    expect_jobs("4 1 5 -");
}

static void an_end_that_is_found_is_stored_at_once(void **state)
{
    (void)state;
    begins();
    (void)spawn_id_make(&job);
    submit_program(SPAWN_REPLY_FINISHED);
    expect_id(SPAWN_M_LAUNCH, &job);
    kill_broker();
    start_broker();
    say_exited(&job, 0, 5 << 8);
    expect_ready();
    expect_id(SPAWN_M_FORGET, &job);
    expect_jobs("4 1 5 -");
}

/* Of a text only the address could be there: none is written, nor one read. */
static void no_address_is_in_it(void **state)
{
    spawn_inbox_note *note;
    uint8_t *map;

    (void)state;
    make_store_that_fails(NO_INSERT);
    make_inbox();
    reach_go_and_call_in();
    post(&job);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_exited(&job, SPAWN_STEP_EXEC, ENOENT);
    get();
    expect_answer(SPAWN_M_JOB);
    assert_true(spawn_has(&message, SPAWN_A_TEXT));
    kill_broker();
    run_sql("DROP TRIGGER no");
    map = slots();
    note = note_of(map);
    assert_true(note->over);
    assert_null(note->end.text);
    note->end.text = (char *)(uintptr_t)16;
    (void)munmap(map, (size_t)SIZE);
    another_spawner();
    start_broker();
    go();
    end_broker();
    expect_sql("SELECT outcome || ' ' || ifnull(text, '-') FROM job", "5 -");
}

#define STANDS(test)                                                           \
    cmocka_unit_test_setup_teardown(test, set_up_clock, tear_down_clock)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STANDS(it_has_the_call_as_it_was_sent),
        STANDS(one_that_is_too_long_for_its_ticket_is_stored_before),
        STANDS(its_process_is_found_by_another_pair),
        STANDS(so_is_one_in_the_last_slot),
        STANDS(an_end_has_all_that_was_told_with_it),
        STANDS(one_that_was_given_up_is_forgotten),
        STANDS(an_end_that_is_found_is_stored_at_once),
        STANDS(no_address_is_in_it),
    };

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("slot_says", tests, NULL, NULL);
}
