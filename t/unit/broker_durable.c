/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Durable jobs: nothing is answered or launched before it is on the disk, and
 * nobody else waits for that.
 */
#include "t/unit/broker_durable.h"
#include "t/unit/broker_post.h"

static void quiet_caller(int ms)
{
    quiet_at(caller, ms);
}

static void it_is_accepted_when_it_is_on_the_disk(void **state)
{
    spawn_id durable;

    (void)state;
    NEEDS_A_DISK;
    reach_go_and_call_in();
    a_durable_job_waits(); /* the ledger is made */
    disk[HANG_AFTER] = 0;
    submit_durable();
    durable = job;
    wait_for_a_hang();
    quiet_caller(50);
    quiet_for(50);
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED); /* another one */
    ends(0);
    quiet_caller(50);
    disk[HANG_AFTER] = -1;
    job = durable;
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
}

static void it_starts_when_that_is_on_the_disk(void **state)
{
    (void)state;
    NEEDS_A_DISK;
    reach_go_and_call_in();
    a_durable_job_waits();
    disk[HANG_AFTER] = 1; /* after PUT */
    submit_durable();
    expect_answer(SPAWN_M_ACCEPTED);
    wait_for_a_hang();
    quiet_for(50);
    disk[HANG_AFTER] = -1;
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started(&job);
    ends(0);
    expect_outcome(SPAWN_OUTCOME_EXITED);
}

static void one_that_is_killed_before_that_does_not_start(void **state)
{
    (void)state;
    NEEDS_A_DISK;
    reach_go_and_call_in();
    a_durable_job_waits();
    disk[HANG_AFTER] = 1;
    submit_durable();
    expect_answer(SPAWN_M_ACCEPTED);
    wait_for_a_hang();
    kill_it(0);
    expect_answer(SPAWN_M_DONE);
    disk[HANG_AFTER] = -1;
    quiet_for(100);
    expect_outcome(SPAWN_OUTCOME_CANCELLED);
    everything_is_killed();
    expect_ledger("SELECT count(*) FROM job WHERE state = 4", "1");
}

/* httpd was stopped between its choice and the sync. */
static void one_that_is_chosen_before_a_stop_waits(void **state)
{
    (void)state;
    NEEDS_A_DISK;
    reach_go_and_call_in();
    a_durable_job_waits();
    disk[HANG_AFTER] = 1;
    submit_durable();
    expect_answer(SPAWN_M_ACCEPTED);
    wait_for_a_hang();
    say(SPAWN_M_LINGER);
    look(); /* in the same turn, perhaps */
    look(); /* after it */
    disk[HANG_AFTER] = -1;
    expect(SPAWN_M_BYE); /* and no LAUNCH */
    everything_is_killed();
    expect_ledger("SELECT count(*) FROM job WHERE state = 1", "2");
}

static void what_comes_during_a_sync_shares_the_next(void **state)
{
    int32_t before;
    int i;

    (void)state;
    NEEDS_A_DISK;
    queue_waits = 1000;
    reach_go_and_call_in();
    a_durable_job_waits();
    disk[HANG_AFTER] = 0;
    submit_durable();
    wait_for_a_hang();
    before = disk[SYNCS];
    for (i = 0; i < 10; i++) {
        spawn_writer w;

        begin_durable(&w);
        spawn_put_u64(&w, SPAWN_A_DELAY, 3600000);
        ask(&w);
    }
    quiet_caller(50);
    disk[HANG_AFTER] = -1;
    for (i = 0; i < 11; i++)
        expect_answer(SPAWN_M_ACCEPTED);
    assert_in_range(disk[SYNCS] - before, 1, 3); /* and the start of one */
}

static void its_end_is_on_the_disk(void **state)
{
    (void)state;
    reach_go_and_call_in();
    a_durable_job_runs();
    ends(0x0300);
    everything_is_killed();
    expect_ledger("SELECT state || ' ' || outcome || ' ' || exit_code FROM job",
                  "4 1 3");
}

