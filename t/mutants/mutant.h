/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which fault is switched on: the number in SPAWN_MUTANT, or in the file
 * `mutant` beside the program (where the environment does not reach it). With a
 * file named by SPAWN_MUTANT_SEEN, or `mutant-seen` beside the program, of one
 * byte for each fault, a fault that is reached leaves its mark there.
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

/* The simulation makes what is zero at first zero again for each broker. */
#define MUTANT_STAYS __attribute__((section(".data")))

static int mutant_on MUTANT_STAYS;
static unsigned char *mutant_seen MUTANT_STAYS;
static long mutant_count MUTANT_STAYS;

/* A file beside the program that runs. */
static int mutant_open(const char *name, int how)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 32);
    char *slash;

    path[n < 0 ? 0 : n] = '\0';
    slash = strrchr(path, '/');
    if (!slash)
        return -1;
    (void)strcpy(slash + 1, name);
    return open(path, how | O_CLOEXEC);
}

static void mutant_number(void)
{
    const char *given = getenv("SPAWN_MUTANT");
    char text[16] = "";
    int fd;

    if (given) {
        mutant_on = atoi(given);
        return;
    }
    fd = mutant_open("mutant", O_RDONLY);
    if (fd < 0)
        return;
    if (read(fd, text, sizeof(text) - 1) > 0)
        mutant_on = atoi(text);
    (void)close(fd);
}

__attribute__((constructor)) static void mutant_begin(void)
{
    const char *given = getenv("SPAWN_MUTANT_SEEN");
    struct stat st;
    void *map;
    int fd;

    mutant_number();
    fd = given ? open(given, O_RDWR | O_CLOEXEC)
               : mutant_open("mutant-seen", O_RDWR);
    if (fd < 0)
        return;
    if (fstat(fd, &st) == 0) {
        map = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED,
                   fd, 0);
        if (map != MAP_FAILED) {
            mutant_seen = map;
            mutant_count = (long)st.st_size;
        }
    }
    (void)close(fd);
}

static inline int mutant(int number)
{
    if (mutant_seen && number < mutant_count)
        mutant_seen[number] = 1;
    return mutant_on == number;
}

#define MUTANT(n) mutant(n)

#endif
