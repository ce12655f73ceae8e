/* SPDX-License-Identifier: Apache-2.0 */
/* The board of a Perl job: what the job puts there arrives, and a job that
 * writes nonsense gets no more than its text cleaned and its result refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "t/unit/corner.h"
#include "common/spawn_board.h"
#include "common/spawn_proto.h"

/* The head as spawn_board.c lays it out: what a hostile job can write. */
typedef struct {
    uint32_t version, cancelled;
    spawn_progress progress;
    uint32_t result_kind, unused;
    uint64_t result_length;
} head;

#define RESULT_AT 4096

static int fd = -1;
static spawn_board *board;

static int open_board(void **state)
{
    (void)state;
    fd = spawn_board_make();
    board = fd < 0 ? NULL : spawn_board_map(fd);
    return board ? 0 : -1;
}

static int close_board(void **state)
{
    (void)state;
    (void)munmap(board, SPAWN_BOARD_FILE);
    (void)close(fd);
    return 0;
}

static head *raw(void)
{
    return (head *)board;
}

static void a_new_board_is_empty_and_has_all_its_room(void **state)
{
    spawn_progress p;
    void *data = &p;
    size_t length = 77;

    (void)state;
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(lseek(fd, 0, SEEK_END), SPAWN_BOARD_FILE);
    assert_int_equal(spawn_board_progress(fd, &p), 0);
    assert_int_equal(spawn_board_result(fd, &data, &length), SPAWN_RESULT_NONE);
    assert_ptr_equal(data, &p);
    assert_int_equal(length, 77);
    assert_false(spawn_board_cancelled(board));
}

static void progress_arrives(void **state)
{
    spawn_progress p;

    (void)state;
    spawn_board_put_progress(board, "3", "10", "three of ten");
    assert_int_equal(raw()->version, 2);
    assert_int_equal(spawn_board_progress(fd, &p), 1);
    assert_string_equal(p.done, "3");
    assert_string_equal(p.of, "10");
    assert_string_equal(p.text, "three of ten");
    spawn_board_put_progress(board, "4", "", "");
    assert_int_equal(raw()->version, 4);
    assert_int_equal(spawn_board_progress(fd, &p), 1);
    assert_string_equal(p.done, "4");
    assert_string_equal(p.of, "");
    assert_string_equal(p.text, "");
}

static void long_progress_is_cut_to_its_room(void **state)
{
    char text[600];
    spawn_progress p;

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    spawn_board_put_progress(board, text, text, text);
    assert_int_equal(spawn_board_progress(fd, &p), 1);
    assert_int_equal(strlen(p.done), SPAWN_BOARD_NUMBER - 1);
    assert_int_equal(strlen(p.of), SPAWN_BOARD_NUMBER - 1);
    assert_int_equal(strlen(p.text), SPAWN_BOARD_TEXT - 1);
}

static void progress_without_end_and_with_controls_is_cleaned(void **state)
{
    spawn_progress p;

    (void)state;
    memset(&raw()->progress, '\x1b', sizeof(raw()->progress));
    memcpy(raw()->progress.done, "\n1\x1f\x7f\x80!~ 2", 9);
    raw()->progress.done[9] = '\0';
    raw()->version = 2;
    assert_int_equal(spawn_board_progress(fd, &p), 1);
    assert_string_equal(p.done, " 1  \x80!~ 2");
    assert_int_equal(strlen(p.of), SPAWN_BOARD_NUMBER - 1);
    assert_int_equal(strspn(p.of, " "), SPAWN_BOARD_NUMBER - 1);
    assert_int_equal(strlen(p.text), SPAWN_BOARD_TEXT - 1);
    assert_int_equal(strspn(p.text, " "), SPAWN_BOARD_TEXT - 1);
}

/* Killed in the middle: nobody waits for the rest. */
static void half_written_progress_is_told_as_it_is(void **state)
{
    spawn_progress p;

    (void)state;
    spawn_board_put_progress(board, "1", "2", "whole");
    raw()->version++;
    assert_int_equal(spawn_board_progress(fd, &p), 1);
    assert_string_equal(p.text, "whole");
}

/* Calls of pread, the broker's way to look; something may happen before one. */
static unsigned looks;
static void (*before_look)(void);

ssize_t pread(int from, void *to, size_t length, off_t at)
{
    looks++;
    if (before_look)
        before_look();
    return syscall(SYS_pread64, from, to, length, at);
}

/* The job is in the middle of writing; after the second look it has done. */
static void end_writing(void)
{
    if (looks == 3) {
        memset(raw()->progress.text, 'b', 10);
        raw()->version++;
    }
}

