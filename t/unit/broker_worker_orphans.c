/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workers whose template, one of httpd's, has gone: nobody tells how they end.
 * They are followed when they are still who they were, and leave. The protocol
 * of broker_calls.h.
 */
#include "t/unit/broker_stepped.h"

#include "t/unit/broker_child.h"
#include "t/unit/corner.h"

#include <sys/resource.h>

static spawn_id template;
static int words; /* standard error of the worker made last */

/* Its process is the child, whose start is noted so many ms after it. */
static void worker_is_child(worker *ret, int64_t noted)
{
    spawn_writer said;

    worker_ordered(ret);
    words = packet.fds[0];
    packet.fds[0] = -1;
    begin(&said, SPAWN_M_STARTED, &ret->id);
    spawn_put_u64(&said, SPAWN_A_PID, (uint64_t)child);
    spawn_put_u64(&said, SPAWN_A_BOOT_STARTED,
                  (uint64_t)(child_started + noted));
    send_fds(&said, NULL, 0);
    worker_says(ret, NULL);
}

static void say_orphaned(const worker *w, pid_t pid)
{
    spawn_writer said;

    begin(&said, SPAWN_M_ORPHANED, &w->id);
    spawn_put_u64(&said, SPAWN_A_PID, (uint64_t)pid);
    send_fds(&said, NULL, 0);
}

static void a_call(const worker *w, spawn_id *id)
{
    submit(id, SPAWN_REPLY_FINISHED);
    expect_call(w, id);
}

static void reach_a_child(worker *ret, int64_t noted)
{
    child_runs(CHILD_OBEYS);
    reach_workers(1, 1, &template);
    worker_is_child(ret, noted);
}

/* It is told to leave. */
static void is_orphaned(const worker *w)
{
    is_there();
    say_orphaned(w, child);
    expect_no_more(w);
}

static void is_orphaned_in_a_call(const worker *w, spawn_id *id)
{
    a_call(w, id);
    say_orphaned(w, child);
    is_there(); /* and knows that: until then it asks the spawner */
}

static void is_killed(const spawn_id *id)
{
    spawn_writer w;

    begin(&w, SPAWN_M_KILL, id);
    spawn_put_u64(&w, SPAWN_A_SIGNO, SIGUSR1);
    ask(&w);
    expect_answer(SPAWN_M_DONE);
}

static void expect_unknown_end(void)
{
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 0),
                     SPAWN_OUTCOME_ENDED);
    assert_string_equal(spawn_str_or(&message, SPAWN_A_TEXT, ""),
                        "its worker ended, and nobody could tell how");
}

/* ---- it lives ---- */

static void one_that_idles_is_told_to_leave(void **state)
{
    worker w;

    (void)state;
    reach_a_child(&w, 20);
    is_orphaned(&w);
    expect(SPAWN_M_LAUNCH);
    say_orphaned(&w, 4000000); /* told twice: that is old news */
    is_there();
    quiet_at(link_fd, 100);
    (void)close(w.link);
    expect_id(SPAWN_M_FORGET, &w.id);
    child_ends();
}

static void one_that_stays_is_killed_by_us(void **state)
{
    worker w, next;

    (void)state;
    log_is_kept = true;
    reach_a_child(&w, 20);
    is_orphaned(&w);
    worker_ordered(&next);
    time_passes(11);
    child_was_killed(SIGKILL);
    assert_int_equal(logged("MS0611"), 1);
    quiet_at(link_fd, 1); /* the spawner knows nothing of it */
    (void)close(w.link);
    expect_id(SPAWN_M_FORGET, &w.id);
}

static void a_call_in_it_goes_on_and_is_told(void **state)
{
    spawn_id id;
    worker w;

    (void)state;
    reach_a_child(&w, 0);
    is_orphaned_in_a_call(&w, &id);
    quiet_at(caller, 100);
    quiet_at(w.link, 1);
    worker_returns(&w, &id);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_RESULT_KIND, 0),
                     SPAWN_RESULT_RETURNED);
    expect_no_more(&w);
    expect(SPAWN_M_LAUNCH);
    child_ends();
}

static void a_call_in_it_can_be_killed(void **state)
{
    spawn_id id;
    worker w;

    (void)state;
    reach_a_child(&w, 0);
    is_orphaned_in_a_call(&w, &id);
    is_killed(&id);
    child_was_killed(SIGUSR1);
    quiet_at(link_fd, 1);
    (void)close(w.link);
    expect_unknown_end();
}

static void no_signals(void)
{
    deny(SYS_pidfd_send_signal, EPERM);
}

