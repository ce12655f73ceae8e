/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawnctl --standalone: a pair without httpd is started for a directory,
 * unless it has one, by the program spawn-standalone. The lock on its file
 * `users` keeps the pair while we live; so it is taken before we look for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "ctl/ctl.h"

#define PROGRAM "spawn-standalone"

static char path[PATH_MAX];

static int cannot(const char *dir, const char *why)
{
    (void)fprintf(stderr, "spawnctl: --standalone %s: %s\n", dir, why);
    return CTL_TROUBLE;
}

/* The lock stays until we end. */
static int hold(const char *dir)
{
    int dir_fd = open(dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    int fd;

    if (dir_fd < 0 || fstat(dir_fd, &st) < 0)
        return -errno;
    if (st.st_uid != geteuid())
        return -EPERM;
    fd = openat(dir_fd, "users", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
                0600);
    (void)close(dir_fd);
    if (fd < 0)
        return -errno;
    while (flock(fd, LOCK_SH) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    return 0;
}

/* Beside us, else in PATH. */
static void be_it(const char *dir)
{
    char *argv[] = {(char *)(uintptr_t)PROGRAM, (char *)(uintptr_t) "--",
                    (char *)(uintptr_t)dir, NULL};
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 32);
    char *slash;

    path[n > 0 ? n : 0] = '\0';
    slash = strrchr(path, '/');
    if (slash) {
        (void)strcpy(slash + 1, PROGRAM);
        (void)execv(path, argv);
    }
    (void)execvp(PROGRAM, argv);
    (void)cannot(dir,
                 "the program " PROGRAM " is not there; install mod_spawn");
    _exit(CTL_NOT_FOUND);
}

static int start(const char *dir)
{
    int status = 0;
    pid_t pid;

    (void)signal(SIGCHLD, SIG_DFL);
    pid = fork();
    if (pid < 0)
        return cannot(dir, strerrordesc_np(errno));
    if (pid == 0)
        be_it(dir);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status == 0 ? -1 : CTL_TROUBLE; /* it has said why */
}

int ctl_standalone(spawn_ctl *ctl, const char *dir)
{
    static char socket[PATH_MAX];
    int code;

    if (*dir != '/')
        return cannot(dir, "an absolute path is wanted");
    if (mkdir(dir, 0700) < 0 && errno != EEXIST)
        return cannot(dir, strerrordesc_np(errno));
    code = hold(dir);
    if (code < 0)
        return cannot(dir, strerrordesc_np(-code));
    code = start(dir);
    (void)snprintf(socket, sizeof(socket), "%s/socket", dir);
    ctl->socket = socket;
    return code;
}
