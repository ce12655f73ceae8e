/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workers that the broker before has left: of the descriptors that the spawner
 * keeps for each of them, some may be missing or damaged. The protocol of
 * broker_calls.h.
 */
#include "t/unit/broker_stepped.h"

#include "t/unit/broker_child.h"

static spawn_id template;
static worker it;

enum {
    BOARD = 1,
    LINK = 2,
    TICKET = 4,
    ERR = 8,
    ALL = 15
};

static void (*more_of_table)(void); /* more rows, of the next one */

/* it: told as `state`, with these of what is kept; then all is known. */
static void find_it(spawn_state state, unsigned what, pid_t pid, int64_t ago)
{
    static const uint64_t roles[] = {SPAWN_KEEP_BOARD, SPAWN_KEEP_WORKER,
                                     SPAWN_KEEP_TICKET, SPAWN_KEEP_ERR_PIPE};
    uint64_t keep[10] = {0, 9}; /* a role that nobody knows comes first */
    spawn_writer said;
    unsigned count = 1, i;
    int fds[5];

    kill_broker();
    start_broker();
    say_running_app(&template);
    fds[0] = it.kept[0];
    for (i = 0; i < 4; i++) {
        if (!(what & 1u << i))
            continue;
        keep[2 * (size_t)count] = count;
        keep[2 * (size_t)count + 1] = roles[i];
        fds[count++] = it.kept[i];
    }
    begin(&said, SPAWN_M_RUNNING, &it.id);
    spawn_put_u64(&said, SPAWN_A_STATE, state);
    spawn_put_u64(&said, SPAWN_A_IS_WORKER, 1);
    if (pid) {
        spawn_put_u64(&said, SPAWN_A_PID, (uint64_t)pid);
        spawn_put_u64(&said, SPAWN_A_MONO_STARTED,
                      (uint64_t)(spawn_mono_ms() - ago));
        spawn_put_u64(&said, SPAWN_A_BOOT_STARTED,
                      (uint64_t)(spawn_boot_ms() - ago));
    }
    if (what)
        spawn_put_u64v(&said, SPAWN_A_KEEP, keep, 2 * count);
    send_fds(&said, fds, what ? count : 0);
    if (more_of_table)
        more_of_table();
    more_of_table = NULL;
    expect_ready();
    say(SPAWN_M_GO);
    call_in();
}

static void it_has_ended(void)
{
    say_exited(&it.id, 0, 6 << 8);
}

static void it_is_orphaned(void)
{
    spawn_writer said;

    begin(&said, SPAWN_M_ORPHANED, &it.id);
    spawn_put_u64(&said, SPAWN_A_PID, (uint64_t)child);
    send_fds(&said, NULL, 0);
}

static void is_found(unsigned what)
{
    find_it(SPAWN_STATE_RUNNING, what, 3999998, 50000);
}

static void one_is_ready(void)
{
    make_store();
    reach_workers(1, 1, &template);
    worker_starts(&it);
    worker_says(&it, NULL);
    is_there();
}

/* The broker has no descriptor of the other end any more. */
static void expect_closed(int fd)
{
    struct pollfd p = {fd, 0, 0};

    assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
    (void)close(fd);
}

/* The row of a worker, of those that TEMPLATES tells of. */
static void expect_row(spawn_process_state state, int64_t pid, int64_t age)
{
    spawn_writer w;
    bool found = false;

    begin(&w, SPAWN_M_TEMPLATES, NULL);
    ask(&w);
    do {
        int64_t began;

        assert_int_equal(receive_at(caller, SPAWN_FROM_BROKER), 1);
        if (message.header.type != SPAWN_M_PROCESS
            || !spawn_has(&message, SPAWN_A_QUEUE)
            || (int64_t)spawn_u64_or(&message, SPAWN_A_PID, 0) != pid)
            continue;
        found = true;
        assert_string_equal(spawn_str_or(&message, SPAWN_A_QUEUE, ""),
                            "default");
        assert_string_equal(spawn_str_or(&message, SPAWN_A_TEMPLATE, ""),
                            "app");
        assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_PROCESS_STATE]),
                         state);
        began = (int64_t)spawn_u64_or(&message, SPAWN_A_STARTED_AT, 0);
        assert_true(began > spawn_wall_ms() - age - 5000
                    && began < spawn_wall_ms() - age + 5000);
    } while (message.header.type == SPAWN_M_PROCESS);
    assert_true(found);
}

