/* SPDX-License-Identifier: Apache-2.0 */
/* The codec on bytes of strangers: what is not whole is refused, and no byte
 * behind the message is looked at. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "t/unit/corner.h"
#include "common/spawn_wire.h"

/* An attribute with this payload, with nothing behind it that can be read. */
static int read_one(uint8_t kind, const void *payload, size_t length,
                    size_t there)
{
    uint8_t bytes[64] = {1, 0, kind, 0, (uint8_t)length};
    spawn_reader r;
    spawn_attr a;

    memset(bytes + 8, 'x', sizeof(bytes) - 8); /* padding that is not 0 */
    memcpy(bytes + 8, payload, length < there ? length : there);
    spawn_reader_init(&r, at_the_end(bytes, 8 + there), 8 + there);
    return spawn_reader_next(&r, &a);
}

static void a_piece_of_a_header_is_refused(void **state)
{
    static const uint8_t bytes[8] = {1, 0, SPAWN_KIND_BYTES};
    spawn_reader r;
    spawn_attr a;
    size_t n;

    (void)state;
    for (n = 1; n < 8; n++) {
        spawn_reader_init(&r, at_the_end(bytes, n), n);
        assert_int_equal(spawn_reader_next(&r, &a), -EBADMSG);
    }
    spawn_reader_init(&r, at_the_end(bytes, 8), 8);
    assert_int_equal(spawn_reader_next(&r, &a), 1);
    assert_int_equal(spawn_reader_next(&r, &a), 0);
}

static void bytes_that_are_not_there_are_refused(void **state)
{
    (void)state;
    assert_int_equal(read_one(SPAWN_KIND_BYTES, "12345678", 8, 8), 1);
    assert_int_equal(read_one(SPAWN_KIND_BYTES, "12345678", 8, 0), -EBADMSG);
    assert_int_equal(read_one(SPAWN_KIND_BYTES, "123456789", 9, 8), -EBADMSG);
    assert_int_equal(read_one(SPAWN_KIND_BYTES, "12345", 5, 5), -EBADMSG);
    assert_int_equal(read_one(SPAWN_KIND_BYTES, "12345", 5, 8), 1);
}

static void a_text_has_a_nul_at_its_end_and_none_before(void **state)
{
    (void)state;
    assert_int_equal(read_one(SPAWN_KIND_STR, "1234567", 8, 8), 1);
    assert_int_equal(read_one(SPAWN_KIND_STR, "12345678", 8, 8), -EBADMSG);
    assert_int_equal(read_one(SPAWN_KIND_STR,
                              "123\0"
                              "567",
                              8, 8),
                     -EBADMSG);
    assert_int_equal(read_one(SPAWN_KIND_STR, "", 0, 0), -EBADMSG);
}

static void texts_are_as_many_as_they_say(void **state)
{
    (void)state;
    assert_int_equal(read_one(SPAWN_KIND_STRV, "\2\0\0\0a\0b", 8, 8), 1);
    assert_int_equal(read_one(SPAWN_KIND_STRV, "\1\0\0\0abc", 8, 8), 1);
    assert_int_equal(read_one(SPAWN_KIND_STRV, "\2\0\0\0abc", 8, 8), -EBADMSG);
    assert_int_equal(read_one(SPAWN_KIND_STRV, "\1\0\0\0abcd", 8, 8), -EBADMSG);
    assert_int_equal(read_one(SPAWN_KIND_STRV, "\1\0\0\0a\0b", 8, 8), -EBADMSG);
    assert_int_equal(read_one(SPAWN_KIND_STRV, "\1\0\0\0", 4, 8), -EBADMSG);
    assert_int_equal(read_one(SPAWN_KIND_STRV, "\0\0\0\0", 4, 8), 1);
    assert_int_equal(read_one(SPAWN_KIND_STRV, "\1\0\0", 3, 8), -EBADMSG);
    assert_int_equal(read_one(SPAWN_KIND_STRV, "\0\0\0", 3, 8), -EBADMSG);
}

static void numbers_and_ids_have_their_size(void **state)
{
    static const uint8_t zeros[32];
    size_t n;

    (void)state;
    for (n = 0; n <= 24; n++) {
        size_t there = (n + 7) & ~(size_t)7;

        assert_int_equal(read_one(SPAWN_KIND_U64, zeros, n, there),
                         n == 8 ? 1 : -EBADMSG);
        assert_int_equal(read_one(SPAWN_KIND_I64, zeros, n, there),
                         n == 8 ? 1 : -EBADMSG);
        assert_int_equal(read_one(SPAWN_KIND_ID, zeros, n, there),
                         n == 16 ? 1 : -EBADMSG);
        assert_int_equal(read_one(SPAWN_KIND_U64V, zeros, n, there),
                         n % 8 == 0 ? 1 : -EBADMSG);
        assert_int_equal(read_one(SPAWN_KIND_NEST, zeros, n, there),
                         n % 8 == 0 ? 1 : -EBADMSG);
    }
    assert_int_equal(read_one(0, zeros, 8, 8), -EBADMSG);
    assert_int_equal(read_one(SPAWN_KIND_NEST + 1, zeros, 8, 8), -EBADMSG);
}

static void a_stream_is_of_a_known_kind_with_a_text(void **state)
{
    (void)state;
    assert_int_equal(read_one(SPAWN_KIND_STDIO, "\6\0\0\0abc", 8, 8), 1);
    assert_int_equal(read_one(SPAWN_KIND_STDIO, "\7\0\0\0abc", 8, 8), -EBADMSG);
    assert_int_equal(read_one(SPAWN_KIND_STDIO, "\1\0\0\0abcd", 8, 8),
                     -EBADMSG);
    assert_int_equal(read_one(SPAWN_KIND_STDIO, "\1\0\0\0a\0c", 8, 8),
                     -EBADMSG);
    assert_int_equal(read_one(SPAWN_KIND_STDIO, "\1\0\0\0", 5, 8), 1);
    assert_int_equal(read_one(SPAWN_KIND_STDIO, "\1\0\0\0", 4, 8), -EBADMSG);
    assert_int_equal(read_one(SPAWN_KIND_STDIO, "\1\0", 3, 8), -EBADMSG);
}

static void a_header_is_whole_or_none(void **state)
{
    static const uint8_t head[16] = {0x53, 0x50, 1, 0, 42, 0, 2,
                                     0,    77,   0, 0, 0,  8};
    spawn_wire_header got;
    size_t n;

    (void)state;
    for (n = 0; n < 16; n++)
        assert_int_equal(spawn_wire_read_header(at_the_end(head, n), n, &got),
                         -EBADMSG);
    assert_int_equal(spawn_wire_read_header(at_the_end(head, 16), 16, &got), 0);
    assert_int_equal(got.type, 42);
    assert_int_equal(got.fds, 2);
    assert_int_equal(got.seq, 77);
    assert_int_equal(got.body, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_piece_of_a_header_is_refused),
        cmocka_unit_test(bytes_that_are_not_there_are_refused),
        cmocka_unit_test(a_text_has_a_nul_at_its_end_and_none_before),
        cmocka_unit_test(texts_are_as_many_as_they_say),
        cmocka_unit_test(numbers_and_ids_have_their_size),
        cmocka_unit_test(a_stream_is_of_a_known_kind_with_a_text),
        cmocka_unit_test(a_header_is_whole_or_none),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("wire_hostile", tests, NULL, NULL);
}
