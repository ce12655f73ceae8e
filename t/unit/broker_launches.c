/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs that waited in the store: their start is noted in a file, and not stored
 * before their orders are sent; and whoever comes after a killed broker, or
 * after all of httpd, runs none of them twice and loses none. In these tests
 * time stands still, so that nothing is stored that can wait. The protocol of
 * broker_found.h.
 */
#include "t/unit/broker_clock.h"
#include "t/unit/broker_found.h"

#define NOTES 128

static void waits(void)
{
    put_program(SPAWN_STATE_QUEUED, 0, 0, false);
}

static void goes(void)
{
    start_broker();
    expect_ready();
    time_stands(); /* before anything is ordered */
    say(SPAWN_M_GO);
}

/* It is ordered, and the store says that it waits. */
static void is_ordered(void)
{
    make_store();
    waits();
    goes();
    expect_id(SPAWN_M_LAUNCH, &job);
}

static void all_die(void)
{
    kill_broker();
    time_goes_on();
    another_spawner();
}

static void comes_anew(void)
{
    kill_broker();
    time_goes_on();
    start_broker();
}

static void store_says(const char *state)
{
    kill_broker();
    expect_sql("SELECT group_concat(state, '') FROM job", state);
}

/* ---- how often it is stored ---- */

static void a_start_is_noted_and_not_stored(void **state)
{
    (void)state;
    is_ordered();
    call_in();
    has_heard();
    store_says("1");
}

static void it_is_stored_a_moment_later(void **state)
{
    (void)state;
    is_ordered();
    call_in();
    time_moves(20);
    has_heard();
    store_says("2");
}

static void an_end_is_stored_in_its_place(void **state)
{
    (void)state;
    is_ordered();
    call_in();
    say_started(&job);
    say_exited(&job, 0, 5 << 8);
    has_heard();
    quiet_for(1); /* no FORGET */
    time_moves(20);
    expect_id(SPAWN_M_FORGET, &job);
    store_says("4");
}

static void without_a_place_it_is_stored_before(void **state)
{
    char wanted[NOTES + 3] = "";
    int i;

    (void)state;
    make_store();
    queue_jobs = NOTES + 2;
    for (i = 0; i < NOTES + 2; i++)
        waits();
    goes();
    for (i = 0; i < NOTES + 2; i++)
        expect(SPAWN_M_LAUNCH);
    call_in();
    has_heard();
    (void)memset(wanted, '1', NOTES);
    (void)memcpy(wanted + NOTES, "22", 2);
    store_says(wanted);
}

static void a_place_is_free_when_its_job_is_stored(void **state)
{
    spawn_id next;
    int i;

    (void)state;
    make_store();
    queue_jobs = 1;
    for (i = 0; i < NOTES + 3; i++)
        waits();
    goes();
    call_in();
    expect(SPAWN_M_LAUNCH);
    spawn_attr_id(&message.attr[SPAWN_A_ID], &job);
    for (i = 0; i < NOTES + 1; i++) {
        say_exited(&job, 0, 0);
        expect(SPAWN_M_LAUNCH); /* of the next */
        spawn_attr_id(&message.attr[SPAWN_A_ID], &next);
        time_moves(20);
        has_heard();
        expect_id(SPAWN_M_FORGET, &job);
        job = next;
    }
    say_exited(&job, 0, 0);
    expect(SPAWN_M_LAUNCH);
    kill_broker();
    expect_sql("SELECT state FROM job ORDER BY seq DESC LIMIT 1", "1");
}

/* Its job's end is stored, too, and says nothing of who has the place now. */
static void a_place_is_freed_once(void **state)
{
    spawn_id ids[2];
    spawn_writer w;
    int i;

    (void)state;
    make_store();
    queue_jobs = 2;
    for (i = 0; i < 4; i++)
        waits();
    goes();
    for (i = 0; i < 2; i++) {
        expect(SPAWN_M_LAUNCH);
        spawn_attr_id(&message.attr[SPAWN_A_ID], &ids[i]);
    }
    call_in();
    time_moves(20);
    has_heard();
    say_exited(&ids[0], 0, 0);
    expect(SPAWN_M_LAUNCH);
    begin(&w, SPAWN_M_GET, &ids[0]); /* this end is stored, and no more */
    ask(&w);
    expect_answer(SPAWN_M_JOB);
    expect_id(SPAWN_M_FORGET, &ids[0]);
    say_exited(&ids[1], 0, 0);
    expect_id(SPAWN_M_LAUNCH, &job);
    all_die();
    start_broker();
    go();
    call_in();
    has_heard();
    quiet_for(1);
}

