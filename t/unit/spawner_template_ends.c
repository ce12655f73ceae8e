/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Links of templates take turns, and have an end: how much is taken from one at
 * a time, and what becomes of the jobs of a template that ends.
 */
#include "t/unit/spawner_templates.h"

/* ---- turns ---- */

static void send_many(unsigned n)
{
    for (; n > 0; n--)
        send_type(other_end, SPAWN_M_RETURNED);
}

static unsigned messages_left(const job *template)
{
    unsigned n = 0;
    char byte;

    while (recv(template->link, &byte, 1, MSG_DONTWAIT) > 0)
        n++;
    return n;
}

static void a_turn_has_an_end(void **state)
{
    job *template = have_template(1, 0), *foreign;

    (void)state;
    send_many(70);
    template_input(template);
    assert_int_equal(messages_left(template), 6);
    /* all that is there now is taken when somebody has to know */
    send_many(70);
    templates_drain();
    assert_int_equal(messages_left(template), 0);
    foreign = have_template(2, JOB_FOREIGN);
    send_many(3);
    templates_drain(); /* its jobs are not ours */
    assert_int_equal(messages_left(foreign), 3);
    spawn_close_fds(&template->link, 1);
    templates_drain();
}

static unsigned ready_events(void)
{
    struct epoll_event e;

    return (unsigned)epoll_wait(spawner.epoll, &e, 1, 0);
}

static void its_end_does_not_make_us_spin(void **state)
{
    struct epoll_event e = {.events = EPOLLIN};
    job *template = have_template(1, 0);

    (void)state;
    spawner.epoll = epoll_create1(EPOLL_CLOEXEC);
    assert_int_equal(
        epoll_ctl(spawner.epoll, EPOLL_CTL_ADD, template->link, &e), 0);
    send_many(1);
    template_input(template);
    send_many(1);
    assert_int_equal(ready_events(), 1); /* it is still looked at */
    (void)close(other_end);
    template_input(template);
    assert_int_equal(ready_events(), 0);
    assert_true(template->link >= 0 && template->state == JOB_RUNNING);
    expect_called(""); /* SIGCHLD tells its end */
    (void)close(spawner.epoll);
}

/* Its pidfd stays until the broker knows of its end. */
static void its_pidfd_does_not_make_us_spin(void **state)
{
    struct epoll_event e = {.events = EPOLLIN};
    job *template = have_template(1, JOB_FOREIGN);
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0); /* one that can be read from is like it */
    (void)close(ends[1]);
    spawner.epoll = epoll_create1(EPOLL_CLOEXEC);
    assert_int_equal(epoll_ctl(spawner.epoll, EPOLL_CTL_ADD, ends[0], &e), 0);
    template_note_of(template)->pidfd = ends[0];
    assert_int_equal(ready_events(), 1);
    template_gone(template);
    assert_int_equal(ready_events(), 0);
    assert_int_equal(template_note_of(template)->pidfd, ends[0]);
    template_forget(template); /* as without memory for its note */
    template_ended(template);
    (void)close(spawner.epoll);
}

/* ---- the end of one ---- */

static void a_foreign_one_ends_with_its_link(void **state)
{
    job *template = have_template(1, JOB_FOREIGN), *starts, *runs, *ended;
    job *set, *step;
    int64_t wall = spawn_wall_ms();

    (void)state;
    starts = have_job_of(template, 9, JOB_STARTING, 0);
    runs = have_job_of(template, 10, JOB_RUNNING, 600);
    ended = have_job_of(template, 11, JOB_ENDED, 601);
    set = have_job_of(template, 12, JOB_STARTING, 602);
    step = have_job_of(template, 13, JOB_STARTING, 603);
    step->step = SPAWN_STEP_CWD;
    template_input(template); /* nothing is there: it lives */
    assert_int_equal(template->state, JOB_RUNNING);
    send_many(1);
    (void)close(other_end);
    template_input(template);
    assert_int_equal(template->state, JOB_ENDED);
    assert_int_equal(template->link, -1);
    assert_true(template->flags & JOB_TELL_EXITED);
    assert_in_range(template->ended_ms, wall, spawn_wall_ms());
    expect_called("closed with care; failed template 3; ");
    assert_true(starts->template == 0 && runs->template == 0);
    assert_int_equal(runs->state, JOB_ENDED);
    assert_true(runs->flags & JOB_TELL_ORPHAN);
    assert_int_equal(ended->flags, JOB_FOREIGN);
    assert_int_equal(ended->template, 0);
    assert_true(set->state == JOB_ENDED && step->state == JOB_ENDED);
    assert_true(set->flags & step->flags & JOB_TELL_ORPHAN);
    assert_true(runs->step == 0 && ended->step == 0);
    assert_int_equal(set->step, SPAWN_STEP_TEMPLATE); /* it never runs */
    assert_int_equal(set->error, ESRCH);
    assert_int_equal(step->step, SPAWN_STEP_CWD);
    assert_int_equal(step->error, 0);
}

/* The broker has not heard of it, and jobs wait for it. */
static void a_foreign_one_that_was_not_ready_has_failed(void **state)
{
    job *template = have_template(1, JOB_FOREIGN);

    (void)state;
    (void)close(other_end);
    template_input(template);
    assert_int_equal(template->said, SAID_ENDED);
    assert_true(template->flags & JOB_TELL_SAID);
    assert_true(template->flags & JOB_TELL_EXITED);
    assert_string_equal(template_note_of(template)->text,
                        "its process ended before it was ready");
    template = have_template(2, JOB_FOREIGN);
    template->said = SAID_READY;
    (void)close(other_end);
    template_input(template);
    assert_int_equal(template->said, SAID_READY);
    assert_false(template->flags & JOB_TELL_SAID);
}

