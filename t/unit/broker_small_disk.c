/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store on a disk with little room, or none: what comes together is written
 * in pieces, each is told when it is stored and not before, the history goes
 * first, and what does not fit at all is refused. Only root mounts such a disk.
 */
#include "t/unit/broker_caller.h"

#include <sched.h>
#include <sys/mount.h>

#define JOBS 10

static spawn_id ids[JOBS];

static int set_up_disk(void **state)
{
    if (set_up(state)
        || mount("spawn-test", dir, "tmpfs", 0, "size=4m,mode=0700") < 0)
        return -1;
    (void)snprintf(listen_path, sizeof(listen_path), "%s/spool", dir);
    return mkdir(listen_path, 0700);
}

static int tear_down_disk(void **state)
{
    if (broker > 0) {
        (void)kill(broker, SIGKILL); /* our child, not yet reaped */
        (void)waitpid(broker, NULL, 0);
        broker = 0;
    }
    (void)umount2(dir, MNT_DETACH);
    return tear_down_all(state);
}

static void start_all(void)
{
    log_is_kept = false;
    queue_jobs = queue_waits = 100;
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    call_in();
}

/* ---- the disk ---- */

static void fill_disk(void)
{
    static const uint8_t bytes[4096];
    char path[80];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/filler", dir);
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    while (write(fd, bytes, sizeof(bytes)) > 0)
        continue;
    assert_int_equal(errno, ENOSPC);
    (void)close(fd);
}

static void empty_disk(void)
{
    char path[80];

    (void)snprintf(path, sizeof(path), "%s/filler", dir);
    assert_int_equal(unlink(path), 0);
}

/* ---- jobs ---- */

static void submit(spawn_id *ret, spawn_reply reply)
{
    const spawn_stdio capture = {SPAWN_STDIO_CAPTURE, 0, 0, ""};
    spawn_writer w;

    (void)spawn_id_make(ret);
    begin_submit(&w, ret, "/bin/true");
    spawn_put_stdio(&w, SPAWN_A_STDOUT, &capture);
    spawn_put_u64(&w, SPAWN_A_REPLY, reply);
    ask(&w);
}

/* It says so much, and has not ended. */
static void says(spawn_id *ret, size_t bytes)
{
    static const uint8_t words[4096];
    spawn_stdio out;
    int pipe;

    submit(ret, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, ret);
    spawn_attr_stdio(&message.attr[SPAWN_A_STDOUT], &out);
    pipe = packet.fds[out.fd];
    packet.fds[out.fd] = -1;
    say_started(ret);
    for (; bytes > 0; bytes -= sizeof(words))
        assert_int_equal(write(pipe, words, sizeof(words)), sizeof(words));
    (void)close(pipe);
}

static void wait_for(const spawn_id *id)
{
    spawn_writer w;

    begin(&w, SPAWN_M_WAIT, id);
    spawn_put_u64(&w, SPAWN_A_WAIT_FOR, SPAWN_REPLY_FINISHED);
    ask(&w);
}

/* It has heard all that was said before. */
static void has_heard(void)
{
    spawn_writer w;
    spawn_id nobody;

    (void)spawn_id_make(&nobody);
    begin(&w, SPAWN_M_GET, &nobody);
    ask(&w);
    expect_refusal(SPAWN_E_NO_SUCH_JOB);
}

/* Ids of jobs whose exits may be forgotten, as they come. */
static void count_forgotten(unsigned *count)
{
    expect(SPAWN_M_FORGET);
    if (spawn_has(&message, SPAWN_A_IDS))
        *count += message.attr[SPAWN_A_IDS].length / SPAWN_ID_SIZE;
    else
        ++*count;
}

static bool answer_is_about(const spawn_id *id)
{
    spawn_id got;

    spawn_attr_id(&message.attr[SPAWN_A_ID], &got);
    return spawn_id_equal(&got, id);
}

/* ---- what is promised ---- */

