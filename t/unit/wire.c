/* SPDX-License-Identifier: Apache-2.0 */
/* The codec: every kind there and back, and every broken byte refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/spawn_wire.h"

static void write_all_kinds(spawn_writer *w, const spawn_id *id)
{
    static const uint64_t numbers[] = {0, 1, UINT64_MAX};
    const spawn_stdio out = {SPAWN_STDIO_PATH, SPAWN_STDIO_APPEND, 7, "/a/b"};
    size_t mark;

    spawn_writer_begin(w, 42, 77);
    spawn_put_u64(w, 1, UINT64_MAX - 1);
    spawn_put_i64(w, 2, -5);
    spawn_put_str(w, 3, "text");
    spawn_put_bytes(w, 4, "\0\1\2", 3);
    mark = spawn_open_strv(w, 5);
    spawn_add_text(w, mark, "one", 3);
    spawn_add_text(w, mark, "", 0);
    spawn_add_text(w, mark, "three", 5);
    spawn_close(w, mark);
    spawn_put_u64v(w, 6, numbers, 3);
    spawn_put_id(w, 7, id);
    spawn_put_stdio(w, 8, &out);
    mark = spawn_open_nest(w, 9);
    spawn_put_str(w, 10, "inner");
    spawn_close(w, mark);
}

static void expect(spawn_reader *r, uint16_t id, spawn_attr *a)
{
    assert_int_equal(spawn_reader_next(r, a), 1);
    assert_int_equal(a->id, id);
}

static void every_kind_goes_there_and_back(void **state)
{
    spawn_wire_header head;
    spawn_reader r, inner;
    spawn_writer w;
    spawn_stdio out;
    spawn_attr a;
    spawn_id id, again;
    const char *text;

    (void)state;
    assert_int_equal(spawn_id_make(&id), 0);
    spawn_writer_init(&w, 65536);
    write_all_kinds(&w, &id);
    assert_int_equal(spawn_writer_finish(&w, 2), 0);

    assert_int_equal(spawn_wire_read_header(w.data, w.length, &head), 0);
    assert_int_equal(head.type, 42);
    assert_int_equal(head.seq, 77);
    assert_int_equal(head.fds, 2);
    assert_int_equal(head.body, w.length - SPAWN_WIRE_HEADER);

    spawn_reader_init(&r, w.data + SPAWN_WIRE_HEADER, head.body);
    expect(&r, 1, &a);
    assert_true(spawn_attr_u64(&a) == UINT64_MAX - 1);
    expect(&r, 2, &a);
    assert_true(spawn_attr_i64(&a) == -5);
    expect(&r, 3, &a);
    assert_string_equal(spawn_attr_str(&a), "text");
    expect(&r, 4, &a);
    assert_int_equal(a.length, 3);
    assert_memory_equal(a.data, "\0\1\2", 3);
    expect(&r, 5, &a);
    assert_int_equal(spawn_strv_count(&a), 3);
    text = spawn_strv_next(&a, NULL);
    assert_string_equal(text, "one");
    text = spawn_strv_next(&a, text);
    assert_string_equal(text, "");
    assert_string_equal(spawn_strv_next(&a, text), "three");
    expect(&r, 6, &a);
    assert_int_equal(spawn_u64v_count(&a), 3);
    assert_true(spawn_u64v_at(&a, 2) == UINT64_MAX);
    expect(&r, 7, &a);
    spawn_attr_id(&a, &again);
    assert_true(spawn_id_equal(&id, &again));
    expect(&r, 8, &a);
    spawn_attr_stdio(&a, &out);
    assert_int_equal(out.how, SPAWN_STDIO_PATH);
    assert_int_equal(out.flags, SPAWN_STDIO_APPEND);
    assert_int_equal(out.fd, 7);
    assert_string_equal(out.path, "/a/b");
    expect(&r, 9, &a);
    spawn_reader_init(&inner, a.data, a.length);
    expect(&inner, 10, &a);
    assert_string_equal(spawn_attr_str(&a), "inner");
    assert_int_equal(spawn_reader_next(&inner, &a), 0);
    assert_int_equal(spawn_reader_next(&r, &a), 0);
    spawn_writer_free(&w);
}

/* Read on until the end or an error; every attribute is looked at. */
static int read_through(const uint8_t *body, size_t length)
{
    spawn_reader r;
    spawn_attr a;
    int rv;

    spawn_reader_init(&r, body, length);
    do {
        rv = spawn_reader_next(&r, &a);
    } while (rv == 1);
    return rv;
}