static void expect_no_row(int64_t pid)
{
    spawn_writer w;

    begin(&w, SPAWN_M_TEMPLATES, NULL);
    ask(&w);
    do {
        assert_int_equal(receive_at(caller, SPAWN_FROM_BROKER), 1);
        assert_true((int64_t)spawn_u64_or(&message, SPAWN_A_PID, 0) != pid);
    } while (message.header.type == SPAWN_M_PROCESS);
}

/* ---- all of it ---- */

static void one_that_was_ready_serves_on(void **state)
{
    spawn_id id;

    (void)state;
    log_is_kept = true;
    one_is_ready();
    expect_row(SPAWN_PROCESS_IDLE, 4000000, 0);
    is_found(ALL);
    expect_row(SPAWN_PROCESS_IDLE, 3999998, 50000);
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(&it, &id);
    expect_row(SPAWN_PROCESS_BUSY, 3999998, 50000);
    worker_returns(&it, &id);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_PID, 0), 3999998);
    quiet_at(link_fd, 100); /* no other one is needed */
    say_exited(&it.id, 0, SIGSEGV);
    expect(SPAWN_M_LAUNCH);
    expect_id(SPAWN_M_FORGET, &it.id);
    assert_int_equal(logged("worker of queue default (pid 3999998) has gone"),
                     1);
    assert_int_equal(logged("MS0610"), 0); /* it had been ready */
}

static void one_of_which_little_is_told_serves_too(void **state)
{
    spawn_id id;

    (void)state;
    one_is_ready();
    find_it(SPAWN_STATE_RUNNING, ALL, 0, 0);
    expect_row(SPAWN_PROCESS_IDLE, 0, 0);
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(&it, &id);
}

static void what_it_prints_is_in_the_log(void **state)
{
    int64_t until = spawn_mono_ms() + DEADLINE_MS;
    int ends[2];

    (void)state;
    log_is_kept = true;
    one_is_ready();
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    (void)close(it.kept[3]);
    it.kept[3] = ends[0];
    is_found(ALL);
    assert_int_equal(write(ends[1], "some words\n", 11), 11);
    while (!logged("worker of queue default stderr: some words")
           && spawn_mono_ms() < until)
        is_there();
    assert_int_equal(logged("worker of queue default stderr: some words"), 1);
}

/* Its start is what tells it from another process with its number. */
static void one_that_is_orphaned_then_is_known_again(void **state)
{
    worker next;
    int i;

    (void)state;
    child_runs(CHILD_OBEYS);
    for (i = 0; i < 2; i++) {
        one_is_ready();
        if (i == 0) /* while there was no broker */
            more_of_table = it_is_orphaned;
        find_it(SPAWN_STATE_RUNNING, ALL, child,
                spawn_boot_ms() - child_started);
        if (i == 1)
            it_is_orphaned();
        expect_no_more(&it);
        worker_ordered(&next);
        quiet_at(link_fd, 100); /* it is waited for */
        (void)close(it.link);
        expect_id(SPAWN_M_FORGET, &it.id);
        kill_broker();
    }
    child_ends();
}

