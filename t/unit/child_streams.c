/* SPDX-License-Identifier: Apache-2.0 */
/* A job's standard streams: what they are opened on and how, and which step it
 * says has failed. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <sys/ioctl.h>

#include "t/unit/child_steps.h"

static char dir[] = "/tmp/spawn-child-XXXXXX";

static const char *in_dir(const char *name)
{
    static char path[2][100];
    static unsigned turn;

    turn ^= 1;
    (void)snprintf(path[turn], sizeof(path[turn]), "%s/%s", dir, name);
    return path[turn];
}

static void write_file(const char *name, const char *text)
{
    FILE *out = fopen(in_dir(name), "w");

    assert_non_null(out);
    (void)fputs(text, out);
    (void)fclose(out);
}

static const char *file(const char *name)
{
    static char text[200];
    FILE *in = fopen(in_dir(name), "r");

    assert_non_null(in);
    text[fread(text, 1, sizeof(text) - 1, in)] = '\0';
    (void)fclose(in);
    return text;
}

static void reads_and_writes(void)
{
    char text[20] = "";

    IS(read(0, text, sizeof(text)) == 6);
    IS(strcmp(text, "input\n") == 0);
    IS(write(0, "x", 1) == -1 && errno == EBADF);
    IS(write(1, "out", 3) == 3);
    IS(write(2, "err", 3) == 3);
    IS(read(1, text, 1) == -1 && errno == EBADF);
    IS(fcntl(0, F_GETFD) == 0 && fcntl(1, F_GETFD) == 0
       && fcntl(2, F_GETFD) == 0);
    IS(!(fcntl(0, F_GETFL) & O_NONBLOCK));
    IS(!(fcntl(1, F_GETFL) & (O_NONBLOCK | O_APPEND)));
    IS(fcntl(2, F_GETFL) & O_APPEND);
    IS(!(fcntl(2, F_GETFL) & O_NONBLOCK));
    IS(open_count() == 3);
}

static void streams_are_files(void **state)
{
    struct stat st;

    (void)state;
    write_file("in", "input\n");
    write_file("cut", "something long");
    write_file("grows", "before ");
    put_stream(SPAWN_A_STDIN, SPAWN_STDIO_PATH, 0, 0, in_dir("in"));
    put_stream(SPAWN_A_STDOUT, SPAWN_STDIO_PATH, 0, 0, in_dir("cut"));
    put_stream(SPAWN_A_STDERR, SPAWN_STDIO_PATH, SPAWN_STDIO_APPEND, 0,
               in_dir("grows"));
    sets_up(NULL, 0, NULL, reads_and_writes);
    assert_string_equal(file("in"), "input\n");
    assert_string_equal(file("cut"), "out");
    assert_string_equal(file("grows"), "before err");
    (void)end(NULL);
    (void)begin(NULL);
    spawn_put_u64(&w, SPAWN_A_UMASK, 037);
    put_stream(SPAWN_A_STDOUT, SPAWN_STDIO_PATH, 0, 0, in_dir("new"));
    sets_up(NULL, 0, NULL, nothing);
    assert_int_equal(stat(in_dir("new"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
}

static void same_file(void)
{
    IS(write(1, "out", 3) == 3);
    IS(write(2, "err", 3) == 3);
    IS(lseek(1, 0, SEEK_CUR) == 6);
}

static void stderr_goes_where_stdout_goes(void **state)
{
    (void)state;
    put_stream(SPAWN_A_STDOUT, SPAWN_STDIO_PATH, 0, 0, in_dir("both"));
    put_stream(SPAWN_A_STDERR, SPAWN_STDIO_STDOUT, 0, 0, NULL);
    sets_up(NULL, 0, NULL, same_file);
    assert_string_equal(file("both"), "outerr");
}

static void close_streams(void)
{
    (void)close(0);
    (void)close(1);
    (void)close(2);
}

static void all_are_there_at_exec(void)
{
    int fd;

    IS(is_null(0) && is_null(2));
    IS(write(1, "out", 3) == 3);
    for (fd = 0; fd < 3; fd++)
        IS(fcntl(fd, F_GETFD) == 0);
    IS(open_count() == 3);
}

/* The file then opens right there. */
static void streams_may_have_been_closed(void **state)
{
    (void)state;
    put_stream(SPAWN_A_STDOUT, SPAWN_STDIO_PATH, 0, 0, in_dir("closed"));
    sets_up(NULL, 0, close_streams, all_are_there_at_exec);
    assert_string_equal(file("closed"), "out");
}

