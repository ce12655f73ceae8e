/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A broker without httpd whose store stays full or away: it waits its time, for
 * an httpd that takes over or for somebody who makes room, without turning
 * round and round, keeps what can be kept, names the rest in the log, and ends.
 */
#include "t/unit/broker_clock.h"
#include "t/unit/broker_post.h"

#include <time.h>

#define JOBS  10
#define POSTS (SLOTS + 5) /* some stay in the socket */
#define LINES 100         /* of what is lost */

static char log_file[80];
static int own_stderr = -1;

/* ---- around it ---- */

static int set_up_all(void **state)
{
    int log;

    if (set_up_clock(state))
        return -1;
    (void)snprintf(log_file, sizeof(log_file), "%s.log", dir);
    log = open(log_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    own_stderr = fcntl(2, F_DUPFD_CLOEXEC, 10);
    if (log < 0 || own_stderr < 0 || dup2(log, 2) < 0)
        return -1;
    (void)close(log);
    return 0;
}

static int tear_down_logged(void **state)
{
    (void)dup2(own_stderr, 2);
    (void)close(own_stderr);
    (void)unlink(log_file);
    return tear_down_clock(state);
}

/* How often the text stands in the broker's log. */
static unsigned in_log(const char *text)
{
    static char log[200000];
    unsigned count = 0;
    const char *at = log;
    int fd = open(log_file, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, log, sizeof(log) - 1);

    assert_true(n >= 0);
    (void)close(fd);
    log[n] = '\0';
    while ((at = strstr(at, text)) != NULL) {
        count++;
        at++;
    }
    return count;
}

static void put_program(spawn_writer *w, const spawn_id *id)
{
    size_t mark;

    begin(w, SPAWN_M_SUBMIT, id);
    mark = spawn_open_strv(w, SPAWN_A_ARGV);
    spawn_add_text(w, mark, "/bin/true", 9);
    spawn_close(w, mark);
}

static void submit(spawn_id *id)
{
    spawn_writer w;

    assert_int_equal(spawn_id_make(id), 0);
    put_program(&w, id);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
}

static void time_passes(int seconds)
{
    steps[0] += seconds;
    steps[1] += seconds;
    has_heard();
}

static void has_ended(void)
{
    int status;

    assert_int_equal(waitpid(broker, &status, 0), broker);
    broker = 0;
    assert_int_equal(status, 0);
}

/* CPU time of the broker, ms. */
static int64_t used(void)
{
    clockid_t clock;
    struct timespec t;

    assert_int_equal(clock_getcpuclockid(broker, &clock), 0);
    assert_int_equal(clock_gettime(clock, &t), 0);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Packets that are no posts, and a post of another account, which httpd's
 * children cannot have. */
static void strange_posts(void)
{
    static const uint8_t big[SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX + 1];
    spawn_id id;
    int status;
    pid_t pid;

    assert_int_equal(send(post_fds[0], "?", 1, MSG_NOSIGNAL), 1);
    assert_int_equal(send(post_fds[0], big, sizeof(big), MSG_NOSIGNAL),
                     sizeof(big));
    if (geteuid() != 0)
        return;
    pid = fork();
    if (pid == 0) {
        if (setgid(65534) < 0 || setuid(65534) < 0)
            _exit(1);
        post(&id);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* A file is in its place: the broker cannot make it anew, nor does it between
 * the two. */
static void its_store_is_removed(void)
{
    char command[200];

    broker_sleeps();
    (void)snprintf(command, sizeof(command), "rm -rf %s && touch %s", dir, dir);
    assert_int_equal(system(command), 0);
    broker_goes_on();
}

/* ---- what is promised ---- */

static void a_store_that_was_removed_is_waited_for(void **state)
{
    char line[200], text[SPAWN_ID_TEXT];
    spawn_id id;

    (void)state;
    start_broker();
    expect_ready();
    call_in();
    submit(&id); /* without GO it waits */
    its_store_is_removed();
    say(SPAWN_M_LINGER);
    has_heard();
    time_passes(10);
    time_passes(290);
    assert_int_equal(in_log("MS0664"), 1);
    assert_int_equal(in_log("MS0666"), 0);
    time_passes(20);
    later_by(20);
    expect(SPAWN_M_BYE);
    has_ended();
    (void)snprintf(line, sizeof(line), "MS0666: job %s is lost",
                   spawn_id_format(&id, text));
    assert_int_equal(in_log(line), 1);
    assert_int_equal(in_log("was not there any more; not stored are the ends "
                            "of 0 jobs, and lost are 1 jobs that waited and 0"),
                     1);
}

static void a_store_that_is_back_loses_nothing(void **state)
{
    spawn_id id;

    (void)state;
    start_broker();
    expect_ready();
    call_in();
    submit(&id);
    its_store_is_removed();
    say(SPAWN_M_LINGER);
    has_heard();
    time_passes(10);
    time_passes(200);
    assert_int_equal(unlink(dir), 0);
    assert_int_equal(mkdir(dir, 0700), 0);
    later_by(30);
    expect(SPAWN_M_BYE);
    has_ended();
    assert_int_equal(in_log("MS0666"), 0);
    assert_int_equal(in_log("MS0668"), 0);
    assert_string_equal(ask_sql("SELECT count(*) FROM job WHERE state = 1"),
                        "1");
}

static void ends_that_are_never_stored_are_in_the_log(void **state)
{
    char line[200], text[SPAWN_ID_TEXT];
    spawn_id ids[JOBS];
    int64_t before;
    unsigned i;

    (void)state;
    make_store_that_fails(NO_END);
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    call_in();
    for (i = 0; i < JOBS; i++) {
        submit(&ids[i]);
        expect_id(SPAWN_M_LAUNCH, &ids[i]);
        say_started(&ids[i]);
    }
    say(SPAWN_M_LINGER);
    has_heard();
    time_passes(10);
    time_passes(1000); /* jobs run: there is no limit */
    assert_int_equal(in_log("MS0664"), 0);
    for (i = 0; i < JOBS; i++)
        say_exited(&ids[i], 0, 7 << 8);
    has_heard();
    time_passes(10);
    before = used();
    (void)poll(NULL, 0, 300);
    assert_in_range(used() - before, 0, 60); /* it waits, and not in circles */
    time_passes(250);
    assert_int_equal(in_log("MS0664"), 1);
    assert_int_equal(in_log("MS0665"), 0);
    time_passes(60);
    later_by(20);
    expect(SPAWN_M_BYE);
    has_ended();
    for (i = 0; i < JOBS; i++) {
        (void)snprintf(line, sizeof(line),
                       "MS0665: the end of job %s is not stored: it exited "
                       "with code 7 (queue default",
                       spawn_id_format(&ids[i], text));
        assert_int_equal(in_log(line), 1);
    }
    assert_int_equal(in_log("could not be written; not stored are the ends of "
                            "10 jobs, and lost are 0 jobs that waited"),
                     1);
}

/* Those in the inbox, and those that nobody has received. */
static void posts_that_are_never_stored_are_in_the_log(void **state)
{
    static const uint8_t zeros[SPAWN_WIRE_HEADER];
    char line[200], text[SPAWN_ID_TEXT];
    uint8_t head[SPAWN_WIRE_HEADER];
    spawn_id ids[POSTS];
    off_t at;
    unsigned i;

    (void)state;
    make_store_that_fails(NO_INSERT);
    make_inbox();
    queue_waits = POSTS;
    start_broker();
    expect_ready();
    call_in();
    for (i = 0; i < POSTS; i++) {
        if (i == POSTS - 5) /* all slots are full */
            strange_posts();
        post(&ids[i]);
        if (i % 16 == 0)
            has_heard();
    }
    say(SPAWN_M_LINGER);
    has_heard();
    time_passes(10);
    time_passes(310);
    later_by(20);
    expect(SPAWN_M_BYE);
    has_ended();
    for (i = 0; i < POSTS; i++) {
        (void)snprintf(line, sizeof(line), "MS0667: job %s is lost",
                       spawn_id_format(&ids[i], text));
        assert_int_equal(in_log(line), i < LINES);
    }
    assert_int_equal(in_log("and 133 that were posted or accepted"), 1);
    assert_int_equal(in_log("MS0667"), LINES);
    for (at = 0; at < SIZE; at += SLOT_SIZE) { /* told, and not kept */
        assert_int_equal(pread(inbox_fd, head, sizeof(head), at), sizeof(head));
        assert_memory_equal(head, zeros, sizeof(head));
    }
}

/* Its end could not be stored, so that it waits, and has none. */
static void one_that_was_cancelled_has_no_end_in_the_log(void **state)
{
    int64_t until = spawn_mono_ms() + DEADLINE_MS;
    struct pollfd p = {.events = POLLIN};
    spawn_writer w;
    spawn_id id;

    (void)state;
    make_store_that_fails(NO_INSERT);
    make_inbox();
    reach_ready_and_call_in();
    post(&id);
    has_heard();
    begin(&w, SPAWN_M_KILL, &id);
    ask(&w);
    (void)receive_at(caller, SPAWN_FROM_BROKER);
    has_heard();
    p.fd = link_fd;
    say(SPAWN_M_LINGER);
    do {
        later_by(310);
    } while (poll(&p, 1, 10) == 0 && spawn_mono_ms() < until);
    expect(SPAWN_M_BYE);
    has_ended();
    assert_int_equal(in_log("MS0667"), 1);
    assert_int_equal(in_log("MS0665"), 0);
}

/* By a broker that could not even read the store. */
static void so_is_one_that_was_launched_before(void **state)
{
    int64_t until = spawn_mono_ms() + DEADLINE_MS;
    char line[200], text[SPAWN_ID_TEXT];
    struct pollfd p = {.events = POLLIN};
    spawn_id id;

    (void)state;
    make_store();
    make_inbox();
    reach_go_and_call_in();
    time_stands();
    post(&id);
    expect_id(SPAWN_M_LAUNCH, &id);
    kill_broker();
    time_goes_on();
    run_sql("CREATE TRIGGER no BEFORE INSERT ON meta"
            " WHEN NEW.key = 'boot_id'"
            " BEGIN SELECT RAISE(ABORT, 'no such luck'); END");
    start_broker();
    say(SPAWN_M_TABLE_END);
    expect(SPAWN_M_BROKER_READY);
    p.fd = link_fd;
    say(SPAWN_M_LINGER);
    do {
        later_by(310);
    } while (poll(&p, 1, 10) == 0 && spawn_mono_ms() < until);
    expect(SPAWN_M_BYE);
    has_ended();
    (void)snprintf(line, sizeof(line), "MS0667: job %s is lost",
                   spawn_id_format(&id, text));
    assert_int_equal(in_log(line), 1);
}

static void who_takes_over_has_all_that_was_kept(void **state)
{
    spawn_id id;

    (void)state;
    make_store_that_fails(NO_END);
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    call_in();
    submit(&id);
    expect_id(SPAWN_M_LAUNCH, &id);
    say_started(&id);
    say(SPAWN_M_LINGER);
    has_heard();
    say_exited(&id, 0, 0);
    has_heard();
    time_passes(10);
    time_passes(250);
    say_configure(); /* adopted */
    expect(SPAWN_M_BROKER_READY);
    say(SPAWN_M_GO);
    time_passes(1000);
    time_passes(1000);
    assert_int_equal(in_log("MS0665"), 0);
    assert_int_equal(waitpid(broker, NULL, WNOHANG), 0);
}

int main(void)
{
#define LINGERS(name)                                                          \
    cmocka_unit_test_setup_teardown(name, set_up_all, tear_down_logged)
    const struct CMUnitTest tests[] = {
        LINGERS(a_store_that_was_removed_is_waited_for),
        LINGERS(a_store_that_is_back_loses_nothing),
        LINGERS(ends_that_are_never_stored_are_in_the_log),
        LINGERS(posts_that_are_never_stored_are_in_the_log),
        LINGERS(one_that_was_cancelled_has_no_end_in_the_log),
        LINGERS(so_is_one_that_was_launched_before),
        LINGERS(who_takes_over_has_all_that_was_kept)};

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("broker_lingers", tests, NULL, NULL);
}
