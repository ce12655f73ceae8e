/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store that is damaged while a broker has it open: what meets the damage is
 * told an error; jobs run on, and no end is forgotten. The broker makes way for
 * another one, which sets the store aside, has an empty one, and what had been
 * accepted and not stored. The protocol of broker_clock.h.
 */
#include "t/unit/broker_damage.h"

#include <glob.h>

static spawn_id runs; /* a job that does when the damage comes */
static const char *body_size = "900";

static size_t set_aside_are(void)
{
    char pattern[100];
    glob_t found;
    size_t count;

    (void)snprintf(pattern, sizeof(pattern), "%s/jobs.db.damaged-*", dir);
    memset(&found, 0, sizeof(found));
    (void)glob(pattern, 0, NULL, &found);
    count = found.gl_pathc;
    globfree(&found);
    return count;
}

static void get(const spawn_id *id)
{
    spawn_writer w;

    begin(&w, SPAWN_M_GET, id);
    ask(&w);
}

static void submit(const spawn_id *id)
{
    submit_as(id, "/bin/true");
}

/* A broker with a job that runs, and a long history. */
static void begins_whole(spawn_id *ret_old)
{
    log_is_kept = true;
    make_inbox();
    make_store();
    fill_history(body_size);
    oldest(ret_old);
    reach_go_and_call_in();
    (void)spawn_id_make(&runs);
    submit(&runs);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &runs);
    say_started(&runs);
    do { /* it is stored, and nothing of it is to be stored a moment later */
        get(&runs);
        expect_answer(SPAWN_M_JOB);
    } while (spawn_attr_u64(&message.attr[SPAWN_A_STATE])
             != SPAWN_STATE_RUNNING);
    has_heard();
    others_are_read();
}

/* As a broker begins whose spawner has this job. */
static void the_next_one_begins(void)
{
    spawn_writer w;

    start_broker();
    begin(&w, SPAWN_M_RUNNING, &runs);
    spawn_put_u64(&w, SPAWN_A_STATE, SPAWN_STATE_RUNNING);
    spawn_put_u64(&w, SPAWN_A_PID, 4000000);
    spawn_put_u64(&w, SPAWN_A_MONO_STARTED, 1000);
    spawn_put_u64(&w, SPAWN_A_BOOT_STARTED, 1000);
    send_fds(&w, NULL, 0);
    expect_ready();
    call_in();
}

static bool is_marked(void)
{
    char path[300];

    (void)snprintf(path, sizeof(path), "%s/jobs.db.check", dir);
    return access(path, F_OK) == 0;
}

/* For a job that nobody knows; the broker may have ended. */
static void somebody_asks(void)
{
    spawn_writer w;
    spawn_id nobody;

    (void)spawn_id_make(&nobody);
    begin(&w, SPAWN_M_GET, &nobody);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    (void)spawn_packet_send(caller, w.data, w.length, NULL, 0);
    spawn_writer_free(&w);
}

/* It makes way for another one. */
static void it_leaves(void)
{
    int64_t until = spawn_mono_ms() + DEADLINE_MS;
    int status = -1;

    while (waitpid(broker, &status, WNOHANG) == 0) {
        assert_true(spawn_mono_ms() < until);
        (void)usleep(1000);
    }
    assert_int_equal(status, 0);
    broker = 0;
    (void)close(link_fd);
    link_fd = -1;
    (void)close(caller);
    caller = -1;
    assert_int_equal(logged("MS0871"), 1);
    assert_true(is_marked());
    assert_int_equal(set_aside_are(), 0);
}

static void the_next_one_sets_it_aside(void)
{
    the_next_one_begins();
    assert_int_equal(logged("MS0866"), 1);
    assert_int_equal(set_aside_are(), 1);
    assert_false(is_marked());
}

static void what_is_read_is_told_an_error(void **state)
{
    spawn_id old;

    (void)state;
    begins_whole(&old);
    damage();
    get(&old);
    expect_refusal(SPAWN_E_STORE);
    it_leaves();
    the_next_one_sets_it_aside();
}

/* And not that the job has ended. */
static void so_is_who_wants_it_killed(void **state)
{
    spawn_writer w;
    spawn_id old;

    (void)state;
    begins_whole(&old);
    damage();
    begin(&w, SPAWN_M_KILL, &old);
    ask(&w);
    expect_refusal(SPAWN_E_STORE);
    it_leaves();
}

