/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets that no client of ours sends: each is answered with what is wrong
 * with it, and costs its sender the connection at most; other callers and jobs
 * notice nothing. The protocol of broker_caller.h.
 */
#include "t/unit/broker_caller.h"
#include "t/unit/corner.h"

#include <sys/resource.h>

#define CROWD 1000

static spawn_id job;

/* Somebody else is served. */
static void others_are_served(void)
{
    int mine = caller;

    call_in();
    has_heard();
    (void)close(caller);
    caller = mine;
}

static void send_raw(const void *data, size_t length, const int *fds,
                     unsigned fds_count)
{
    union {
        struct cmsghdr head;
        uint8_t room[CMSG_SPACE(4 * sizeof(int))];
    } control;
    struct iovec part = {(void *)data, length};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};

    if (fds_count) {
        memset(&control, 0, sizeof(control));
        m.msg_control = &control;
        m.msg_controllen = CMSG_SPACE(fds_count * sizeof(int));
        control.head.cmsg_level = SOL_SOCKET;
        control.head.cmsg_type = SCM_RIGHTS;
        control.head.cmsg_len = CMSG_LEN(fds_count * sizeof(int));
        memcpy(CMSG_DATA(&control.head), fds, fds_count * sizeof(int));
    }
    assert_int_equal(sendmsg(caller, &m, MSG_NOSIGNAL), (ssize_t)length);
}

/* Nothing comes any more. */
static void expect_closed(void)
{
    struct pollfd p = {caller, POLLIN, 0};
    char byte;

    assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
    assert_true(recv(caller, &byte, 1, 0) <= 0);
}

/* The answer says so, and the connection is over. */
static void is_the_end(const char *said)
{
    const char *text;

    expect_refusal(SPAWN_E_PROTOCOL);
    text = spawn_str_or(&message, SPAWN_A_TEXT, "");
    if (!strstr(text, said))
        fail_msg("'%s' is not in '%s'", said, text);
    expect_closed();
    (void)close(caller);
    others_are_served();
    call_in();
}

static void make_submit(spawn_writer *w)
{
    (void)spawn_id_make(&job);
    begin_submit(w, &job, "/bin/true");
    assert_int_equal(spawn_writer_finish(w, 0), 0);
}

static void what_is_cut_is_refused(void **state)
{
    spawn_writer w;
    size_t length;

    (void)state;
    reach_go_and_call_in();
    make_submit(&w);
    for (length = 1; length < w.length; length += length < 24 ? 1 : 7) {
        send_raw(w.data, length, NULL, 0);
        is_the_end("");
    }
    spawn_writer_free(&w);
    the_store_has("0");
}

static void what_is_too_long_is_refused(void **state)
{
    static uint8_t big[SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX + 1];
    spawn_writer w;
    int size = 4 * (int)sizeof(big);

    (void)state;
    reach_go_and_call_in();
    make_submit(&w);
    memcpy(big, w.data, w.length);
    send_raw(big, w.length + 1, NULL, 0); /* a byte more than it says */
    is_the_end("");
    (void)setsockopt(caller, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    send_raw(big, sizeof(big), NULL, 0);
    is_the_end("too long");
    spawn_writer_free(&w);
}

static void what_is_no_message_is_refused(void **state)
{
    static const uint8_t nothing[64];
    uint8_t noise[200];
    unsigned i, k;
    uint32_t n = 12345;

    (void)state;
    reach_go_and_call_in();
    send_raw(nothing, sizeof(nothing), NULL, 0);
    is_the_end("");
    for (i = 0; i < 30; i++) {
        for (k = 0; k < sizeof(noise); k++) {
            n = n * 1103515245 + 12345;
            noise[k] = (uint8_t)(n >> 16);
        }
        send_raw(noise, 1 + n % sizeof(noise), NULL, 0);
        /* in words of which some may be "another version" */
        expect_answer(SPAWN_M_REFUSED);
        expect_closed();
        (void)close(caller);
        call_in();
    }
    others_are_served();
}

/* An empty packet looks like the end of the connection. */
static void an_empty_packet_is_no_request(void **state)
{
    (void)state;
    reach_go_and_call_in();
    send_raw("", 0, NULL, 0);
    others_are_served();
}

static void who_has_not_said_hello_asks_nothing(void **state)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    spawn_writer w;

    (void)state;
    reach_go();
    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%.107s", listen_path);
    caller = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(caller, (struct sockaddr *)&a, sizeof(a)), 0);
    make_submit(&w);
    send_raw(w.data, w.length, NULL, 0);
    spawn_writer_free(&w);
    is_the_end("the first message must be a hello");
    the_store_has("0");
}

