/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker's orders: each one's effect, and those that come for what has
 * ended, has not begun or is nobody's.
 */
#include "t/unit/spawner_ordered.h"

static void order_a_signal(uint8_t n, int signo, int left)
{
    spawn_writer w;

    begin_for(&w, SPAWN_M_SIGNAL, n);
    spawn_put_u64(&w, SPAWN_A_SIGNO, (uint64_t)signo);
    if (left >= 0)
        spawn_put_u64(&w, SPAWN_A_KILL_LEFT, (uint64_t)left);
    give(&w);
}

/* ---- signals ---- */

static void a_signal_reaches_who_lives(void **state)
{
    job *j = have(1, JOB_RUNNING, 0), *ended = have(2, JOB_ENDED, 0);

    (void)state;
    order_a_signal(1, SIGHUP, -1);
    order_a_signal(1, SIGHUP, SPAWN_LEFT_ALONE);
    expect_called("signal 1 to 101; signal 1 to 101; ");
    /* processes that left its group first: their parents show them */
    order_a_signal(1, SIGTERM, -1);
    expect_called("tree 15; signal 15 to 101; ");
    assert_int_equal(j->flags, 0);
    order_a_signal(1, SIGKILL, SPAWN_LEFT_ALONE);
    assert_int_equal(j->flags, 0);
    expect_called("tree 9; signal 9 to 101; ");
    order_a_signal(1, SIGTERM, SPAWN_LEFT_WAIT);
    assert_int_equal(j->flags, JOB_LEFT_WAIT);
    order_a_signal(1, SIGKILL, SPAWN_LEFT_KILL);
    assert_int_equal(j->flags, JOB_LEFT_WAIT | JOB_KILL_LEFT);
    expect_called("tree 15; signal 15 to 101; tree 9; signal 9 to 101; ");
    (void)have(3, JOB_RUNNING, JOB_FOREIGN); /* a child of httpd's template */
    order_a_signal(3, SIGTERM, SPAWN_LEFT_WAIT);
    expect_called("tree 15; template_signal 15; ");
    (void)have(4, JOB_RUNNING, JOB_FOREIGN | JOB_IS_TEMPLATE);
    order_a_signal(4, SIGTERM, -1);
    expect_called("tree 15; template_kill 15; ");
    order_a_signal(2, SIGKILL, -1);
    assert_int_equal(ended->flags, 0);
    order_a_signal(2, SIGKILL, SPAWN_LEFT_KILL);
    expect_called("");
    order_a_signal(9, SIGKILL, -1); /* nobody */
    expect_called("");
    j->state = JOB_STARTING; /* forked, not executed yet */
    order_a_signal(1, SIGHUP, SPAWN_LEFT_WAIT);
    expect_called("tree 1; signal 1 to 101; ");
    expect_no_line();
}

static void a_signal_that_does_not_arrive_is_told(void **state)
{
    job *j = have(1, JOB_RUNNING, 0);

    (void)state;
    (void)have(2, JOB_RUNNING, JOB_IS_TEMPLATE);
    signal_result = -EPERM;
    order_a_signal(1, SIGTERM, -1);
    expect_logged("MS0330: signal 15 does not reach job ");
    order_a_signal(2, SIGKILL, -1);
    expect_logged("MS0330: signal 9 does not reach template ");
    signal_result = 0;
    order_a_signal(1, SIGTERM, -1);
    expect_no_line();
    assert_int_equal(j->state, JOB_RUNNING);
}

static void order_a_signal_of(uint8_t n, pid_t pid)
{
    spawn_writer w;

    begin_for(&w, SPAWN_M_SIGNAL, n);
    spawn_put_u64(&w, SPAWN_A_SIGNO, SIGTERM);
    spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)pid);
    give(&w);
}

/* The broker may not signal it itself. A job that is in the table and lives is
 * no orphan, whatever process the order names. */