static void where_none_can_be_written_it_is_stored_before(void **state)
{
    (void)state;
    make_store();
    no_notes();
    waits();
    goes();
    expect_id(SPAWN_M_LAUNCH, &job);
    store_says("2");
}

/* It is known that the store takes nothing: no note makes more of it. */
static void while_the_store_takes_nothing_nothing_starts(void **state)
{
    spawn_id first, second;

    (void)state;
    log_is_kept = true;
    make_store();
    queue_jobs = 1;
    waits();
    first = job;
    waits();
    second = job;
    store_fails_a_while(NO_UPDATE);
    reach_go_and_call_in();
    expect_id(SPAWN_M_LAUNCH, &first); /* nobody knows it yet */
    wait_until_logged("MS0530", 1);
    say_exited(&first, 0, 0);
    has_heard();
    quiet_for(1);
    store_takes_again();
    for (;;) {
        next_message();
        if (message.header.type != SPAWN_M_FORGET)
            break;
    }
    assert_int_equal(message.header.type, SPAWN_M_LAUNCH);
    spawn_attr_id(&message.attr[SPAWN_A_ID], &job);
    assert_true(spawn_id_equal(&job, &second));
}

/* ---- who comes after ---- */

static void its_order_never_came_and_is_sent_again(void **state)
{
    (void)state;
    is_ordered();
    comes_anew();
    go();
    expect_id(SPAWN_M_LAUNCH, &job);
    say_exited(&job, 0, 5 << 8);
    expect_id(SPAWN_M_FORGET, &job);
    expect_jobs("4 1 5 -");
}

static void one_that_runs_goes_on(void **state)
{
    (void)state;
    is_ordered();
    comes_anew();
    say_running(SPAWN_STATE_RUNNING, 4000000, 10);
    go();
    call_in();
    has_heard();
    quiet_for(1); /* no LAUNCH */
    say_exited(&job, 0, 5 << 8);
    expect_id(SPAWN_M_FORGET, &job);
    expect_jobs("4 1 5 -");
}

static void one_that_is_being_started_is_stored_so(void **state)
{
    (void)state;
    is_ordered();
    comes_anew();
    say_running(SPAWN_STATE_STARTING, 0, 0);
    go();
    call_in();
    has_heard();
    quiet_for(1);
    store_says("2");
}

static void one_that_has_ended_has_ended(void **state)
{
    (void)state;
    is_ordered();
    comes_anew();
    say_running(SPAWN_STATE_RUNNING, 4000000, 10);
    say_exited(&job, 0, 5 << 8);
    go();
    expect_id(SPAWN_M_FORGET, &job);
    expect_jobs("4 1 5 -");
}

static void when_all_have_gone_it_is_lost(void **state)
{
    char wanted[32];

    (void)state;
    is_ordered();
    all_die();
    start_broker();
    go();
    call_in();
    has_heard();
    quiet_for(1); /* no LAUNCH */
    (void)snprintf(wanted, sizeof(wanted), "4 %d - -", SPAWN_OUTCOME_LOST);
    expect_jobs(wanted);
}

/* The note of one job does not count for another. */
static void another_that_waits_is_launched(void **state)
{
    (void)state;
    is_ordered();
    all_die();
    waits();
    start_broker();
    go();
    expect_id(SPAWN_M_LAUNCH, &job);
    say_exited(&job, 0, 0);
    expect_id(SPAWN_M_FORGET, &job);
}

/* The store knows more than the note. */
static void what_is_stored_counts(void **state)
{
    (void)state;
    is_ordered();
    kill_broker();
    child_runs(CHILD_OBEYS);
    it_runs_as(child, child_started);
    another_spawner();
    start_broker();
    go();
    call_in();
    has_heard();
    store_says("3");
}

/* ---- it waits again ---- */

static void a_function_waits(void)
{
    make_store();
    (void)spawn_id_make(&job);
    put_job(&job, SPAWN_STATE_QUEUED, "My::f");
}

