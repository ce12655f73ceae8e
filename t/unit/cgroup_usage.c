/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The usage that a directory of cgroup v2 tells of the processes in it. Files
 * of a plain directory stand for the kernel's.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "t/unit/corner.h"
#include "common/spawn_cgroup.h"

static char plain[64];
static int dir;

static const char *const names[] = {"cpu.stat", "memory.peak", "memory.events",
                                    "memory.events.local"};

static void put(const char *name, const char *text)
{
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    (void)close(fd);
}

static void gone(const char *name)
{
    assert_int_equal(unlinkat(dir, name, 0), 0);
}

/* As Linux 6.1 writes them. */
static void all_is_told(void)
{
    put("cpu.stat", "usage_usec 1234567\nuser_usec 1000001\n"
                    "system_usec 234566\nnr_periods 0\nnr_throttled 0\n"
                    "throttled_usec 0\nnr_bursts 0\nburst_usec 0\n");
    put("memory.peak", "31457280\n");
    put("memory.events", "low 0\nhigh 0\nmax 36\noom 1\noom_kill 3\n"
                         "oom_group_kill 0\n");
    put("memory.events.local", "low 0\nhigh 0\nmax 36\noom 1\n"
                               "oom_kill 1\noom_group_kill 0\n");
}

static int start(void **state)
{
    (void)state;
    (void)strcpy(plain, "/tmp/spawn-usage-XXXXXX");
    if (!mkdtemp(plain))
        return -1;
    dir = open(plain, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return dir < 0 ? -1 : 0;
}

static int stop(void **state)
{
    unsigned i;

    (void)state;
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        (void)unlinkat(dir, names[i], 0);
    (void)close(dir);
    return rmdir(plain);
}

#define NOT_TOLD SPAWN_RU_UNKNOWN

static void expect_usage(uint64_t user, uint64_t system, uint64_t memory,
                         uint64_t kills)
{
    const uint64_t expected[SPAWN_RU_TREE_COUNT] = {user, system, memory,
                                                    kills};
    uint64_t is[SPAWN_RU_TREE_COUNT + 1] = {7, 7, 7, 7, 7};
    unsigned before = open_count(), i;

    spawn_cgroup_usage(dir, is);
    for (i = 0; i < SPAWN_RU_TREE_COUNT; i++) {
        if (is[i] != expected[i])
            fail_msg("number %u is %llu", i, (unsigned long long)is[i]);
    }
    assert_int_equal(is[i], 7);
    assert_int_equal(open_count(), before);
}

/* The order is that of the protocol. */
static void all_that_the_kernel_tells_is_read(void **state)
{
    (void)state;
    assert_int_equal(SPAWN_RU_TREE_UTIME_US, SPAWN_RU_COUNT);
    assert_int_equal(SPAWN_RU_TREE_STIME_US, SPAWN_RU_COUNT + 1);
    assert_int_equal(SPAWN_RU_TREE_MEMORY_KB, SPAWN_RU_COUNT + 2);
    assert_int_equal(SPAWN_RU_OOM_KILLS, SPAWN_RU_COUNT + 3);
    all_is_told();
    expect_usage(1000001, 234566, 30720, 3);
    put("memory.peak", "18446744073709551614\n");
    put("cpu.stat", "system_usec 1\nuser_usec 18446744073709551614");
    put("memory.events", "oom_kill 0\n");
    expect_usage(UINT64_MAX - 1, 1, (UINT64_MAX - 1) / 1024, 0);
}

/* Those of directories below the job's count, too. */
static void kills_are_those_of_all_below(void **state)
{
    (void)state;
    all_is_told();
    put("memory.events", "oom_kill 0\n");
    expect_usage(1000001, 234566, 30720, 0);
    gone("memory.events");
    expect_usage(1000001, 234566, 30720, NOT_TOLD);
}

/* Without the memory controller, or with a kernel before 5.19. */
static void what_is_not_there_is_not_told(void **state)
{
    (void)state;
    all_is_told();
    gone("memory.peak");
    expect_usage(1000001, 234566, NOT_TOLD, 3);
    gone("memory.events");
    expect_usage(1000001, 234566, NOT_TOLD, NOT_TOLD);
    gone("cpu.stat");
    gone("memory.events.local");
    expect_usage(NOT_TOLD, NOT_TOLD, NOT_TOLD, NOT_TOLD);
    all_is_told();
    gone("cpu.stat");
    expect_usage(NOT_TOLD, NOT_TOLD, 30720, 3);
}

static void what_is_no_number_is_not_told(void **state)
{
    static const char *const bad[] = {"max", "",     "-1", "12x",
                                      "x12", "0x10", "1 2"};
    char text[128];
    unsigned i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        (void)snprintf(text, sizeof(text), "user_usec %s\nsystem_usec %s\n",
                       bad[i], bad[i]);
        put("cpu.stat", text);
        (void)snprintf(text, sizeof(text), "%s\n", bad[i]);
        put("memory.peak", text);
        (void)snprintf(text, sizeof(text), "oom_kill %s\n", bad[i]);
        put("memory.events", text);
        expect_usage(NOT_TOLD, NOT_TOLD, NOT_TOLD, NOT_TOLD);
    }
    /* words that begin alike, and files without the word */
    put("cpu.stat", "user_usecs 1\nsystem_use 2\nsystem_usec\n");
    put("memory.peak", "");
    put("memory.events", "oom_kills 2\noom 3\nxoom_kill 4\n");
    expect_usage(NOT_TOLD, NOT_TOLD, NOT_TOLD, NOT_TOLD);
    put("memory.peak", "\n1024\n");
    put("memory.events", "oom 3\n\noom_kill 4");
    expect_usage(NOT_TOLD, NOT_TOLD, NOT_TOLD, 4);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(all_that_the_kernel_tells_is_read),
        T(kills_are_those_of_all_below),
        T(what_is_not_there_is_not_told),
        T(what_is_no_number_is_not_told),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("cgroup_usage", tests, NULL, NULL);
}
