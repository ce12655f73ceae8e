/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How workers leave: when they are told to, by a signal, by force when they
 * stay, and those that were never forked. The protocol of broker_calls.h.
 */
#include "t/unit/broker_stepped.h"

static spawn_id template;

static void started_as(const worker *w, pid_t pid)
{
    spawn_writer said;

    begin(&said, SPAWN_M_STARTED, &w->id);
    spawn_put_u64(&said, SPAWN_A_PID, (uint64_t)pid);
    send_fds(&said, NULL, 0);
}

/* A worker that is a process of ours: what is looked at lives, and hangs
 * nowhere. */
static void worker_lives(worker *ret)
{
    worker_ordered(ret);
    started_as(ret, getpid());
    worker_says(ret, NULL);
}

static void expect_signal(const worker *w, int signo, unsigned left)
{
    expect_id(SPAWN_M_SIGNAL, &w->id);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_SIGNO]), signo);
    assert_int_equal(spawn_has(&message, SPAWN_A_KILL_LEFT),
                     left != SPAWN_LEFT_ALONE);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_KILL_LEFT, left), left);
}

static void a_call(const worker *w, spawn_id *id)
{
    submit(id, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_call(w, id);
}

static void kill_it(const spawn_id *id, int signo)
{
    spawn_writer w;

    begin(&w, SPAWN_M_KILL, id);
    spawn_put_u64(&w, SPAWN_A_SIGNO, (uint64_t)signo);
    ask(&w);
    expect_answer(SPAWN_M_DONE);
}

static void ends(const worker *w, int status)
{
    say_exited(&w->id, 0, status);
    expect_id(SPAWN_M_FORGET, &w->id);
}

/* ---- told to leave ---- */

/* One that idles for too long, with nothing to do for it. */
static void it_is_told_to_leave(worker *w)
{
    spawn_id id;

    log_is_kept = true;
    worker_idle = 30000;
    reach_workers(0, 1, &template);
    submit(&id, SPAWN_REPLY_FINISHED);
    worker_lives(w);
    expect_call(w, &id);
    worker_returns(w, &id);
    expect_answer(SPAWN_M_JOB);
    time_passes(31);
    expect_no_more(w);
}

static void who_stays_is_killed_and_waited_for(void **state)
{
    worker w;
    int i;

    (void)state;
    it_is_told_to_leave(&w);
    time_passes(9);
    quiet_at(link_fd, 1);
    time_passes(2);
    expect_signal(&w, SIGKILL, SPAWN_LEFT_KILL);
    assert_int_equal(logged("MS0611"), 1);
    for (i = 0; i < 3; i++) {
        time_passes(6); /* its end is on its way */
        quiet_at(link_fd, 1);
    }
    assert_int_equal(logged("MS0611"), 1);
    ends(&w, SIGKILL);
    assert_int_equal(logged("MS0613"), 0); /* that was to be expected */
    time_passes(60);
    quiet_at(link_fd, 1);
}

/* It hangs in the kernel, as far as can be seen: nobody waits for it. */
static void who_stays_for_ever_is_given_up(void **state)
{
    worker w;

    (void)state;
    it_is_told_to_leave(&w);
    started_as(&w, 4000000); /* there is no such process to look at */
    time_passes(11);
    expect_signal(&w, SIGKILL, SPAWN_LEFT_KILL);
    time_passes(4);
    quiet_at(link_fd, 1);
    time_passes(2);
    expect_id(SPAWN_M_FORGET, &w.id);
}

static void who_leaves_in_time_is_not_killed(void **state)
{
    worker w;

    (void)state;
    it_is_told_to_leave(&w);
    ends(&w, 0);
    time_passes(60);
    quiet_at(link_fd, 1);
    assert_int_equal(logged("MS0611"), 0);
    assert_int_equal(logged("MS0613"), 0);
}

/* A pair that ends tells all to leave, time and again: that gives them no more
 * time. */
static void a_stop_does_not_wait_for_ever(void **state)
{
    worker w;
    int i;

    (void)state;
    reach_workers(1, 1, &template);
    worker_lives(&w);
    is_there();
    say(SPAWN_M_LINGER);
    expect_no_more(&w);
    for (i = 0; i < 3; i++)
        time_passes(3);
    quiet_at(link_fd, 1);
    time_passes(3);
    expect_signal(&w, SIGKILL, SPAWN_LEFT_KILL);
    say_exited(&w.id, 0, SIGKILL);
    expect_id(SPAWN_M_FORGET, &w.id);
    expect_id(SPAWN_M_DISMISS, &template);
    say_exited(&template, 0, 0);
    expect_id(SPAWN_M_FORGET, &template);
    expect(SPAWN_M_BYE);
}

/* New rules, new code: the template is another process. */
static void who_has_a_call_leaves_after_it(void **state)
{
    spawn_id id, from, old;
    worker w, next;

    (void)state;
    reach_workers(1, 1, &template);
    worker_lives(&w);
    a_call(&w, &id);
    old = template;
    say_configure();
    expect(SPAWN_M_BROKER_READY);
    say(SPAWN_M_GO);
    template_starts(&template, true);
    expect_id(SPAWN_M_DISMISS, &old);
    (void)close(caller);
    call_in();
    is_there();
    quiet_at(w.link, 100);
    quiet_at(link_fd, 1);
    worker_returns(&w, &id);
    expect_no_more(&w);
    worker_ordered(&next);
    spawn_attr_id(&message.attr[SPAWN_A_TEMPLATE_ID], &from);
    assert_true(spawn_id_equal(&from, &template));
    time_passes(11);
    expect_id(SPAWN_M_SIGNAL, &old);
    expect_signal(&w, SIGKILL, SPAWN_LEFT_KILL);
}

/* ---- signals ---- */

static void a_signal_for_a_call_is_one_for_its_worker(void **state)
{
    spawn_id id;
    worker w;

    (void)state;
    log_is_kept = true;
    reach_workers(1, 1, &template);
    worker_lives(&w);
    a_call(&w, &id);
    kill_it(&id, SIGUSR1);
    expect_signal(&w, SIGUSR1, SPAWN_LEFT_ALONE);
    say_exited(&w.id, 0, SIGUSR1);
    worker_lives(&w);
    expect(SPAWN_M_FORGET);
    is_there();
    assert_int_equal(logged("MS0613"), 0); /* the caller that killed it knows */
    a_call(&w, &id);
    kill_it(&id, SIGKILL);
    expect_signal(&w, SIGKILL, SPAWN_LEFT_KILL);
}

/* Its process is shown, and signalled, as that of its worker. */
static void a_call_that_times_out_ends_its_worker(void **state)
{
    spawn_writer ask_for;
    spawn_id id;
    worker w;

    (void)state;
    log_is_kept = true;
    reach_workers(1, 1, &template);
    worker_lives(&w);
    (void)spawn_id_make(&id);
    begin(&ask_for, SPAWN_M_SUBMIT, &id);
    spawn_put_str(&ask_for, SPAWN_A_FUNCTION, "My::f");
    spawn_put_u64(&ask_for, SPAWN_A_TIMEOUT, 5000);
    spawn_put_u64(&ask_for, SPAWN_A_GRACE, 2000);
    ask(&ask_for);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_call(&w, &id);
    begin(&ask_for, SPAWN_M_GET, &id);
    ask(&ask_for);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_PID, 0), getpid());
    time_passes(6);
    expect_signal(&w, SIGTERM, SPAWN_LEFT_WAIT);
    time_passes(3);
    expect_signal(&w, SIGKILL, SPAWN_LEFT_KILL);
    say_exited(&w.id, 0, SIGKILL);
    worker_lives(&w);
    begin(&ask_for, SPAWN_M_GET, &id);
    ask(&ask_for);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 0),
                     SPAWN_OUTCOME_TIMED_OUT);
    assert_int_equal(logged("MS0613"), 0);
}

