/* SPDX-License-Identifier: Apache-2.0 */
/* The codec as it writes: the documented bytes, within its limit, with its
 * first error kept and nothing left behind. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "t/unit/corner.h"
#include "common/spawn_wire.h"

static const char big[8 << 20];

/* As in docs/protocol.md. */
static void the_bytes_are_the_documented_ones(void **state)
{
    static const uint8_t wanted[] = {
        /* magic, version, flags, type, fds, seq, length of the body */
        0x53, 0x50, 1, 0, 0x34, 0x12, 3, 0, 5, 0, 0, 0, 96, 0, 0, 0,
        /* id 1: a number */
        1, 0, 1, 0, 8, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8,
        /* id 2: -2 */
        2, 0, 2, 0, 8, 0, 0, 0, 0xfe, 255, 255, 255, 255, 255, 255, 255,
        /* id 3: a text */
        3, 0, 3, 0, 3, 0, 0, 0, 'h', 'i', 0, 0, 0, 0, 0, 0,
        /* id 0x105: two texts */
        5, 1, 5, 0, 9, 0, 0, 0, 2, 0, 0, 0, 'a', 'b', 0, 'c', 0, 0, 0, 0, 0, 0,
        0, 0,
        /* id 8: a stream */
        8, 0, 8, 0, 7, 0, 0, 0, 1, 1, 2, 1, '/', 'x', 0, 0,
        /* id 4: no bytes */
        4, 0, 4, 0, 0, 0, 0, 0};
    static uint8_t dirty[sizeof(wanted)];
    const spawn_stdio out = {SPAWN_STDIO_PATH, SPAWN_STDIO_APPEND, 258, "/x"};
    spawn_writer w;
    size_t mark;

    (void)state;
    memset(dirty, 0xff, sizeof(dirty));
    spawn_writer_init_fixed(&w, dirty, sizeof(dirty));
    spawn_writer_begin(&w, 0x1234, 5);
    spawn_put_u64(&w, 1, 0x0807060504030201);
    spawn_put_i64(&w, 2, -2);
    spawn_put_str(&w, 3, "hi");
    mark = spawn_open_strv(&w, 0x105);
    spawn_add_text(&w, mark, "ab", 2);
    spawn_add_text(&w, mark, "c", 1);
    spawn_close(&w, mark);
    spawn_put_stdio(&w, 8, &out);
    spawn_put_bytes(&w, 4, NULL, 0);
    assert_int_equal(spawn_writer_finish(&w, 3), 0);
    assert_int_equal(w.length, sizeof(wanted));
    assert_memory_equal(w.data, wanted, sizeof(wanted));
    spawn_writer_free(&w);
}

static void texts_are_read_where_they_lie(void **state)
{
    static const uint8_t bytes[] = {5, 0, 5, 0, 8,   0, 0,   0,
                                    2, 0, 0, 0, 'a', 0, 'b', 0};
    spawn_reader r;
    spawn_attr a;

    (void)state;
    spawn_reader_init(&r, bytes, sizeof(bytes));
    assert_int_equal(spawn_reader_next(&r, &a), 1);
    assert_int_equal(spawn_strv_count(&a), 2);
    assert_string_equal(spawn_strv_next(&a, NULL), "a");
    assert_string_equal(spawn_strv_next(&a, spawn_strv_next(&a, NULL)), "b");
}

static void a_type_can_be_set_later(void **state)
{
    spawn_writer w;

    (void)state;
    spawn_writer_init(&w, 4096);
    spawn_writer_begin(&w, 0xffff, 0);
    spawn_writer_set_type(&w, 0x1234);
    assert_int_equal(w.data[4], 0x34);
    assert_int_equal(w.data[5], 0x12);
    assert_int_equal(w.data[6], 0);
    spawn_writer_free(&w);
}

static void attributes_are_passed_on_as_they_are(void **state)
{
    static const uint8_t bytes[] = {3,   0, 3, 0, 2, 0, 0, 0,
                                    'x', 0, 0, 0, 0, 0, 0, 0};
    spawn_reader r;
    spawn_writer w;
    spawn_attr a;

    (void)state;
    spawn_writer_init(&w, 4096);
    spawn_writer_begin(&w, 1, 0);
    spawn_put_raw(&w, bytes, sizeof(bytes));
    spawn_put_raw(&w, NULL, 0);
    spawn_reader_init(&r, bytes, sizeof(bytes));
    assert_int_equal(spawn_reader_next(&r, &a), 1);
    spawn_put_attr(&w, 3, &a);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    assert_int_equal(w.length, SPAWN_WIRE_HEADER + 2 * sizeof(bytes));
    assert_memory_equal(w.data + SPAWN_WIRE_HEADER, bytes, sizeof(bytes));
    assert_memory_equal(w.data + SPAWN_WIRE_HEADER + sizeof(bytes), bytes,
                        sizeof(bytes));
    spawn_writer_free(&w);
}

