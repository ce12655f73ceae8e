/* SPDX-License-Identifier: Apache-2.0 */
/* A short look before a sleep: what is there is seen, what comes is seen, and
 * looks that were vain are left out for a while. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "common/spawn_os.h"
#include "common/spawn_spin.h"

static int ends[2];

static int open_both(void **state)
{
    (void)state;
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends);
}

static int close_both(void **state)
{
    (void)state;
    (void)close(ends[0]);
    return close(ends[1]);
}

static void what_is_there_or_has_ended_is_seen(void **state)
{
    spawn_spin spin = {0};
    char c;

    (void)state;
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_true(spawn_spin_look(&spin, ends[0]));
    assert_int_equal(read(ends[0], &c, 1), 1);
    assert_int_equal(shutdown(ends[1], SHUT_RDWR), 0);
    assert_true(spawn_spin_look(&spin, ends[0]));
}

static void a_vain_look_ends(void **state)
{
    spawn_spin spin = {0};
    int64_t from = spawn_mono_us();

    (void)state;
    assert_false(spawn_spin_look(&spin, ends[0]));
    assert_true(spawn_mono_us() - from >= SPAWN_SPIN_US);
}

/* How many looks see nothing though something is there. */
static unsigned left_out(spawn_spin *spin)
{
    unsigned n = 0;
    char c;

    assert_int_equal(write(ends[1], "x", 1), 1);
    while (!spawn_spin_look(spin, ends[0]))
        n++;
    assert_int_equal(read(ends[0], &c, 1), 1);
    return n;
}

static void vain_looks_are_left_out_more_and_more(void **state)
{
    spawn_spin spin = {0};
    unsigned i, n, all = 0;

    (void)state;
    for (i = 0; i < 20; i++) {
        assert_false(spawn_spin_look(&spin, ends[0]));
        for (n = 0; spin.skip > 0; n++)
            assert_false(spawn_spin_look(&spin, ends[0]));
        assert_true(n == 255 || n == 2 * all + 1);
        all = n;
    }
    assert_int_equal(all, 255);
    assert_false(spawn_spin_look(&spin, ends[0]));
    assert_int_equal(left_out(&spin), 255);
    /* one that helped, and all is as at first */
    assert_false(spawn_spin_look(&spin, ends[0]));
    assert_int_equal(left_out(&spin), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_there_or_has_ended_is_seen,
                                        open_both, close_both),
        cmocka_unit_test_setup_teardown(a_vain_look_ends, open_both,
                                        close_both),
        cmocka_unit_test_setup_teardown(vain_looks_are_left_out_more_and_more,
                                        open_both, close_both),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