static void streams_that_cannot_be_opened_are_told(void **state)
{
    (void)state;
    put_stream(SPAWN_A_STDIN, SPAWN_STDIO_PATH, 0, 0, in_dir("none"));
    fails(NULL, 0, NULL, SPAWN_STEP_STDIN, ENOENT);
    (void)end(NULL);
    (void)begin(NULL);
    put_stream(SPAWN_A_STDOUT, SPAWN_STDIO_PATH, 0, 0, in_dir("none/x"));
    fails(NULL, 0, NULL, SPAWN_STEP_STDOUT, ENOENT);
    (void)end(NULL);
    (void)begin(NULL);
    put_stream(SPAWN_A_STDERR, SPAWN_STDIO_PATH, 0, 0, in_dir("."));
    fails(NULL, 0, NULL, SPAWN_STEP_STDERR, EISDIR);
    (void)end(NULL);
    (void)begin(NULL);
    put_stream(SPAWN_A_STDOUT, SPAWN_STDIO_LOG, 0, 0, NULL);
    fails(NULL, 0, NULL, SPAWN_STEP_STDOUT, EINVAL);
}

static void deny_fcntl(void)
{
    deny(SYS_fcntl, EPERM);
}

/* Else a job could get one that does not wait. */
static void a_stream_that_cannot_be_made_plain_is_told(void **state)
{
    (void)state;
    write_file("in", "input\n");
    put_stream(SPAWN_A_STDIN, SPAWN_STDIO_PATH, 0, 0, in_dir("in"));
    fails(NULL, 0, deny_fcntl, SPAWN_STEP_STDIN, EPERM);
    (void)end(NULL);
    (void)begin(NULL);
    put_stream(SPAWN_A_STDOUT, SPAWN_STDIO_PATH, 0, 0, in_dir("out"));
    fails(NULL, 0, deny_fcntl, SPAWN_STEP_STDOUT, EPERM);
}

static int leased;

static void give_up(int signo)
{
    (void)signo;
    (void)fcntl(leased, F_SETLEASE, F_UNLCK);
}

static void reads_input(void)
{
    char text[16] = "";

    IS(read(0, text, sizeof(text)) == 6 && strcmp(text, "input\n") == 0);
}

/* A file server's lease: an open that does not wait is told to come again. */
static void a_file_with_a_lease_is_waited_for(void **state)
{
    (void)state;
    write_file("leased", "input\n");
    leased = open(in_dir("leased"), O_RDWR | O_CLOEXEC);
    (void)signal(SIGIO, give_up);
    LEAVE_OUT_IF(fcntl(leased, F_SETLEASE, F_WRLCK) < 0,
                 "no leases on this file system");
    put_stream(SPAWN_A_STDIN, SPAWN_STDIO_PATH, 0, 0, in_dir("leased"));
    sets_up(NULL, 0, NULL, reads_input);
    (void)close(leased);
    (void)signal(SIGIO, SIG_DFL);
}

static void reads_the_end(void)
{
    char byte;

    IS(read(0, &byte, 1) == 0);
}

static void a_fifo_of_nobody_is_empty_or_an_error(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(in_dir("fifo"), 0600), 0);
    put_stream(SPAWN_A_STDIN, SPAWN_STDIO_PATH, 0, 0, in_dir("fifo"));
    sets_up(NULL, 0, NULL, reads_the_end);
    (void)end(NULL);
    (void)begin(NULL);
    put_stream(SPAWN_A_STDOUT, SPAWN_STDIO_PATH, 0, 0, in_dir("fifo"));
    fails(NULL, 0, NULL, SPAWN_STEP_STDOUT, ENXIO);
}