/* It has 5 s for its HELLO. */
static void who_says_nothing_is_dropped(void **state)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int64_t since;
    int i, silent[3];

    (void)state;
    reach_go_and_call_in();
    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%.107s", listen_path);
    since = spawn_mono_ms();
    for (i = 0; i < 3; i++) {
        silent[i] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(silent[i], (struct sockaddr *)&a, sizeof(a)),
                         0);
    }
    others_are_served();
    for (i = 0; i < 3; i++) {
        int mine = caller;

        caller = silent[i];
        expect_closed();
        (void)close(caller);
        caller = mine;
    }
    assert_true(spawn_mono_ms() - since >= 4900);
    others_are_served();
}

static void answers_are_not_for_the_broker(void **state)
{
    static const uint16_t types[] = {SPAWN_M_WELCOME, SPAWN_M_ACCEPTED,
                                     SPAWN_M_EXITED,  SPAWN_M_GO,
                                     SPAWN_M_POST,    999};
    spawn_writer w;
    size_t i;

    (void)state;
    reach_go_and_call_in();
    for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        (void)spawn_id_make(&job);
        begin(&w, types[i], &job);
        ask(&w);
        is_the_end("");
    }
}

/* The same bytes again: the job is known. */
static void what_is_sent_twice_runs_once(void **state)
{
    spawn_writer w;

    (void)state;
    reach_go_and_call_in();
    make_submit(&w);
    send_raw(w.data, w.length, NULL, 0);
    send_raw(w.data, w.length, NULL, 0);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started(&job);
    say_exited(&job, 0, 0);
    expect_id(SPAWN_M_FORGET, &job);
    send_raw(w.data, w.length, NULL, 0);
    expect_answer(SPAWN_M_ACCEPTED);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_STATE]),
                     SPAWN_STATE_DONE);
    the_store_has("1");
    spawn_writer_free(&w);
}

/* announced, and sent */
static void descriptors(unsigned announced, unsigned sent)
{
    spawn_writer w;
    int fds[4];
    unsigned i;

    for (i = 0; i < sent; i++)
        fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    (void)spawn_id_make(&job);
    begin_submit(&w, &job, "/bin/true");
    assert_int_equal(spawn_writer_finish(&w, announced), 0);
    send_raw(w.data, w.length, fds, sent);
    spawn_close_fds(fds, sent);
    spawn_writer_free(&w);
}

static void descriptors_are_as_many_as_announced(void **state)
{
    (void)state;
    reach_go_and_call_in();
    descriptors(0, 1);
    is_the_end("");
    descriptors(1, 0);
    is_the_end("");
    descriptors(1, 3);
    is_the_end("");
    descriptors(3, 1);
    is_the_end("");
    the_store_has("0");
}

static void a_thousand_call_at_once(void **state)
{
    struct rlimit files = {CROWD + 200, CROWD + 200}, before;
    static int callers[CROWD];
    spawn_writer w;
    int i;

    (void)state;
    (void)getrlimit(RLIMIT_NOFILE, &before);
    if (before.rlim_cur < files.rlim_cur) {
        if (files.rlim_max < before.rlim_max)
            files.rlim_max = before.rlim_max;
        LEAVE_OUT_IF(setrlimit(RLIMIT_NOFILE, &files) < 0,
                     "not so many descriptors");
    }
    reach_go();
    for (i = 0; i < CROWD; i++) {
        call_in();
        callers[i] = caller;
    }
    for (i = 0; i < CROWD; i++) {
        caller = callers[i];
        (void)spawn_id_make(&job);
        begin(&w, SPAWN_M_GET, &job);
        ask(&w);
    }
    for (i = 0; i < CROWD; i++) {
        caller = callers[i];
        expect_refusal(SPAWN_E_NO_SUCH_JOB);
    }
    spawn_close_fds(callers, CROWD);
    caller = -1;
    others_are_served();
    (void)setrlimit(RLIMIT_NOFILE, &before);
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down_all)
    const struct CMUnitTest tests[] = {
        ALONE(what_is_cut_is_refused),
        ALONE(what_is_too_long_is_refused),
        ALONE(what_is_no_message_is_refused),
        ALONE(an_empty_packet_is_no_request),
        ALONE(who_has_not_said_hello_asks_nothing),
        ALONE(who_says_nothing_is_dropped),
        ALONE(answers_are_not_for_the_broker),
        ALONE(what_is_sent_twice_runs_once),
        ALONE(descriptors_are_as_many_as_announced),
        ALONE(a_thousand_call_at_once)};

    find_broker();
    return cmocka_run_group_tests_name("broker bad packets", tests, NULL, NULL);
}
