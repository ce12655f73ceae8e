/* SPDX-License-Identifier: Apache-2.0 */
/* Places in tables: the same within a process, spread also for what was chosen
 * to be alike, and others in another process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "common/spawn_hash.h"

#define MANY 4096

static void another_process_has_others(void **state)
{
    uint64_t theirs = 0;
    int ends[2];
    pid_t pid;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    pid = fork(); /* before the first of ours */
    if (pid == 0) {
        theirs = spawn_hash(0, "a", 1);
        _exit(write(ends[1], &theirs, sizeof(theirs)) == sizeof(theirs) ? 0
                                                                        : 1);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(read(ends[0], &theirs, sizeof(theirs)), sizeof(theirs));
    assert_true(spawn_hash(0, "a", 1) != theirs);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void it_stays_the_same(void **state)
{
    (void)state;
    assert_true(spawn_hash(0, "abcdefghij", 10)
                == spawn_hash(0, "abcdefghij", 10));
    assert_true(spawn_hash(1, "abcdefghij", 10)
                != spawn_hash(0, "abcdefghij", 10));
    assert_true(spawn_hash(0, "abcdefghij", 9)
                != spawn_hash(0, "abcdefghij", 10));
    assert_true(spawn_hash(0, "abcdefghi\0", 10)
                != spawn_hash(0, "abcdefghi", 9));
}

/* But for two bytes at this place they are the same. */
static void spread(unsigned at)
{
    static unsigned places[MANY];
    spawn_id id;
    unsigned i, most = 0;

    memset(places, 0, sizeof(places));
    memset(&id, 0, sizeof(id));
    for (i = 0; i < MANY; i++) {
        unsigned *place;

        id.bytes[at] = (uint8_t)i;
        id.bytes[at + 1] = (uint8_t)(i >> 8);
        place = &places[spawn_hash_id(&id) % MANY];
        if (++*place > most)
            most = *place;
    }
    assert_in_range(most, 2, 20);
}

static void ids_that_are_alike_are_spread(void **state)
{
    unsigned at;

    (void)state;
    for (at = 0; at + 1 < SPAWN_ID_SIZE; at++)
        spread(at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_process_has_others),
        cmocka_unit_test(it_stays_the_same),
        cmocka_unit_test(ids_that_are_alike_are_spread)};

    return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
