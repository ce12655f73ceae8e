/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker alone: this program plays the spawner, with templates and jobs
 * that are only told of. What callers would have submitted is put into the
 * store before it starts.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "spawn_board.h"
#include "spawn_os.h"
#include "spawn_packet.h"
#include "spawn_release.h"

#define DEADLINE_MS 10000

static char dir[64];
static char broker_program[4096];
static pid_t broker;
static int link_fd = -1;
static spawn_id instance; /* of the spawner */
static uint8_t buffer[SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX];
static spawn_packet packet;
static spawn_message message;
static spawn_failure why;
static const char *rules; /* preload of the template app; NULL: no template */

/* ---- the store ---- */

static const char layout_1[] =
    "CREATE TABLE job ("
    " seq INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL UNIQUE,"
    " queue TEXT NOT NULL, state INTEGER NOT NULL, digest INTEGER NOT NULL,"
    " fds INTEGER NOT NULL, cancel INTEGER NOT NULL DEFAULT 0,"
    " caller_uid INTEGER, caller_pid INTEGER, submitted_at INTEGER NOT NULL,"
    " started_at INTEGER, ended_at INTEGER, elapsed INTEGER,"
    " pid INTEGER, boot_started INTEGER, instance BLOB, outcome INTEGER,"
    " exit_code INTEGER, signal INTEGER, core INTEGER, step INTEGER,"
    " errno INTEGER, text TEXT, rusage BLOB, body BLOB NOT NULL);"
    "CREATE INDEX job_open ON job(seq) WHERE state < 4;"
    "CREATE INDEX job_ended ON job(ended_at) WHERE state = 4;"
    "CREATE TABLE input (seq INTEGER PRIMARY KEY, data BLOB NOT NULL);"
    "CREATE TABLE output (seq INTEGER PRIMARY KEY,"
    " out BLOB, err BLOB, out_lost INTEGER, err_lost INTEGER);"
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "PRAGMA application_id=1936748081; PRAGMA user_version=1;";

static sqlite3 *open_store(void)
{
    char path[128];
    sqlite3 *db;

    (void)snprintf(path, sizeof(path), "%s/jobs.db", dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    return db;
}

static void run_sql(const char *sql)
{
    sqlite3 *db = open_store();
    char *error = NULL;

    if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK)
        fail_msg("%s: %s", sql, error);
    (void)sqlite3_close(db);
}

/* The first column of the first row, as text. */
static const char *ask_sql(const char *sql)
{
    static char text[256];
    sqlite3 *db = open_store();
    sqlite3_stmt *s;

    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    (void)snprintf(text, sizeof(text), "%s",
                   sqlite3_column_text(s, 0) != NULL
                       ? (const char *)sqlite3_column_text(s, 0)
                       : "");
    (void)sqlite3_finalize(s);
    (void)sqlite3_close(db);
    return text;
}

static void boot_is_this_one(void)
{
    char boot[37] = "", sql[128];

    (void)spawn_os_boot_id(boot);
    (void)snprintf(sql, sizeof(sql),
                   "INSERT OR REPLACE INTO meta VALUES('boot_id', '%s')", boot);
    run_sql(sql);
}

/* A job as it was accepted. function NULL: the program true. */
static void put_job(const spawn_id *id, int state, const char *function)
{
    uint8_t room[512];
    spawn_writer w;
    sqlite3 *db = open_store();
    sqlite3_stmt *s;
    size_t mark;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_SUBMIT, 0);
    spawn_put_id(&w, SPAWN_A_ID, id);
    if (function) {
        spawn_put_str(&w, SPAWN_A_FUNCTION, function);
    }
    else {
        mark = spawn_open_strv(&w, SPAWN_A_ARGV);
        spawn_add_text(&w, mark, "/bin/true", 9);
        spawn_close(&w, mark);
    }
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    assert_int_equal(
        sqlite3_prepare_v2(db,
                           "INSERT INTO job(id, queue, state, digest, fds,"
                           " submitted_at, instance, body)"
                           " VALUES(?1, 'default', ?2, 1, 0, 1, ?3, ?4)",
                           -1, &s, NULL),
        SQLITE_OK);
    (void)sqlite3_bind_blob(s, 1, id->bytes, SPAWN_ID_SIZE, SQLITE_STATIC);
    (void)sqlite3_bind_int(s, 2, state);
    (void)sqlite3_bind_blob(s, 3, instance.bytes, SPAWN_ID_SIZE, SQLITE_STATIC);
    (void)sqlite3_bind_blob(s, 4, w.data + SPAWN_WIRE_HEADER,
                            (int)(w.length - SPAWN_WIRE_HEADER), SQLITE_STATIC);
    assert_int_equal(sqlite3_step(s), SQLITE_DONE);
    (void)sqlite3_finalize(s);
    (void)sqlite3_close(db);
    if (function)
        run_sql("UPDATE job SET template = '' WHERE template IS NULL");
}

