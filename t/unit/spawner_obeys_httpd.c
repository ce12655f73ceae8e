/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages over httpd's link that the spawner obeys, and their senders; its
 * answers; and when it lingers or ends because its httpd has gone.
 */
#define PART_HAS_PARENT
#include "t/unit/spawner_part.h"

#include "spawner/template_note.h"

static int foreign_fds;

void template_foreign(const spawn_message *m, spawn_packet *p)
{
    (void)m;
    foreign_fds = (int)p->fds_count;
    note("template_foreign");
}

static int words_dropped; /* so often, all of them */

void template_words_drop(const char *name)
{
    words_dropped += name == NULL;
}

/* Its own clock. */
static int64_t clock_ms = 1000000;
#define spawn_mono_ms() clock_ms

#include "spawner/control.c"
#include "spawner/parent.c"
#include "t/unit/spawner_internal.h"

static int httpd = -1; /* its end of the link */

static int start(void **state)
{
    int ends[2];

    (void)state;
    no_state();
    make_pair(ends);
    httpd = ends[0];
    spawner.control = ends[1];
    jobs_alive = 0;
    config_result = 0;
    read_log();
    return spawn_os_pass_credentials(spawner.control);
}

static int stop(void **state)
{
    (void)state;
    spawn_packet_close(&part_packet);
    memset(&part_packet, 0, sizeof(part_packet));
    spawn_close_fds(&httpd, 1);
    spawn_close_fds(&spawner.control, 1);
    free(spawner.config);
    return 0;
}

/* ---- who sent it ---- */

static bool is_from_parent(int sock, pid_t pid, uid_t uid, bool has_sender)
{
    spawn_packet p;

    memset(&p, 0, sizeof(p));
    p.has_sender = has_sender;
    p.sender.pid = pid;
    p.sender.uid = uid;
    return from_parent(sock, &p);
}

static void both_process_and_account_count(void **state)
{
    int nobody[2], alone = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    const pid_t me = getpid();
    const uid_t us = geteuid();

    (void)state;
    assert_true(is_from_parent(spawner.control, me, us, true));
    expect_no_line();
    assert_false(is_from_parent(spawner.control, me, us, false));
    assert_false(is_from_parent(spawner.control, me + 1, us, true));
    assert_false(is_from_parent(spawner.control, me, us + 1, true));
    assert_false(is_from_parent(spawner.control, 0, us, true));
    expect_logged("MS0320: a message on httpd's link was dropped");
    /* nobody is at the other end, or nobody whose process is known here */
    assert_false(is_from_parent(alone, 0, (uid_t)-1, true));
    assert_false(is_from_parent(alone, 0, us, true));
    assert_false(is_from_parent(-1, 0, us, true));
    (void)close(alone);

    LEAVE_OUT_IF(us != 0, "one account has no other");
    /* the link's account, or the one that httpd really has */
    assert_int_equal(seteuid(NOBODY), 0);
    make_pair(nobody);
    assert_int_equal(seteuid(0), 0);
    assert_true(is_from_parent(nobody[0], me, NOBODY, true));
    assert_true(is_from_parent(nobody[0], me, 0, true));
    assert_false(is_from_parent(nobody[0], me, 33, true));
    assert_false(is_from_parent(nobody[0], me + 1, NOBODY, true));
    spawn_close_fds(nobody, 2);
}