static void a_posted_one_is_refused(void **state)
{
    spawn_writer w;

    (void)state;
    make_inbox();
    reach_go_and_call_in();
    (void)spawn_id_make(&job);
    begin_post(&w, &job, "/bin/true");
    spawn_put_u64(&w, SPAWN_A_DURABLE, 1);
    send_post(&w);
    wait_until_logged("durable: a job that is posted has no answer", 1);
    expect_outcome(SPAWN_OUTCOME_START_FAILED);
}

/* Its end is of no ledger: nothing is to be written before the broker goes. */
static void a_refused_one_holds_up_no_stop(void **state)
{
    spawn_writer w;

    (void)state;
    make_inbox();
    reach_go_and_call_in();
    (void)spawn_id_make(&job);
    begin_post(&w, &job, "/bin/true");
    spawn_put_u64(&w, SPAWN_A_DURABLE, 1);
    send_post(&w);
    wait_until_logged("durable: a job that is posted has no answer", 1);
    expect_outcome(SPAWN_OUTCOME_START_FAILED);
    say(SPAWN_M_LINGER);
    expect(SPAWN_M_BYE);
}

/* Not even where there is one, which takes nothing now. */
static void nor_while_the_ledger_cannot_be_read(void **state)
{
    spawn_writer w;

    (void)state;
    make_inbox();
    reach_go_and_call_in();
    a_durable_job_runs();
    ends(0);
    has_heard();
    kill_broker();
    hold_the_lock();
    another_broker();
    wait_until_logged("MS0696", 1);
    (void)spawn_id_make(&job);
    begin_post(&w, &job, "/bin/true");
    spawn_put_u64(&w, SPAWN_A_DURABLE, 1);
    send_post(&w);
    wait_until_logged("durable: a job that is posted has no answer", 1);
    expect_outcome(SPAWN_OUTCOME_START_FAILED);
    say(SPAWN_M_LINGER);
    expect(SPAWN_M_BYE);
}

static void handles_are_refused(void **state)
{
    spawn_writer w;
    int fd = 0;

    (void)state;
    reach_go_and_call_in();
    begin_durable(&w);
    spawn_put_u64v(&w, SPAWN_A_FDS, (const uint64_t[]){0, 7}, 2);
    assert_int_equal(spawn_writer_finish(&w, 1), 0);
    assert_int_equal(spawn_packet_send(caller, w.data, w.length, &fd, 1), 0);
    spawn_writer_free(&w);
    expect_refused_with("handles");
}

static void a_store_in_memory_is_refused(void **state)
{
    char spool[80];

    (void)state;
    (void)snprintf(spool, sizeof(spool), "%s/spool", dir);
    assert_int_equal(rmdir(spool), 0);
    assert_int_equal(rmdir(dir), 0);
    (void)strcpy(dir, "/dev/shm/broker-test-XXXXXX");
    assert_non_null(mkdtemp(dir));
    reach_go_and_call_in();
    submit_durable();
    expect_refused_with("SpawnStore");
    job_runs(0, 0, SPAWN_REPLY_ACCEPTED);
}

static void a_resend_joins_it(void **state)
{
    spawn_writer w;

    (void)state;
    NEEDS_A_DISK;
    reach_go_and_call_in();
    a_durable_job_waits();
    disk[HANG_AFTER] = 0;
    submit_durable();
    wait_for_a_hang();
    begin_submit(&w, &job, "/bin/true");
    spawn_put_u64(&w, SPAWN_A_DURABLE, 1);
    ask(&w);
    quiet_caller(50);
    disk[HANG_AFTER] = -1;
    expect_answer(SPAWN_M_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    quiet_for(50);
}

static void a_caller_that_waits_has_the_end(void **state)
{
    spawn_writer w;

    (void)state;
    reach_go_and_call_in();
    begin_durable(&w);
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started(&job);
    ends(0);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 99),
                     SPAWN_OUTCOME_EXITED);
}

