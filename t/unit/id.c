/* SPDX-License-Identifier: Apache-2.0 */
/* Job ids: UUIDv7 made, written, read back, and refused when they are not. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/spawn_id.h"
#include "common/spawn_os.h"

static void made_ids_are_valid_and_differ(void **state)
{
    spawn_id a, b;

    (void)state;
    assert_int_equal(spawn_id_make(&a), 0);
    assert_int_equal(spawn_id_make(&b), 0);
    assert_true(spawn_id_valid(&a));
    assert_false(spawn_id_equal(&a, &b));
}

static void an_id_carries_its_time(void **state)
{
    int64_t before = spawn_wall_ms();
    spawn_id id;

    (void)state;
    assert_int_equal(spawn_id_make(&id), 0);
    assert_in_range(spawn_id_time(&id), before, spawn_wall_ms());
}

static void text_goes_there_and_back(void **state)
{
    char text[SPAWN_ID_TEXT], upper[SPAWN_ID_TEXT];
    spawn_id id, again;
    size_t i;

    (void)state;
    assert_int_equal(spawn_id_make(&id), 0);
    memset(text, 'x', sizeof(text));
    assert_int_equal(strlen(spawn_id_format(&id, text)), 36);
    assert_int_equal(spawn_id_parse(text, &again), 0);
    assert_true(spawn_id_equal(&id, &again));
    for (i = 0; i < sizeof(text); i++)
        upper[i] = text[i] >= 'a' ? (char)(text[i] - 32) : text[i];
    assert_int_equal(spawn_id_parse(upper, &again), 0);
    assert_true(spawn_id_equal(&id, &again));
}

static void what_is_no_uuid7_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "0",
        "0198c0de-0000-7000-8000-00000000000",
        "0198c0de-0000-7000-8000-0000000000000",
        "0198c0de-0000-4000-8000-000000000000", /* version 4 */
        "0198c0de-0000-7000-c000-000000000000", /* variant */
        "0198c0de0000-7000-8000-000000000000-",
        "0198c0dg-0000-7000-8000-000000000000",
        " 198c0de-0000-7000-8000-000000000000"};
    spawn_id id, before;
    size_t i;

    assert_int_equal(
        spawn_id_parse("ABCDEF98-0000-7000-8000-abcdef00000F", &id), 0);
    assert_int_equal(id.bytes[15], 15);

    (void)state;
    memset(&id, 0x55, sizeof(id));
    before = id;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(spawn_id_parse(bad[i], &id), -EINVAL);
        assert_true(spawn_id_equal(&id, &before));
    }
}

/* All but time, version and variant: no bit stands still, none follows another
 * byte's. */
static void the_rest_of_an_id_is_random(void **state)
{
    uint8_t ones[SPAWN_ID_SIZE] = {0}, zeros[SPAWN_ID_SIZE] = {0};
    unsigned same[SPAWN_ID_SIZE] = {0};
    unsigned i, k;
    spawn_id id;

    (void)state;
    for (i = 0; i < 100; i++) {
        assert_int_equal(spawn_id_make(&id), 0);
        for (k = 6; k < SPAWN_ID_SIZE; k++) {
            ones[k] |= id.bytes[k];
            zeros[k] |= (uint8_t)~id.bytes[k];
            same[k] += k > 6 && ((id.bytes[k] ^ id.bytes[k - 1]) & 15) == 0;
        }
    }
    for (k = 6; k < SPAWN_ID_SIZE; k++) {
        assert_int_equal(ones[k] & zeros[k], k == 6   ? 0x0f
                                             : k == 8 ? 0x3f
                                                      : 0xff);
        assert_in_range(same[k], 0, 50);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(made_ids_are_valid_and_differ),
        cmocka_unit_test(an_id_carries_its_time),
        cmocka_unit_test(the_rest_of_an_id_is_random),
        cmocka_unit_test(text_goes_there_and_back),
        cmocka_unit_test(what_is_no_uuid7_is_refused)};

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("id", tests, NULL, NULL);
}