static void a_copy_is_one_of_its_own(void **state)
{
    size_t before = heap_bytes();
    spawn_writer w, copy;
    static uint8_t buffer[4096];

    (void)state;
    LEAVE_OUT_IF(SANITIZED, "with sanitizers libc counts no memory");
    spawn_writer_init_fixed(&w, buffer, sizeof(buffer));
    spawn_writer_begin(&w, 7, 9);
    spawn_put_str(&w, 3, "text");
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    assert_int_equal(spawn_writer_copy(&copy, &w), 0);
    assert_int_equal(copy.length, w.length);
    memset(buffer, 0, sizeof(buffer));
    assert_int_equal(copy.data[4], 7);
    assert_string_equal((char *)copy.data + SPAWN_WIRE_HEADER + 8, "text");
    spawn_put_str(&copy, 4, "more"); /* within the limit of the other one */
    assert_int_equal(spawn_writer_finish(&copy, 0), 0);
    assert_int_equal(copy.length, SPAWN_WIRE_HEADER + 32);
    spawn_put_bytes(&copy, 4, big, 4000);
    assert_true(heap_bytes() >= before + 4000);
    spawn_put_bytes(&copy, 4, big, 256);
    assert_int_equal(spawn_writer_finish(&copy, 0), -EMSGSIZE);
    spawn_writer_free(&copy);
    spawn_writer_free(&w);
    assert_int_equal(heap_bytes(), before);
}

static void a_writer_gives_its_memory_back_once(void **state)
{
    size_t before = heap_bytes();
    spawn_writer w;

    (void)state;
    LEAVE_OUT_IF(SANITIZED, "with sanitizers libc counts no memory");
    spawn_writer_init(&w, 1 << 20);
    spawn_writer_begin(&w, 1, 0);
    spawn_put_bytes(&w, 1, big, 100000);
    assert_true(heap_bytes() >= before + 100000);
    spawn_writer_free(&w);
    assert_int_equal(heap_bytes(), before);
    assert_null(w.data);
    spawn_writer_free(&w);
}

/* Its buffer is not on the heap; the struct's earlier content does not count.
 */
static void a_fixed_buffer_is_not_freed(void **state)
{
    uint8_t buffer[64];
    spawn_writer w;

    (void)state;
    memset(&w, 0xff, sizeof(w));
    spawn_writer_init_fixed(&w, buffer, sizeof(buffer));
    spawn_writer_begin(&w, 1, 0);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    assert_ptr_equal(w.data, buffer);
    spawn_writer_free(&w);
}

static void all_of_the_limit_can_be_written_and_no_more(void **state)
{
    size_t limit = SPAWN_WIRE_HEADER + 8 + 1600;
    spawn_writer w;

    (void)state;
    spawn_writer_init(&w, limit);
    spawn_writer_begin(&w, 1, 0);
    spawn_put_bytes(&w, 1, big, 1600);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    assert_int_equal(w.length, limit);
    assert_int_equal(w.room, limit); /* of memory neither */
    spawn_put_raw(&w, big, 1);
    assert_int_equal(spawn_writer_finish(&w, 0), -EMSGSIZE);
    spawn_writer_free(&w);
}

static void the_first_error_counts(void **state)
{
    spawn_writer w;
    size_t mark;

    (void)state;
    spawn_writer_init(&w, 64);
    spawn_writer_begin(&w, 1, 0);
    spawn_put_strn(&w, 1, "a\0b", 3);
    spawn_put_u64(&w, 2, 1);
    spawn_put_bytes(&w, 3, big, 100);
    assert_int_equal(spawn_writer_finish(&w, 0), -EINVAL);
    spawn_writer_begin(&w, 1, 0);
    spawn_put_bytes(&w, 3, big, 100);
    spawn_put_strn(&w, 1, "a\0b", 3);
    assert_int_equal(spawn_writer_finish(&w, 0), -EMSGSIZE);
    spawn_writer_free(&w);
    spawn_writer_init(&w, 8); /* has no room for a header */
    spawn_writer_begin(&w, 1, 0);
    mark = spawn_open_strv(&w, 2);
    spawn_add_text(&w, mark, "x", 1);
    spawn_close(&w, mark);
    assert_int_equal(spawn_writer_finish(&w, 0), -EMSGSIZE);
    spawn_writer_free(&w);
}

static int writes_what_has_no_memory(void)
{
    uint8_t buffer[64];
    spawn_writer w, copy, fixed;

    spawn_writer_init(&w, sizeof(big) + 64);
    spawn_writer_begin(&w, 1, 0);
    spawn_writer_init_fixed(&fixed, buffer, sizeof(buffer));
    fixed.length = sizeof(big);
    no_more_memory_than(1 << 20);
    spawn_put_bytes(&w, 1, big, sizeof(big));
    if (spawn_writer_finish(&w, 0) != -ENOMEM)
        return 1;
    return spawn_writer_copy(&copy, &fixed) == -ENOMEM ? 0 : 2;
}

static void memory_that_is_not_there_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(in_a_child(writes_what_has_no_memory), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bytes_are_the_documented_ones),
        cmocka_unit_test(texts_are_read_where_they_lie),
        cmocka_unit_test(a_type_can_be_set_later),
        cmocka_unit_test(attributes_are_passed_on_as_they_are),
        cmocka_unit_test(a_copy_is_one_of_its_own),
        cmocka_unit_test(a_writer_gives_its_memory_back_once),
        cmocka_unit_test(a_fixed_buffer_is_not_freed),
        cmocka_unit_test(all_of_the_limit_can_be_written_and_no_more),
        cmocka_unit_test(the_first_error_counts),
        cmocka_unit_test(memory_that_is_not_there_is_an_error),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("wire_writer", tests, NULL, NULL);
}
