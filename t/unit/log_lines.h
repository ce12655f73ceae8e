/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many lines something writes to the log: in tests that link the code that
 * writes them.
 */
#ifndef LOG_LINES_H
#define LOG_LINES_H

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/spawn_log.h"

/* Lines of this number ("MS0868: ") while it runs. */
static inline unsigned lines_of(const char *number, void (*run)(void))
{
    FILE *log = tmpfile();
    int was = dup(STDERR_FILENO);
    unsigned count = 0;
    char line[1000];

    assert_non_null(log);
    assert_true(was >= 0);
    assert_int_equal(dup2(fileno(log), STDERR_FILENO), STDERR_FILENO);
    run();
    (void)dup2(was, STDERR_FILENO);
    (void)close(was);
    rewind(log);
    while (fgets(line, sizeof(line), log))
        count += strstr(line, number) != NULL;
    (void)fclose(log);
    return count;
}

#endif
