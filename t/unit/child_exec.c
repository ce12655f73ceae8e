/* SPDX-License-Identifier: Apache-2.0 */
/* A job's program is found and run with its arguments and its environment, and
 * nothing else; what cannot be run is told by the step that tells why. */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "t/unit/corner.h"
#include "common/spawn_child.h"
#include "common/spawn_proto.h"

static char dir[] = "/tmp/spawn-exec-XXXXXX";
static char name[6000];
static char *argv[4] = {name};
static char *envp[2];

/* Its exit code; or, when it is not executed, 100 + step, and the errno is
 * told through the pipe. */
static int told[2];

static int child(void)
{
    int error = 0;
    spawn_step step;

    errno = 4711;
    step = spawn_child_exec(argv, envp, &error);
    IS(errno == 4711);
    (void)!write(told[1], &error, sizeof(error));
    return 100 + (int)step;
}

static int run(const char *what, int *ret_error)
{
    int rv;

    (void)snprintf(name, sizeof(name), "%s", what);
    assert_int_equal(pipe2(told, O_CLOEXEC), 0);
    rv = in_a_child(child);
    (void)close(told[1]);
    *ret_error = 0;
    (void)!read(told[0], ret_error, sizeof(*ret_error));
    (void)close(told[0]);
    return rv;
}

static const char *make(const char *file, const char *text, mode_t mode)
{
    static char path[100];
    FILE *out;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, file);
    out = fopen(path, "w");
    assert_non_null(out);
    (void)fputs(text, out);
    (void)fclose(out);
    assert_int_equal(chmod(path, mode), 0);
    return path;
}

static void fails(const char *what, spawn_step step, int error)
{
    int told_error;

    assert_int_equal(run(what, &told_error), 100 + (int)step);
    assert_int_equal(told_error, error);
}

static void a_name_with_a_slash_is_that_file(void **state)
{
    int error;

    (void)state;
    assert_int_equal(run(make("job", "#!/bin/sh\nexit 7\n", 0755), &error), 7);
    assert_int_equal(error, 0);
}

static void a_name_without_is_looked_up(void **state)
{
    char arg1[] = "-c", arg2[] = "test \"$*$HOME$X\" = 1 && exit 8";
    char x[] = "X=1";
    int error;

    (void)state;
    argv[1] = arg1;
    argv[2] = arg2;
    envp[0] = x;
    assert_int_equal(run("sh", &error), 8);
    argv[1] = argv[2] = envp[0] = NULL;
}

static void what_is_not_there_is_told(void **state)
{
    (void)state;
    fails("/nowhere/job", SPAWN_STEP_EXEC, ENOENT);
    fails("spawn-no-such-program", SPAWN_STEP_EXEC, ENOENT);
    fails("/dev/null/job", SPAWN_STEP_EXEC, ENOTDIR);
}

static void what_may_not_be_run_is_told(void **state)
{
    (void)state;
    fails(make("plain", "text", 0644), SPAWN_STEP_EXEC, EACCES);
    fails(".", SPAWN_STEP_EXEC, EACCES); /* a directory, in PATH too */
}

static void what_has_no_interpreter_is_told(void **state)
{
    (void)state;
    fails(make("crlf", "#!/bin/sh\r\nexit 7\n", 0755), SPAWN_STEP_INTERPRETER,
          ENOENT);
}

/* Looked up where the tests may put files: a directory of the system that is
 * another one for this process. */
static int put_into_path(const char *text, mode_t mode)
{
    FILE *out;

    if (unshare(CLONE_NEWNS) < 0
        || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0
        || mount("none", "/usr/local/bin", "tmpfs", 0, NULL) < 0)
        return -1; /* not to be had in this container */
    out = fopen("/usr/local/bin/spawn-test", "w");
    IS(out && fputs(text, out) >= 0 && fclose(out) == 0);
    IS(chmod("/usr/local/bin/spawn-test", mode) == 0);
    (void)strcpy(name, "spawn-test");
    return 0;
}

static int denied_in_path(void)
{
    int error = 0;

    if (put_into_path("#!/bin/sh\n", 0644) < 0)
        return 0;
    IS(spawn_child_exec(argv, envp, &error) == SPAWN_STEP_EXEC);
    IS(error == EACCES);
    return 0;
}

static int without_interpreter_in_path(void)
{
    int error = 0;

    if (put_into_path("#!/nowhere/sh\n", 0755) < 0)
        return 0;
    IS(spawn_child_exec(argv, envp, &error) == SPAWN_STEP_INTERPRETER);
    IS(error == ENOENT);
    return 0;
}

