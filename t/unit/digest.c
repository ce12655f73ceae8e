/* SPDX-License-Identifier: Apache-2.0 */
/* The digest of an order stands in the store: it is the same for ever, and of
 * all that the order says but REPLY. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/spawn_digest.h"
#include "common/spawn_proto.h"

static uint8_t room[256];
static spawn_writer w;

static void order(unsigned reply, const char *function)
{
    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_SUBMIT, 0);
    spawn_put_str(&w, SPAWN_A_FUNCTION, function);
    if (reply)
        spawn_put_u64(&w, SPAWN_A_REPLY, reply);
    spawn_put_str(&w, SPAWN_A_QUEUE, "q");
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
}

static uint64_t digest(void)
{
    return spawn_digest(w.data + SPAWN_WIRE_HEADER,
                        w.length - SPAWN_WIRE_HEADER);
}

/* FNV-1a of the attributes without what fills them up. */
static void it_is_the_same_for_ever(void **state)
{
    static const uint8_t wanted[] = {25, 0, 3, 0, 2, 0, 0, 0, 'f', 0,
                                     3,  0, 3, 0, 2, 0, 0, 0, 'q', 0};
    uint64_t hash = 0xcbf29ce484222325;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(wanted); i++) {
        hash ^= wanted[i];
        hash *= 0x100000001b3;
    }
    order(0, "f");
    assert_true(digest() == hash);
}

static void it_is_of_all_but_the_reply(void **state)
{
    uint64_t first;

    (void)state;
    order(0, "f");
    first = digest();
    order(SPAWN_REPLY_FINISHED, "f");
    assert_true(digest() == first);
    order(0, "g");
    assert_true(digest() != first);
}

/* Another request asks for the same job. */
static void it_is_the_same_whoever_asks(void **state)
{
    uint64_t first;
    size_t mark;

    (void)state;
    order(0, "f");
    first = digest();
    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_SUBMIT, 0);
    spawn_put_str(&w, SPAWN_A_FUNCTION, "f");
    mark = spawn_open_strv(&w, SPAWN_A_CONTEXT);
    spawn_add_text(&w, mark, "request_id=R1", 13);
    spawn_close(&w, mark);
    spawn_put_str(&w, SPAWN_A_QUEUE, "q");
    assert_int_equal(spawn_writer_finish(&w, 0), 0);
    assert_true(digest() == first);
}

static void of_nothing_it_is_where_it_begins(void **state)
{
    (void)state;
    assert_true(spawn_digest("", 0) == 0xcbf29ce484222325);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_the_same_for_ever),
        cmocka_unit_test(it_is_of_all_but_the_reply),
        cmocka_unit_test(it_is_the_same_whoever_asks),
        cmocka_unit_test(of_nothing_it_is_where_it_begins),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
