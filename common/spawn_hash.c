/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A keyed hash of bytes that somebody else has chosen: SipHash (Aumasson and
 * Bernstein) with one round for each word, and three at the end. Runs in
 * spawner and broker.
 */
#include "common/spawn_hash.h"

#include <stdbool.h>
#include <string.h>
#include <unistd.h>
#include <sys/random.h>

#include "common/spawn_os.h"

static uint64_t key[2];
static bool has_key;

/* At a boot there may be no random numbers yet, and nobody waits for them: then
 * it is only hard to guess. */
static void make_key(void)
{
    if (getrandom(key, sizeof(key), GRND_NONBLOCK) != (ssize_t)sizeof(key)) {
        key[0] = (uint64_t)spawn_mono_us() ^ (uintptr_t)&key;
        key[1] = (uint64_t)spawn_wall_ms() << 20 ^ (uint64_t)getpid();
    }
    has_key = true;
}

static uint64_t turn(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static void mix(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = turn(v[1], 13) ^ v[0];
    v[0] = turn(v[0], 32);
    v[2] += v[3];
    v[3] = turn(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = turn(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = turn(v[1], 17) ^ v[2];
    v[2] = turn(v[2], 32);
}

static void take(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    mix(v);
    v[0] ^= word;
}

uint64_t spawn_hash(uint64_t before, const void *data, size_t length)
{
    const uint8_t *p = data;
    uint64_t v[4], word, last = (uint64_t)length << 56;
    size_t i;

    if (!has_key)
        make_key();
    v[0] = key[0] ^ 0x736f6d6570736575u;
    v[1] = key[1] ^ 0x646f72616e646f6du;
    v[2] = key[0] ^ 0x6c7967656e657261u;
    v[3] = key[1] ^ 0x7465646279746573u;
    take(v, before);
    for (; length >= sizeof(word); length -= sizeof(word)) {
        memcpy(&word, p, sizeof(word));
        take(v, word);
        p += sizeof(word);
    }
    for (i = 0; i < length; i++)
        last |= (uint64_t)p[i] << (8 * i);
    take(v, last);
    v[2] ^= 0xff;
    for (i = 0; i < 3; i++)
        mix(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}