/* ---- playing the spawner ---- */

static void next_message(void)
{
    struct pollfd p = {link_fd, POLLIN, 0};

    spawn_packet_close(&packet);
    memset(&packet, 0, sizeof(packet));
    assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
    assert_int_equal(
        spawn_packet_receive(link_fd, buffer, sizeof(buffer), &packet), 1);
    if (spawn_message_parse(packet.data, packet.length, SPAWN_FROM_BRAINS,
                            packet.fds_count, &message, &why)
        != 0)
        fail_msg("%s", why.text);
}

static void expect(unsigned type)
{
    next_message();
    assert_string_equal(spawn_message_name(message.header.type),
                        spawn_message_name(type));
}

static void expect_id(unsigned type, const spawn_id *id)
{
    spawn_id got;

    expect(type);
    if (type == SPAWN_M_FORGET && spawn_has(&message, SPAWN_A_IDS)) {
        assert_int_equal(message.attr[SPAWN_A_IDS].length, SPAWN_ID_SIZE);
        memcpy(got.bytes, message.attr[SPAWN_A_IDS].data, SPAWN_ID_SIZE);
    }
    else {
        spawn_attr_id(&message.attr[SPAWN_A_ID], &got);
    }
    assert_true(spawn_id_equal(&got, id));
}

static void send_fds(spawn_writer *w, const int *fds, unsigned count)
{
    assert_int_equal(spawn_writer_finish(w, count), 0);
    assert_int_equal(spawn_packet_send(link_fd, w->data, w->length, fds, count),
                     0);
    spawn_writer_free(w);
}

static void begin(spawn_writer *w, uint16_t type, const spawn_id *id)
{
    spawn_writer_init(w, SPAWN_REQUEST_MAX);
    spawn_writer_begin(w, type, 0);
    if (id)
        spawn_put_id(w, SPAWN_A_ID, id);
}

static void say(uint16_t type)
{
    spawn_writer w;

    begin(&w, type, NULL);
    send_fds(&w, NULL, 0);
}

static void put_template(spawn_writer *w)
{
    size_t nest = spawn_open_nest(w, SPAWN_A_TEMPLATE_RULES), list;

    spawn_put_str(w, SPAWN_A_TEMPLATE, "app");
    spawn_put_u64(w, SPAWN_A_TEMPLATE_KIND, SPAWN_TEMPLATE_EXEC);
    spawn_put_str(w, SPAWN_A_PERL, "/usr/bin/perl");
    list = spawn_open_strv(w, SPAWN_A_PRELOAD);
    spawn_add_text(w, list, rules, strlen(rules));
    spawn_close(w, list);
    spawn_close(w, nest);
}

static void say_configure(void)
{
    static const uint8_t secret[SPAWN_SECRET_SIZE] = {7};
    char path[128];
    spawn_writer w;
    size_t mark;

    (void)snprintf(path, sizeof(path), "%s/socket", dir);
    begin(&w, SPAWN_M_CONFIGURE, NULL);
    spawn_put_str(&w, SPAWN_A_RELEASE, SPAWN_RELEASE);
    spawn_put_bytes(&w, SPAWN_A_SECRET, secret, sizeof(secret));
    spawn_put_id(&w, SPAWN_A_INSTANCE, &instance);
    spawn_put_u64v(&w, SPAWN_A_FD_ROLES, NULL, 0);
    mark = spawn_open_nest(&w, SPAWN_A_QUEUE_RULES);
    spawn_put_str(&w, SPAWN_A_QUEUE, "default");
    spawn_put_u64(&w, SPAWN_A_MAX_JOBS, 10);
    spawn_put_u64(&w, SPAWN_A_MAX_QUEUED, 10);
    spawn_close(&w, mark);
    if (rules)
        put_template(&w);
    spawn_put_str(&w, SPAWN_A_STORE_PATH, dir);
    spawn_put_str(&w, SPAWN_A_SOCKET_PATH, path);
    send_fds(&w, NULL, 0);
}

