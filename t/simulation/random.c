/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chance from a seed (splitmix64): the only chance that there is in the world.
 */
#include "t/simulation/world.h"

static uint64_t state;

void random_seed(uint64_t seed)
{
    state = seed * 0x9e3779b97f4a7c15u + 1;
}

uint64_t random_bits(void)
{
    uint64_t z = state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

unsigned random_below(unsigned below)
{
    return (unsigned)((random_bits() >> 32) * below >> 32);
}

bool chance(unsigned percent)
{
    return random_below(100) < percent;
}
