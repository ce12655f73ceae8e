/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handles that come with a job wait with it: the spawner holds them too, and
 * the next broker gets them. The protocol of broker_caller.h.
 */
#include "t/unit/broker_caller.h"

#include "common/spawn_box.h"

static spawn_id job; /* of the test */

static void submit_with_handle(void)
{
    const spawn_stdio in = {SPAWN_STDIO_FD, 0, 0, ""};
    spawn_writer w;
    int fd = spawn_bytes_memfd("handle", "words", 5);

    (void)spawn_id_make(&job);
    begin_submit(&w, &job, "/bin/true");
    spawn_put_stdio(&w, SPAWN_A_STDIN, &in);
    assert_int_equal(spawn_writer_finish(&w, 1), 0);
    assert_int_equal(spawn_packet_send(caller, w.data, w.length, &fd, 1), 0);
    spawn_writer_free(&w);
    (void)close(fd);
    expect_answer(SPAWN_M_ACCEPTED);
}

/* A box of one with the words; it stays open: ret. */
static int expect_box(unsigned type)
{
    char words[8] = "";
    int fd = -1, box;

    expect_id(type, &job);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_BOXED, 0), 1);
    assert_int_equal(packet.fds_count, 1);
    box = packet.fds[0];
    packet.fds[0] = -1;
    assert_int_equal(spawn_box_look(box, &fd, 1), 1);
    assert_int_equal(pread(fd, words, sizeof(words), 0), 5);
    assert_string_equal(words, "words");
    (void)close(fd);
    return box;
}

/* The broker has none of them any more: what closes them may take a moment. */
static void none_is_open(void)
{
    int64_t end = spawn_mono_ms() + DEADLINE_MS;

    while (has_open("memfd:handle") > 0 && spawn_mono_ms() < end)
        (void)usleep(1000);
    assert_int_equal(has_open("memfd:handle"), 0);
}

static void handles_are_held_until_their_job_has_them(void **state)
{
    (void)state;
    ONLY_ROOT_LOOKS;
    reach_go_and_call_in();
    submit_with_handle();
    (void)close(expect_box(SPAWN_M_HOLD));
    (void)close(expect_box(SPAWN_M_LAUNCH));
    expect_id(SPAWN_M_RELEASE, &job);
    none_is_open();
    end_broker();
    expect_sql("SELECT fds FROM job", "1");
}

/* An order may come back, and has to have them when it is given again. */
static void handles_of_a_function_are_held_until_its_end(void **state)
{
    const spawn_stdio in = {SPAWN_STDIO_FD, 0, 0, ""};
    int fd = spawn_bytes_memfd("handle", "words", 5);
    spawn_id template;
    spawn_writer w;

    (void)state;
    reach_a_template(&template);
    begin_function(&w, &job);
    spawn_put_stdio(&w, SPAWN_A_STDIN, &in);
    assert_int_equal(spawn_writer_finish(&w, 1), 0);
    assert_int_equal(spawn_packet_send(caller, w.data, w.length, &fd, 1), 0);
    spawn_writer_free(&w);
    (void)close(fd);
    expect_id(SPAWN_M_HOLD, &job);
    expect_order(&job, &template);
    say_exited(&job, SPAWN_STEP_TEMPLATE, EAGAIN);
    expect_id(SPAWN_M_FORGET, &job);
    (void)close(expect_box(SPAWN_M_HOLD)); /* it waits, and never without */
    expect_order(&job, &template);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_BOXED, 0), 1);
    say_started(&job);
    say_exited(&job, 0, 0);
    do {
        next_message();
    } while (message.header.type == SPAWN_M_FORGET);
    assert_int_equal(message.header.type, SPAWN_M_RELEASE);
}

