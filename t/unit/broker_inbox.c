/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The post socket and the inbox as a broker gets them: once or again with new
 * rules, whole or of no use. One that is of no use is told, and callers are
 * served all the same. The protocol of broker_post.h.
 */
#include "t/unit/broker_post.h"

static spawn_id id;

static void posts_run(void)
{
    post(&id);
    runs(&id);
}

static void callers_are_served(void)
{
    (void)spawn_id_make(&id);
    submit_as(&id, "/bin/true");
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &id);
}

static void configure_again(void)
{
    say_configure();
    expect(SPAWN_M_BROKER_READY);
    (void)close(caller);
    call_in();
}

/* ---- given again ---- */

static void new_rules_leave_no_descriptors_open(void **state)
{
    unsigned before;
    int i;

    (void)state;
    ONLY_ROOT_LOOKS;
    make_inbox();
    reach_go_and_call_in();
    posts_run();
    before = has_open("");
    for (i = 0; i < 5; i++) {
        configure_again();
        posts_run();
    }
    assert_int_equal(has_open(""), before);
    assert_int_equal(has_open("inbox"), 1);
}

/* Before the store is open, too. */
static void rules_that_come_twice_leave_none_either(void **state)
{
    unsigned before;

    (void)state;
    ONLY_ROOT_LOOKS;
    make_inbox();
    reach_go_and_call_in();
    before = has_open("");
    kill_broker();
    start_broker();
    say_configure();
    say_configure();
    expect_ready();
    say(SPAWN_M_GO);
    call_in();
    posts_run();
    assert_int_equal(has_open(""), before);
}

/* ---- of no use ---- */

/* Its size, its seals, and whether it can be written. */
static void inbox_is(off_t size, int seals, int how)
{
    char path[64];
    int fd = spawn_os_memfd("inbox");

    make_inbox();
    spawn_close_fds(&inbox_fd, 1);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, size), 0);
    if (seals)
        assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    inbox_fd = open(path, how | O_CLOEXEC);
    assert_true(inbox_fd >= 0);
    (void)close(fd);
}

static void an_inbox_of_no_use_is_told(void **state)
{
    static const struct {
        off_t size;
        int seals, how;
    } cases[] = {{4096, F_SEAL_GROW, O_RDWR}, {SIZE, 0, O_RDONLY}};
    unsigned i;

    (void)state;
    log_is_kept = true;
    for (i = 0; i < 2; i++) {
        inbox_is(cases[i].size, cases[i].seals, cases[i].how);
        reach_go_and_call_in();
        assert_int_equal(logged("MS0571"), i + 1);
        callers_are_served();
        kill_broker();
        run_sql("DELETE FROM job");
        spawn_close_fds(post_fds, 2);
        spawn_close_fds(&inbox_fd, 1);
    }
}

/* The inbox of a release before this one is longer, or shorter. */
static void an_inbox_of_another_size_is_used(void **state)
{
    static const off_t sizes[] = {0, 1, SIZE / 2, SIZE - 1, SIZE, SIZE + 1};
    struct stat st;
    unsigned i;

    (void)state;
    log_is_kept = true;
    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        inbox_is(sizes[i], 0, O_RDWR);
        reach_go_and_call_in();
        posts_run();
        kill_broker();
        assert_int_equal(fstat(inbox_fd, &st), 0);
        assert_in_range(st.st_size, SIZE, 3 * SIZE); /* and the numbers */
        spawn_close_fds(post_fds, 2);
        spawn_close_fds(&inbox_fd, 1);
    }
    assert_int_equal(logged("MS057"), 0);
    assert_int_equal(logged("MS0561"), 0); /* no empty slot was looked into */
}

static void an_inbox_that_cannot_be_cut_or_grow_is_used(void **state)
{
    off_t size;

    (void)state;
    for (size = SIZE; size > 0;
         size -= SIZE / 2) { /* an older release's, too */
        inbox_is(size, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL, O_RDWR);
        reach_go_and_call_in();
        posts_run();
        kill_broker();
        spawn_close_fds(post_fds, 2);
        spawn_close_fds(&inbox_fd, 1);
    }
}

static void a_post_socket_that_cannot_be_watched_is_told(void **state)
{
    char path[80];

    (void)state;
    ONLY_ROOT_LOOKS;
    log_is_kept = true;
    make_inbox();
    (void)close(post_fds[1]);
    (void)snprintf(path, sizeof(path), "%s/no-socket", dir);
    post_fds[1] = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    reach_go_and_call_in();
    assert_int_equal(logged("MS0572"), 1);
    callers_are_served();
    assert_int_equal(has_open("no-socket"), 0);
}

static void without_either_callers_are_served(void **state)
{
    (void)state;
    log_is_kept = true;
    reach_go_and_call_in();
    callers_are_served();
    assert_int_equal(logged("MS057"), 0);
}

/* ---- the senders have gone ---- */

static void after_the_end_of_its_senders_none_is_taken(void **state)
{
    (void)state;
    ONLY_ROOT_LOOKS;
    make_inbox();
    reach_go_and_call_in();
    posts_run();
    assert_int_equal(shutdown(post_fds[0], SHUT_RDWR), 0);
    callers_are_served();
    callers_are_served();
    assert_int_equal(has_open("inbox"), 1);
}

int main(void)
{
#define ALONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down_all)
    const struct CMUnitTest tests[] = {
        ALONE(new_rules_leave_no_descriptors_open),
        ALONE(rules_that_come_twice_leave_none_either),
        ALONE(an_inbox_of_no_use_is_told),
        ALONE(an_inbox_of_another_size_is_used),
        ALONE(an_inbox_that_cannot_be_cut_or_grow_is_used),
        ALONE(a_post_socket_that_cannot_be_watched_is_told),
        ALONE(without_either_callers_are_served),
        ALONE(after_the_end_of_its_senders_none_is_taken)};

    find_broker();
    return cmocka_run_group_tests_name("broker inbox", tests, NULL, NULL);
}
