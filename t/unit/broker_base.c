/* SPDX-License-Identifier: Apache-2.0 */
/* The small parts that the rest of the broker stands on: how long to wait
 * before another try, memory, arrays that grow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "t/unit/corner.h"
#include "broker/base/alloc.h"
#include "broker/base/array.h"
#include "broker/base/backoff.h"

static void test_wait_doubles_up_to_a_minute(void **s)
{
    static const int seconds[] = {0, 1, 2, 4, 8, 16, 32, 60, 60};
    unsigned i;

    (void)s;
    for (i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++)
        assert_int_equal(spawn_backoff_s(i), seconds[i]);
    assert_int_equal(spawn_backoff_s(1000000), 60);
}

static void test_array_grows_and_keeps_what_it_has(void **s)
{
    uint64_t *numbers = NULL;
    size_t used = 0, room = 0, i, grown = 0;

    (void)s;
    while (used < 1000) {
        size_t before = room;

        numbers = spawn_array_grow(numbers, used, &room, sizeof(*numbers));
        assert_true(room > used);
        assert_true(malloc_usable_size(numbers) >= room * sizeof(*numbers));
        grown += room != before;
        numbers[used] = used;
        used++;
    }
    assert_true(grown < 10); /* not for each of them */
    for (i = 0; i < used; i++)
        assert_int_equal(numbers[i], i);
    free(numbers);
}

static void test_memory_is_empty_at_first(void **s)
{
    enum {
        SIZE = 10000
    };
    uint8_t *dirty = malloc(SIZE), *clean;
    unsigned i;

    (void)s;
    assert_non_null(dirty);
    memset(dirty, 0xee, SIZE);
    free(dirty); /* the next one gets its place, most likely */
    clean = spawn_alloc(SIZE);
    for (i = 0; i < SIZE; i++)
        assert_int_equal(clean[i], 0);
    free(clean);
}

static void test_copy_of_a_text_is_its_own(void **s)
{
    char text[] = "words";
    char *copy = spawn_strdup(text);

    (void)s;
    text[0] = 'W';
    assert_string_equal(copy, "words");
    free(copy);
}

/* More than any machine has. */
#define TOO_MUCH ((size_t)1 << 60)

static int allocates(void)
{
    return spawn_alloc(TOO_MUCH) ? 0 : 2;
}

static int reallocates(void)
{
    return spawn_realloc(malloc(10), TOO_MUCH) ? 0 : 2;
}

static void test_without_memory_the_broker_ends(void **s)
{
    (void)s;
    LEAVE_OUT_IF(SANITIZED, "a sanitizer ends the process itself");
    assert_int_equal(in_a_child(allocates), 1);
    assert_int_equal(in_a_child(reallocates), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wait_doubles_up_to_a_minute),
        cmocka_unit_test(test_array_grows_and_keeps_what_it_has),
        cmocka_unit_test(test_memory_is_empty_at_first),
        cmocka_unit_test(test_copy_of_a_text_is_its_own),
        cmocka_unit_test(test_without_memory_the_broker_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
