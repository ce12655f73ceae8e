/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A broker that begins on a full disk: what is kept for that lets it start, and
 * when that has gone, too, what the spawner tells meanwhile counts when there
 * is room, and is in the log when there never is. Only root mounts such a disk.
 */
#include "t/unit/broker_disk.h"
#include "t/unit/broker_found.h"

static char log_file[80]; /* not on that disk */

static int set_up_here(void **state)
{
    disk_size = "2m";
    if (set_up_disk(state))
        return -1;
    log_is_kept = false;
    (void)snprintf(log_file, sizeof(log_file), "%s.log", dir);
    return 0;
}

static int tear_down_here(void **state)
{
    (void)unlink(log_file);
    return tear_down_disk(state);
}

/* The reserve for such a day is gone, too. */
static void leave_no_room(void)
{
    char reserve[80];

    (void)snprintf(reserve, sizeof(reserve), "%s/reserve", dir);
    (void)unlink(reserve);
    fill_disk();
}

/* Each of them once, in any order; and nothing else is said for a while. */
static void expect_forgotten(const spawn_id *const *ids, unsigned count)
{
    struct pollfd p = {link_fd, POLLIN, 0};
    unsigned seen = 0, i, k;

    while (seen < count || poll(&p, 1, 200) == 1) {
        const spawn_attr *told = &message.attr[SPAWN_A_ID];

        expect(SPAWN_M_FORGET);
        if (spawn_has(&message, SPAWN_A_IDS))
            told = &message.attr[SPAWN_A_IDS];
        for (i = 0; i < told->length / SPAWN_ID_SIZE; i++, seen++) {
            const uint8_t *id = told->data + (size_t)i * SPAWN_ID_SIZE;

            for (k = 0; k < count && memcmp(ids[k]->bytes, id, SPAWN_ID_SIZE);)
                k++;
            assert_true(k < count);
        }
    }
    assert_int_equal(seen, count);
}

static void say_started_as(const spawn_id *id, pid_t pid)
{
    spawn_writer w;

    begin(&w, SPAWN_M_STARTED, id);
    spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)pid);
    send_fds(&w, NULL, 0);
}

/* ---- what is promised ---- */

/* There is no history that could go. */
static void with_the_reserve_it_starts_as_ever(void **state)
{
    (void)state;
    make_store();
    put_program(SPAWN_STATE_QUEUED, 0, 0, false);
    fill_disk();
    start_broker();
    go();
    expect_id(SPAWN_M_LAUNCH, &job);
}

static void what_was_told_meanwhile_counts_when_there_is_room(void **state)
{
    spawn_id ids[4];
    const spawn_id *ended[] = {&ids[0], &ids[2], &ids[3]};
    int i;

    (void)state;
    make_store();
    for (i = 0; i < 4; i++) {
        put_program(i < 3 ? SPAWN_STATE_STARTING : SPAWN_STATE_QUEUED, 0, 0,
                    false);
        ids[i] = job;
    }
    leave_no_room();
    start_broker();
    for (i = 0; i < 3; i++) {
        job = ids[i];
        say_running(SPAWN_STATE_STARTING, 0, 0);
    }
    say_exited(&ids[0], 0, 7 << 8);
    go(); /* httpd starts all the same */
    call_in();
    has_heard();
    say_started_as(&ids[1], 3999997);
    say_started_and_exited(&ids[2], SIGSEGV);
    has_heard();
    empty_disk();
    steps[0] += 2;
    steps[1] += 2;
    submit_as(&ids[0], "/bin/true"); /* any question wakes it */
    job = ids[3];
    expect_id(SPAWN_M_LAUNCH, &job); /* the one that waited, and no other */
    expect(SPAWN_M_BROKER_READY);
    say_exited(&job, SPAWN_STEP_CWD, ENOENT);
    expect_forgotten(ended, 3); /* and no order comes */
    expect_jobs("4 1 7 -,3 - - -,4 2 - 11,4 5 - -");
    expect_sql("SELECT ifnull(text, '-') FROM job WHERE seq = 3", "-");
    expect_sql("SELECT pid FROM job WHERE seq = 2", "3999997");
}

