/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job's process up to what it runs: an order is written, a child takes the
 * steps, writes to errno in none of them, and looks at itself afterwards. It
 * tells its findings, or the step that has failed, in memory of both. For unit
 * tests.
 */
#ifndef CHILD_STEPS_H
#define CHILD_STEPS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cmocka.h>

#include "t/unit/corner.h"
#include "common/spawn_child.h"
#include "common/spawn_field.h"
#include "common/spawn_proto.h"

/* The child's findings, in memory of both. */
static struct {
    const char *file; /* and line of what was not so; 0: all was */
    int line;
    spawn_step step;
    int error;
} * told;

static spawn_writer w;
static spawn_message m;
static spawn_identity as;
static spawn_child c;
static int lifted[SPAWN_CHILD_FDS];

/* A check ends the child: it also stands in what returns nothing. */
#undef IS
#define IS(what)                                                               \
    do {                                                                       \
        if (!(what)) {                                                         \
            told->file = __FILE__;                                             \
            told->line = __LINE__;                                             \
            _exit(1);                                                          \
        }                                                                      \
    } while (0)

static void step_failed(void *arg, spawn_step step, int error)
{
    IS(arg == &w);
    IS(errno == 4711 || spawn_has(&m, SPAWN_A_BOXED));
    told->step = step;
    told->error = error;
    _exit(0);
}

static int begin(void **state)
{
    static const spawn_id id = {{1, 2, 3, 4, 5, 6, 0x70, 8, 0x80}};
    size_t mark;

    (void)state;
    spawn_writer_init(&w, SPAWN_SUBMIT_MAX);
    spawn_writer_begin(&w, SPAWN_M_LAUNCH, 0);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    mark = spawn_open_strv(&w, SPAWN_A_ENV);
    spawn_close(&w, mark);
    memset(&c, 0, sizeof(c));
    memset(told, 0, sizeof(*told));
    as.groups_count = -1;
    c.order = &m;
    c.as = &as;
    c.failed = step_failed;
    c.arg = &w;
    return 0;
}

static int end(void **state)
{
    (void)state;
    spawn_writer_free(&w);
    return 0;
}

static void (*prepare)(void), (*look)(void);

static int child(void)
{
    if (prepare)
        prepare();
    errno = 4711;
    spawn_child_set_up(&c, lifted);
    IS(errno == 4711 || spawn_has(&m, SPAWN_A_BOXED));
    look();
    return 0;
}

static void nothing(void)
{
}

static void run(const int *fds, unsigned count)
{
    int rv;

    c.fds = fds;
    assert_int_equal(spawn_writer_finish(&w, count), 0);
    assert_int_equal(spawn_message_parse(w.data, w.length,
                                         SPAWN_FROM_BROKER_TO_SPAWNER, count,
                                         &m, NULL),
                     0);
    rv = in_a_child(child);
    if (rv != 0)
        fail_msg("%s:%d: not so in the child (%d)",
                 told->file ? told->file : "?", told->line, rv);
}

/* All steps are taken and then it is as look() says. */
static __attribute__((unused)) void sets_up(const int *fds, unsigned count,
                                            void (*before)(void),
                                            void (*after)(void))
{
    prepare = before;
    look = after;
    run(fds, count);
    if (told->step)
        fail_msg("step %s failed: %s", spawn_step_name(told->step),
                 strerror(told->error));
}

static __attribute__((unused)) void fails(const int *fds, unsigned count,
                                          void (*before)(void), spawn_step step,
                                          int error)
{
    prepare = before;
    look = nothing;
    run(fds, count);
    assert_string_equal(spawn_step_name(told->step), spawn_step_name(step));
    assert_int_equal(told->error, error);
}

static __attribute__((unused)) bool is_null(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode)
           && st.st_rdev == makedev(1, 3);
}

static __attribute__((unused)) uint64_t limit_of(int resource)
{
    uint64_t n = 1;

    while (spawn_limit_resource(n) != resource)
        n++;
    return n;
}

static __attribute__((unused)) void put_stream(unsigned attr,
                                               spawn_stdio_how how,
                                               unsigned flags, unsigned fd,
                                               const char *path)
{
    const spawn_stdio s = {how, (uint8_t)flags, (uint16_t)fd, path ? path : ""};

    spawn_put_stdio(&w, (uint16_t)attr, &s);
}

static __attribute__((unused)) bool share_what_is_told(void)
{
    told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return told != MAP_FAILED;
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)

#endif
