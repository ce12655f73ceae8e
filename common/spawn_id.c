/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UUIDv7 job ids. Runs in every process, any thread. Must keep no state.
 */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <sys/random.h>

#include "common/spawn_id.h"

int spawn_id_make(spawn_id *ret)
{
    struct timespec now;
    uint64_t ms;
    spawn_id id;
    int i;

    if (getrandom(id.bytes, sizeof(id.bytes), 0) != (ssize_t)sizeof(id.bytes))
        return -errno;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    for (i = 0; i < 6; i++)
        id.bytes[i] = (uint8_t)(ms >> (8 * (5 - i)));
    id.bytes[6] = (uint8_t)(0x70 | (id.bytes[6] & 0x0f));
    id.bytes[8] = (uint8_t)(0x80 | (id.bytes[8] & 0x3f));
    *ret = id;
    return 0;
}

uint64_t spawn_id_time(const spawn_id *id)
{
    uint64_t ms = 0;
    int i;

    for (i = 0; i < 6; i++)
        ms = ms << 8 | id->bytes[i];
    return ms;
}

bool spawn_id_valid(const spawn_id *id)
{
    return (id->bytes[6] & 0xf0) == 0x70 && (id->bytes[8] & 0xc0) == 0x80;
}

bool spawn_id_equal(const spawn_id *a, const spawn_id *b)
{
    return memcmp(a->bytes, b->bytes, SPAWN_ID_SIZE) == 0;
}

char *spawn_id_format(const spawn_id *id, char *text)
{
    static const char digits[] = "0123456789abcdef";
    char *p = text;
    int i;

    for (i = 0; i < SPAWN_ID_SIZE; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *p++ = '-';
        *p++ = digits[id->bytes[i] >> 4];
        *p++ = digits[id->bytes[i] & 15];
    }
    *p = '\0';
    return text;
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int spawn_id_parse(const char *text, spawn_id *ret)
{
    spawn_id id;
    int i;

    for (i = 0; i < SPAWN_ID_SIZE; i++) {
        int high, low;

        if ((i == 4 || i == 6 || i == 8 || i == 10) && *text++ != '-')
            return -EINVAL;
        high = digit_value(text[0]);
        low = high < 0 ? -1 : digit_value(text[1]);
        if (low < 0)
            return -EINVAL;
        id.bytes[i] = (uint8_t)(high << 4 | low);
        text += 2;
    }
    if (*text != '\0' || !spawn_id_valid(&id))
        return -EINVAL;
    *ret = id;
    return 0;
}
