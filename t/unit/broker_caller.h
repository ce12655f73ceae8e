/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker with a caller, and with a store that takes nothing (one with a
 * trigger). This program plays spawner and caller (broker_play.h), so that each
 * message comes when the test wants it.
 */
#ifndef BROKER_CALLER_H
#define BROKER_CALLER_H

#include "t/unit/broker_play.h"

static int caller = -1;

/* ---- the store ---- */

#define NO_INSERT "BEFORE INSERT ON job"
#define NO_UPDATE "BEFORE UPDATE ON job"
#define NO_END    "BEFORE UPDATE ON job WHEN NEW.state = 4"

static inline void store_fails(const char *when)
{
    char sql[256];

    (void)snprintf(
        sql, sizeof(sql),
        "CREATE TRIGGER no %s BEGIN SELECT RAISE(ABORT, 'full'); END", when);
    run_sql(sql);
}

static inline void make_store_that_fails(const char *when)
{
    make_store();
    store_fails(when);
}

/* ---- a caller ---- */

static inline int receive_at(int sock, unsigned from)
{
    struct pollfd p = {sock, POLLIN, 0};
    int rv;

    spawn_packet_close(&packet);
    memset(&packet, 0, sizeof(packet));
    assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
    rv = spawn_packet_receive(sock, buffer, sizeof(buffer), &packet);
    if (rv == 1
        && spawn_message_parse(packet.data, packet.length, from,
                               packet.fds_count, &message, &why)
               != 0)
        fail_msg("%s", why.text);
    return rv;
}

static inline void ask(spawn_writer *w)
{
    assert_int_equal(spawn_writer_finish(w, 0), 0);
    assert_int_equal(spawn_packet_send(caller, w->data, w->length, NULL, 0), 0);
    spawn_writer_free(w);
}

static inline void expect_answer(unsigned type)
{
    assert_int_equal(receive_at(caller, SPAWN_FROM_BROKER), 1);
    if (message.header.type == SPAWN_M_REFUSED && type != SPAWN_M_REFUSED)
        fail_msg("%s", spawn_str_or(&message, SPAWN_A_TEXT, ""));
    assert_string_equal(spawn_message_name(message.header.type),
                        spawn_message_name(type));
}

static inline int connect_caller(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%.107s", listen_path);
    return connect(caller, (struct sockaddr *)&a, sizeof(a));
}

static inline void greet_broker(void)
{
    spawn_writer w;

    begin(&w, SPAWN_M_HELLO, NULL);
    spawn_put_str(&w, SPAWN_A_CLIENT, "test");
    ask(&w);
    expect_answer(SPAWN_M_WELCOME);
}

static inline void call_in(void)
{
    caller = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(connect_caller(), 0);
    greet_broker();
}

/* Nothing is launched before GO: what comes is stored a moment later. */
static inline void reach_ready_and_call_in(void)
{
    start_broker();
    expect_ready();
    call_in();
}

static inline void reach_go_and_call_in(void)
{
    reach_go();
    call_in();
}

static inline void begin_submit(spawn_writer *w, const spawn_id *id,
                                const char *program)
{
    size_t mark;

    begin(w, SPAWN_M_SUBMIT, id);
    mark = spawn_open_strv(w, SPAWN_A_ARGV);
    spawn_add_text(w, mark, program, strlen(program));
    spawn_close(w, mark);
}

static inline void submit_as(const spawn_id *id, const char *program)
{
    spawn_writer w;

    begin_submit(&w, id, program);
    ask(&w);
}

/* ---- functions ---- */

static inline void reach_a_template(spawn_id *ret)
{
    rules = "A";
    reach_go_and_call_in();
    template_starts(ret, true);
}

static inline void begin_function(spawn_writer *w, spawn_id *ret)
{
    (void)spawn_id_make(ret);
    begin(w, SPAWN_M_SUBMIT, ret);
    spawn_put_str(w, SPAWN_A_FUNCTION, "My::f");
}

/* A function that has begun so is accepted, and its template has the order. */
static inline void function_is_ordered(spawn_writer *w, const spawn_id *id,
                                       const spawn_id *template)
{
    ask(w);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_order(id, template);
}

static inline void expect_refusal(spawn_error code)
{
    expect_answer(SPAWN_M_REFUSED);
    assert_string_equal(spawn_error_name((unsigned)spawn_u64_or(
                            &message, SPAWN_A_CODE, SPAWN_E_OK)),
                        spawn_error_name(code));
}

/* ---- the broker ---- */

/* It waits for what comes next. */
static inline bool broker_rests(void)
{
    char path[40], text[200] = "";
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)broker);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)!read(fd, text, sizeof(text) - 1);
        (void)close(fd);
    }
    return strstr(text, ") S") != NULL;
}

/* After an answer: who asks may be heard before others, but when it rests there
 * is nothing left to hear. */
static inline void comes_to_rest(void)
{
    int64_t until = spawn_mono_ms() + DEADLINE_MS;

    while (!broker_rests()) {
        assert_true(spawn_mono_ms() < until);
        (void)poll(NULL, 0, 1);
    }
}

/* The messages before this have been heard: it knows no such job. */
static inline void has_heard(void)
{
    spawn_writer w;
    spawn_id nobody;

    assert_int_equal(spawn_id_make(&nobody), 0);
    begin(&w, SPAWN_M_GET, &nobody);
    ask(&w);
    expect_answer(SPAWN_M_REFUSED); /* or it has no store */
    comes_to_rest();
}

static inline void kill_broker(void)
{
    assert_true(broker > 0); /* 0 would be all of our group */
    assert_int_equal(kill(broker, SIGKILL), 0); /* our child, not yet reaped */
    assert_int_equal(waitpid(broker, NULL, 0), broker);
    (void)close(link_fd);
    (void)close(caller);
    link_fd = caller = -1;
    broker = 0;
}

/* A broker that is killed now has stored so many. */
static inline void the_store_has(const char *jobs)
{
    kill_broker();
    expect_sql("SELECT count(*) FROM job", jobs);
}

static inline int tear_down_all(void **state)
{
    if (caller >= 0)
        (void)close(caller);
    caller = -1;
    return tear_down(state);
}

#endif