static void put_allow(spawn_writer *w)
{
    size_t nest = spawn_open_nest(w, SPAWN_A_QUEUE_ALLOW), list;

    spawn_put_str(w, SPAWN_A_QUEUE, "default");
    list = spawn_open_strv(w, SPAWN_A_ALLOW);
    spawn_add_text(w, list, "/usr/bin/id", 11);
    spawn_close(w, list);
    spawn_close(w, nest);
}

/* Its start is refused when the ledger, and the store, have that it starts. It
 * ends at once, though nothing else happens then. */
static void one_that_may_not_start_any_more_is_told_at_once(void **state)
{
    spawn_id first;
    spawn_writer w;
    struct stat unused;

    (void)state;
    queue_jobs = 1;
    reach_go_and_call_in();
    job_runs(0, 0, SPAWN_REPLY_FINISHED);
    first = job;
    begin_durable(&w);
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
    has_heard();
    more_rules = put_allow;
    say_configure();
    expect(SPAWN_M_BROKER_READY);
    (void)stat("/bin/true", &unused); /* so that the kernel can say at once */
    wait_until_logged("MS0640", 1);   /* of the socket that was made anew */
    has_heard();
    steps[1] -= 600; /* no timer comes to the rescue */
    say_exited(&first, 0, 0);
    expect_id(SPAWN_M_FORGET, &first);
    expect_answer(SPAWN_M_JOB);
    expect_answer(SPAWN_M_JOB);
    is_of(&job);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 99),
                     SPAWN_OUTCOME_START_FAILED);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STEP, 0), SPAWN_STEP_ALLOW);
}

static void submit_it_after_a_moment(void)
{
    spawn_writer w;

    begin_submit(&w, &job, "/bin/true");
    spawn_put_u64(&w, SPAWN_A_DURABLE, 1);
    spawn_put_u64(&w, SPAWN_A_DELAY, 1500);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
}

static void the_ledger_is_moved(const char *from, const char *to)
{
    char path[100], target[100];

    (void)snprintf(path, sizeof(path), "%s/%s", dir, from);
    (void)snprintf(target, sizeof(target), "%s/%s", dir, to);
    assert_int_equal(rename(path, target), 0);
}

/* A scribe of the broker before made the ledger a moment after this broker had
 * looked for it. */
static void
one_that_is_submitted_again_before_the_ledger_is_read_runs(void **state)
{
    (void)state;
    reach_go_and_call_in();
    assert_int_equal(spawn_id_make(&job), 0);
    submit_it_after_a_moment();
    kill_broker();
    wait_for_the_scribe();
    run_sql("DELETE FROM job");
    the_ledger_is_moved("durable-1.db", "elsewhere");
    another_broker();
    has_heard();
    the_ledger_is_moved("elsewhere", "durable-1.db");
    submit_it_after_a_moment();
    expect_id(SPAWN_M_LAUNCH, &job);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up_disk, tear_down_disk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_that_is_submitted_again_before_the_ledger_is_read_runs),
        TEST(it_is_accepted_when_it_is_on_the_disk),
        TEST(it_starts_when_that_is_on_the_disk),
        TEST(one_that_is_killed_before_that_does_not_start),
        TEST(one_that_is_chosen_before_a_stop_waits),
        TEST(what_comes_during_a_sync_shares_the_next),
        TEST(its_end_is_on_the_disk),
        TEST(a_posted_one_is_refused),
        TEST(a_refused_one_holds_up_no_stop),
        TEST(nor_while_the_ledger_cannot_be_read),
        TEST(handles_are_refused),
        TEST(a_store_in_memory_is_refused),
        TEST(a_resend_joins_it),
        TEST(a_caller_that_waits_has_the_end),
        TEST(one_that_may_not_start_any_more_is_told_at_once),
    };

    find_broker();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