static void progress_is_read_whole_while_it_is_written(void **state)
{
    spawn_progress p;
    uint32_t from;

    (void)state;
    for (from = 2; from <= 4; from += 2) {
        memset(&raw()->progress, 0, sizeof(raw()->progress));
        (void)strcpy(raw()->progress.text, "aaaaaaaaaa");
        (void)strcpy(raw()->progress.done, "b");
        raw()->version = from + 1;
        looks = 0;
        before_look = end_writing;
        assert_int_equal(spawn_board_progress(fd, &p), 1);
        before_look = NULL;
        assert_string_equal(p.text, "bbbbbbbbbb");
        assert_string_equal(p.done, "b");
        assert_int_equal(looks, 4); /* and not longer than needed */
    }
}

static void write_anew(void)
{
    if (looks == 2)
        spawn_board_put_progress(board, "c", "c", "c");
}

/* A text that is old by the second look may be half old. */
static void progress_that_changes_is_read_again(void **state)
{
    spawn_progress p;

    (void)state;
    spawn_board_put_progress(board, "b", "b", "b");
    looks = 0;
    before_look = write_anew;
    assert_int_equal(spawn_board_progress(fd, &p), 1);
    before_look = NULL;
    assert_string_equal(p.text, "c");
    assert_int_equal(looks, 4);
}

static void a_result_arrives(void **state)
{
    void *data = NULL;
    size_t length = 0;

    (void)state;
    assert_int_equal(
        spawn_board_put_result(board, SPAWN_RESULT_RETURNED, "abc", 3), 0);
    assert_int_equal(spawn_board_result(fd, &data, &length),
                     SPAWN_RESULT_RETURNED);
    assert_int_equal(length, 3);
    assert_memory_equal(data, "abc", 3);
    free(data);
    assert_int_equal(spawn_board_put_result(board, SPAWN_RESULT_DIED, "", 0),
                     0);
    assert_int_equal(spawn_board_result(fd, &data, &length), SPAWN_RESULT_DIED);
    assert_int_equal(length, 0);
    assert_null(data); /* no memory for nothing */
}

static void the_largest_result_arrives_and_no_larger_one(void **state)
{
    char *bytes = malloc(SPAWN_RESULT_MAX + 1);
    void *data = NULL;
    size_t length = 0;

    (void)state;
    memset(bytes, 'r', SPAWN_RESULT_MAX + 1);
    assert_int_equal(spawn_board_put_result(board, SPAWN_RESULT_RETURNED, bytes,
                                            SPAWN_RESULT_MAX + 1),
                     -EMSGSIZE);
    assert_int_equal(spawn_board_result(fd, &data, &length), SPAWN_RESULT_NONE);
    assert_int_equal(spawn_board_put_result(board, SPAWN_RESULT_RETURNED, bytes,
                                            SPAWN_RESULT_MAX),
                     0);
    assert_int_equal(spawn_board_result(fd, &data, &length),
                     SPAWN_RESULT_RETURNED);
    assert_int_equal(length, SPAWN_RESULT_MAX);
    assert_memory_equal(data, bytes, SPAWN_RESULT_MAX);
    free(data);
    free(bytes);
}

static int result_of(uint32_t kind, uint64_t length)
{
    void *data = NULL;
    size_t n = 0;
    int rv;

    raw()->result_kind = kind;
    raw()->result_length = length;
    rv = spawn_board_result(fd, &data, &n);
    free(data);
    return rv;
}

static void a_result_that_lies_is_refused(void **state)
{
    (void)state;
    assert_int_equal(result_of(SPAWN_RESULT_DIED, 8), SPAWN_RESULT_DIED);
    assert_int_equal(result_of(SPAWN_RESULT_DIED + 1, 8), SPAWN_RESULT_NONE);
    assert_int_equal(result_of(UINT32_MAX, 8), SPAWN_RESULT_NONE);
    assert_int_equal(result_of(SPAWN_RESULT_NONE, 8), SPAWN_RESULT_NONE);
    assert_int_equal(result_of(SPAWN_RESULT_RETURNED, SPAWN_RESULT_MAX + 1ull),
                     -EMSGSIZE);
    assert_int_equal(result_of(SPAWN_RESULT_RETURNED, UINT64_MAX), -EMSGSIZE);
}

static void a_board_that_was_cut_is_refused(void **state)
{
    spawn_progress p;
    void *data = &p;
    size_t length = 77, before;
    bool said = true;

    (void)state;
    raw()->version = 2;
    raw()->result_kind = SPAWN_RESULT_RETURNED;
    raw()->result_length = 100000;
    assert_int_equal(ftruncate(fd, RESULT_AT + 1000), 0);
    before = heap_bytes();
    assert_int_equal(spawn_board_result(fd, &data, &length), -EBADMSG);
    assert_int_equal(heap_bytes(), before);
    assert_ptr_equal(data, &p);
    assert_int_equal(length, 77);
    assert_int_equal(ftruncate(fd, 20), 0);
    memset(&p, 7, sizeof(p));
    assert_int_equal(spawn_board_result(fd, &data, &length), -EBADMSG);
    assert_int_equal(spawn_board_progress(fd, &p), -EBADMSG);
    assert_int_equal(spawn_board_take(fd, &data, &length, &said, &p), -EBADMSG);
    assert_int_equal(p.done[0], 7);
    assert_true(said);
}