static void handles_of_a_job_that_is_cancelled_are_let_go(void **state)
{
    spawn_writer w;

    (void)state;
    ONLY_ROOT_LOOKS;
    start_broker();
    expect_ready();
    call_in();
    submit_with_handle();
    (void)close(expect_box(SPAWN_M_HOLD));
    begin(&w, SPAWN_M_KILL, &job);
    ask(&w);
    expect_answer(SPAWN_M_DONE);
    expect_id(SPAWN_M_RELEASE, &job);
    none_is_open();
}

static void handles_of_a_job_that_cannot_be_stored_are_let_go(void **state)
{
    const spawn_stdio in = {SPAWN_STDIO_FD, 0, 0, ""};
    spawn_writer w;
    int fd = spawn_bytes_memfd("handle", "words", 5);

    (void)state;
    ONLY_ROOT_LOOKS;
    make_store_that_fails(NO_INSERT);
    reach_go_and_call_in();
    (void)spawn_id_make(&job);
    begin_submit(&w, &job, "/bin/true");
    spawn_put_stdio(&w, SPAWN_A_STDIN, &in);
    assert_int_equal(spawn_writer_finish(&w, 1), 0);
    assert_int_equal(spawn_packet_send(caller, w.data, w.length, &fd, 1), 0);
    spawn_writer_free(&w);
    (void)close(fd);
    expect_refusal(SPAWN_E_STORE);
    (void)close(expect_box(SPAWN_M_HOLD));
    expect_id(SPAWN_M_RELEASE, &job);
    none_is_open();
}

static void say_held(int box)
{
    spawn_writer w;

    begin(&w, SPAWN_M_HELD, &job);
    spawn_put_u64(&w, SPAWN_A_BOXED, 1);
    send_fds(&w, &box, 1);
}

static void the_next_broker_gets_what_is_held(void **state)
{
    int box;

    (void)state;
    start_broker();
    expect_ready();
    call_in();
    submit_with_handle();
    box = expect_box(SPAWN_M_HOLD);
    kill_broker();
    start_broker();
    say_held(box);
    expect_ready();
    say(SPAWN_M_GO);
    (void)close(expect_box(SPAWN_M_LAUNCH));
    expect_id(SPAWN_M_RELEASE, &job);
    (void)close(box);
}

/* A spawner of a release before this one holds them one by one. */
static void handles_that_are_in_no_box_are_taken_too(void **state)
{
    spawn_writer w;
    int fd = spawn_bytes_memfd("handle", "words", 5);

    (void)state;
    start_broker();
    expect_ready();
    call_in();
    submit_with_handle();
    (void)close(expect_box(SPAWN_M_HOLD));
    kill_broker();
    start_broker();
    begin(&w, SPAWN_M_HELD, &job);
    send_fds(&w, &fd, 1);
    expect_ready();
    say(SPAWN_M_GO);
    (void)close(expect_box(SPAWN_M_LAUNCH));
    expect_id(SPAWN_M_RELEASE, &job);
    (void)close(fd);
}

static void fewer_or_more_handles_than_there_were_fail_their_job(void **state)
{
    const int fds[2] = {spawn_bytes_memfd("handle", "words", 5),
                        spawn_bytes_memfd("handle", "words", 5)};
    int box = spawn_box_make(fds, 2);

    (void)state;
    start_broker();
    expect_ready();
    call_in();
    submit_with_handle();
    (void)close(expect_box(SPAWN_M_HOLD));
    kill_broker();
    start_broker();
    say_held(box);
    expect_ready();
    say(SPAWN_M_GO);
    expect_id(SPAWN_M_RELEASE, &job);
    end_broker();
    (void)close(fds[0]);
    (void)close(fds[1]);
    (void)close(box);
    expect_sql("SELECT outcome || ' ' || step FROM job", "5 30");
}

