/* SPDX-License-Identifier: Apache-2.0 */
/* Locks of the database: of a dead broker, which do not keep the next one out,
 * and of processes that live or cannot be seen, which do. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "t/unit/corner.h"
#include "broker/store/lock.h"
#include "broker/store/parts.h"

static char dir[] = "/tmp/broker-lock-XXXXXX";
static spawn_store *store;

static int begin(void **state)
{
    char path[100];
    int fd;

    (void)state;
    store = spawn_store_new();
    (void)snprintf(store->directory, sizeof(store->directory), "%s", dir);
    (void)snprintf(store->path, sizeof(store->path), "%s/jobs.db", dir);
    (void)snprintf(path, sizeof(path), "%s/broker.lock", dir);
    (void)unlink(path);
    (void)unlink(store->path); /* one who was killed may still lock it */
    fd = open(store->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0)
        (void)close(fd);
    return fd < 0;
}

static int end(void **state)
{
    (void)state;
    if (store->lock.mark >= 0)
        (void)close(store->lock.mark);
    free(store);
    return 0;
}

static int lock_file(const char *name)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char path[100];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    return fd < 0 ? -1 : fcntl(fd, F_SETLK, &lock);
}

/* A process that locks these files (NULL: not the second one), tells so and
 * waits. */
static pid_t holder(const char *one, const char *two)
{
    int ready[2];
    char byte;
    pid_t pid;

    if (pipe2(ready, O_CLOEXEC) < 0)
        return -1;
    pid = fork();
    if (pid == 0) {
        if (lock_file(one) < 0 || (two && lock_file(two) < 0))
            _exit(1);
        (void)!write(ready[1], "", 1);
        for (;;)
            (void)pause();
    }
    (void)close(ready[1]);
    if (read(ready[0], &byte, 1) != 1)
        pid = -1;
    (void)close(ready[0]);
    return pid;
}