/* The broker that hears of it comes late. */
static void a_call_whose_worker_ended_in_time_has_not_timed_out(void **state)
{
    spawn_writer said;
    int64_t began = spawn_mono_ms();
    spawn_id id;
    worker w;

    (void)state;
    make_store();
    reach_workers(1, 1, &template);
    worker_lives(&w);
    (void)spawn_id_make(&id);
    begin(&said, SPAWN_M_SUBMIT, &id);
    spawn_put_str(&said, SPAWN_A_FUNCTION, "My::f");
    spawn_put_u64(&said, SPAWN_A_TIMEOUT, 5000);
    ask(&said);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_call(&w, &id);
    is_there();
    kill_broker();
    steps[0] += 6;
    steps[1] += 6;
    start_broker();
    say_running_app(&template);
    begin_running_worker(&said, &w);
    spawn_put_u64(&said, SPAWN_A_MONO_STARTED, (uint64_t)began);
    send_fds(&said, w.kept, 4);
    begin(&said, SPAWN_M_EXITED, &w.id);
    spawn_put_u64(&said, SPAWN_A_WAIT_STATUS, SIGTERM);
    spawn_put_u64(&said, SPAWN_A_ELAPSED, 1000000);
    send_fds(&said, NULL, 0);
    expect_ready();
    call_in();
    (void)close(w.link);
    begin(&said, SPAWN_M_GET, &id);
    ask(&said);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 0),
                     SPAWN_OUTCOME_SIGNALLED);
    assert_true(spawn_u64_or(&message, SPAWN_A_ELAPSED, 0) <= 1000000);
}