static void what_ends_together_is_written_in_pieces(void **state)
{
    spawn_id last, second;
    unsigned i, told, forgotten = 0;
    spawn_writer w;

    (void)state;
    start_all();
    for (i = 0; i < JOBS; i++)
        says(&ids[i], 100 * 4096);
    for (i = 0; i < JOBS; i++)
        wait_for(&ids[i]);
    has_heard();
    broker_sleeps();
    for (i = 0; i < JOBS; i++)
        say_exited(&ids[i], 0, (int)i << 8);
    submit(&last, SPAWN_REPLY_ACCEPTED);
    begin(&w, SPAWN_M_KILL, &last);
    ask(&w);
    submit(&second, SPAWN_REPLY_ACCEPTED);
    broker_goes_on();
    /* in the order in which they are stored */
    for (told = 0; told < 3;) {
        expect_answer(SPAWN_M_JOB);
        assert_true(answer_is_about(&ids[told++]));
    }
    for (i = 0; told + i < JOBS + 3;) {
        assert_int_equal(receive_at(caller, SPAWN_FROM_BROKER), 1);
        if (message.header.type == SPAWN_M_JOB)
            assert_true(answer_is_about(&ids[told++]));
        else if (i++ == 1)
            assert_int_equal(message.header.type, SPAWN_M_DONE);
        else
            assert_int_equal(message.header.type, SPAWN_M_ACCEPTED);
    }
    while (forgotten < JOBS)
        count_forgotten(&forgotten);
    expect_id(SPAWN_M_LAUNCH, &second);
    end_broker();
    expect_sql("SELECT group_concat(exit_code, ' ') FROM"
               " (SELECT * FROM job WHERE outcome = 1 ORDER BY seq)",
               "0 1 2 3 4 5 6 7 8 9");
}

/* While what it asked for is written in pieces. */
static void who_has_left_is_answered_by_nobody(void **state)
{
    unsigned i, forgotten = 0;
    spawn_id id;

    (void)state;
    start_all();
    for (i = 0; i < JOBS; i++)
        says(&ids[i], 100 * 4096);
    has_heard();
    broker_sleeps();
    for (i = 0; i < JOBS; i++)
        say_exited(&ids[i], 0, 0);
    for (i = 0; i < 20; i++) /* more than it reads in a turn */
        submit(&id, SPAWN_REPLY_ACCEPTED);
    (void)close(caller);
    broker_goes_on();
    while (forgotten < JOBS) {
        next_message();
        if (message.header.type == SPAWN_M_FORGET)
            forgotten += spawn_has(&message, SPAWN_A_IDS)
                             ? message.attr[SPAWN_A_IDS].length / SPAWN_ID_SIZE
                             : 1;
    }
    call_in();
    has_heard();
}

static void a_full_disk_loses_history_first(void **state)
{
    spawn_id id;
    unsigned i, forgotten = 0;

    (void)state;
    start_all();
    for (i = 0; i < 8; i++) {
        says(&ids[i], 50 * 4096);
        say_exited(&ids[i], 0, 0);
        count_forgotten(&forgotten);
    }
    fill_disk();
    submit(&id, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &id);
    end_broker();
    empty_disk();
    expect_sql("SELECT count(*) || ' ' || sum(state = 4) FROM job", "9 8");
    expect_sql("SELECT sum(length(out)) < 8 * 50 * 4096 FROM output", "1");
}

static void what_does_not_fit_is_refused_until_it_does(void **state)
{
    spawn_id id;
    unsigned i;

    (void)state;
    history_jobs = 0;
    start_all();
    submit(&ids[0], SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &ids[0]);
    for (i = 0; i < 100; i++) {
        fill_disk();
        submit(&id, SPAWN_REPLY_ACCEPTED);
        assert_int_equal(receive_at(caller, SPAWN_FROM_BROKER), 1);
        if (message.header.type == SPAWN_M_REFUSED)
            break;
        expect_id(SPAWN_M_LAUNCH, &id);
    }
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_CODE, 0), SPAWN_E_STORE);
    empty_disk();
    submit(&id, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &id);
}

int main(void)
{
#define ON_DISK(name)                                                          \
    cmocka_unit_test_setup_teardown(name, set_up_disk, tear_down_disk)
    const struct CMUnitTest tests[] = {
        ON_DISK(what_ends_together_is_written_in_pieces),
        ON_DISK(who_has_left_is_answered_by_nobody),
        ON_DISK(a_full_disk_loses_history_first),
        ON_DISK(what_does_not_fit_is_refused_until_it_does)};

    find_broker();
    /* mounts of its own, which go with it */
    if (unshare(CLONE_NEWNS) < 0
        || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
        (void)puts("1..0 # SKIP only root mounts a small disk");
        return 0;
    }
    return cmocka_run_group_tests_name("broker small disk", tests, NULL, NULL);
}