/* While there was no broker. */
static void one_that_has_ended_is_told_as_it_ended(void **state)
{
    spawn_id id;

    (void)state;
    one_is_ready();
    submit(&id, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_call(&it, &id);
    more_of_table = it_has_ended;
    is_found(ALL);
    expect_id(SPAWN_M_FORGET, &it.id);
    expect(SPAWN_M_LAUNCH);
    end_broker();
    expect_sql("SELECT outcome || ' ' || exit_code FROM job", "1 6");
}

/* ---- less ---- */

static void one_without_a_ticket_is_told_to_leave(void **state)
{
    int board[2], err[2];
    worker next;

    (void)state;
    one_is_ready();
    assert_int_equal(pipe2(board, O_CLOEXEC), 0);
    assert_int_equal(pipe2(err, O_CLOEXEC), 0);
    (void)close(it.kept[0]);
    (void)close(it.kept[3]);
    it.kept[0] = board[0];
    it.kept[3] = err[0];
    is_found(BOARD | LINK | ERR);
    expect_no_more(&it);
    worker_ordered(&next);
    (void)close(it.kept[1]);
    (void)close(board[0]);
    (void)close(err[0]);
    expect_closed(it.link);
    expect_closed(board[1]);
    expect_closed(err[1]);
    say_exited(&it.id, 0, 0);
    expect_id(SPAWN_M_FORGET, &it.id); /* nobody waits for it */
}

static void one_of_which_nothing_is_kept_harms_nobody(void **state)
{
    worker next;

    (void)state;
    one_is_ready();
    is_found(0);
    worker_ordered(&next);
}

static void one_whose_ticket_is_of_no_queue_is_told_to_leave(void **state)
{
    worker next;

    (void)state;
    one_is_ready();
    assert_int_equal(pwrite(it.kept[2], "../x", 4, 0), 4); /* begins with it */
    is_found(ALL);
    expect_no_more(&it);
    worker_ordered(&next);
    say_started(&next.id);
    is_there();
    expect_row(SPAWN_PROCESS_STARTING, 4000000, 0);
    expect_no_row(3999998); /* nobody is told of such a queue */
}

static void one_without_a_link_is_killed_when_it_stays(void **state)
{
    worker next;

    (void)state;
    one_is_ready();
    is_found(BOARD | TICKET | ERR);
    worker_ordered(&next);
    expect_row(SPAWN_PROCESS_LEAVING, 3999998, 50000);
    time_passes(11);
    expect_id(SPAWN_M_SIGNAL, &it.id);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_SIGNO]), SIGKILL);
}

/* Its call is not sent anew, then, and its end is that of the call. */
static void nor_does_its_call_get_lost(void **state)
{
    spawn_writer ask_for;
    spawn_id id;

    (void)state;
    one_is_ready();
    submit(&id, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_call(&it, &id);
    is_found(BOARD | TICKET | ERR);
    begin(&ask_for, SPAWN_M_GET, &id);
    ask(&ask_for);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_STATE]),
                     SPAWN_STATE_RUNNING);
    say_exited(&it.id, 0, 6 << 8);
    expect(SPAWN_M_LAUNCH);
    expect_id(SPAWN_M_FORGET, &it.id);
    end_broker();
    expect_sql("SELECT outcome || ' ' || exit_code FROM job", "1 6");
}

static void one_without_a_board_is_told_to_leave(void **state)
{
    worker next;

    (void)state;
    one_is_ready();
    is_found(LINK | TICKET | ERR);
    expect_no_more(&it);
    worker_ordered(&next);
}

static void one_without_standard_error_serves(void **state)
{
    spawn_id id;

    (void)state;
    log_is_kept = true;
    one_is_ready();
    is_found(BOARD | LINK | TICKET);
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(&it, &id);
    assert_int_equal(logged("MS0565"), 0); /* nothing is wrong with it */
}

/* ---- not forked yet ---- */

static void one_on_its_way_is_waited_for(void **state)
{
    worker next;

    (void)state;
    log_is_kept = true;
    make_store();
    reach_workers(1, 1, &template);
    worker_ordered(&it);
    find_it(SPAWN_STATE_STARTING, ALL, 0, 0);
    worker_ordered(&next); /* it may have told the other one that it is ready */
    say_started(&next.id);
    expect_no_more(&it);
    is_there();
    expect_row(SPAWN_PROCESS_LEAVING, 0, 0);
    time_passes(31);
    expect_id(SPAWN_M_SIGNAL, &it.id);
    expect_id(SPAWN_M_SIGNAL, &template); /* it does not answer */
    assert_int_equal(logged("MS0603"), 1);
}

static void say_function(const spawn_id *id, const spawn_id *by)
{
    spawn_writer said;

    begin(&said, SPAWN_M_RUNNING, id);
    spawn_put_u64(&said, SPAWN_A_STATE, SPAWN_STATE_STARTING);
    if (by)
        spawn_put_id(&said, SPAWN_A_TEMPLATE_ID, by);
    send_fds(&said, NULL, 0);
}

/* As one that is a process of its own is. */
static void a_function_on_its_way_is_waited_for_too(void **state)
{
    spawn_id ids[2];
    int i;

    (void)state;
    log_is_kept = true;
    make_store();
    reach_workers(0, 0, &template);
    for (i = 0; i < 2; i++) {
        submit(&ids[i], SPAWN_REPLY_ACCEPTED);
        expect_answer(SPAWN_M_ACCEPTED);
        expect_order(&ids[i], &template);
    }
    kill_broker();
    start_broker();
    say_running_app(&template);
    say_function(&ids[0], &template);
    say_function(&ids[1], NULL); /* by whom is not told */
    expect_ready();
    say(SPAWN_M_GO);
    call_in();
    time_passes(31);
    expect_id(SPAWN_M_SIGNAL, &template); /* it does not answer */
    assert_int_equal(logged("MS0603"), 1);
}

