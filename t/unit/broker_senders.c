/* SPDX-License-Identifier: Apache-2.0 */
/* The broker takes posts from accounts that httpd's children can have, whoever
 * else holds the sending end; and so does the next broker, of what the one
 * before left in the inbox. */
#include "t/unit/broker_post.h"

static int post_as(const spawn_id *id)
{
    spawn_writer w;

    begin_post(&w, id, "/bin/true");
    return try_to_post(&w, NULL, 0);
}

/* The same from a process of another account, and packets without sense. */
static void stranger_posts(const spawn_id *id)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        if (setgroups(0, NULL) < 0 || setgid(STRANGER) < 0
            || setuid(STRANGER) < 0 || post_as(id) < 0
            || send(post_fds[0], "?", 1, MSG_NOSIGNAL) != 1
            || send(post_fds[0], "", 0, MSG_NOSIGNAL) != 0)
            _exit(1);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void new_ids(spawn_id *a, spawn_id *b)
{
    assert_int_equal(spawn_id_make(a), 0);
    assert_int_equal(spawn_id_make(b), 0);
}

/* False: left out. cmocka's own skip() is a failure to prove. */
static bool begin_with_inbox(void)
{
    if (geteuid() != 0) {
        print_message("# left out: only root can become another account\n");
        return false;
    }
    make_inbox();
    return true;
}

static void what_a_stranger_posts_is_dropped(void **state)
{
    spawn_id own, other;

    (void)state;
    if (!begin_with_inbox())
        return;
    reach_go();
    new_ids(&own, &other);
    stranger_posts(&other);
    assert_int_equal(post_as(&own), 0);
    expect_id(SPAWN_M_LAUNCH, &own);
    end_broker();
    expect_sql("SELECT count(*) || ' ' || max(caller_uid) || ' ' || "
               "(max(caller_pid) > 0)"
               " FROM job",
               "1 0 1");
}

static void what_httpds_account_posts_is_taken(void **state)
{
    spawn_id own, other;

    (void)state;
    if (!begin_with_inbox())
        return;
    httpds_uid = STRANGER;
    reach_go();
    new_ids(&own, &other);
    stranger_posts(&other);
    expect_id(SPAWN_M_LAUNCH, &other);
    assert_int_equal(post_as(&own), 0);
    expect_id(SPAWN_M_LAUNCH, &own);
    end_broker();
    expect_sql("SELECT group_concat(caller_uid, ' ')"
               " FROM (SELECT * FROM job ORDER BY seq)",
               "65534 0");
}

static void any_account_posts_when_children_have_any(void **state)
{
    spawn_id own, other;

    (void)state;
    if (!begin_with_inbox())
        return;
    any_account = true;
    reach_go();
    new_ids(&own, &other);
    stranger_posts(&other);
    expect_id(SPAWN_M_LAUNCH, &other);
}

/* Receives a post as a broker that is killed before it looks. */
static void receive_into(unsigned slot)
{
    uint8_t *at;

    if (slot == 0)
        assert_int_equal(ftruncate(inbox_fd, SIZE), 0);
    at = slots();
    assert_int_equal(
        spawn_packet_receive_with(
            post_fds[1], at + (size_t)slot * SLOT_SIZE,
            SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX,
            (spawn_packet_control *)(void *)(at + (size_t)(slot + 1) * SLOT_SIZE
                                             - sizeof(spawn_packet_control)),
            &packet),
        1);
    (void)munmap(at, (size_t)SIZE);
}

static void what_a_killed_broker_had_not_looked_at_is_dropped_too(void **state)
{
    static const uint8_t zeros[SPAWN_WIRE_HEADER];
    uint8_t head[SPAWN_WIRE_HEADER];
    spawn_id own, other;

    (void)state;
    if (!begin_with_inbox())
        return;
    new_ids(&own, &other);
    stranger_posts(&other);
    receive_into(0);
    assert_int_equal(post_as(&own), 0);
    /* behind those without sense, which the broker finds in the socket */
    reach_go();
    expect_id(SPAWN_M_LAUNCH, &own);
    end_broker();
    assert_int_equal(pread(inbox_fd, head, sizeof(head), 0), sizeof(head));
    assert_memory_equal(head, zeros, sizeof(head)); /* its slot is free */
    expect_sql("SELECT count(*) FROM job", "1");
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down_all)
    const struct CMUnitTest tests[] = {
        ALONE(what_a_stranger_posts_is_dropped),
        ALONE(what_httpds_account_posts_is_taken),
        ALONE(any_account_posts_when_children_have_any),
        ALONE(what_a_killed_broker_had_not_looked_at_is_dropped_too)};

    find_broker();
    return cmocka_run_group_tests_name("broker senders", tests, NULL, NULL);
}
