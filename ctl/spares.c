/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spares: the processes that templates have forked for jobs that may come. Runs
 * in spawnctl, which finds them in /proc by their title and their parent: the
 * template itself, or the spawner, which is the template's parent, too. A spare
 * that has got its order has the job's title. Must not take what is not shown
 * for none.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"

#define TITLE "mod_spawn spare "

/* The first bytes of a process's file, as text; 0: none. */
static size_t read_some(const char *pid, const char *file, char *text,
                        size_t room)
{
    char path[64];
    ssize_t n;
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/%.20s/%s", pid, file);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    n = read(fd, text, room - 1);
    (void)close(fd);
    text[n > 0 ? n : 0] = '\0';
    return n > 0 ? (size_t)n : 0;
}

/* 0: it is not shown. */
static long parent_of(const char *pid)
{
    char text[512];
    const char *end;

    if (read_some(pid, "stat", text, sizeof(text)) == 0)
        return 0;
    end = strrchr(text, ')'); /* behind its name, then its state */
    return end && strlen(end) > 4 ? strtol(end + 4, NULL, 10) : 0;
}

/* Behind the title are spaces, or nothing. */
static bool is_spare(const char *pid, const char *name)
{
    char text[sizeof(TITLE) + SPAWN_NAME_MAX + 1];
    size_t n;

    if (read_some(pid, "cmdline", text, sizeof(text)) == 0
        || strncmp(text, TITLE, sizeof(TITLE) - 1) != 0)
        return false;
    for (n = strlen(text); text[n - 1] == ' '; n--)
        text[n - 1] = '\0';
    return strcmp(text + sizeof(TITLE) - 1, name) == 0;
}

int ctl_spares(uint64_t template, const char *name)
{
    char pid[24];
    const struct dirent *entry;
    long its_parent;
    int count = 0;
    DIR *proc;

    (void)snprintf(pid, sizeof(pid), "%llu", (unsigned long long)template);
    its_parent = parent_of(pid);
    proc = its_parent ? opendir("/proc") : NULL;
    if (!proc)
        return -1;
    while ((entry = readdir(proc))) {
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9'
            && is_spare(entry->d_name, name)) {
            long parent = parent_of(entry->d_name);

            count += parent == its_parent || parent == (long)template;
        }
    }
    (void)closedir(proc);
    return count;
}
