/* SPDX-License-Identifier: Apache-2.0 */
/* The small parts that the rest of the broker stands on: how long to wait
 * before another try, arrays that grow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

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
        grown += room != before;
        numbers[used] = used;
        used++;
    }
    assert_true(grown < 10); /* not for each of them */
    for (i = 0; i < used; i++)
        assert_int_equal(numbers[i], i);
    free(numbers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wait_doubles_up_to_a_minute),
        cmocka_unit_test(test_array_grows_and_keeps_what_it_has),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
