/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a job is over, the spawner notes what its cgroup has counted: of a job
 * that has one, as far as it can be read, and of no other. Plain directories
 * with plain files stand for those of cgroup v2.
 */
#define PART_HAS_TABLE
#define PART_HAS_CGROUP
#include "t/unit/spawner_part.h"

#include "common/spawn_cgroup.h"

static char top[64]; /* of the test */

static int play_open(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

bool external(void)
{
    return false;
}

#define spawn_cgroup_open play_open
#include "spawner/table.c"
#include "spawner/cgroup.c"

static const char *in_dir(const char *name, const char *file)
{
    static char path[400];

    (void)snprintf(path, sizeof(path), "%s/%s%s%s", top, name, file ? "/" : "",
                   file ? file : "");
    return path;
}

static job *add(uint8_t n, unsigned attempt)
{
    const spawn_id id = {{n, 1, 0, 0, 0, 0, 0x70, 0, 0x80}};
    job *j = table_add(&id);

    assert_non_null(j);
    j->attempt = (uint8_t)attempt;
    return j;
}

static void put(const job *j, const char *file, const char *text)
{
    char name[NAME_ROOM];
    int fd;

    name_of(j, name);
    (void)mkdir(in_dir(name, NULL), 0755);
    fd = open(in_dir(name, file), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
              0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    (void)close(fd);
}

/* It has a directory, and its process is put there, or could not be. */
static void is_put(job *j, bool can_be)
{
    j->cgroup = (uint8_t)spawner.cgroup.base;
    put(j, "cgroup.procs", "");
    if (!can_be) {
        char name[NAME_ROOM];

        name_of(j, name);
        assert_int_equal(unlink(in_dir(name, "cgroup.procs")), 0);
    }
    cgroup_enter(j, 1000);
}

static void was_put(job *j)
{
    is_put(j, true);
}

static void remove_it(const job *j)
{
    char name[NAME_ROOM];

    name_of(j, name);
    assert_int_equal(unlink(in_dir(name, "cgroup.procs")), 0);
    assert_int_equal(rmdir(in_dir(name, NULL)), 0);
}

static void expect_noted(job *j, uint64_t user, uint64_t system,
                         uint64_t memory, uint64_t kills)
{
    const uint64_t expected[SPAWN_RU_TREE_COUNT] = {user, system, memory,
                                                    kills};
    unsigned before = open_count(), i;

    cgroup_usage(j);
    assert_true(j->has_tree);
    for (i = 0; i < SPAWN_RU_TREE_COUNT; i++) {
        if (table_tree(j)[i] != expected[i])
            fail_msg("number %u is %llu", i,
                     (unsigned long long)table_tree(j)[i]);
    }
    assert_int_equal(open_count(), before);
}

static void expect_nothing(job *j)
{
    unsigned before = open_count();

    cgroup_usage(j);
    assert_false(j->has_tree);
    assert_int_equal(open_count(), before);
}

static int start(void **state)
{
    (void)state;
    no_state();
    (void)strcpy(spawner.socket_path, "/run/test/socket");
    (void)strcpy(top, "/tmp/spawn-used-XXXXXX");
    if (!mkdtemp(top) || table_init() < 0)
        return -1;
    cgroup_configure(top);
    read_log();
    return 0;
}

static int stop(void **state)
{
    char command[100];

    (void)state;
    while (spawner.cgroup.bases_count > 0)
        (void)close(spawner.cgroup.bases[--spawner.cgroup.bases_count].fd);
    (void)snprintf(command, sizeof(command), "rm -rf %s", top);
    return system(command);
}

static void of_its_own_directory(void **state)
{
    job *one = add(1, 0), *two = add(2, 0), *again = add(3, 2);

    (void)state;
    was_put(one);
    was_put(two);
    was_put(again);
    put(one, "cpu.stat", "user_usec 11\nsystem_usec 12\n");
    put(one, "memory.peak", "13312\n");
    put(one, "memory.events", "oom_kill 14\n");
    put(two, "cpu.stat", "user_usec 21\nsystem_usec 22\n");
    put(again, "memory.events", "oom_kill 34\n");
    expect_noted(one, 11, 12, 13, 14);
    expect_noted(two, 21, 22, UINT64_MAX, UINT64_MAX);
    expect_noted(again, UINT64_MAX, UINT64_MAX, UINT64_MAX, 34);
    /* nobody's place was written to but its own */
    assert_int_equal(table_tree(one)[0], 11);
    assert_int_equal(table_tree(two)[0], 21);
    expect_called("");
}

/* The next one in its place has another. */
static void the_next_one_begins_anew(void **state)
{
    job *j = add(1, 0);

    (void)state;
    was_put(j);
    put(j, "memory.events", "oom_kill 3\n");
    expect_noted(j, UINT64_MAX, UINT64_MAX, UINT64_MAX, 3);
    j->state = JOB_ENDED;
    table_remove(j);
    assert_ptr_equal(add(2, 0), j);
    expect_nothing(j);
}

static void without_a_directory_nothing_is_noted(void **state)
{
    job *j = add(1, 0);

    (void)state;
    put(j, "memory.events", "oom_kill 3\n");
    expect_nothing(j);
    j = add(2, 0);
    was_put(j);
    remove_it(j); /* somebody else has */
    expect_nothing(j);
}

/* Zeros that nobody has used are none of its numbers. */
static void where_it_was_not_put_nothing_is_noted(void **state)
{
    job *j = add(1, 0);

    (void)state;
    j->cgroup = (uint8_t)spawner.cgroup.base; /* it ended before */
    put(j, "memory.events", "oom_kill 0\n");
    expect_nothing(j);
    j = add(2, 0);
    is_put(j, false);
    put(j, "memory.events", "oom_kill 0\n");
    expect_nothing(j);
    is_put(j, true);
    expect_noted(j, UINT64_MAX, UINT64_MAX, UINT64_MAX, 0);
    cgroup_leave(j);
    j->cgroup = (uint8_t)spawner.cgroup.base; /* another one */
    j->has_tree = false;
    expect_nothing(j);
}

/* A job that was made before another place was configured. */
static void it_is_looked_for_where_it_was_made(void **state)
{
    job *j = add(1, 0);

    (void)state;
    was_put(j);
    put(j, "memory.events", "oom_kill 5\n");
    assert_int_equal(mkdir(in_dir("other", NULL), 0755), 0);
    cgroup_configure(in_dir("other", NULL));
    expect_noted(j, UINT64_MAX, UINT64_MAX, UINT64_MAX, 5);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(of_its_own_directory),
        T(the_next_one_begins_anew),
        T(without_a_directory_nothing_is_noted),
        T(where_it_was_not_put_nothing_is_noted),
        T(it_is_looked_for_where_it_was_made),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_cgroup_usage", tests, NULL,
                                       NULL);
}
