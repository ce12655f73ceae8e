/* SPDX-License-Identifier: Apache-2.0 */
/* Names for numbers and back: what is in no list is unknown, and a failure's
 * text is cut, never left without end. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/spawn_error.h"

typedef const char *(*namer)(unsigned);

static const namer namers[] = {
    spawn_error_name,   spawn_error_text,   spawn_step_name, spawn_state_name,
    spawn_process_name, spawn_outcome_name, spawn_reply_name};

static void what_is_in_no_list_is_unknown(void **state)
{
    size_t i;
    unsigned n;

    (void)state;
    for (i = 0; i < sizeof(namers) / sizeof(namers[0]); i++) {
        unsigned last = 0;

        for (n = 0; n < 300; n++) {
            const char *name = namers[i](n);

            assert_non_null(name);
            if (strcmp(name, "unknown") != 0)
                last = n;
        }
        assert_in_range(last, 1, 200);
        assert_string_equal(namers[i](last + 1), "unknown");
        assert_string_equal(namers[i](UINT32_MAX), "unknown");
    }
}

static void names_become_their_numbers(void **state)
{
    unsigned n;

    (void)state;
    for (n = 0; n < 100; n++) {
        if (strcmp(spawn_reply_name(n), "unknown") != 0)
            assert_int_equal(spawn_reply_number(spawn_reply_name(n)), n);
        if (strcmp(spawn_state_name(n), "unknown") != 0)
            assert_int_equal(spawn_state_number(spawn_state_name(n)), n);
    }
    assert_int_equal(spawn_reply_number("later"), -EINVAL);
    assert_int_equal(spawn_reply_number("finishe"), -EINVAL);
    assert_int_equal(spawn_state_number(""), -EINVAL);
}

static void a_failure_is_filled_and_cut(void **state)
{
    spawn_failure f;
    char text[1000];

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    memset(&f, 0xff, sizeof(f));
    spawn_failure_set(&f, SPAWN_E_INVALID, SPAWN_STEP_CWD, ENOENT, "%s %d",
                      "some", 7);
    assert_int_equal(f.code, SPAWN_E_INVALID);
    assert_int_equal(f.step, SPAWN_STEP_CWD);
    assert_int_equal(f.error, ENOENT);
    assert_string_equal(f.text, "some 7");
    spawn_failure_set(&f, SPAWN_E_INVALID, SPAWN_STEP_CWD, 0, "%s", text);
    assert_int_equal(strlen(f.text), sizeof(f.text) - 1);
    spawn_failure_set(NULL, SPAWN_E_INVALID, SPAWN_STEP_CWD, 0, "%s", text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_in_no_list_is_unknown),
        cmocka_unit_test(names_become_their_numbers),
        cmocka_unit_test(a_failure_is_filled_and_cut),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