/* Its worker took long to begin, which is not of the call. */
static void a_call_ran_until_its_worker_ended(void **state)
{
    spawn_writer said;
    spawn_id id;
    worker w;

    (void)state;
    reach_workers(1, 1, &template);
    worker_ordered(&w);
    time_passes(10);
    begin(&said, SPAWN_M_STARTED, &w.id);
    spawn_put_u64(&said, SPAWN_A_PID, (uint64_t)getpid());
    spawn_put_u64(&said, SPAWN_A_MONO_STARTED,
                  (uint64_t)spawn_mono_ms() + 10000);
    send_fds(&said, NULL, 0);
    worker_says(&w, NULL);
    a_call(&w, &id);
    time_passes(2);
    begin(&said, SPAWN_M_EXITED, &w.id);
    spawn_put_u64(&said, SPAWN_A_WAIT_STATUS, 3 << 8);
    spawn_put_u64(&said, SPAWN_A_ELAPSED, 2000000);
    send_fds(&said, NULL, 0);
    worker_lives(&w);
    begin(&said, SPAWN_M_GET, &id);
    ask(&said);
    expect_answer(SPAWN_M_JOB);
    assert_true(spawn_u64_or(&message, SPAWN_A_ELAPSED, 0) >= 1000000);
}

/* ---- not forked ---- */

static void template_follows(void)
{
    spawn_id old = template;

    expect_id(SPAWN_M_DISMISS, &old);
    template_starts(&template, true);
}

/* The one that was said to have gone is to be forgotten, and another one is
 * ordered from the same template. Which comes first is not promised: they have
 * different ids, and both may be due in one turn. */
static void another_follows(worker *w)
{
    const spawn_id gone = w->id;
    bool forgotten = false, ordered = false;
    spawn_id from;

    while (!forgotten || !ordered) {
        next_message();
        if (message.header.type == SPAWN_M_FORGET) {
            assert_false(forgotten);
            is_of(&gone);
            forgotten = true;
        }
        else {
            assert_false(ordered);
            take_worker(w);
            spawn_attr_id(&message.attr[SPAWN_A_TEMPLATE_ID], &from);
            assert_true(spawn_id_equal(&from, &template));
            ordered = true;
        }
    }
}