/* ---- a terminal ---- */

static int terminal[2] = {-1, -1}; /* its two ends */

static void make_terminal(void)
{
    terminal[0] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(terminal[0] >= 0 && unlockpt(terminal[0]) == 0);
    terminal[1] =
        ioctl(terminal[0], TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(terminal[1] >= 0);
}

static void close_terminal(void)
{
    (void)close(terminal[0]);
    (void)close(terminal[1]);
}

static void put_terminal(bool controls)
{
    put_stream(SPAWN_A_STDIN, SPAWN_STDIO_FD, 0, 0, "");
    spawn_put_u64(&w, SPAWN_A_TTY, controls);
}

static void is_its_terminal(void)
{
    IS(isatty(0));
    IS(tcgetsid(0) == getpid());
    IS(tcgetpgrp(0) == getpid());
    IS(open("/dev/tty", O_RDWR | O_CLOEXEC) >= 0);
}

static void is_no_terminal_of_its(void)
{
    IS(isatty(0));
    IS(tcgetsid(0) == -1);
    IS(open("/dev/tty", O_RDWR | O_CLOEXEC) < 0 && errno == ENXIO);
}

static void a_terminal_becomes_that_of_the_session(void **state)
{
    (void)state;
    make_terminal();
    put_terminal(true);
    sets_up(&terminal[1], 1, NULL, is_its_terminal);
    close_terminal();
}

static void a_terminal_is_a_handle_else(void **state)
{
    (void)state;
    make_terminal();
    put_terminal(false);
    sets_up(&terminal[1], 1, NULL, is_no_terminal_of_its);
    close_terminal();
}

static void what_is_no_terminal_is_told(void **state)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    (void)state;
    put_terminal(true);
    fails(&null, 1, NULL, SPAWN_STEP_STDIN, ENOTTY);
    (void)close(null);
}

/* A session of another process has it. */
static void the_terminal_of_others_is_not_taken(void **state)
{
    int ready[2];
    char byte;
    pid_t pid;

    (void)state;
    make_terminal();
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        (void)signal(SIGHUP, SIG_IGN);
        if (setsid() > 0 && ioctl(terminal[1], TIOCSCTTY, 0) == 0)
            (void)!write(ready[1], "", 1);
        (void)close(ready[1]);
        for (;;)
            (void)pause();
    }
    (void)close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    put_terminal(true);
    fails(&terminal[1], 1, NULL, SPAWN_STEP_STDIN, EPERM);
    assert_int_equal(kill(pid, SIGKILL), 0);
    (void)waitpid(pid, NULL, 0);
    (void)close(ready[0]);
    close_terminal();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(streams_are_files),
        T(stderr_goes_where_stdout_goes),
        T(streams_may_have_been_closed),
        T(streams_that_cannot_be_opened_are_told),
        T(a_stream_that_cannot_be_made_plain_is_told),
        T(a_file_with_a_lease_is_waited_for),
        T(a_fifo_of_nobody_is_empty_or_an_error),
        T(a_terminal_becomes_that_of_the_session),
        T(a_terminal_is_a_handle_else),
        T(what_is_no_terminal_is_told),
        T(the_terminal_of_others_is_not_taken),
    };
    static const char *const names[] = {
        "in", "cut", "grows", "new", "leased", "out", "both", "closed", "fifo"};
    size_t i;
    int failed;

    if (!share_what_is_told() || !mkdtemp(dir))
        return 99;
    cmocka_set_message_output(CM_OUTPUT_TAP);
    failed = cmocka_run_group_tests_name("child_streams", tests, NULL, NULL);
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        (void)unlink(in_dir(names[i]));
    (void)rmdir(dir);
    return failed;
}