static void an_orphan_is_signalled_by_its_process(void **state)
{
    (void)state;
    (void)have(1, JOB_RUNNING, 0);
    (void)have(2, JOB_ENDED, 0); /* told as one, and not forgotten yet */
    order_a_signal_of(1, 4711);
    expect_called("tree 15; signal 15 to 101; ");
    order_a_signal_of(2, 4711);
    order_a_signal_of(3, 4712);
    expect_called("orphan 15 of 4711; orphan 15 of 4712; ");
    signal_result = -ESRCH;
    order_a_signal_of(3, 4712);
    expect_no_line();
    signal_result = -EPERM;
    order_a_signal_of(3, 4712);
    expect_logged("MS0372: the broker's signal 15 for process 4712, said to be "
                  "job ");
}

/* It could not do it before somebody lets it go on, and must not do it again
 * then. */
static void a_template_that_is_stopped_is_not_waited_for(void **state)
{
    (void)state;
    (void)have(1, JOB_RUNNING, JOB_FOREIGN);
    is_stopped = true;
    order_a_signal(1, SIGTERM, SPAWN_LEFT_WAIT);
    expect_called("tree 15; tell_left; in_its_place 15 to 101 whole; ");
    order_a_signal(1, SIGHUP, SPAWN_LEFT_ALONE);
    expect_called("tell_left; in_its_place 1 to 101; ");
    foreign_result = -ESRCH; /* it has no such child */
    order_a_signal(1, SIGKILL, SPAWN_LEFT_KILL);
    expect_called("tree 9; tell_left; in_its_place 9 to 101 whole; "
                  "template_signal 9; ");
    expect_no_line();
}

/* The broker says so, by the process: it has waited for the template. */
static void one_that_hangs_is_not_waited_for_either(void **state)
{
    job *j = have(1, JOB_RUNNING, JOB_FOREIGN);

    (void)state;
    order_a_signal_of(1, 101);
    expect_called("tree 15; in_its_place 15 to 101 whole; ");
    assert_int_equal(j->flags, JOB_FOREIGN);
    j->pid = 0; /* it has not told which process it is */
    j->state = JOB_STARTING;
    order_a_signal_of(1, 101);
    expect_called("");
    (void)have(2, JOB_RUNNING, JOB_FOREIGN | JOB_IS_TEMPLATE);
    order_a_signal_of(2, 102);
    expect_called("tree 15; template_kill 15; ");
}

static void what_is_refused_is_not_launched(void **state)
{
    spawn_writer w;
    unsigned i;

    (void)state;
    for (i = 0; i < 2; i++) {
        is_refused = i == 0;
        begin_for(&w, SPAWN_M_LAUNCH, 1);
        spawn_close(&w, spawn_open_strv(&w, SPAWN_A_ENV));
        give(&w);
        expect_called(i == 0 ? "step_over; refused uid 1; "
                             : "step_over; launch; ");
    }
}

/* By the signal itself: it was for a group of which none was left. */
static void who_has_ended_by_it_is_no_news(void **state)
{
    static const job_state ends[] = {JOB_ENDED, JOB_FREE};
    unsigned i;

    (void)state;
    for (i = 0; i < 2; i++) {
        (void)have((uint8_t)(i + 1), JOB_RUNNING, 0);
        signal_ends = true;
        signal_end = ends[i];
        signal_result = -ESRCH;
        order_a_signal((uint8_t)(i + 1), SIGTERM, -1);
        expect_no_line();
    }
    signal_ends = false;
}

static void a_signal_waits_for_a_process_that_is_not_known_yet(void **state)
{
    job *j = have(1, JOB_STARTING, 0);

    (void)state;
    j->pid = 0;
    order_a_signal(1, SIGTERM, -1);
    assert_int_equal(j->pending_signal, SIGTERM);
    order_a_signal(1, SIGHUP, -1);
    assert_int_equal(j->pending_signal, SIGHUP);
    order_a_signal(1, SIGKILL, SPAWN_LEFT_KILL);
    assert_int_equal(j->pending_signal, SIGKILL);
    assert_int_equal(j->flags, JOB_KILL_LEFT);
    order_a_signal(1, SIGTERM, -1); /* less than what it gets */
    assert_int_equal(j->pending_signal, SIGKILL);
    expect_called("");
    j->state = JOB_RUNNING;
    order_a_signal(1, SIGHUP, -1);
    expect_called("signal 1 to 0; ");
}