/* Though it is not in the directories behind. */
static void what_cannot_be_run_of_the_path_is_told(void **state)
{
    (void)state;
    LEAVE_OUT_IF(geteuid() != 0, "not root");
    HOLDS_IN_A_CHILD(denied_in_path);
    HOLDS_IN_A_CHILD(without_interpreter_in_path);
}

static void a_name_that_is_too_long_is_told(void **state)
{
    static char text[5000];

    (void)state;
    memset(text, 'x', 300);
    fails(text, SPAWN_STEP_EXEC, ENAMETOOLONG);
    memset(text, 'x', sizeof(text) - 1);
    fails(text, SPAWN_STEP_EXEC, ENAMETOOLONG);
}

/* ---- vectors ---- */

static spawn_writer w;
static spawn_attr a;

static void make_texts(unsigned count)
{
    spawn_reader r;
    size_t mark;
    unsigned i;
    char text[16];

    spawn_writer_free(&w);
    spawn_writer_init(&w, SPAWN_REQUEST_MAX);
    spawn_writer_begin(&w, SPAWN_M_LAUNCH, 0);
    mark = spawn_open_strv(&w, SPAWN_A_ARGV);
    for (i = 0; i < count; i++) {
        (void)snprintf(text, sizeof(text), "%u", i);
        spawn_add_text(&w, mark, text, strlen(text));
    }
    spawn_close(&w, mark);
    spawn_reader_init(&r, w.data + SPAWN_WIRE_HEADER,
                      w.length - SPAWN_WIRE_HEADER);
    assert_int_equal(spawn_reader_next(&r, &a), 1);
}

static void has_all(char **v, unsigned count)
{
    char text[16];
    unsigned i;

    assert_non_null(v);
    for (i = 0; i < count; i++) {
        (void)snprintf(text, sizeof(text), "%u", i);
        assert_string_equal(v[i], text);
    }
    assert_null(v[count]);
}

static void texts_become_pointers_in_the_room_there_is(void **state)
{
    char *four[4];
    unsigned count;

    (void)state;
    for (count = 0; count < 4; count++) {
        char **room;

        make_texts(count);
        memset(four, 0xff, sizeof(four));
        room = (char **)(void *)at_the_end(four, sizeof(four));
        assert_ptr_equal(spawn_child_vector(&a, room, 4), room);
        has_all(room, count);
    }
}

/* The kernel gives whole pages: 511 pointers and NULL are one. */
static void more_texts_get_memory_of_their_own(void **state)
{
    char *four[4] = {0};
    static const unsigned counts[] = {4, 5, 511, 512, 5000};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        char **room = (char **)(void *)at_the_end(four, sizeof(four));
        char **v;

        make_texts(counts[i]);
        v = spawn_child_vector(&a, room, 4);
        assert_ptr_not_equal(v, room);
        has_all(v, counts[i]);
    }
}

static int needs_memory(void)
{
    char *four[4];

    make_texts(200000);
    no_more_memory_than(0);
    return spawn_child_vector(&a, four, 4) ? 1 : 0;
}

static void there_may_be_no_memory(void **state)
{
    (void)state;
    assert_int_equal(in_a_child(needs_memory), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_with_a_slash_is_that_file),
        cmocka_unit_test(a_name_without_is_looked_up),
        cmocka_unit_test(what_is_not_there_is_told),
        cmocka_unit_test(what_may_not_be_run_is_told),
        cmocka_unit_test(what_has_no_interpreter_is_told),
        cmocka_unit_test(what_cannot_be_run_of_the_path_is_told),
        cmocka_unit_test(a_name_that_is_too_long_is_told),
        cmocka_unit_test(texts_become_pointers_in_the_room_there_is),
        cmocka_unit_test(more_texts_get_memory_of_their_own),
        cmocka_unit_test(there_may_be_no_memory),
    };
    static const char *const files[] = {"job", "plain", "crlf"};
    char path[100];
    size_t i;
    int failed;

    if (!mkdtemp(dir))
        return 99;
    cmocka_set_message_output(CM_OUTPUT_TAP);
    failed = cmocka_run_group_tests_name("child_exec", tests, NULL, NULL);
    spawn_writer_free(&w);
    for (i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
        (void)unlink(path);
    }
    (void)rmdir(dir);
    return failed;
}
