/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Posts that come with descriptors, from strangers, cut, at the end of the
 * senders or of the pair, or while the store takes nothing: what is none of
 * httpd's leaves nothing behind, what is one is stored, and the broker does not
 * turn in circles. The protocol of broker_post.h.
 */
#include "t/unit/broker_clock.h"
#include "t/unit/broker_post.h"
#include "t/unit/corner.h"

#define MANY 140 /* more than there are slots */
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

static spawn_id id;

/* As kernels before 6.16: descriptors come with posts. */
static void old_kernel(void)
{
    deny_when(SYS_setsockopt, 2, SO_PASSRIGHTS, ENOPROTOOPT);
}

/* How many ms of so many it ran, or wanted to. */
static int64_t busy_of(int ms)
{
    unsigned long long before = 0, after = 0, cpu, waited;
    unsigned long long *const at[] = {&before, &after};
    char path[64];
    FILE *in;
    int i;

    (void)snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)broker);
    for (i = 0; i < 2; i++) {
        in = fopen(path, "re");
        if (in && fscanf(in, "%llu %llu", &cpu, &waited) == 2)
            *at[i] = cpu + waited;
        if (in)
            (void)fclose(in);
        if (i == 0)
            (void)usleep((unsigned)ms * 1000);
    }
    return (int64_t)(after - before) / 1000000;
}

/* ---- posts ---- */

static int post_so(size_t bytes, const int *fds, unsigned count)
{
    static const uint8_t data[SPAWN_INLINE_MAX];
    spawn_writer w;

    (void)spawn_id_make(&id);
    begin_post(&w, &id, "/bin/true");
    if (bytes)
        spawn_put_bytes(&w, SPAWN_A_STDIN_DATA, data, bytes);
    return try_to_post(&w, fds, count);
}

static void posts_run(void)
{
    post(&id);
    runs(&id);
}

/* ---- descriptors ---- */

static void post_with_handle(void)
{
    int fd = spawn_bytes_memfd("sent-along", "words", 5);

    (void)post_so(0, &fd, 1);
    (void)close(fd);
}

static void none_is_open(void)
{
    int64_t end = spawn_mono_ms() + DEADLINE_MS;

    while (has_open("sent-along") > 0 && spawn_mono_ms() < end)
        (void)usleep(1000);
    assert_int_equal(has_open("sent-along"), 0);
}

static void handles_that_come_with_posts_do_not_stay_open(void **state)
{
    void (*const kernels[])(void) = {NULL, old_kernel};
    int i;

    (void)state;
    ONLY_ROOT_LOOKS;
    log_is_kept = true;
    for (i = 0; i < 2; i++) {
        in_broker = kernels[i];
        make_inbox();
        reach_go_and_call_in();
        post_with_handle();
        if (geteuid() == 0)
            as_stranger(post_with_handle);
        posts_run();
        none_is_open();
        assert_int_equal(full_slots(), 0);
        kill_broker();
        spawn_close_fds(post_fds, 2);
        spawn_close_fds(&inbox_fd, 1);
    }
    expect_sql("SELECT count(*) FROM job", "2");
}

/* ---- strangers ---- */

static void posts_nonsense(void)
{
    static uint8_t big[SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX + 1];

    big[0] = 1;
    if (send(post_fds[0], "", 0, MSG_NOSIGNAL) != 0
        || send(post_fds[0], "?", 1, MSG_NOSIGNAL) != 1
        || send(post_fds[0], big, sizeof(big), MSG_NOSIGNAL) < 0)
        _exit(2);
}

static void posts_one(void)
{
    if (post_so(0, NULL, 0) < 0)
        _exit(3);
}

static void
what_strangers_send_is_told_as_theirs_and_leaves_nothing(void **state)
{
    unsigned i;

    (void)state;
    LEAVE_OUT_IF(geteuid() != 0, "only root can become another account");
    log_is_kept = true;
    make_inbox();
    reach_go_and_call_in();
    for (i = 0; i < MANY; i++) {
        as_stranger(i % 2 ? posts_nonsense : posts_one);
        has_heard();
    }
    assert_int_equal(full_slots(), 0);
    posts_run();
    assert_int_equal(logged("MS0570"), 0);
    assert_int_equal(logged("MS0561"), 0);
    assert_in_range(logged("of uid 65534, which is none of httpd's"), 1, 10);
    end_broker();
    expect_sql("SELECT count(*) FROM job", "1");
}

