/* SPDX-License-Identifier: Apache-2.0 */
/* The file of launches: what is noted there and what is not, when it cannot be
 * written, or something else has its name. Links the broker's rooms up to the
 * store (the rest: broker_launches.c). */
#include "t/unit/broker_world.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/store/launches.h"

static world one;
static spawn_failure why;
static spawn_id id = {{1}};

static const char *path_of_file(void)
{
    static char path[100];

    (void)snprintf(path, sizeof(path), "%s/launches", one.directory);
    return path;
}

/* Files of this process get no longer. */
static void files_end_at(rlim_t length)
{
    struct rlimit limit;

    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = length;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static int set_up(void **s)
{
    (void)s;
    begin(&one);
    return 0;
}

static int tear_down(void **s)
{
    (void)s;
    files_end_at(RLIM_INFINITY);
    end(&one);
    return 0;
}

static void opens_again(void)
{
    spawn_launches_close(one.store);
    one.store->launches.known = false; /* as another broker */
    assert_int_equal(spawn_launches_open(one.store, &why), 0);
}

static unsigned found(unsigned attempt)
{
    spawn_id life;

    return spawn_launches_find(one.store, &id, attempt, &life);
}

static void what_is_noted_is_found(void **s)
{
    (void)s;
    assert_int_equal(found(2), 0);
    assert_int_equal(spawn_launches_note(one.store, &id, 2), 1);
    opens_again();
    assert_int_equal(found(1), 0);
    assert_int_equal(found(2), 1);
}

static void a_file_that_is_closed_is_closed(void **s)
{
    int fd = one.store->launches.fd;

    (void)s;
    assert_true(fcntl(fd, F_GETFD) >= 0);
    spawn_launches_close(one.store);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

/* All places, or none: a disk that has no room for the file has none later. */
static void a_file_that_has_no_room_is_none(void **s)
{
    int fd;

    (void)s;
    spawn_launches_close(one.store);
    assert_int_equal(unlink(path_of_file()), 0);
    files_end_at(1000);
    fd = open("/dev/null", O_RDONLY | O_CLOEXEC); /* the next one */
    (void)close(fd);
    assert_int_equal(spawn_launches_open(one.store, &why), 0);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    assert_int_equal(spawn_launches_note(one.store, &id, 1), 0);
}

/* Nobody gets its order then. */
static void what_could_not_be_noted_is_not_found(void **s)
{
    (void)s;
    files_end_at(0);
    assert_int_equal(spawn_launches_note(one.store, &id, 1), 0);
    assert_int_equal(found(1), 0);
    files_end_at(RLIM_INFINITY);
    assert_int_equal(spawn_launches_note(one.store, &id, 1), 1);
}

static void who_waits_again_leaves_its_place(void **s)
{
    spawn_job *job = submit(&one);
    unsigned i;

    (void)s;
    for (i = 0; i < 2 * SPAWN_LAUNCHES; i++) {
        assert_int_equal(spawn_launches_note(one.store, &job->id, 1), 1);
        spawn_launches_undo(job);
    }
    opens_again();
    id = job->id;
    assert_int_equal(found(1), 0);
    (void)spawn_batch_take(&one.batch, 1);
    spawn_job_settled(job);
    spawn_job_on(job, SPAWN_JOB_ENDED);
    forget(job);
}

/* No broker has written it: there is nothing to be read. */
static void what_is_no_file_is_none(void **s)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), i;

    (void)s;
    for (i = 0; i < 3; i++) {
        spawn_launches_close(one.store);
        assert_int_equal(remove(path_of_file()), 0);
        (void)snprintf(a.sun_path, sizeof(a.sun_path), "%.100s",
                       path_of_file());
        if (i == 0)
            assert_int_equal(mkfifo(path_of_file(), 0600), 0);
        else if (i == 1)
            assert_int_equal(bind(sock, (struct sockaddr *)&a, sizeof(a)), 0);
        else
            assert_int_equal(mkdir(path_of_file(), 0700), 0);
        opens_again();
        assert_int_equal(spawn_launches_note(one.store, &id, 1), 0);
    }
    (void)close(sock);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_is_noted_is_found),
        TEST(a_file_that_is_closed_is_closed),
        TEST(a_file_that_has_no_room_is_none),
        TEST(what_could_not_be_noted_is_not_found),
        TEST(who_waits_again_leaves_its_place),
        TEST(what_is_no_file_is_none),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("notes", tests, NULL, NULL);
}
