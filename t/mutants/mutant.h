/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which fault is switched on: the number in SPAWN_MUTANT, or in the file
 * `mutant` beside the program (where the environment does not reach it). With
 * SPAWN_MUTANT_SEEN, a file of one byte for each fault, a fault that is reached
 * leaves its mark there.
 *
 * In programs that t/mutants/run built only.
 */
#ifndef MUTANT_H
#define MUTANT_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/stat.h>

static int mutant_on;
static unsigned char *mutant_seen;
static long mutant_count;

__attribute__((constructor)) static void mutant_begin(void)
{
    const char *on = getenv("SPAWN_MUTANT");
    const char *seen = getenv("SPAWN_MUTANT_SEEN");
    char path[4096];
    struct stat st;
    int fd;

    if (on) {
        mutant_on = atoi(on);
    }
    else {
        ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 16);
        FILE *in;

        path[n < 0 ? 0 : n] = '\0';
        if (strrchr(path, '/'))
            strcpy(strrchr(path, '/'), "/mutant");
        in = fopen(path, "re");
        if (in && fscanf(in, "%d", &mutant_on) != 1)
            mutant_on = 0;
        if (in)
            fclose(in);
    }
    fd = seen ? open(seen, O_RDWR | O_CLOEXEC) : -1;
    if (fd >= 0 && fstat(fd, &st) == 0) {
        void *map = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE,
                         MAP_SHARED, fd, 0);

        if (map != MAP_FAILED) {
            mutant_seen = map;
            mutant_count = (long)st.st_size;
        }
    }
    if (fd >= 0)
        close(fd);
}

static inline int mutant(int number)
{
    if (mutant_seen && number < mutant_count)
        mutant_seen[number] = 1;
    return mutant_on == number;
}

#define MUTANT(n) mutant(n)

#endif
