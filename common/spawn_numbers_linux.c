/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers in a directory of /proc, read with raw system calls. Runs in every
 * process, and between fork and exec: must use no heap, no stdio and no errno.
 */
#include <stdint.h>

#include "common/spawn_numbers.h"
#include "common/spawn_raw.h"

struct dirent_64 {
    uint64_t inode;
    int64_t offset;
    uint16_t length;
    uint8_t type;
    char name[];
};

/* A number, or -1 for "." and "..". */
static int number_in(const char *name)
{
    int n = 0;

    for (; *name; name++) { /* NOLINT: the kernel has written it */
        if (*name < '0' || *name > '9')
            return -1;
        n = n * 10 + (*name - '0');
    }
    return n;
}

int spawn_numbers(const char *path, bool (*fn)(int number, int dir, void *arg),
                  void *arg)
{
    _Alignas(struct dirent_64) char room[2048];
    int dir = spawn_raw_open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    bool on = true;
    long n = 0, at;

    if (dir < 0)
        return dir;
    while (
        on
        && (n = spawn_raw(SYS_getdents64, dir, (long)room, sizeof(room), 0, 0))
               > 0) {
        for (at = 0; on && at < n;) {
            const struct dirent_64 *entry = (const void *)(room + at);
            int number = number_in(entry->name);

            if (number >= 0)
                on = fn(number, dir, arg);
            at += entry->length;
        }
    }
    (void)spawn_raw_close(dir);
    return n < 0 ? (int)n : 0;
}