static void end_process(pid_t pid)
{
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

/* The same of a process that has ended, whose table of descriptors another one
 * still has: that one's pid. */
static pid_t dead_holder(const char *one, const char *two)
{
    int told[2], status;
    pid_t pid, rest;

    if (pipe2(told, O_CLOEXEC) < 0)
        return -1;
    pid = fork();
    if (pid == 0) {
        if (lock_file(one) < 0 || (two && lock_file(two) < 0))
            _exit(1);
        rest = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
        if (rest == 0) {
            for (;;)
                (void)pause();
        }
        (void)!write(told[1], &rest, sizeof(rest));
        _exit(0);
    }
    if (waitpid(pid, &status, 0) != pid || status != 0
        || read(told[0], &rest, sizeof(rest)) != (ssize_t)sizeof(rest))
        rest = -1;
    (void)close(told[0]);
    (void)close(told[1]);
    return rest;
}

static void nobody_locks_it(void **state)
{
    char path[100];
    struct stat st;
    int free_number;

    (void)state;
    assert_false(spawn_store_locked_by_the_dead(store));
    free_number = dup(0);
    (void)close(free_number);
    assert_int_equal(free_number, store->lock.mark + 1);
    (void)snprintf(path, sizeof(path), "%s/broker.lock", dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_true(fcntl(store->lock.mark, F_GETFD) & FD_CLOEXEC);
    assert_false(spawn_store_locked_by_the_dead(store)); /* by us, that is */
}

static int cannot_lock_the_mark(void)
{
    return lock_file("broker.lock") < 0 ? 0 : 1;
}

static void the_mark_is_ours(void **state)
{
    int mark;

    (void)state;
    assert_false(spawn_store_locked_by_the_dead(store));
    mark = store->lock.mark;
    assert_int_equal(in_a_child(cannot_lock_the_mark), 0);
    assert_false(spawn_store_locked_by_the_dead(store));
    assert_int_equal(store->lock.mark, mark);
    assert_int_equal(in_a_child(cannot_lock_the_mark), 0);
}

static unsigned descriptors(void)
{
    unsigned count = 0;
    int fd;

    for (fd = 0; fd < 100; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void a_mark_that_was_removed_is_made_anew(void **state)
{
    char path[100];
    unsigned open_before;

    (void)state;
    spawn_store_mark(store);
    open_before = descriptors();
    (void)snprintf(path, sizeof(path), "%s/broker.lock", dir);
    assert_int_equal(unlink(path), 0);
    spawn_store_mark(store);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(in_a_child(cannot_lock_the_mark), 0);
    assert_int_equal(descriptors(), open_before);
}

static void so_is_one_in_whose_place_is_another(void **state)
{
    char path[100], other[100];
    int fd;

    (void)state;
    spawn_store_mark(store);
    (void)snprintf(path, sizeof(path), "%s/broker.lock", dir);
    (void)snprintf(other, sizeof(other), "%s/other", dir);
    fd = open(other, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(rename(other, path), 0);
    spawn_store_mark(store);
    assert_int_equal(in_a_child(cannot_lock_the_mark), 0);
}

/* Its directory is away for a while. */
static void where_none_can_be_made_the_old_one_is_kept(void **state)
{
    char away[100];

    (void)state;
    spawn_store_mark(store);
    (void)snprintf(away, sizeof(away), "%s.away", dir);
    assert_int_equal(rename(dir, away), 0);
    spawn_store_mark(store);
    assert_int_equal(rename(away, dir), 0);
    assert_int_equal(in_a_child(cannot_lock_the_mark), 0);
}

static void without_a_database_nobody_locks_it(void **state)
{
    (void)state;
    (void)unlink(store->path);
    assert_false(spawn_store_locked_by_the_dead(store));
}

static void one_that_lives_locks_it(void **state)
{
    pid_t pid = holder("jobs.db", "broker.lock");

    (void)state;
    assert_true(pid > 0);
    assert_false(spawn_store_locked_by_the_dead(store));
    end_process(pid);
}

static void a_dead_one_locks_it(void **state)
{
    pid_t rest = dead_holder("jobs.db", "broker.lock");

    (void)state;
    assert_true(rest > 0);
    assert_true(spawn_store_locked_by_the_dead(store));
    (void)kill(rest, SIGKILL); /* its parent has gone */
}

/* ---- in a pid namespace ---- */

static int (*inside)(void);

static int in_namespace(void)
{
    int status;
    pid_t pid;

    if (unshare(CLONE_NEWPID) < 0)
        return 70;
    pid = fork();
    if (pid == 0)
        _exit(inside());
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status)
               ? WEXITSTATUS(status)
               : 71;
}

static int nothing(void)
{
    return 0;
}

static int is_not_dead(void)
{
    return spawn_store_locked_by_the_dead(store) ? 1 : 0;
}

/* With it all others of the namespace end. */
static int is_of_a_dead_broker(void)
{
    if (dead_holder("jobs.db", "broker.lock") < 0)
        return 2;
    return spawn_store_locked_by_the_dead(store) ? 0 : 1;
}

static int is_of_a_dead_stranger(void)
{
    if (dead_holder("jobs.db", NULL) < 0)
        return 2;
    return spawn_store_locked_by_the_dead(store) ? 1 : 0;
}

static int marked_only(void)
{
    if (dead_holder("broker.lock", NULL) < 0)
        return 2;
    return spawn_store_locked_by_the_dead(store) ? 1 : 0;
}

static int holds(int (*what)(void))
{
    inside = what;
    return in_a_child(in_namespace);
}

static void what_cannot_be_seen_is_a_broker_by_its_mark(void **state)
{
    pid_t pid;

    (void)state;
    LEAVE_OUT_IF(holds(nothing) != 0, "no pid namespace can be made");
    assert_int_equal(holds(is_of_a_dead_broker), 0);
    assert_int_equal(holds(is_of_a_dead_stranger), 0);
    assert_int_equal(holds(marked_only), 0);
    pid = holder("jobs.db", NULL); /* outside: a person's sqlite3 */
    assert_true(pid > 0);
    assert_int_equal(holds(is_not_dead), 0);
    end_process(pid);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(nobody_locks_it),
        T(the_mark_is_ours),
        T(a_mark_that_was_removed_is_made_anew),
        T(so_is_one_in_whose_place_is_another),
        T(where_none_can_be_made_the_old_one_is_kept),
        T(without_a_database_nobody_locks_it),
        T(one_that_lives_locks_it),
        T(a_dead_one_locks_it),
        T(what_cannot_be_seen_is_a_broker_by_its_mark),
    };
    char command[64];
    int failed;

    if (!mkdtemp(dir))
        return 99;
    cmocka_set_message_output(CM_OUTPUT_TAP);
    failed = cmocka_run_group_tests_name("broker_lock", tests, NULL, NULL);
    (void)snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command) != 0 ? 98 : failed;
}