/* ---- FORGET ---- */

static void what_has_ended_is_forgotten(void **state)
{
    job *j = have(1, JOB_ENDED, JOB_IS_TEMPLATE), *young;

    (void)state;
    assert_non_null(template_note_make(j, "app"));
    (void)have(2, JOB_ENDED, 0);
    order_for(SPAWN_M_FORGET, 1);
    assert_false(is_there(1));
    assert_null(spawner.notes);
    assert_true(is_there(2));
    order_for(SPAWN_M_FORGET, 1);
    young = have(3, JOB_STARTING, 0);
    young->pid = 0; /* its process may come still */
    order_for(SPAWN_M_FORGET, 3);
    assert_true(is_there(3));
    assert_int_equal(young->flags, 0);
    expect_called("");
}

/* The next broker is to hear it, too. */
static void the_last_word_on_a_template_stays(void **state)
{
    job *j = have(1, JOB_ENDED, JOB_IS_TEMPLATE | JOB_FOREIGN);

    (void)state;
    template_note_make(j, "app")->last_word = true;
    order_for(SPAWN_M_FORGET, 1);
    order_for(SPAWN_M_FORGET, 1);
    assert_true(is_there(1));
    template_words_drop("other");
    assert_true(is_there(1));
    template_words_drop("app");
    assert_false(is_there(1));
    assert_null(spawner.notes);
    /* one that its broker has not forgotten yet */
    j = have(1, JOB_ENDED, JOB_IS_TEMPLATE | JOB_FOREIGN);
    template_note_make(j, "app")->last_word = true;
    template_words_drop(NULL);
    assert_true(is_there(1));
    order_for(SPAWN_M_FORGET, 1);
    assert_false(is_there(1));
    assert_null(spawner.notes);
}

static void many_are_forgotten_at_once(void **state)
{
    uint8_t ids[3 * SPAWN_ID_SIZE + 5];
    spawn_writer w;
    uint8_t n;

    (void)state;
    memset(ids, 0, sizeof(ids));
    for (n = 1; n <= 4; n++) {
        spawn_id id = id_of(n);

        (void)have(n, JOB_ENDED, 0);
        if (n < 4)
            memcpy(ids + (n - 1) * SPAWN_ID_SIZE, id.bytes, SPAWN_ID_SIZE);
    }
    begin(&w, SPAWN_M_FORGET);
    spawn_put_bytes(&w, SPAWN_A_IDS, ids, sizeof(ids));
    give(&w);
    for (n = 1; n <= 3; n++)
        assert_false(is_there(n));
    assert_true(is_there(4));
    (void)have(1, JOB_ENDED, 0);
    begin_for(&w, SPAWN_M_FORGET, 4);
    spawn_put_bytes(&w, SPAWN_A_IDS, ids, SPAWN_ID_SIZE);
    give(&w);
    assert_false(is_there(1) || is_there(4));
    begin(&w, SPAWN_M_FORGET); /* of none */
    give(&w);
}