/* One of another account, which we may not signal. */
static void the_spawner_is_asked_to_kill_what_we_may_not(void **state)
{
    spawn_id id;
    worker w;

    (void)state;
    in_broker = no_signals;
    reach_a_child(&w, 0);
    is_orphaned_in_a_call(&w, &id);
    is_killed(&id);
    expect_id(SPAWN_M_SIGNAL, &w.id);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_SIGNO, 0), SIGUSR1);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_PID, 0), child);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_BOOT_STARTED, 0),
                     child_started);
    child_ends();
}

static void expect_it_is_to_be_killed(const worker *w)
{
    expect_id(SPAWN_M_SIGNAL, &w->id);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_SIGNO, 0), SIGKILL);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_PID, 0), child);
}

/* The spawner may not have come to it. */
static void one_that_stays_then_is_killed_again(void **state)
{
    worker w, next;

    (void)state;
    in_broker = no_signals;
    reach_a_child(&w, 20);
    is_orphaned(&w);
    worker_ordered(&next);
    time_passes(11);
    expect_it_is_to_be_killed(&w);
    time_passes(6);
    expect_it_is_to_be_killed(&w);
    child_ends();
}

static void its_last_words_are_in_the_log(void **state)
{
    worker w, next;

    (void)state;
    log_is_kept = true;
    reach_a_child(&w, 0);
    is_there();
    say_orphaned(&w, child);
    worker_ordered(&next);
    broker_sleeps();
    (void)close(w.link);
    assert_int_equal(write(words, "the last\nof all", 15), 15);
    (void)close(words);
    broker_goes_on();
    expect_id(SPAWN_M_FORGET, &w.id);
    is_there();
    assert_int_equal(logged("worker of queue default stderr: the last"), 1);
    assert_int_equal(logged("worker of queue default stderr: of all"), 1);
    child_ends();
}

/* Neither of the many that a graceful restart may leave. */
static void no_descriptor_of_it_is_left(void **state)
{
    enum {
        ROUNDS = 50,
        MANY = 60
    };

    struct rlimit most = {MANY, MANY};
    spawn_id id;
    worker w;
    int i, k;

    (void)state;
    log_is_kept = true;
    child_runs(CHILD_OBEYS);
    reach_workers(0, 1, &template);
    assert_int_equal(prlimit(broker, RLIMIT_NOFILE, &most, NULL), 0);
    for (i = 0; i < ROUNDS; i++) {
        submit(&id, SPAWN_REPLY_FINISHED);
        worker_is_child(&w, 0);
        (void)close(words);
        expect_call(&w, &id);
        say_orphaned(&w, child);
        worker_returns(&w, &id);
        expect_answer(SPAWN_M_JOB);
        expect_no_more(&w);
        (void)close(w.link);
        for (k = 0; k < 4; k++)
            (void)close(w.kept[k]);
        expect_id(SPAWN_M_FORGET, &w.id);
    }
    assert_int_equal(logged("MS0610"), 0);
    child_ends();
}

/* ---- it does not ---- */

static void is_gone(const worker *w)
{
    expect_unknown_end();
    expect(SPAWN_M_LAUNCH);
    expect_id(SPAWN_M_FORGET, &w->id);
}

/* Its call was told to end, and it obeyed. */
static void who_is_left_of_its_group_has_its_grace_and_no_more(void **state)
{
    spawn_id id;
    worker w;

    (void)state;
    on_stop_kills = true;
    child_runs(CHILD_LEAVES_ONE);
    LEAVE_OUT_IF(!groups_are_signalled(), "no group by pidfd on this kernel");
    reach_workers(1, 1, &template);
    worker_is_child(&w, 0);
    a_call(&w, &id);
    say(SPAWN_M_LINGER);
    expect_id(SPAWN_M_SIGNAL, &w.id);
    assert_int_equal(kill(child, SIGTERM), 0); /* ours, not yet reaped */
    child_was_killed(SIGTERM);
    say_orphaned(&w, child);
    expect_unknown_end();
    is_there();
    who_is_left_lives();
    steps[0] += 6;
    steps[1] += 6;
    answers(); /* any question wakes it */
    who_is_left_was_killed();
}

static void one_whose_number_was_given_away_is_gone(void **state)
{
    spawn_id id;
    worker w;

    (void)state;
    child_runs(CHILD_OBEYS);
    reach_workers(1, 1, &template);
    worker_is_child(&w, -200); /* the child began after it */
    a_call(&w, &id);
    say_orphaned(&w, child);
    is_gone(&w);
    child_ends();
}

