/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job that the store does not take, among others of its turn which it takes:
 * it alone is refused, or waits, and each of the others comes to what it would
 * have come to without it. The protocol of broker_calls.h and broker_post.h.
 */
#include "t/unit/broker_calls.h"
#include "t/unit/broker_clock.h"
#include "t/unit/broker_post.h"

#define NO_DATA      "BEFORE INSERT ON input WHEN length(NEW.data) > 100"
#define NO_FIRST_END "BEFORE UPDATE ON job WHEN NEW.state = 4 AND NEW.seq = 1"

static spawn_id ids[3];

static void put_data(spawn_writer *w)
{
    static const uint8_t data[200];

    spawn_put_bytes(w, SPAWN_A_STDIN_DATA, data, sizeof(data));
}

static void submit_one(spawn_id *ret, bool with_data)
{
    spawn_writer w;

    (void)spawn_id_make(ret);
    begin_submit(&w, ret, "/bin/true");
    if (with_data)
        put_data(&w);
    ask(&w);
}

static void only_it_is_told(void)
{
    wait_until_logged("MS0861", 1);
    assert_int_equal(logged("MS0530"), 0);
}

static void others_are_accepted_and_run(void **state)
{
    unsigned bad, i;

    (void)state;
    for (bad = 0; bad < 3; bad++) {
        if (bad)
            assert_int_equal(tear_down_clock(NULL) || set_up_clock(NULL), 0);
        log_is_kept = true;
        make_store_that_fails(NO_DATA);
        reach_go();
        call_in();
        broker_sleeps();
        for (i = 0; i < 3; i++)
            submit_one(&ids[i], i == bad);
        broker_goes_on();
        for (i = 0; i < 3; i++) {
            if (i != bad) {
                expect_answer(SPAWN_M_ACCEPTED);
                continue;
            }
            expect_refusal(SPAWN_E_STORE);
            assert_non_null(strstr(spawn_str_or(&message, SPAWN_A_TEXT, ""),
                                   "constraint failed"));
        }
        for (i = 0; i < 3; i++) {
            if (i != bad)
                expect_id(SPAWN_M_LAUNCH, &ids[i]);
        }
        only_it_is_told();
        submit_one(&ids[bad], false); /* nothing of it is left */
        expect_answer(SPAWN_M_ACCEPTED);
        expect_id(SPAWN_M_LAUNCH, &ids[bad]);
        kill_broker();
        expect_sql("SELECT count(*) FROM job", "3");
    }
}

/* It waits in the inbox, and is tried again. */
static void others_are_posted_and_run(void **state)
{
    spawn_writer w;
    unsigned i;

    (void)state;
    log_is_kept = true;
    make_inbox();
    make_store_that_fails_a_while(NO_DATA);
    reach_ready_and_call_in();
    broker_sleeps();
    for (i = 0; i < 3; i++) {
        (void)spawn_id_make(&ids[i]);
        begin_post(&w, &ids[i], "/bin/true");
        if (i == 0)
            put_data(&w);
        send_post(&w);
    }
    broker_goes_on();
    wait_until_logged("MS0860", 1);
    say(SPAWN_M_GO);
    expect_id(SPAWN_M_LAUNCH, &ids[1]);
    expect_id(SPAWN_M_LAUNCH, &ids[2]);
    only_it_is_told();
    assert_int_equal(logged("MS0860"), 1);
    has_heard();
    quiet_for(1);
    store_takes_again();
    expect_id(SPAWN_M_LAUNCH, &ids[0]);
}

static void others_end(void **state)
{
    unsigned i;

    (void)state;
    log_is_kept = true;
    make_store_that_fails_a_while(NO_FIRST_END);
    reach_go();
    call_in();
    for (i = 0; i < 2; i++) {
        submit_one(&ids[i], false);
        expect_answer(SPAWN_M_ACCEPTED);
        expect_id(SPAWN_M_LAUNCH, &ids[i]);
        say_started(&ids[i]);
    }
    broker_sleeps();
    for (i = 0; i < 2; i++)
        say_exited(&ids[i], 0, 3 << 8);
    broker_goes_on();
    expect_id(SPAWN_M_FORGET, &ids[1]);
    only_it_is_told();
    submit_one(&ids[2], false); /* in a turn with it, too */
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &ids[2]);
    has_heard();
    quiet_for(1);
    store_takes_again();
    expect_id(SPAWN_M_FORGET, &ids[0]);
    end_broker();
    expect_sql("SELECT count(*) FROM job WHERE exit_code = 3", "2");
}

/* While the end of its call is not stored, the spawner keeps the ticket that
 * says who had it. */
static void its_worker_is_not_forgotten(void **state)
{
    struct pollfd p = {-1, POLLIN, 0};
    spawn_id template, id;
    worker w;

    (void)state;
    log_is_kept = true;
    make_store_that_fails_a_while(NO_FIRST_END);
    reach_a_worker(&w, &template);
    p.fd = link_fd;
    submit(&ids[0], SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_call(&w, &ids[0]);
    submit_one(&ids[1], false);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &ids[1]);
    say_started(&ids[1]);
    is_there();
    broker_sleeps();
    say_exited(&w.id, 0, SIGKILL);
    say_exited(&ids[1], 0, 0);
    broker_goes_on();
    do {
        next_message(); /* or the start of another worker */
    } while (message.header.type != SPAWN_M_FORGET);
    assert_true(spawn_has(&message, SPAWN_A_ID));
    spawn_attr_id(&message.attr[SPAWN_A_ID], &id);
    assert_true(spawn_id_equal(&id, &ids[1]));
    has_heard();
    while (poll(&p, 1, 1) == 1) {
        next_message();
        assert_int_not_equal(message.header.type, SPAWN_M_FORGET);
    }
    store_takes_again();
    do {
        next_message();
    } while (message.header.type != SPAWN_M_FORGET);
    memcpy(id.bytes, message.attr[SPAWN_A_IDS].data, SPAWN_ID_SIZE);
    assert_true(spawn_id_equal(&id, &w.id));
}

int main(void)
{
#define ALONE(f)                                                               \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(others_are_accepted_and_run), ALONE(others_are_posted_and_run),
        ALONE(others_end), ALONE(its_worker_is_not_forgotten)};

    find_broker();
    return cmocka_run_group_tests_name("bad jobs", tests, NULL, NULL);
}