/* It lives: a broker has given it up. */
static void who_lives_is_given_up(void **state)
{
    int pipes[2], kept[2];
    char byte;
    job *j =
        have(1, JOB_STARTING, JOB_TELL_STARTED | JOB_TELL_PID | JOB_KILL_LEFT);

    (void)state;
    assert_int_equal(pipe2(pipes, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(pipe2(kept, O_CLOEXEC | O_NONBLOCK), 0);
    j->start_pipe = pipes[1];
    j->keep[0] = kept[1];
    order_for(SPAWN_M_FORGET, 1);
    assert_int_equal(j->flags, JOB_GIVEN_UP | JOB_KILL_LEFT);
    assert_int_equal(read(pipes[0], &byte, 1), 0);
    assert_int_equal(read(kept[0], &byte, 1), 0);
    assert_true(is_there(1));
    expect_called("");
    (void)close(pipes[0]);
    (void)close(kept[0]);
    (void)have(2, JOB_RUNNING, JOB_FOREIGN);
    order_for(SPAWN_M_FORGET, 2);
    expect_called("give_up 102; ");
    (void)have(3, JOB_RUNNING, JOB_IS_TEMPLATE);
    order_for(SPAWN_M_FORGET, 3);
    expect_called("template_ended 103; ");
    assert_true(is_there(3));
}

/* Nobody tells us when httpd has reaped it. */
static void a_template_of_httpds_that_hangs_is_forgotten(void **state)
{
    job *j = have(1, JOB_RUNNING, JOB_IS_TEMPLATE | JOB_FOREIGN);

    (void)state;
    assert_non_null(template_note_make(j, "app"));
    order_for(SPAWN_M_FORGET, 1);
    expect_called("template_ended 101; ");
    assert_false(is_there(1));
    assert_null(template_note_next(NULL));
}

/* ---- the others ---- */

static void a_process_is_told_while_it_starts(void **state)
{
    job *starting = have(1, JOB_STARTING, 0), *running, *unknown;

    (void)state;
    order_for(SPAWN_M_TELL_PID, 1);
    assert_int_equal(starting->flags,
                     JOB_PID_WANTED | JOB_TELL_PID | JOB_IN_FIFO);
    running = have(2, JOB_RUNNING, 0);
    order_for(SPAWN_M_TELL_PID, 2);
    assert_int_equal(running->flags, 0);
    unknown = have(3, JOB_STARTING, 0);
    unknown->pid = 0;
    order_for(SPAWN_M_TELL_PID, 3); /* later, then */
    assert_int_equal(unknown->flags, JOB_PID_WANTED);
    order_for(SPAWN_M_TELL_PID, 9);
}

static void a_launch_is_obeyed_or_refused(void **state)
{
    spawn_id id = id_of(1);
    spawn_writer w;
    int fd = spawn_os_memfd("along");
    size_t mark;

    (void)state;
    begin_for(&w, SPAWN_M_LAUNCH, 1);
    mark = spawn_open_strv(&w, SPAWN_A_ENV);
    spawn_close(&w, mark);
    send_on(broker, &w, &fd, 1);
    (void)close(fd);
    assert_int_equal(orders_take_one(), 1);
    expect_called("step_over; launch; ");
    assert_true(spawn_id_equal(&launched, &id));
    assert_int_equal(came_along, 1);
    refuses = true;
    begin_for(&w, SPAWN_M_LAUNCH, 1);
    mark = spawn_open_strv(&w, SPAWN_A_ENV);
    spawn_close(&w, mark);
    send_on(broker, &w, NULL, 0);
    assert_int_equal(orders_take_one(), 1);
    refuses = false;
    expect_called("step_over; refused allow 1; ");
    expect_no_line();
}

static void handles_are_held_until_they_are_released(void **state)
{
    spawn_id id = id_of(1);
    spawn_writer w;
    int pipes[2];
    char byte;

    (void)state;
    assert_int_equal(pipe2(pipes, O_CLOEXEC | O_NONBLOCK), 0);
    begin_for(&w, SPAWN_M_HOLD, 1);
    spawn_put_u64(&w, SPAWN_A_BOXED, 3);
    send_on(broker, &w, &pipes[1], 1);
    (void)close(pipes[1]);
    assert_int_equal(orders_take_one(), 1);
    assert_true(held_first() && spawn_id_equal(&held_first()->id, &id));
    assert_int_equal(held_first()->boxed, 3);
    assert_int_equal(held_first()->count, 1);
    assert_int_equal(read(pipes[0], &byte, 1), -1); /* open */
    expect_called("step_over; ");
    begin_for(&w, SPAWN_M_HOLD, 1); /* again: in the place of those */
    give(&w);
    assert_int_equal(held_first()->boxed, 0);
    assert_null(held_first()->next);
    assert_int_equal(read(pipes[0], &byte, 1), 0);
    (void)close(pipes[0]);
    expect_called("step_over; ");
    order_for(SPAWN_M_RELEASE, 1);
    assert_null(held_first());
    expect_called("step_over; ");
    begin_for(&w, SPAWN_M_HOLD, 2); /* in no box */
    give(&w);
    assert_int_equal(held_first()->boxed, 0);
    expect_called("step_over; ");
    expect_no_line();
}

static void a_template_is_dismissed_and_bye_is_kept(void **state)
{
    spawn_writer w;

    (void)state;
    (void)have(3, JOB_RUNNING, JOB_IS_TEMPLATE);
    (void)have(4, JOB_RUNNING, 0);
    order_for(SPAWN_M_DISMISS, 3);
    order_for(SPAWN_M_DISMISS, 4); /* no template */
    order_for(SPAWN_M_DISMISS, 9); /* nobody */
    expect_called("dismiss 103; ");
    begin(&w, SPAWN_M_BYE);
    give(&w);
    assert_true(spawner.broker_said_bye);
    expect_called("");
    expect_no_line();
}

static void say_ready(uint64_t code, const char *text)
{
    spawn_writer w;

    begin(&w, SPAWN_M_BROKER_READY);
    spawn_put_u64(&w, SPAWN_A_CODE, code);
    if (text)
        spawn_put_str(&w, SPAWN_A_TEXT, text);
    give(&w);
}

static bool refusal_ends(bool lingering, bool gone_on, uint64_t code)
{
    spawner.lingering = lingering;
    spawner.gone_on = gone_on;
    end_code = -1;
    called[0] = '\0';
    return ENDS(say_ready(code, "why"));
}

static void that_it_is_ready_is_handed_on(void **state)
{
    job *j;

    (void)state;
    say_ready(SPAWN_E_OK, NULL);
    assert_true(spawner.broker_ready && !spawner.broker_refused);
    expect_called("ready ''; ");
    say_ready(SPAWN_E_STORE, "the store is full");
    assert_true(!spawner.broker_ready && spawner.broker_refused);
    expect_called("not ready 'the store is full'; ");
    /* an httpd that was refused and has gone leaves nothing to be done */
    assert_false(refusal_ends(false, false, SPAWN_E_STORE));
    assert_false(refusal_ends(true, true, SPAWN_E_STORE));
    assert_false(refusal_ends(true, false, SPAWN_E_OK));
    assert_true(refusal_ends(true, false, SPAWN_E_STORE));
    assert_int_equal(end_code, 0);
    expect_called("");
    j = have(1, JOB_RUNNING, 0);
    assert_false(refusal_ends(true, false, SPAWN_E_STORE));
    j->state = JOB_ENDED;
    assert_true(refusal_ends(true, false, SPAWN_E_STORE));
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_signal_reaches_who_lives),
        T(a_signal_that_does_not_arrive_is_told),
        T(an_orphan_is_signalled_by_its_process),
        T(a_template_that_is_stopped_is_not_waited_for),
        T(one_that_hangs_is_not_waited_for_either),
        T(what_is_refused_is_not_launched),
        T(who_has_ended_by_it_is_no_news),
        T(a_signal_waits_for_a_process_that_is_not_known_yet),
        T(what_has_ended_is_forgotten),
        T(the_last_word_on_a_template_stays),
        T(many_are_forgotten_at_once),
        T(who_lives_is_given_up),
        T(a_template_of_httpds_that_hangs_is_forgotten),
        T(a_process_is_told_while_it_starts),
        T(a_launch_is_obeyed_or_refused),
        T(handles_are_held_until_they_are_released),
        T(a_template_is_dismissed_and_bye_is_kept),
        T(that_it_is_ready_is_handed_on),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_obeys_broker", tests, NULL,
                                       NULL);
}
