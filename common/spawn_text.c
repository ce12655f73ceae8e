/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times and whole numbers as people write them. Runs in every process. Must
 * keep no state and allocate nothing.
 */
#include <ctype.h>
#include <errno.h>
#include <float.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/spawn_text.h"

int spawn_parse_duration(const char *text, uint64_t *ret_ms)
{
    return spawn_parse_time_to(text, SPAWN_DURATION_MAX_MS, ret_ms);
}

int spawn_parse_time_to(const char *text, uint64_t most_ms, uint64_t *ret_ms)
{
    static const struct {
        const char *unit;
        double ms;
    } units[] = {{"", 1000},     {"s", 1000},    {"ms", 1},
                 {"m", 60000},   {"min", 60000}, {"mi", 60000},
                 {"h", 3600000}, {"d", 86400000}};
    char *end;
    double v;
    size_t i;

    if (!isdigit((unsigned char)*text) && *text != '.')
        return -EINVAL;
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
        return -EINVAL;
    errno = 0;
    v = strtod(text, &end);        /* of an empty number: no unit begins so */
    if (v == 0 && errno == ERANGE) /* too small for a double: yet not 0 */
        v = DBL_MIN;
    for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcasecmp(end, units[i].unit) == 0) {
            v *= units[i].ms;
            if (!(v <= (double)most_ms))
                return -ERANGE;
            *ret_ms = (uint64_t)(v + 0.5);
            if (*ret_ms == 0 && v > 0)
                *ret_ms = 1; /* 0 would mean: no limit */
            return 0;
        }
    }
    return -EINVAL;
}

int spawn_parse_integer(const char *text, int64_t *ret)
{
    char *end;
    long long v;

    if (!isdigit((unsigned char)*text)
        && !(*text == '-' && isdigit((unsigned char)text[1])))
        return -EINVAL;
    errno = 0;
    v = strtoll(text, &end, 10);
    if (errno)
        return -ERANGE;
    if (*end)
        return -EINVAL;
    *ret = v;
    return 0;
}