/* Its template's link was full: that template is asked again. */
static void one_that_was_not_forked_is_ordered_again(void **state)
{
    worker w;
    int i;

    (void)state;
    reach_workers(1, 1, &template);
    worker_ordered(&w);
    for (i = 0; i < 20; i++) { /* more than are on their way at once */
        say_exited(&w.id, SPAWN_STEP_TEMPLATE, EAGAIN);
        another_follows(&w);
    }
    say_started(&w.id);
    time_passes(31);
    quiet_at(link_fd, 1); /* no order is unheard of */
}

/* It may be full with the orders of others, which it has to read first. */
static void but_not_at_once(void **state)
{
    worker w;

    (void)state;
    reach_workers(1, 1, &template);
    worker_ordered(&w);
    time_stands();
    say_exited(&w.id, SPAWN_STEP_TEMPLATE, EAGAIN);
    expect_id(SPAWN_M_FORGET, &w.id);
    is_there();
    quiet_at(link_fd, 1);
    time_goes_on();
    worker_ordered(&w);
}

static void one_whose_template_has_gone_is_ordered_from_the_next(void **state)
{
    spawn_id from;
    worker w;

    (void)state;
    reach_workers(1, 1, &template);
    worker_ordered(&w);
    say_exited(&w.id, SPAWN_STEP_TEMPLATE, EPIPE);
    template_follows();
    expect_id(SPAWN_M_FORGET, &w.id);
    worker_ordered(&w);
    spawn_attr_id(&message.attr[SPAWN_A_TEMPLATE_ID], &from);
    assert_true(spawn_id_equal(&from, &template));
}

/* Else its template would be taken for stuck, and killed. */
static void one_that_was_heard_of_is_not_waited_for(void **state)
{
    worker w;

    (void)state;
    log_is_kept = true;
    reach_workers(1, 1, &template);
    worker_starts(&w);
    is_there();
    time_passes(31);
    quiet_at(link_fd, 1);
    say_exited(&w.id, 0, SIGKILL);
    expect_id(SPAWN_M_FORGET, &w.id);
    time_passes(61);
    worker_ordered(&w);
    say_exited(&w.id, 0, SIGKILL); /* its start was not told */
    expect_id(SPAWN_M_FORGET, &w.id);
    time_passes(31);
    worker_ordered(&w);
    assert_int_equal(logged("MS0603"), 0);
    time_passes(31); /* but this one */
    expect_id(SPAWN_M_SIGNAL, &template);
    assert_int_equal(logged("MS0603"), 1);
}

/* They are not what a template is replaced for: they go with it. */
static void workers_do_not_use_up_their_template(void **state)
{
    worker w;
    int i;

    (void)state;
    template_jobs = 2;
    reach_workers(1, 1, &template);
    worker_ordered(&w);
    for (i = 0; i < 5; i++) {
        say_started(&w.id);
        worker_says(&w, NULL);
        is_there();
        say_exited(&w.id, 0, 0);
        another_follows(&w);
        say_exited(&w.id, SPAWN_STEP_TEMPLATE, EAGAIN);
        another_follows(&w);
    }
}

int main(void)
{
#define STEPPED(f)                                                             \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        STEPPED(who_stays_is_killed_and_waited_for),
        STEPPED(who_stays_for_ever_is_given_up),
        STEPPED(who_leaves_in_time_is_not_killed),
        STEPPED(a_stop_does_not_wait_for_ever),
        STEPPED(who_has_a_call_leaves_after_it),
        STEPPED(a_signal_for_a_call_is_one_for_its_worker),
        STEPPED(a_call_that_times_out_ends_its_worker),
        STEPPED(a_call_whose_worker_ended_in_time_has_not_timed_out),
        STEPPED(a_call_ran_until_its_worker_ended),
        STEPPED(one_that_was_not_forked_is_ordered_again),
        STEPPED(but_not_at_once),
        STEPPED(one_whose_template_has_gone_is_ordered_from_the_next),
        STEPPED(one_that_was_heard_of_is_not_waited_for),
        STEPPED(workers_do_not_use_up_their_template)};

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("ends of workers", tests, NULL, NULL);
}