static void nobody_was_forked_for_it(spawn_id *template)
{
    rules = "A";
    goes();
    template_starts(template, true);
    expect_order(&job, template);
    time_goes_on();
    broker_sleeps();
    say_exited(template, 0, SIGKILL);
    say_exited(&job, SPAWN_STEP_TEMPLATE, ESRCH);
    broker_goes_on();
    expect_id(SPAWN_M_FORGET, template);
    expect_id(SPAWN_M_FORGET, &job);
}

static void what_waits_again_was_not_ordered(void **state)
{
    spawn_id template;

    (void)state;
    a_function_waits();
    nobody_was_forked_for_it(&template);
    expect(SPAWN_M_LAUNCH); /* of a template that does not get ready */
    call_in();
    has_heard();
    all_die();
    start_broker();
    go();
    template_starts(&template, true);
    expect_order(&job, &template);
}

/* Its first note is none of its second order, also when that fails before. */
static void what_waits_again_is_noted_again(void **state)
{
    spawn_id template;

    (void)state;
    a_function_waits();
    store_fails_a_while(NO_UPDATE);
    nobody_was_forked_for_it(&template);
    template_starts(&template, true);
    call_in();
    has_heard();
    quiet_for(1); /* neither stored nor noted */
    store_takes_again();
    expect_order(&job, &template);
}

/* A broker knows that nobody has its order: the next one has no note of it. */
static void what_was_found_waiting_waits(void **state)
{
    (void)state;
    is_ordered();
    comes_anew();
    expect_ready(); /* and no GO */
    call_in();
    has_heard();
    all_die();
    start_broker();
    go();
    expect_id(SPAWN_M_LAUNCH, &job);
}

/* The same of one that was stored as starting. */
static void what_was_found_starting_and_waits_waits(void **state)
{
    (void)state;
    is_ordered();
    call_in();
    time_moves(20);
    has_heard();
    comes_anew();
    expect_ready();
    call_in();
    has_heard();
    all_die();
    start_broker();
    go();
    expect_id(SPAWN_M_LAUNCH, &job);
}

/* ---- the file ---- */

static void a_file_that_is_cut_has_what_it_has(void **state)
{
    char path[96];

    (void)state;
    is_ordered();
    kill_broker();
    (void)snprintf(path, sizeof(path), "%s/launches", dir);
    assert_int_equal(truncate(path, 40), 0);
    start_broker(); /* of the same spawner */
    go();
    expect_id(SPAWN_M_LAUNCH, &job);
    store_says("1");
}

static void a_link_is_not_followed(void **state)
{
    char path[96], target[96];

    (void)state;
    make_store();
    waits();
    (void)snprintf(path, sizeof(path), "%s/launches", dir);
    (void)snprintf(target, sizeof(target), "%s/elsewhere", dir);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink(target, path), 0);
    goes();
    expect_id(SPAWN_M_LAUNCH, &job);
    assert_int_equal(access(target, F_OK), -1);
    store_says("2");
}

int main(void)
{
#define NOTED(test)                                                            \
    cmocka_unit_test_setup_teardown(test, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        NOTED(a_start_is_noted_and_not_stored),
        NOTED(it_is_stored_a_moment_later),
        NOTED(an_end_is_stored_in_its_place),
        NOTED(without_a_place_it_is_stored_before),
        NOTED(a_place_is_free_when_its_job_is_stored),
        NOTED(a_place_is_freed_once),
        NOTED(where_none_can_be_written_it_is_stored_before),
        NOTED(while_the_store_takes_nothing_nothing_starts),
        NOTED(its_order_never_came_and_is_sent_again),
        NOTED(one_that_runs_goes_on),
        NOTED(one_that_is_being_started_is_stored_so),
        NOTED(one_that_has_ended_has_ended),
        NOTED(when_all_have_gone_it_is_lost),
        NOTED(another_that_waits_is_launched),
        NOTED(what_is_stored_counts),
        NOTED(what_waits_again_was_not_ordered),
        NOTED(what_waits_again_is_noted_again),
        NOTED(what_was_found_waiting_waits),
        NOTED(what_was_found_starting_and_waits_waits),
        NOTED(a_file_that_is_cut_has_what_it_has),
        NOTED(a_link_is_not_followed)};

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("broker launches", tests, NULL, NULL);
}