static void start_broker(void)
{
    char *argv[] = {(char *)(uintptr_t) "mod_spawn broker", dir, NULL};
    int ends[2];

    assert_int_equal(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    broker = fork();
    if (broker == 0) {
        (void)dup2(ends[1], 3);
        (void)fcntl(3, F_SETFD, 0);
        (void)execv(broker_program, argv);
        _exit(9);
    }
    (void)close(ends[1]);
    link_fd = ends[0];
    say_configure();
}

static void expect_ready(void)
{
    say(SPAWN_M_TABLE_END);
    expect(SPAWN_M_BROKER_READY);
    if (spawn_attr_u64(&message.attr[SPAWN_A_CODE]) != SPAWN_E_OK)
        fail_msg("%s", spawn_str_or(&message, SPAWN_A_TEXT, ""));
}

/* By the end of its link, as when the spawner has gone. */
static void end_broker(void)
{
    int status;

    if (link_fd >= 0)
        (void)close(link_fd);
    link_fd = -1;
    if (broker > 0) {
        assert_int_equal(waitpid(broker, &status, 0), broker);
        assert_int_equal(status, 0);
    }
    broker = 0;
}

static int set_up(void **state)
{
    char spool[80];

    (void)state;
    rules = NULL;
    (void)strcpy(dir, "/tmp/broker-test-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    (void)snprintf(spool, sizeof(spool), "%s/spool", dir);
    return mkdir(spool, 0700) || spawn_id_make(&instance) ? -1 : 0;
}

static int tear_down(void **state)
{
    char command[128];

    (void)state;
    spawn_packet_close(&packet);
    memset(&packet, 0, sizeof(packet));
    if (broker > 0) {
        (void)kill(broker, SIGKILL); /* our child, not yet reaped */
        (void)waitpid(broker, NULL, 0);
    }
    if (link_fd >= 0)
        (void)close(link_fd);
    broker = 0;
    link_fd = -1;
    (void)snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

/* A store of today's layout. */
static void make_store(void)
{
    start_broker();
    expect_ready();
    end_broker();
    boot_is_this_one();
}

/* ---- templates and jobs ---- */

static void say_exited(const spawn_id *id, int step, int number)
{
    spawn_writer w;

    begin(&w, SPAWN_M_EXITED, id);
    if (step) {
        spawn_put_u64(&w, SPAWN_A_STEP, (uint64_t)step);
        spawn_put_u64(&w, SPAWN_A_ERRNO, (uint64_t)number);
    }
    else {
        spawn_put_u64(&w, SPAWN_A_WAIT_STATUS, (uint64_t)number);
    }
    send_fds(&w, NULL, 0);
}

static void say_started(const spawn_id *id)
{
    spawn_writer w;

    begin(&w, SPAWN_M_STARTED, id);
    spawn_put_u64(&w, SPAWN_A_PID, 4000000);
    send_fds(&w, NULL, 0);
}

/* The broker orders a template's start; it becomes ready, or not. */
static void template_starts(spawn_id *ret, bool ready)
{
    spawn_writer w;

    expect(SPAWN_M_LAUNCH);
    assert_true(spawn_has(&message, SPAWN_A_IS_TEMPLATE));
    assert_string_equal(spawn_str_or(&message, SPAWN_A_TEMPLATE, ""), "app");
    spawn_attr_id(&message.attr[SPAWN_A_ID], ret);
    say_started(ret);
    begin(&w, SPAWN_M_TEMPLATE_SAID, ret);
    spawn_put_u64(&w, SPAWN_A_CODE, ready ? SPAWN_E_OK : SPAWN_E_START_FAILED);
    spawn_put_str(&w, SPAWN_A_TEXT, ready ? "" : "no such luck");
    send_fds(&w, NULL, 0);
}

static void expect_order(const spawn_id *job, const spawn_id *template)
{
    spawn_id to;

    expect_id(SPAWN_M_LAUNCH, job);
    assert_string_equal(spawn_str_or(&message, SPAWN_A_FUNCTION, ""), "My::f");
    spawn_attr_id(&message.attr[SPAWN_A_TEMPLATE_ID], &to);
    assert_true(spawn_id_equal(&to, template));
}

static void expect_sql(const char *sql, const char *wanted)
{
    assert_string_equal(ask_sql(sql), wanted);
}

/* ---- what is promised ---- */

static void a_store_of_layout_1_is_brought_up(void **state)
{
    spawn_id waits, done;

    (void)state;
    run_sql(layout_1);
    boot_is_this_one();
    (void)spawn_id_make(&waits);
    (void)spawn_id_make(&done);
    put_job(&done, 4, NULL);
    run_sql("UPDATE job SET ended_at = 5, outcome = 1, exit_code = 3;"
            "INSERT INTO output VALUES(1, 'said', NULL, 7, NULL)");
    put_job(&waits, 1, NULL);
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    expect_id(SPAWN_M_LAUNCH, &waits);
    assert_string_equal(spawn_strv_next(&message.attr[SPAWN_A_ARGV], NULL),
                        "/bin/true");
    say_started(&waits);
    say_exited(&waits, 0, 5 << 8);
    expect_id(SPAWN_M_FORGET, &waits);
    end_broker();
    expect_sql("PRAGMA user_version", "2");
    expect_sql("SELECT exit_code FROM job WHERE seq = 2", "5");
    expect_sql("SELECT exit_code FROM job WHERE seq = 1", "3");
    expect_sql("SELECT out || out_lost FROM output WHERE seq = 1", "said7");
    expect_sql("SELECT count(*) FROM job WHERE template IS NOT NULL", "0");
}

static void an_order_that_nobody_was_forked_for_is_given_again(void **state)
{
    spawn_id job, first, second;

    (void)state;
    make_store();
    (void)spawn_id_make(&job);
    put_job(&job, 1, "My::f");
    rules = "A";
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    template_starts(&first, true);
    expect_order(&job, &first);
    /* its link is full, and nothing else is on its way: soon again */
    say_exited(&job, SPAWN_STEP_TEMPLATE, EAGAIN);
    expect_id(SPAWN_M_FORGET, &job);
    expect_order(&job, &first);
    /* it has gone */
    say_exited(&first, 0, SIGKILL);
    say_exited(&job, SPAWN_STEP_TEMPLATE, ESRCH);
    expect_id(SPAWN_M_FORGET, &first);
    expect_id(SPAWN_M_FORGET, &job);
    template_starts(&second, true);
    expect_order(&job, &second);
    say_started(&job);
    say_exited(&job, 0, 0);
    expect_id(SPAWN_M_FORGET, &job);
    end_broker();
    expect_sql("SELECT outcome FROM job", "1");
}

static void not_for_ever_though(void **state)
{
    spawn_id job, template;
    int i;

    (void)state;
    make_store();
    (void)spawn_id_make(&job);
    put_job(&job, 1, "My::f");
    rules = "A";
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    template_starts(&template, true);
    for (i = 0; i < 10; i++) {
        expect_order(&job, &template);
        say_exited(&job, SPAWN_STEP_TEMPLATE, EAGAIN);
        expect_id(SPAWN_M_FORGET, &job);
    }
    end_broker();
    expect_sql("SELECT outcome || ' ' || step FROM job", "5 10");
}

static void jobs_of_a_template_that_fails_get_its_text(void **state)
{
    spawn_id job, template;

    (void)state;
    make_store();
    (void)spawn_id_make(&job);
    put_job(&job, 1, "My::f");
    rules = "A";
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    template_starts(&template, false);
    expect_id(SPAWN_M_DISMISS, &template);
    expect_id(SPAWN_M_SIGNAL, &template);
    say_exited(&template, 0, 1 << 8);
    expect_id(SPAWN_M_FORGET, &template);
    template_starts(&template, true); /* after a second */
    end_broker();
    expect_sql("SELECT text FROM job",
               "template app cannot be loaded: no such luck");
}

/* A template that a broker before started. */
static void say_running_template(const spawn_id *id)
{
    spawn_writer w;

    begin(&w, SPAWN_M_RUNNING, id);
    spawn_put_u64(&w, SPAWN_A_STATE, SPAWN_STATE_RUNNING);
    spawn_put_u64(&w, SPAWN_A_IS_TEMPLATE, 2);
    spawn_put_str(&w, SPAWN_A_TEMPLATE, "app");
    send_fds(&w, NULL, 0);
}

static void a_template_is_found_again(void **state)
{
    spawn_id job, template, next;

    (void)state;
    make_store();
    rules = "A";
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    template_starts(&template, true);
    end_broker();
    (void)spawn_id_make(&job);
    put_job(&job, 1, "My::f");

    start_broker();
    say_running_template(&template);
    expect_ready();
    say(SPAWN_M_GO);
    expect_order(&job, &template);
    say_started(&job);
    say_exited(&job, 0, 0);
    expect_id(SPAWN_M_FORGET, &job);
    end_broker();

    /* other rules: it serves until another one is ready */
    rules = "B";
    (void)spawn_id_make(&job);
    put_job(&job, 1, "My::f");
    start_broker();
    say_running_template(&template);
    expect_ready();
    say(SPAWN_M_GO);
    expect(SPAWN_M_LAUNCH);
    assert_true(spawn_has(&message, SPAWN_A_IS_TEMPLATE));
    spawn_attr_id(&message.attr[SPAWN_A_ID], &next);
    expect_order(&job, &template);
}

static void a_board_outlives_a_broker(void **state)
{
    static const uint64_t keep[] = {0, SPAWN_KEEP_BOARD};
    spawn_board *board;
    spawn_writer w;
    spawn_id job;
    int fd;

    (void)state;
    make_store();
    (void)spawn_id_make(&job);
    put_job(&job, 3, "My::f");
    fd = spawn_board_make();
    board = spawn_board_map(fd);
    assert_non_null(board);
    spawn_board_put_progress(board, "2", "3", "words");
    start_broker();
    begin(&w, SPAWN_M_RUNNING, &job);
    spawn_put_u64(&w, SPAWN_A_STATE, SPAWN_STATE_RUNNING);
    spawn_put_u64(&w, SPAWN_A_PID, 4000000);
    spawn_put_u64v(&w, SPAWN_A_KEEP, keep, 2);
    send_fds(&w, &fd, 1);
    expect_ready();
    say(SPAWN_M_GO);
    assert_int_equal(
        spawn_board_put_result(board, SPAWN_RESULT_RETURNED, "value", 5), 0);
    say_exited(&job, 0, 0);
    expect_id(SPAWN_M_FORGET, &job);
    end_broker();
    (void)close(fd);
    expect_sql("SELECT result_kind FROM job", "1");
    expect_sql("SELECT cast(result AS TEXT) FROM output", "value");
    expect_sql("SELECT hex(substr(progress, 1, 2)) FROM job", "3200");
}

static void a_job_without_parent_is_followed(void **state)
{
    spawn_writer w;
    spawn_id job;
    int64_t started = 0;
    pid_t session, pid;
    int gate[2];
    char byte;

    (void)state;
    make_store();
    (void)spawn_id_make(&job);
    put_job(&job, 3, "My::f");
    assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        (void)setsid();
        (void)close(gate[1]);
        (void)!read(gate[0], &byte, 1);
        _exit(0);
    }
    do {
        assert_int_equal(spawn_os_process(pid, &started, &session), 0);
    } while (session != pid);
    start_broker();
    begin(&w, SPAWN_M_RUNNING, &job);
    spawn_put_u64(&w, SPAWN_A_STATE, SPAWN_STATE_RUNNING);
    spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)pid);
    send_fds(&w, NULL, 0);
    begin(&w, SPAWN_M_ORPHANED, &job);
    spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)pid);
    spawn_put_u64(&w, SPAWN_A_BOOT_STARTED, (uint64_t)started + 5000);
    send_fds(&w, NULL, 0);
    expect_ready();
    (void)close(gate[1]);
    (void)close(gate[0]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    expect_id(SPAWN_M_FORGET, &job);
    end_broker();
    expect_sql("SELECT state FROM job", "4");
    expect_sql("SELECT outcome IN (1, 8) FROM job", "1");
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ALONE(a_store_of_layout_1_is_brought_up),
        ALONE(an_order_that_nobody_was_forked_for_is_given_again),
        ALONE(not_for_ever_though),
        ALONE(jobs_of_a_template_that_fails_get_its_text),
        ALONE(a_template_is_found_again),
        ALONE(a_board_outlives_a_broker),
        ALONE(a_job_without_parent_is_followed)};
    const char *build = getenv("SPAWN_BUILD");

    (void)snprintf(broker_program, sizeof(broker_program),
                   "%s/mod_spawn/broker", build ? build : "build");
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("broker", tests, NULL, NULL);
}