static void one_that_leads_no_session_is_another(void **state)
{
    spawn_id id;
    worker w;

    (void)state;
    child_runs(CHILD_LEADS_NOTHING);
    reach_workers(1, 1, &template);
    worker_is_child(&w, 0);
    a_call(&w, &id);
    say_orphaned(&w, child);
    is_gone(&w);
    child_ends();
}

static void one_that_is_not_there_is_gone(void **state)
{
    spawn_id id;
    worker w;

    (void)state;
    reach_workers(1, 1, &template);
    child = 3999999; /* no process of ours: a worker is not its own caller */
    worker_is_child(&w, 0);
    a_call(&w, &id);
    say_orphaned(&w, 4000000);
    is_gone(&w);
}

static void one_without_a_link_is_gone(void **state)
{
    worker w;

    (void)state;
    reach_a_child(&w, 0);
    is_there();
    (void)close(w.link);
    expect(SPAWN_M_LAUNCH);
    say_orphaned(&w, child);
    expect_id(SPAWN_M_FORGET, &w.id);
    child_ends();
}

/* A process that it has left may have its link: that does not end then, but has
 * been read. */
static void what_it_returned_before_its_end_counts(void **state)
{
    spawn_id id;
    worker w;

    (void)state;
    reach_workers(1, 1, &template);
    child = 3999999; /* no process of ours: a worker is not its own caller */
    worker_is_child(&w, 0);
    a_call(&w, &id);
    broker_sleeps();
    say_orphaned(&w, 4000000); /* this is read first */
    worker_returns(&w, &id);
    broker_goes_on();
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 0),
                     SPAWN_OUTCOME_EXITED);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 99), 0);
    expect(SPAWN_M_LAUNCH);
    expect_id(SPAWN_M_FORGET, &w.id);
}

/* Its order is not unheard of any more. */
static void one_that_was_coming_is_heard_of(void **state)
{
    worker w;

    (void)state;
    log_is_kept = true;
    reach_workers(1, 1, &template);
    worker_ordered(&w);
    say_orphaned(&w, 4000000);
    expect(SPAWN_M_LAUNCH);
    spawn_attr_id(&message.attr[SPAWN_A_ID], &w.id);
    say_started(&w.id);
    expect(SPAWN_M_FORGET);
    time_passes(31);
    assert_int_equal(logged("MS0603"), 0);
}

/* As many as the template is told to have forked. */
static uint64_t forked(void)
{
    uint64_t count = 0;
    spawn_writer w;

    begin(&w, SPAWN_M_TEMPLATES, NULL);
    ask(&w);
    for (;;) {
        assert_int_equal(receive_at(caller, SPAWN_FROM_BROKER), 1);
        if (message.header.type == SPAWN_M_END)
            return count;
        if (spawn_has(&message, SPAWN_A_TEMPLATE_KIND)) /* no worker */
            count += spawn_u64_or(&message, SPAWN_A_SERVED, 0);
    }
}

/* Its end, or its template's, is the first that is heard of it. */
static void one_that_is_heard_of_last_was_forked_too(void **state)
{
    worker w;
    int i;

    (void)state;
    for (i = 0; i < 2; i++) {
        reach_workers(1, 1, &template);
        worker_ordered(&w);
        assert_int_equal(forked(), 0);
        if (i == 0)
            say_started_and_exited(&w.id, 0);
        else
            say_orphaned(&w, 4000000);
        is_there();
        assert_int_equal(forked(), 1);
        kill_broker();
    }
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down_all)
#define STEPPED(f)                                                             \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(one_that_idles_is_told_to_leave),
        STEPPED(one_that_stays_is_killed_by_us),
        ALONE(a_call_in_it_goes_on_and_is_told),
        ALONE(a_call_in_it_can_be_killed),
        ALONE(the_spawner_is_asked_to_kill_what_we_may_not),
        STEPPED(one_that_stays_then_is_killed_again),
        ALONE(its_last_words_are_in_the_log),
        ALONE(no_descriptor_of_it_is_left),
        STEPPED(who_is_left_of_its_group_has_its_grace_and_no_more),
        ALONE(one_whose_number_was_given_away_is_gone),
        ALONE(one_that_leads_no_session_is_another),
        ALONE(one_that_is_not_there_is_gone),
        ALONE(one_without_a_link_is_gone),
        ALONE(what_it_returned_before_its_end_counts),
        STEPPED(one_that_was_coming_is_heard_of),
        ALONE(one_that_is_heard_of_last_was_forked_too)};

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("orphaned workers", tests, NULL, NULL);
}