/* Nobody can look whether a worker has run it. */
static void a_job_that_may_have_run_is_unconfirmed(void **state)
{
    spawn_writer w;
    spawn_id id;

    (void)state;
    make_store();
    put_program(SPAWN_STATE_QUEUED, 0, 0, false);
    leave_no_room();
    start_broker();
    go();
    call_in();
    (void)spawn_id_make(&id);
    begin(&w, SPAWN_M_LEASE_LOST, &id);
    ask(&w);
    expect_refusal(SPAWN_E_STORE);
    submit_as(&id, "/bin/true");
    expect_refusal(SPAWN_E_UNCONFIRMED);
    submit_as(&id, "/bin/true"); /* which is another request */
    expect_refusal(SPAWN_E_STORE);
}

static void logs_outside(void)
{
    (void)dup2(open(log_file, O_WRONLY | O_CREAT | O_APPEND, 0600), 2);
}

static unsigned logged_outside(const char *text)
{
    char path[90];

    (void)snprintf(path, sizeof(path), "..%s", strrchr(log_file, '/'));
    return logged_in(path, text);
}

static void time_passes(int seconds)
{
    steps[0] += seconds;
    steps[1] += seconds;
    has_heard();
}

static void expect_ends_outside(const spawn_id *ids)
{
    static const char *const how[] = {"wait status 0x0700",
                                      "could not be started", NULL,
                                      "wait status 0x0009"};
    char line[120], text[SPAWN_ID_TEXT];
    int i;

    for (i = 0; i < 4; i++) {
        (void)snprintf(line, sizeof(line),
                       "MS0669: the end of job %s is not stored: %s\n",
                       spawn_id_format(&ids[i], text), how[i] ? how[i] : "");
        assert_int_equal(logged_outside(line), how[i] != NULL);
    }
    assert_int_equal(logged_outside("MS0669"), 3);
    assert_int_equal(
        logged_outside("not stored are the ends of 3 jobs, and lost are 0 jobs"
                       " that waited and 0 that were posted or accepted"),
        1);
}

/* Nobody else knows of them: the spawner ends with it. */
static void ends_are_in_the_log_when_there_never_is_room(void **state)
{
    spawn_id ids[4];
    spawn_writer w;
    int i, status;

    (void)state;
    make_store();
    for (i = 0; i < 4; i++) {
        put_program(SPAWN_STATE_RUNNING, 0, 0, false);
        ids[i] = job;
    }
    leave_no_room();
    in_broker = logs_outside;
    start_broker();
    for (i = 0; i < 4; i++) {
        job = ids[i];
        say_running(SPAWN_STATE_RUNNING, 3999990 + i, 5000);
    }
    say_exited(&ids[0], 0, 7 << 8);
    say_exited(&ids[1], SPAWN_STEP_CWD, ENOENT);
    job = ids[2];
    say_orphaned(3999992, 0); /* the spawner waits for it no more */
    go();
    call_in();
    say(SPAWN_M_LINGER);
    has_heard();
    time_passes(10);
    time_passes(1000);
    assert_int_equal(logged_outside("MS0664"), 0); /* one runs */
    say_exited(&ids[3], 0, SIGKILL);
    has_heard();
    time_passes(10);
    assert_int_equal(logged_outside("MS0664"), 1);
    time_passes(250);
    assert_int_equal(logged_outside("MS0669"), 0);
    time_passes(60);
    steps[0] += 20;
    steps[1] += 20;
    begin(&w, SPAWN_M_GET, &job); /* any question wakes it */
    ask(&w);
    expect(SPAWN_M_BYE);
    assert_int_equal(waitpid(broker, &status, 0), broker);
    broker = 0;
    assert_int_equal(status, 0);
    expect_ends_outside(ids);
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up_here, tear_down_here)
    const struct CMUnitTest tests[] = {
        ALONE(with_the_reserve_it_starts_as_ever),
        ALONE(what_was_told_meanwhile_counts_when_there_is_room),
        ALONE(a_job_that_may_have_run_is_unconfirmed),
        ALONE(ends_are_in_the_log_when_there_never_is_room)};

    find_broker();
    if (no_clocks() || no_small_disk())
        return 0;
    return cmocka_run_group_tests_name("full at its start", tests, NULL, NULL);
}