/* Lines about a message that was dropped name its sender. */
static void who_was_not_obeyed_is_told(void **state)
{
    char expected[128];
    pid_t pid;
    int status;

    (void)state;
    pid = fork();
    if (pid == 0) {
        send_type(httpd, SPAWN_M_GO);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    parent_input();
    expect_called("");
    assert_false(spawner.gone_on);
    (void)snprintf(expected, sizeof(expected),
                   "came from process %d of uid %u, not from httpd (pid %d)",
                   (int)pid, (unsigned)geteuid(), (int)getpid());
    expect_logged(expected);
}

/* Packets of a stranger: bytes that are no message, too many, none; and with a
 * descriptor, which must not stay open. */
static void send_rubbish(int sock, size_t length, int fd)
{
    static char bytes[2 * SPAWN_INLINE_MAX];
    spawn_writer w;

    if (fd >= 0) {
        spawn_id id = {{1}};

        begin(&w, SPAWN_M_TEMPLATE);
        spawn_put_id(&w, SPAWN_A_ID, &id);
        spawn_put_str(&w, SPAWN_A_TEMPLATE, "app");
        send_on(sock, &w, &fd, 1);
        return;
    }
    assert_int_equal(send(sock, bytes, length, MSG_NOSIGNAL), length);
}

static void in_a_fork(int sock, size_t length, int fd)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        send_rubbish(sock, length, fd);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* Neither does a stranger's rubbish end the link, nor is the parent's own taken
 * for nothing. */
static void rubbish_counts_for_who_sent_it(void **state)
{
    static const size_t lengths[] = {64, 0,
                                     SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX + 1};
    int pipes[2];
    char byte;
    unsigned i;

    (void)state;
    spawner.config = malloc(1);
    spawner.link = 1000000;
    for (i = 0; i < 3; i++) {
        in_a_fork(httpd, lengths[i], -1);
        parent_input();
        expect_called("");
        assert_true(spawner.control >= 0);
        expect_quiet(httpd);
    }
    /* of a whole message that is dropped nothing stays open */
    assert_int_equal(pipe2(pipes, O_CLOEXEC | O_NONBLOCK), 0);
    in_a_fork(httpd, 0, pipes[1]);
    (void)close(pipes[1]);
    parent_input();
    expect_called("");
    assert_int_equal(read(pipes[0], &byte, 1), 0);
    (void)close(pipes[0]);
    /* nor does this: there is nothing */
    parent_input();
    expect_called("");

    for (i = 0; i < 3; i++) {
        send_rubbish(httpd, lengths[i], -1);
        parent_input();
        assert_int_equal(spawner.control, -1);
        expect_called("closed with care; tell_linger; ");
        spawner.lingering = false;
        spawn_close_fds(&httpd, 1);
        (void)start(NULL);
        spawner.config = malloc(1);
        spawner.link = 1000000;
    }
}

/* ---- what is obeyed ---- */

static void configure_as(const char *release)
{
    static const uint8_t secret[SPAWN_SECRET_SIZE] = {7};
    spawn_writer w;
    size_t mark;

    begin(&w, SPAWN_M_CONFIGURE);
    spawn_put_str(&w, SPAWN_A_RELEASE, release);
    spawn_put_bytes(&w, SPAWN_A_SECRET, secret, sizeof(secret));
    spawn_put_u64v(&w, SPAWN_A_FD_ROLES, NULL, 0);
    mark = spawn_open_nest(&w, SPAWN_A_QUEUE_RULES);
    spawn_put_str(&w, SPAWN_A_QUEUE, "default");
    spawn_put_u64(&w, SPAWN_A_MAX_JOBS, 10);
    spawn_put_u64(&w, SPAWN_A_MAX_QUEUED, 10);
    spawn_close(&w, mark);
    spawn_put_str(&w, SPAWN_A_STORE_PATH, "/");
    spawn_put_str(&w, SPAWN_A_SOCKET_PATH, "/socket");
    send_on(httpd, &w, NULL, 0);
    parent_input();
}

static void each_message_has_its_effect(void **state)
{
    spawn_id id = {{1}};
    const uint64_t role = SPAWN_FD_LISTEN;
    int pipes[2];
    spawn_writer w;
    char byte;

    (void)state;
    send_type(httpd, SPAWN_M_GO);
    parent_input();
    assert_true(spawner.gone_on);
    expect_called("tell_go; ");
    send_type(httpd, SPAWN_M_CLEARED);
    parent_input();
    assert_int_equal(spawner.cleared_at, clock_ms);
    send_type(httpd, SPAWN_M_LOADED);
    parent_input();
    assert_int_equal(spawner.cleared_at, 0);
    expect_called("");

    assert_int_equal(pipe2(pipes, O_CLOEXEC | O_NONBLOCK), 0);
    begin(&w, SPAWN_M_PLACES);
    spawn_put_u64v(&w, SPAWN_A_FD_ROLES, &role, 1);
    send_on(httpd, &w, &pipes[1], 1);
    parent_input();
    expect_called("config_take_fds 1; tell_places; ");
    begin(&w, SPAWN_M_TEMPLATE);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    spawn_put_str(&w, SPAWN_A_TEMPLATE, "app");
    send_on(httpd, &w, &pipes[1], 1);
    parent_input();
    expect_called("template_foreign; ");
    assert_int_equal(foreign_fds, 1);
    /* a descriptor that nobody took is closed */
    (void)close(pipes[1]);
    assert_int_equal(read(pipes[0], &byte, 1), 0);
    (void)close(pipes[0]);
    /* no more was, and none of it is answered */
    expect_quiet(httpd);
    send_type(httpd, SPAWN_M_ADOPT); /* not on this link */
    parent_input();
    expect_called("");
    expect_no_line();
}

/* httpd kills a spawner that does not. */
static void it_says_that_it_lives_when_it_is_asked(void **state)
{
    (void)state;
    send_type(httpd, SPAWN_M_ALIVE);
    parent_input();
    assert_true(comes(httpd, SPAWN_FROM_SPAWNER_TO_PARENT, SPAWN_M_ALIVE));
    expect_quiet(httpd);
    expect_called("");
}

static void what_is_not_understood_is_answered(void **state)
{
    (void)state;
    send_type(httpd, SPAWN_M_TABLE_END); /* is not its to say */
    parent_input();
    expect_called("");
    assert_true(comes(httpd, SPAWN_FROM_SPAWNER_TO_PARENT, SPAWN_M_NOT_READY));
    assert_true(strlen(spawn_str_or(&got, SPAWN_A_TEXT, "")) > 10);
    expect_logged("MS0311: a message of httpd was not understood: ");
    assert_true(spawner.control >= 0);
}

/* The link stays, and so does what it has. */
static void what_there_is_no_room_for_is_answered(void **state)
{
    const uint64_t role = SPAWN_FD_LISTEN;
    struct rlimit files, none;
    spawn_writer w;

    (void)state;
    begin(&w, SPAWN_M_PLACES);
    spawn_put_u64v(&w, SPAWN_A_FD_ROLES, &role, 1);
    send_on(httpd, &w, &log_end, 1);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    none = files;
    none.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    parent_input();
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    expect_called("");
    assert_true(comes(httpd, SPAWN_FROM_SPAWNER_TO_PARENT, SPAWN_M_NOT_READY));
    expect_logged("MS0321: a message of httpd cannot be taken: ");
    assert_true(spawner.control >= 0);
    assert_false(spawner.lingering);
}

static void a_configuration_is_taken(void **state)
{
    (void)state;
    spawner.cleared_at = 5;
    spawner.lingering = true;
    words_dropped = 0;
    configure_as(SPAWN_RELEASE);
    expect_called("config_take 0; broker_configure; ");
    assert_int_equal(words_dropped, 1);
    assert_true(spawner.wants_ready);
    assert_int_equal(spawner.cleared_at, 0);
    assert_false(spawner.lingering);
    expect_quiet(httpd);
}

static void a_configuration_that_cannot_be_taken_changes_nothing(void **state)
{
    (void)state;
    spawner.cleared_at = 5;
    spawner.lingering = true;
    config_result = -EPERM;
    words_dropped = 0;
    configure_as("another");
    expect_called("config_take 0; ");
    assert_int_equal(words_dropped, 0);
    assert_int_equal(spawner.cleared_at, 5);
    assert_true(spawner.lingering);
    assert_true(comes(httpd, SPAWN_FROM_SPAWNER_TO_PARENT, SPAWN_M_NOT_READY));
    assert_string_equal(spawn_str_or(&got, SPAWN_A_TEXT, ""),
                        "the spawner cannot take the configuration: "
                        "Operation not permitted");
}

/* Another release: when the broker has ended, or at once when there is none;
 * and never without a program, nor for the same release. */
static void another_release_is_executed(void **state)
{
    (void)state;
    spawner.link = 1000000;
    configure_as("another");
    expect_called("config_take 0; broker_configure; ");
    assert_false(spawner.upgrading);

    spawner.fds[SPAWN_FD_SPAWNER_BIN] = 1000000;
    configure_as(SPAWN_RELEASE);
    expect_called("config_take 0; broker_configure; ");
    assert_false(spawner.upgrading);
    configure_as("another");
    expect_called("config_take 0; tell_quit; ");
    assert_true(spawner.upgrading);

    spawner.upgrading = false;
    spawner.link = -1;
    configure_as("another"); /* the old self goes on when that fails */
    expect_called("config_take 0; upgrade_exec; broker_configure; ");
    assert_false(spawner.upgrading);
}

/* Another build of the same release, too. */
static void another_build_is_executed(void **state)
{
    (void)state;
    are_replaced = true;
    spawner.link = 1000000;
    configure_as(SPAWN_RELEASE); /* there is no program */
    expect_called("config_take 0; broker_configure; ");
    spawner.fds[SPAWN_FD_SPAWNER_BIN] = 1000000;
    configure_as(SPAWN_RELEASE);
    expect_called("config_take 0; tell_quit; ");
    assert_true(spawner.upgrading);
    are_replaced = false;
}

/* ---- what is answered ---- */

static void ready_is_told_once_to_who_asked(void **state)
{
    static char longest[4096];
    int link = spawner.control;

    (void)state;
    spawner.life.bytes[3] = 9;
    control_tell_ready(true, "");
    expect_quiet(httpd);
    spawner.wants_ready = true;
    spawner.control = -1;
    control_tell_ready(true, "");
    expect_no_line(); /* there is nobody to whom */
    spawner.control = link;
    assert_true(spawner.wants_ready);

    control_tell_ready(true, "x");
    assert_true(comes(httpd, SPAWN_FROM_SPAWNER_TO_PARENT, SPAWN_M_READY));
    assert_string_equal(spawn_str_or(&got, SPAWN_A_RELEASE, ""), SPAWN_RELEASE);
    assert_int_equal(spawn_u64_or(&got, SPAWN_A_PID, 0), getpid());
    assert_true(spawn_has(&got, SPAWN_A_INSTANCE));
    assert_int_equal(got.attr[SPAWN_A_INSTANCE].data[3], 9);
    control_tell_ready(true, "");
    expect_quiet(httpd);

    /* the longest text that a broker can say */
    memset(longest, 'x', sizeof(longest) - 1);
    spawner.wants_ready = true;
    control_tell_ready(false, longest);
    assert_true(comes(httpd, SPAWN_FROM_SPAWNER_TO_PARENT, SPAWN_M_NOT_READY));
    assert_string_equal(spawn_str_or(&got, SPAWN_A_TEXT, ""), longest);
    control_tell_ready(false, "");
    expect_quiet(httpd);
    expect_no_line();
}

static void an_answer_that_cannot_be_sent_is_told(void **state)
{
    static char too_long[16384];
    unsigned answers = 0;

    (void)state;
    memset(too_long, 'x', sizeof(too_long) - 1);
    spawner.wants_ready = true;
    control_tell_ready(false, too_long);
    expect_quiet(httpd);
    expect_logged("MS0309: httpd could not be answered: ");
    do { /* until the link is full */
        spawner.wants_ready = true;
        control_tell_ready(false, "no");
        answers++;
    } while (answers < 100000 && !log_says("MS0309: "));
    assert_in_range(answers, 2, 99999);
    assert_true(comes(httpd, SPAWN_FROM_SPAWNER_TO_PARENT, SPAWN_M_NOT_READY));
}

/* ---- when it has gone ---- */

static void have_pair(bool with_link, bool planned)
{
    free(spawner.config);
    spawner.config = malloc(1);
    spawner.link = with_link ? 1000000 : -1;
    spawner.broker_start_at = planned;
    spawner.lingering = false;
    called[0] = '\0';
}

static void its_end_makes_the_pair_linger(void **state)
{
    int parent[2];

    (void)state;
    have_pair(true, false);
    assert_int_equal(pipe2(parent, O_CLOEXEC | O_NONBLOCK), 0);
    spawner.fds[SPAWN_FD_PARENT] = parent[0];
    spawner.cleared_at = 5;
    jobs_alive = 3;
    spawn_close_fds(&httpd, 1);
    parent_input();
    assert_true(spawner.lingering);
    assert_int_equal(spawner.control, -1);
    assert_int_equal(spawner.fds[SPAWN_FD_PARENT], -1);
    assert_int_equal(spawner.cleared_at, 0);
    expect_called("closed with care; tell_linger; ");
    expect_logged("MS0310: httpd has gone (its link has ended): lingering "
                  "until 3 jobs are done");
    /* seen by its process, too: once is enough */
    parent_gone("its process has ended");
    expect_called("");
    expect_no_line();
    (void)close(parent[1]);
}

/* Also of who adopts and goes before it has told its configuration. */
static void who_goes_while_the_pair_lingers_leaves_no_link(void **state)
{
    (void)state;
    have_pair(true, false);
    spawner.lingering = true;
    spawn_close_fds(&httpd, 1);
    parent_input();
    assert_int_equal(spawner.control, -1);
    expect_called("closed with care; ");
}

static bool going_ends_it(void)
{
    end_code = -1;
    return ENDS(parent_gone("")) && end_code == 0;
}

static void a_spawner_without_anything_to_do_ends(void **state)
{
    (void)state;
    assert_true(going_ends_it()); /* it was never configured */
    have_pair(false, false);
    assert_true(going_ends_it()); /* it has no broker, and gets none */
    have_pair(false, true);
    assert_false(going_ends_it());
    have_pair(true, false);
    assert_false(going_ends_it());

    have_pair(true, false);
    spawner.broker_refused = true; /* httpd did not start */
    assert_true(going_ends_it());
    have_pair(true, false);
    jobs_alive = 1;
    assert_false(going_ends_it());
    jobs_alive = 0;
    have_pair(true, false);
    spawner.gone_on = true;
    assert_false(going_ends_it());
    have_pair(true, false);
    spawner.broker_refused = spawner.gone_on = false;
    assert_false(going_ends_it());
    expect_called("tell_linger; ");
}

/* LoadModule has gone: no configuration comes any more. */
static void a_configuration_cleared_for_long_is_an_end(void **state)
{
    (void)state;
    have_pair(true, false);
    assert_int_equal(parent_timers(clock_ms), -1);
    spawner.cleared_at = clock_ms;
    assert_int_equal(parent_timers(clock_ms), 30000);
    assert_int_equal(parent_timers(clock_ms + 29999), 1);
    expect_called("");
    assert_int_equal(parent_timers(clock_ms + 30000), -1);
    assert_true(spawner.lingering);
    assert_int_equal(spawner.control, -1);
    expect_called("closed with care; tell_linger; ");
    expect_logged("MS0313: httpd runs without mod_spawn now: lingering until "
                  "0 jobs are done");
    assert_int_equal(parent_timers(clock_ms + 30001), -1);
    /* one that was not looked at for long */
    have_pair(true, false);
    spawner.cleared_at = clock_ms;
    assert_int_equal(parent_timers(clock_ms + 90000), -1);
    assert_true(spawner.lingering);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(both_process_and_account_count),
        T(who_was_not_obeyed_is_told),
        T(rubbish_counts_for_who_sent_it),
        T(each_message_has_its_effect),
        T(it_says_that_it_lives_when_it_is_asked),
        T(what_is_not_understood_is_answered),
        T(what_there_is_no_room_for_is_answered),
        T(a_configuration_is_taken),
        T(a_configuration_that_cannot_be_taken_changes_nothing),
        T(another_release_is_executed),
        T(another_build_is_executed),
        T(ready_is_told_once_to_who_asked),
        T(an_answer_that_cannot_be_sent_is_told),
        T(its_end_makes_the_pair_linger),
        T(who_goes_while_the_pair_lingers_leaves_no_link),
        T(a_spawner_without_anything_to_do_ends),
        T(a_configuration_cleared_for_long_is_an_end),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_obeys_httpd", tests, NULL,
                                       NULL);
}