static void handles_that_are_gone_fail_their_job(void **state)
{
    (void)state;
    start_broker();
    expect_ready();
    call_in();
    submit_with_handle();
    (void)close(expect_box(SPAWN_M_HOLD));
    (void)close(caller);
    caller = -1;
    end_broker();
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    end_broker();
    expect_sql("SELECT outcome || ' ' || step || ' ' || errno FROM job",
               "5 30 9");
    expect_sql(
        "SELECT text LIKE '%did not outlive the server''s stop' FROM job", "1");
}

static void what_is_held_for_nobody_is_let_go(void **state)
{
    int fd = spawn_bytes_memfd("handle", "words", 5);
    int box = spawn_box_make(&fd, 1);

    (void)state;
    (void)spawn_id_make(&job);
    start_broker();
    say_held(box);
    say(SPAWN_M_TABLE_END);
    expect_id(SPAWN_M_RELEASE, &job);
    expect(SPAWN_M_BROKER_READY);
    (void)close(box);
    (void)close(fd);
}

/* It fails when httpd is stopped before it starts: who reads the log, and who
 * asks for its status, is told. */
static void a_job_that_waits_with_handles_is_warned_of(void **state)
{
    spawn_writer w;

    (void)state;
    queue_jobs = 1;
    log_is_kept = true;
    reach_go_and_call_in();
    submit_with_handle();
    expect_id(SPAWN_M_HOLD, &job);
    expect_id(SPAWN_M_LAUNCH, &job);
    assert_int_equal(logged("MS0670"), 0);
    expect_id(SPAWN_M_RELEASE, &job);
    submit_with_handle();
    expect_id(SPAWN_M_HOLD, &job);
    begin(&w, SPAWN_M_GET, &job);
    ask(&w);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(logged("MS0670"), 1);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_HANDLES, 0), 1);
    (void)spawn_id_make(&job);
    submit_as(&job, "/bin/true"); /* it waits, without any */
    expect_answer(SPAWN_M_ACCEPTED);
    assert_int_equal(logged("MS0670"), 1);
}

/* At an upgrade; the spawner is behind, and the link takes no more. */
static void a_broker_that_quits_has_them_held_first(void **state)
{
    enum {
        MANY = 400
    };
    unsigned held = 0, i;
    struct pollfd p;
    int status;

    (void)state;
    queue_waits = MANY;
    reach_ready_and_call_in();
    for (i = 0; i < MANY; i++)
        submit_with_handle();
    say(SPAWN_M_QUIT);
    p = (struct pollfd){link_fd, POLLIN, 0};
    while (poll(&p, 1, DEADLINE_MS) == 1
           && spawn_packet_receive(link_fd, buffer, sizeof(buffer), &packet)
                  == 1) {
        assert_int_equal(spawn_message_parse(packet.data, packet.length,
                                             SPAWN_FROM_BROKER_TO_SPAWNER,
                                             packet.fds_count, &message, &why),
                         0);
        held += message.header.type == SPAWN_M_HOLD;
        spawn_packet_close(&packet);
    }
    assert_int_equal(held, MANY);
    assert_int_equal(waitpid(broker, &status, 0), broker);
    assert_int_equal(status, 0);
    broker = 0;
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down_all)
    const struct CMUnitTest tests[] = {
        ALONE(handles_are_held_until_their_job_has_them),
        ALONE(handles_of_a_function_are_held_until_its_end),
        ALONE(handles_of_a_job_that_is_cancelled_are_let_go),
        ALONE(handles_of_a_job_that_cannot_be_stored_are_let_go),
        ALONE(the_next_broker_gets_what_is_held),
        ALONE(handles_that_are_in_no_box_are_taken_too),
        ALONE(fewer_or_more_handles_than_there_were_fail_their_job),
        ALONE(handles_that_are_gone_fail_their_job),
        ALONE(what_is_held_for_nobody_is_let_go),
        ALONE(a_job_that_waits_with_handles_is_warned_of),
        ALONE(a_broker_that_quits_has_them_held_first)};

    find_broker();
    return cmocka_run_group_tests_name("broker handles", tests, NULL, NULL);
}