static void a_job_older_than_its_template_is_one_too(void **state)
{
    job *j = have(9, JOB_STARTING, 0, 0), *template = have_template(1, 0);

    (void)state;
    j->template = table_index(template);
    j->pid = 500;
    j->pending_signal = SIGTERM;
    template_note_of(template)->signals_wait = true;
    template_input(template);
    assert_int_equal(j->pending_signal, 0);
    j->pid = 0;
    called[0] = '\0';
    template_ended(template);
    expect_called("closed with care; failed template 3; ");
}

/* The messages of it and its jobs count; a job that is not set up yet finds
 * nobody to tell, ends, and can be ordered again. */
static void jobs_of_one_that_ended(void **state)
{
    job *other = have_template(2, 0), *template, *waits, *told, *runs, *step;
    job *its, *starting, *gone;
    spawn_id id = id_of(10);
    spawn_writer w;

    (void)state;
    template = have_template(1, 0);
    waits = have_job_of(template, 9, JOB_STARTING, 0);
    told = have_job_of(template, 10, JOB_STARTING, 600);
    runs = have_job_of(template, 11, JOB_RUNNING, 601);
    step = have_job_of(template, 12, JOB_STARTING, 602);
    step->step = SPAWN_STEP_CWD;
    its = have_job_of(other, 13, JOB_STARTING, 0);
    starting = have_job_of(template, 14, JOB_STARTING, 603);
    gone = have_job_of(template, 15, JOB_STARTING, 0);
    table_remove(gone);
    begin(&w, SPAWN_M_SET_UP);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    send_on(other_end, &w, NULL, 0);

    template_ended(template);
    expect_called("closed with care; failed template 3; ");
    assert_int_equal(waits->state, JOB_ENDED);
    assert_int_equal(told->state, JOB_RUNNING);
    assert_int_equal(runs->state, JOB_RUNNING);
    assert_true(told->step == 0 && runs->step == 0);
    assert_int_equal(step->step, SPAWN_STEP_CWD);
    assert_int_equal(step->error, 0);
    assert_int_equal(starting->step, SPAWN_STEP_TEMPLATE);
    assert_int_equal(starting->error, ESRCH);
    assert_int_equal(starting->state, JOB_STARTING);
    assert_true(its->state == JOB_STARTING
                && its->template == table_index(other));
    assert_true(runs->template == 0 && starting->template == 0);
    assert_int_equal(gone->template, table_index(template));
    assert_int_equal(send(other_end, "x", 1, MSG_NOSIGNAL), -1);
    template_ended(template); /* without a link, and without jobs */
    expect_called("");
}

/* It stays until httpd has another one. */
static void why_it_cannot_be_loaded_is_a_last_word(void **state)
{
    job *failed = have_template(1, JOB_FOREIGN);
    job *ready = have_template(2, JOB_FOREIGN);

    (void)state;
    failed->said = SAID_FAILED;
    template_gone(failed);
    assert_true(template_note_of(failed)->last_word);
    ready->said = SAID_READY;
    template_gone(ready);
    assert_false(template_note_of(ready)->last_word);
}

/* The broker has forgotten it, and nobody would ever take it away. */
static void who_was_given_up_goes_with_its_template(void **state)
{
    job *template = have_template(1, JOB_FOREIGN), *j;

    (void)state;
    j = have_job_of(template, 9, JOB_RUNNING, 600);
    j->flags |= JOB_GIVEN_UP;
    template_gone(template);
    assert_int_equal(j->state, JOB_FREE);
    assert_null(table_by_id(&(spawn_id){{9, 1}}));
    expect_called("closed with care; ");
}

/* In the same turn its place may have become another's, which lives. */
static void an_event_of_before_ends_nobody_else(void **state)
{
    job *template = have_template(1, 0), *foreign, *none;
    int ends[2];

    (void)state;
    template_may_be_gone(template); /* without a pidfd */
    assert_int_equal(template->state, JOB_RUNNING);
    none = have(3, JOB_FREE, JOB_IS_TEMPLATE, 0);
    template_may_be_gone(none);
    foreign = have_template(2, JOB_FOREIGN);
    assert_int_equal(pipe(ends), 0); /* one that can be read from is like it */
    template_note_of(foreign)->pidfd = ends[0];
    template_may_be_gone(foreign);
    assert_int_equal(foreign->state, JOB_RUNNING);
    expect_called("");
    (void)close(ends[1]);
    template_may_be_gone(foreign);
    assert_int_equal(foreign->state, JOB_ENDED);
    expect_called("closed with care; ");
    none->state = JOB_ENDED;
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_turn_has_an_end),
        T(its_end_does_not_make_us_spin),
        T(its_pidfd_does_not_make_us_spin),
        T(a_foreign_one_ends_with_its_link),
        T(why_it_cannot_be_loaded_is_a_last_word),
        T(who_was_given_up_goes_with_its_template),
        T(an_event_of_before_ends_nobody_else),
        T(jobs_of_one_that_ended),
        T(a_foreign_one_that_was_not_ready_has_failed),
        T(a_job_older_than_its_template_is_one_too),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_template_ends", tests, NULL,
                                       NULL);
}
