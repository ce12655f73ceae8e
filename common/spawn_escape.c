/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text of strangers for the error log. Runs in any process. Must let no byte
 * through that a terminal obeys. httpd escapes all bytes from 0x80 on; this
 * file does not, so that people can read what their jobs say in their language.
 */
#include <string.h>

#include "common/spawn_escape.h"

#define UTF8_MAX 4

/* How many bytes a character of several bytes has that begins with this one; 0:
 * none begins so. */
static size_t length_of(uint8_t first)
{
    if (first < 0xc2)
        return 0;
    return first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
}

static bool continues(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

/* The character of several bytes at p; 0 when it is not valid UTF-8. */
static uint32_t decode(const uint8_t *p, size_t length)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = length_of(p[0]), i;
    uint32_t c;

    if (n < 2 || n > length)
        return 0;
    c = p[0] & (0x7fu >> n);
    for (i = 1; i < n; i++) {
        if (!continues(p[i]))
            return 0;
        c = c << 6 | (p[i] & 0x3f);
    }
    if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return 0;
    return c;
}

bool spawn_escape_obeyed(uint32_t c)
{
    return c < 0xa0 || (c >= 0x2028 && c <= 0x202e)
           || (c >= 0x2066 && c <= 0x2069);
}

static size_t put_hex(uint8_t byte, char *to)
{
    static const char digits[] = "0123456789abcdef";

    to[0] = '\\';
    to[1] = 'x';
    to[2] = digits[byte >> 4];
    to[3] = digits[byte & 15];
    return 4;
}

static size_t put_byte(uint8_t byte, char *to)
{
    static const char named[] = "\b\n\r\t\v\\", names[] = "bnrtv\\";
    const char *at = byte ? strchr(named, byte) : NULL;

    if (byte >= 0x20 && byte < 0x7f && !at) {
        to[0] = (char)byte;
        return 1;
    }
    if (!at)
        return put_hex(byte, to);
    to[0] = '\\';
    to[1] = names[at - named];
    return 2;
}

/* Copy one character, escaped when it has to be. Returns how many bytes it
 * had. */
static size_t one(const uint8_t *p, size_t length, char *to, size_t *ret)
{
    uint32_t c = p[0] < 0x80 ? 0 : decode(p, length);
    size_t n = c ? length_of(p[0]) : 1, used = 0, i;

    if (c && !spawn_escape_obeyed(c)) {
        memcpy(to, p, n);
        *ret = n;
        return n;
    }
    for (i = 0; i < n; i++)
        used += put_byte(p[i], to + used);
    *ret = used;
    return n;
}

uint32_t spawn_escape_decode(const char *from, size_t length, size_t *ret_bytes)
{
    const uint8_t *p = (const uint8_t *)from;
    uint32_t c = p[0] < 0x80 ? p[0] : decode(p, length);

    *ret_bytes = c < 0x80 ? 1 : length_of(p[0]);
    return c;
}

size_t spawn_escape(const char *from, size_t length, char *to, size_t room,
                    size_t *ret_length)
{
    const uint8_t *p = (const uint8_t *)from;
    size_t taken = 0, used = 0;

    while (taken < length) {
        char character[4 * UTF8_MAX];
        size_t n = 0, bytes = one(p + taken, length - taken, character, &n);

        if (used + n > room)
            break;
        memcpy(to + used, character, n);
        used += n;
        taken += bytes;
    }
    *ret_length = used;
    return taken;
}

size_t spawn_escape_whole(const char *from, size_t length)
{
    const uint8_t *p = (const uint8_t *)from;
    size_t back = 0;

    /* a cut character has two more bytes at most */
    while (back < length && back < UTF8_MAX - 2
           && continues(p[length - 1 - back]))
        back++;
    if (back == length || length_of(p[length - 1 - back]) <= back + 1)
        return length;
    return length - 1 - back;
}