static void a_cut_message_is_refused_at_every_length(void **state)
{
    spawn_writer w;
    spawn_id id;
    size_t n;

    (void)state;
    assert_int_equal(spawn_id_make(&id), 0);
    spawn_writer_init(&w, 65536);
    write_all_kinds(&w, &id);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    for (n = 1; n < w.length - SPAWN_WIRE_HEADER; n++) {
        /* a copy of exact size, so that a sanitizer sees one byte too far */
        uint8_t *copy = malloc(n);
        int rv;

        memcpy(copy, w.data + SPAWN_WIRE_HEADER, n);
        rv = read_through(copy, n);
        assert_true(rv == 0 || rv == -EBADMSG);
        if (n % 8 != 0)
            assert_int_equal(rv, -EBADMSG);
        free(copy);
    }
    spawn_writer_free(&w);
}

static void refuse(const void *body, size_t length)
{
    assert_int_equal(read_through(body, length), -EBADMSG);
}

static void lengths_that_lie_are_refused(void **state)
{
    /* id 1, kind, 0, length, payload of 8 */
    uint8_t a[16] = {1, 0, SPAWN_KIND_U64, 0, 8};

    (void)state;
    assert_int_equal(read_through(a, sizeof(a)), 0);
    a[4] = 9;
    refuse(a, sizeof(a));
    a[4] = 7;
    refuse(a, sizeof(a));
    a[4] = a[5] = a[6] = a[7] = 0xff;
    refuse(a, sizeof(a));
    a[4] = 8;
    a[5] = a[6] = a[7] = 0;
    a[2] = 99;
    refuse(a, sizeof(a));
}

static void texts_without_end_or_with_nul_inside_are_refused(void **state)
{
    uint8_t a[16] = {1, 0, SPAWN_KIND_STR, 0, 4, 0, 0, 0, 'a', 'b', 'c', 0};

    (void)state;
    assert_int_equal(read_through(a, sizeof(a)), 0);
    a[11] = 'd';
    refuse(a, sizeof(a));
    a[9] = 0;
    a[11] = 0;
    refuse(a, sizeof(a));
    a[4] = 0;
    refuse(a, 8);
}

static void text_vectors_that_miscount_are_refused(void **state)
{
    uint8_t a[16] = {1,   0, SPAWN_KIND_STRV, 0, 8, 0, 0, 0, 2, 0, 0, 0, 'a', 0,
                     'b', 0};

    (void)state;
    assert_int_equal(read_through(a, sizeof(a)), 0);
    a[8] = 1;
    refuse(a, sizeof(a));
    a[8] = 3;
    refuse(a, sizeof(a));
    a[8] = a[9] = a[10] = a[11] = 0xff;
    refuse(a, sizeof(a));
}

static void another_magic_or_version_is_told_apart(void **state)
{
    spawn_wire_header head;
    spawn_writer w;

    (void)state;
    spawn_writer_init(&w, 1024);
    spawn_writer_begin(&w, 1, 0);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    w.data[2] = 9;
    assert_int_equal(spawn_wire_read_header(w.data, w.length, &head),
                     -EPROTONOSUPPORT);
    assert_int_equal(head.version, 9);
    w.data[0] ^= 1;
    assert_int_equal(spawn_wire_read_header(w.data, w.length, &head), -EBADMSG);
    assert_int_equal(spawn_wire_read_header(w.data, 15, &head), -EBADMSG);
    spawn_writer_free(&w);
}

static void errors_of_a_writer_stick(void **state)
{
    uint8_t buffer[64];
    spawn_writer w;

    (void)state;
    spawn_writer_init_fixed(&w, buffer, sizeof(buffer));
    spawn_writer_begin(&w, 1, 0);
    spawn_put_bytes(&w, 1, buffer, 60);
    spawn_put_u64(&w, 2, 1);
    assert_int_equal(spawn_writer_finish(&w, 0), -EMSGSIZE);
    spawn_writer_begin(&w, 1, 0);
    spawn_put_strn(&w, 1, "a\0b", 3);
    assert_int_equal(spawn_writer_finish(&w, 0), -EINVAL);
    spawn_writer_begin(&w, 1, 0);
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_goes_there_and_back),
        cmocka_unit_test(a_cut_message_is_refused_at_every_length),
        cmocka_unit_test(lengths_that_lie_are_refused),
        cmocka_unit_test(texts_without_end_or_with_nul_inside_are_refused),
        cmocka_unit_test(text_vectors_that_miscount_are_refused),
        cmocka_unit_test(another_magic_or_version_is_told_apart),
        cmocka_unit_test(errors_of_a_writer_stick)};

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