/* Nor when the broker has no number for what came with it. */
static void it_is_theirs_also_where_descriptors_are_short(void **state)
{
    struct rlimit l;

    (void)state;
    LEAVE_OUT_IF(geteuid() != 0, "only root can become another account");
    log_is_kept = true;
    in_broker = old_kernel;
    make_inbox();
    reach_go_and_call_in();
    posts_run(); /* it has all that it opens for that */
    assert_int_equal(prlimit(broker, RLIMIT_NOFILE, NULL, &l), 0);
    l.rlim_cur = 3;
    assert_int_equal(prlimit(broker, RLIMIT_NOFILE, &l, NULL), 0);
    as_stranger(post_with_handle);
    has_heard();
    assert_int_equal(logged("of uid 65534, which is none of httpd's"), 1);
    assert_int_equal(logged("MS0570"), 0);
    assert_int_equal(full_slots(), 0);
}

/* Packets of httpd's own processes are told as theirs. */
static void what_is_cut_is_told_and_leaves_nothing(void **state)
{
    (void)state;
    log_is_kept = true;
    make_inbox();
    reach_go_and_call_in();
    posts_nonsense();
    has_heard();
    assert_int_equal(full_slots(), 0);
    assert_int_equal(logged("MS0570"), 3);
    posts_run();
    assert_int_equal(logged("MS0570"), 3);
    assert_int_equal(logged("MS0561"), 0);
}

/* ---- the end of the senders, and of the pair ---- */

static void after_the_end_of_its_senders_the_socket_is_closed(void **state)
{
    int64_t end = spawn_mono_ms() + DEADLINE_MS;
    unsigned before;

    (void)state;
    ONLY_ROOT_LOOKS;
    log_is_kept = true;
    make_inbox();
    reach_go_and_call_in();
    posts_run();
    before = has_open("socket:");
    assert_int_equal(shutdown(post_fds[0], SHUT_RDWR), 0);
    while (has_open("socket:") == before && spawn_mono_ms() < end)
        (void)usleep(1000);
    assert_int_equal(has_open("socket:"), before - 1);
    assert_int_equal(logged("MS0570"), 0);
}

static void posts_that_wait_when_the_pair_ends_are_stored(void **state)
{
    int i, status;

    (void)state;
    make_inbox();
    queue_waits = 2 * MANY;
    start_broker();
    expect_ready();
    call_in();
    broker_sleeps();
    say(SPAWN_M_LINGER);
    for (i = 0; i < MANY; i++)
        post(&id);
    broker_goes_on();
    expect(SPAWN_M_BYE);
    assert_int_equal(waitpid(broker, &status, 0), broker);
    broker = 0;
    assert_int_equal(status, 0);
    assert_int_equal(full_slots(), 0);
    expect_sql("SELECT count(*) || ' ' || sum(state = 1) FROM job", "140 140");
}

/* ---- a store that takes nothing ---- */

static void with_all_slots_full_the_broker_is_quiet(void **state)
{
    int i;

    (void)state;
    make_store_that_fails(NO_INSERT);
    make_inbox();
    queue_waits = 2 * MANY;
    reach_go_and_call_in();
    for (i = 0; i < MANY; i++)
        post(&id);
    has_heard();
    assert_int_equal(full_slots(), SLOTS);
    assert_in_range(busy_of(400), 0, 200);
}

static void with_nothing_to_do_it_is_quiet_too(void **state)
{
    (void)state;
    make_inbox();
    reach_go_and_call_in();
    posts_run();
    has_heard();
    assert_in_range(busy_of(400), 0, 200);
}

/* Another one lies where that lay which has ended. */
static void the_end_of_a_post_leaves_the_others_in_the_inbox(void **state)
{
    static const char *const more[] = {"bad", NULL};
    int64_t until = spawn_mono_ms() + DEADLINE_MS;
    spawn_id first;
    spawn_writer w;

    (void)state;
    make_store_that_fails(NO_INSERT " WHEN NEW.queue = 'bad'");
    make_inbox();
    more_queues = more;
    reach_go_and_call_in();
    post(&id);
    first = id;
    expect_id(SPAWN_M_LAUNCH, &first);
    say_started(&first);
    while (full_slots() > 0) { /* it is stored as one that runs */
        assert_true(spawn_mono_ms() < until);
        has_heard();
    }
    (void)spawn_id_make(&id);
    begin_post(&w, &id, "/bin/true");
    spawn_put_str(&w, SPAWN_A_QUEUE, "bad");
    send_post(&w);
    expect_id(SPAWN_M_LAUNCH, &id);
    say_started(&id);
    say_exited(&first, 0, 0);
    expect_id(SPAWN_M_FORGET, &first);
    assert_int_equal(full_slots(), 1);
}

/* The first that could not be stored says when, whatever comes later. */
static void what_comes_later_does_not_put_off_the_next_try(void **state)
{
    spawn_id first;

    (void)state;
    make_store_that_fails_a_while(NO_INSERT);
    log_is_kept = true;
    make_inbox();
    reach_ready_and_call_in();
    time_stands();
    post(&id);
    first = id;
    has_heard();
    time_moves(20);
    wait_until_logged("MS0860", 1);
    say(SPAWN_M_GO);
    time_moves(600);
    post(&id);
    has_heard();
    steps[0] += 60; /* the store takes it: the clocks from the boot stand */
    time_moves(500);
    has_heard();
    expect_id(SPAWN_M_LAUNCH, &first);
    expect_id(SPAWN_M_LAUNCH, &id);
    assert_int_equal(logged("MS0561"), 0);
}

