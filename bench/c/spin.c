/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job that wants a CPU for so many seconds of time, whether it gets it or
 * not. Linked statically. Ends by itself when the suite was killed.
 *
 *   spin SECONDS
 */
#include <stdlib.h>

#include "bench/c/bare.h"

int main(int argc, char **argv)
{
    int64_t end;

    if (argc != 2)
        return 2;
    end = now_ns() + strtol(argv[1], NULL, 10) * 1000000000;
    while (now_ns() < end)
        continue;
    return 0;
}