static void one_that_was_forked_is_not(void **state)
{
    worker next;

    (void)state;
    log_is_kept = true;
    make_store();
    reach_workers(1, 1, &template);
    worker_starts(&it);
    is_there();
    find_it(SPAWN_STATE_RUNNING, ALL, 3999998, 0);
    worker_ordered(&next);
    say_started(&next.id);
    time_passes(31);
    expect_id(SPAWN_M_SIGNAL, &it.id);
    quiet_at(link_fd, 1);
    assert_int_equal(logged("MS0603"), 0);
}

static void one_whose_template_is_not_there_either_is_no_news(void **state)
{
    spawn_id old;
    worker next;

    (void)state;
    make_store();
    reach_workers(1, 1, &template);
    worker_ordered(&it);
    old = template;
    (void)spawn_id_make(&template); /* another one, of the same rules */
    memcpy(template.bytes + 9, old.bytes + 9, 2);
    find_it(SPAWN_STATE_STARTING, ALL, 0, 0);
    worker_ordered(&next);
    say_exited(&it.id, SPAWN_STEP_TEMPLATE, EAGAIN);
    expect_id(SPAWN_M_FORGET, &it.id);
    is_there();
}

static void put_nice(spawn_writer *w)
{
    size_t mark = spawn_open_nest(w, SPAWN_A_QUEUE_DEFAULTS);

    spawn_put_str(w, SPAWN_A_QUEUE, "default");
    spawn_put_i64(w, SPAWN_A_NICE, 5);
    spawn_close(w, mark);
}

/* Its broker was killed before it had them. */
static void one_of_other_rules_leaves(void **state)
{
    (void)state;
    one_is_ready();
    is_found(ALL);
    is_there();
    quiet_at(it.link, 1); /* of the same ones */
    more_rules = put_nice;
    is_found(ALL);
    expect_no_more(&it);
}

static const char *variable; /* that templates have from outside of queues */

static void put_variable(spawn_writer *w)
{
    size_t mark = spawn_open_nest(w, SPAWN_A_QUEUE_DEFAULTS), list;

    list = spawn_open_strv(w, SPAWN_A_ENV);
    spawn_add_text(w, list, variable, strlen(variable));
    spawn_close(w, list);
    spawn_close(w, mark);
}

/* Its broker was killed before it had the others. */
static void a_template_of_other_variables_is_replaced(void **state)
{
    spawn_id id, next;

    (void)state;
    more_rules = put_variable;
    variable = "LIBRARY=/one";
    one_is_ready();
    is_found(ALL);
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(&it, &id);
    worker_returns(&it, &id);
    expect_answer(SPAWN_M_JOB);
    quiet_for(10);
    variable = "LIBRARY=/two";
    is_found(ALL);
    template_starts(&next, true);
    assert_false(spawn_id_equal(&next, &template));
    expect_no_more(&it);
}

int main(void)
{
#define STEPPED(f)                                                             \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        STEPPED(one_that_was_ready_serves_on),
        STEPPED(one_of_which_little_is_told_serves_too),
        STEPPED(what_it_prints_is_in_the_log),
        STEPPED(one_that_is_orphaned_then_is_known_again),
        STEPPED(one_that_has_ended_is_told_as_it_ended),
        STEPPED(one_without_a_ticket_is_told_to_leave),
        STEPPED(one_of_which_nothing_is_kept_harms_nobody),
        STEPPED(one_whose_ticket_is_of_no_queue_is_told_to_leave),
        STEPPED(one_without_a_link_is_killed_when_it_stays),
        STEPPED(nor_does_its_call_get_lost),
        STEPPED(one_without_a_board_is_told_to_leave),
        STEPPED(one_without_standard_error_serves),
        STEPPED(one_on_its_way_is_waited_for),
        STEPPED(a_function_on_its_way_is_waited_for_too),
        STEPPED(one_that_was_forked_is_not),
        STEPPED(one_whose_template_is_not_there_either_is_no_news),
        STEPPED(one_of_other_rules_leaves),
        STEPPED(a_template_of_other_variables_is_replaced)};

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("workers that are found", tests, NULL,
                                       NULL);
}