static void post_after(spawn_id *ret, const spawn_id *other)
{
    spawn_writer w;

    (void)spawn_id_make(ret);
    begin_post(&w, ret, "/bin/true");
    spawn_put_bytes(&w, SPAWN_A_AFTER, other->bytes, sizeof(other->bytes));
    send_post(&w);
}

/* The job that it names is known again when the store takes it. */
static void one_that_comes_after_such_a_one_waits_with_it(void **state)
{
    spawn_id first, second, third;

    (void)state;
    make_store_that_fails_a_while(NO_INSERT);
    log_is_kept = true;
    make_inbox();
    reach_ready_and_call_in();
    time_stands();
    post(&first);
    has_heard();
    time_moves(20);
    wait_until_logged("MS0860", 1);
    say(SPAWN_M_GO);
    post_after(&second, &first);
    post_after(&third, &second);
    has_heard();
    assert_int_equal(logged("MS0560"), 0);
    assert_int_equal(full_slots(), 3);
    steps[0] += 60; /* the store takes it: the clocks from the boot stand */
    time_goes_on();
    runs(&first);
    runs(&second);
    runs(&third);
    assert_int_equal(logged("MS0560"), 0);
}

/* Else each of two would have the other one wait. */
static void one_that_comes_after_none_is_refused_then(void **state)
{
    spawn_id none, first, second, third;

    (void)state;
    make_store_that_fails_a_while(NO_INSERT);
    log_is_kept = true;
    make_inbox();
    reach_ready_and_call_in();
    time_stands();
    post(&first);
    has_heard();
    time_moves(20);
    wait_until_logged("MS0860", 1);
    say(SPAWN_M_GO);
    (void)spawn_id_make(&none);
    post_after(&second, &none);
    post_after(&third, &none);
    has_heard();
    assert_int_equal(logged("MS0560"), 0);
    steps[0] += 60;
    time_goes_on();
    runs(&first);
    assert_int_equal(logged("MS0560"), 2);
}

/* ---- what a killed broker left ---- */

static void put_message(unsigned slot, size_t bytes, size_t limit)
{
    static uint8_t data[1 << 20];
    spawn_writer w;

    (void)spawn_id_make(&id);
    begin_post(&w, &id, "/bin/true");
    spawn_put_bytes(&w, SPAWN_A_STDIN_DATA, data, bytes);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    if (bytes < limit) { /* as long as it may be, exactly */
        const size_t more = limit - w.length;

        spawn_writer_free(&w);
        put_message(slot, bytes + more, 0);
        return;
    }
    put_in_slot(slot, w.data, w.length);
    spawn_writer_free(&w);
}

static void the_longest_post_of_a_slot_is_taken(void **state)
{
    (void)state;
    make_inbox();
    put_message(SLOTS - 1, 1000, SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX);
    reach_go_and_call_in();
    expect_id(SPAWN_M_LAUNCH, &id);
}

/* In the last one: behind it there is nothing. */
static void one_that_would_be_longer_than_its_slot_is_not_read(void **state)
{
    (void)state;
    log_is_kept = true;
    make_inbox();
    put_message(SLOTS - 1, 900000, 0);
    reach_go_and_call_in();
    posts_run();
    assert_int_equal(logged("MS0561"), 1);
    assert_int_equal(full_slots(), 0);
}

int main(void)
{
#define ALONE(f)                                                               \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(handles_that_come_with_posts_do_not_stay_open),
        ALONE(what_strangers_send_is_told_as_theirs_and_leaves_nothing),
        ALONE(it_is_theirs_also_where_descriptors_are_short),
        ALONE(what_is_cut_is_told_and_leaves_nothing),
        ALONE(after_the_end_of_its_senders_the_socket_is_closed),
        ALONE(posts_that_wait_when_the_pair_ends_are_stored),
        ALONE(with_all_slots_full_the_broker_is_quiet),
        ALONE(with_nothing_to_do_it_is_quiet_too),
        ALONE(the_end_of_a_post_leaves_the_others_in_the_inbox),
        ALONE(what_comes_later_does_not_put_off_the_next_try),
        ALONE(one_that_comes_after_such_a_one_waits_with_it),
        ALONE(one_that_comes_after_none_is_refused_then),
        ALONE(the_longest_post_of_a_slot_is_taken),
        ALONE(one_that_would_be_longer_than_its_slot_is_not_read)};

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("broker post trouble", tests, NULL,
                                       NULL);
}