static void result_and_progress_are_taken_at_once(void **state)
{
    spawn_progress p;
    void *data = NULL;
    size_t length = 0;
    bool said = true;

    (void)state;
    memset(&p, 7, sizeof(p));
    assert_int_equal(spawn_board_take(fd, &data, &length, &said, &p),
                     SPAWN_RESULT_NONE);
    assert_false(said);
    assert_int_equal(p.done[0], 7);
    spawn_board_put_progress(board, "1", "2", "x\ny");
    assert_int_equal(spawn_board_put_result(board, SPAWN_RESULT_DIED, "d", 1),
                     0);
    assert_int_equal(spawn_board_take(fd, &data, &length, &said, &p),
                     SPAWN_RESULT_DIED);
    assert_true(said);
    assert_string_equal(p.of, "2");
    assert_string_equal(p.text, "x y");
    assert_int_equal(length, 1);
    free(data);
}

static void a_job_sees_that_it_is_cancelled(void **state)
{
    (void)state;
    assert_int_equal(spawn_board_cancel(fd), 0);
    assert_true(spawn_board_cancelled(board));
    assert_int_equal(raw()->version, 0);
}

static void a_board_is_empty_after_reset(void **state)
{
    spawn_progress p;
    void *data = NULL;
    size_t length = 0;

    (void)state;
    spawn_board_put_progress(board, "1", "2", "x");
    (void)spawn_board_put_result(board, SPAWN_RESULT_RETURNED, "d", 1);
    assert_int_equal(spawn_board_cancel(fd), 0);
    assert_int_equal(spawn_board_reset(fd), 0);
    assert_false(spawn_board_cancelled(board));
    assert_int_equal(spawn_board_progress(fd, &p), 0);
    assert_int_equal(spawn_board_result(fd, &data, &length), SPAWN_RESULT_NONE);
}

/* A worker answers a call that came directly, with what its function put. */
static void who_has_it_mapped_reads_it_too(void **state)
{
    const void *data = NULL;
    spawn_progress p;
    size_t length = 77;

    (void)state;
    assert_false(spawn_board_own_progress(board, &p));
    assert_int_equal(spawn_board_own_result(board, &data, &length),
                     SPAWN_RESULT_NONE);
    assert_int_equal(length, 0);
    spawn_board_put_progress(board, "1", "2", "x\ny");
    (void)spawn_board_put_result(board, SPAWN_RESULT_DIED, "why", 3);
    assert_true(spawn_board_own_progress(board, &p));
    assert_string_equal(p.done, "1");
    assert_string_equal(p.of, "2");
    assert_string_equal(p.text, "x y");
    assert_int_equal(spawn_board_own_result(board, &data, &length),
                     SPAWN_RESULT_DIED);
    assert_int_equal(length, 3);
    assert_memory_equal(data, "why", 3);
    spawn_board_clear(board);
    assert_false(spawn_board_own_progress(board, &p));
    assert_int_equal(spawn_board_own_result(board, &data, &length),
                     SPAWN_RESULT_NONE);
    assert_int_equal(length, 0);
}

static void what_is_no_board_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(spawn_board_cancel(-1), -EIO);
    assert_int_equal(spawn_board_reset(-1), -EIO);
    assert_null(spawn_board_map(-1));
}

static int makes_none(void)
{
    unsigned before = open_count();

    no_file_longer_than(4096);
    if (spawn_board_make() != -EFBIG)
        return 1;
    return open_count() == before ? 0 : 2;
}

static int takes_none(void)
{
    void *data = NULL;
    size_t length;

    raw()->result_kind = SPAWN_RESULT_RETURNED;
    raw()->result_length = SPAWN_RESULT_MAX;
    no_more_memory_than(1 << 20);
    return spawn_board_result(fd, &data, &length) == -ENOMEM ? 0 : 1;
}

static void what_there_is_no_room_for_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(in_a_child(makes_none), 0);
    assert_int_equal(in_a_child(takes_none), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, open_board, close_board)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_new_board_is_empty_and_has_all_its_room),
        T(progress_arrives),
        T(long_progress_is_cut_to_its_room),
        T(progress_without_end_and_with_controls_is_cleaned),
        T(half_written_progress_is_told_as_it_is),
        T(progress_is_read_whole_while_it_is_written),
        T(progress_that_changes_is_read_again),
        T(a_result_arrives),
        T(the_largest_result_arrives_and_no_larger_one),
        T(a_result_that_lies_is_refused),
        T(a_board_that_was_cut_is_refused),
        T(result_and_progress_are_taken_at_once),
        T(a_job_sees_that_it_is_cancelled),
        T(a_board_is_empty_after_reset),
        T(who_has_it_mapped_reads_it_too),
        T(what_is_no_board_is_an_error),
        T(what_there_is_no_room_for_is_an_error),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("board", tests, NULL, NULL);
}