/* Of an old time, so that only the store can tell: it may have run. */
static void what_may_be_known_is_not_taken(void **state)
{
    spawn_id old, again;

    (void)state;
    begins_whole(&old);
    (void)spawn_id_make(&again);
    memset(again.bytes, 0, 6);
    damage();
    submit(&again);
    expect_refusal(SPAWN_E_UNCONFIRMED);
    it_leaves();
    the_next_one_sets_it_aside();
}

static void what_cannot_be_written_is_for_the_next_one(void **state)
{
    spawn_id old, more;

    (void)state;
    begins_whole(&old);
    damage();
    say_exited(&runs, 0, 3 << 8);
    somebody_asks(); /* the pages to be written may be in memory by chance */
    it_leaves();
    the_next_one_sets_it_aside();
    say(SPAWN_M_GO);
    say_exited(&runs, 0, 3 << 8);
    expect_id(SPAWN_M_FORGET, &runs);
    assert_int_equal(logged("MS0896"), 1);
    (void)spawn_id_make(&more);
    submit(&more);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &more);
    say_exited(&more, 0, 0);
    expect_id(SPAWN_M_FORGET, &more);
    end_broker();
    expect_sql("SELECT group_concat(exit_code) FROM job WHERE state = 4",
               "3,0");
}

/* Its pages are not all read when it is opened. */
static void so_is_one_that_is_too_long_to_be_read(void **state)
{
    spawn_id old;
    struct stat st;
    char name[300];

    (void)state;
    body_size = "12000";
    begins_whole(&old);
    body_size = "900";
    (void)snprintf(name, sizeof(name), "%s/jobs.db", dir);
    assert_int_equal(stat(name, &st), 0);
    assert_true(st.st_size > 33 << 20);
    damage();
    get(&old);
    expect_refusal(SPAWN_E_STORE);
    it_leaves();
    the_next_one_sets_it_aside();
}

/* A whole look tells that there is no damage. */
static void a_good_one_stays(void **state)
{
    char path[300];
    spawn_id old;

    (void)state;
    begins_whole(&old);
    kill_broker();
    (void)snprintf(path, sizeof(path), "%s/jobs.db.check", dir);
    (void)close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    the_next_one_begins();
    assert_int_equal(logged("MS0869"), 1);
    assert_int_equal(set_aside_are(), 0);
    assert_false(is_marked());
    get(&old);
    expect_answer(SPAWN_M_JOB);
    /* and for some minutes it stays when it meets damage again */
    others_are_read();
    damage();
    get(&old);
    expect_refusal(SPAWN_E_STORE);
    has_heard();
    assert_int_equal(waitpid(broker, NULL, WNOHANG), 0);
}

/* It lies in the inbox, and waits. */
static void what_was_accepted_is_not_lost_with_it(void **state)
{
    spawn_id old, accepted, launched;

    (void)state;
    queue_jobs = 1;
    begins_whole(&old);
    has_heard();
    time_stands(); /* nothing is stored a moment later */
    (void)spawn_id_make(&accepted);
    submit(&accepted);
    expect_answer(SPAWN_M_ACCEPTED);
    damage();
    kill_broker();
    time_goes_on();
    the_next_one_begins();
    assert_int_equal(logged("MS0866"), 1);
    say(SPAWN_M_GO);
    say_exited(&runs, 0, 0);
    do { /* the end of the other one is stored before or after it */
        next_message();
    } while (message.header.type == SPAWN_M_FORGET);
    assert_string_equal(spawn_message_name(message.header.type), "launch");
    spawn_attr_id(&message.attr[SPAWN_A_ID], &launched);
    assert_true(spawn_id_equal(&launched, &accepted));
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down_all)
#define STEPPED(f)                                                             \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(what_is_read_is_told_an_error),
        ALONE(so_is_who_wants_it_killed),
        ALONE(what_may_be_known_is_not_taken),
        ALONE(what_cannot_be_written_is_for_the_next_one),
        ALONE(so_is_one_that_is_too_long_to_be_read),
        ALONE(a_good_one_stays),
        STEPPED(what_was_accepted_is_not_lost_with_it),
    };

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("broker damaged later", tests, NULL,
                                       NULL);
}
