/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file probe.c
 * @brief A job that reports, as JSON, what a job sees: its place among the
 * processes, descriptors, environment, signals, limits.
 *
 * Static C and not a script, since an interpreter opens files and changes
 * signals of its own. Looks at descriptors before it opens anything, and
 * writes beside the report's place and renames, so that a report that is
 * there is complete.
 *
 *   probe REPORT [anything...]
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

extern char **environ;

#define FDS_MAX 256

typedef struct {
    int number;
    int flags;
    char target[512];
} open_fd;

static void put_text(FILE *out, const char *text)
{
    (void)fputc('"', out);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '"' || *c == '\\') {
            (void)fprintf(out, "\\%c", *c);
        }
        else if (*c < 0x20 || *c >= 0x7f) {
            (void)fprintf(out, "\\u%04x", *c);
        }
        else {
            (void)fputc(*c, out);
        }
    }
    (void)fputc('"', out);
}

static void put_texts(FILE *out, const char *name, char **texts)
{
    (void)fprintf(out, "\"%s\":[", name);
    for (char **t = texts; *t; t++) {
        if (t != texts) {
            (void)fputc(',', out);
        }
        put_text(out, *t);
    }
    (void)fputs("],\n", out);
}

/* All open descriptors but the one that looks. */
static int look_at_fds(open_fd *list)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    if (!dir) {
        return 0;
    }
    for (struct dirent *e; count < FDS_MAX && (e = readdir(dir));) {
        char path[64];
        int number = atoi(e->d_name);
        if (e->d_name[0] == '.' || number == dirfd(dir)) {
            continue;
        }
        open_fd *fd = &list[count++];
        fd->number = number;
        fd->flags = fcntl(number, F_GETFL);
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", number);
        ssize_t n = readlink(path, fd->target, sizeof(fd->target) - 1);
        fd->target[n > 0 ? n : 0] = '\0';
    }
    (void)closedir(dir);
    return count;
}

static void put_fds(FILE *out, const open_fd *list, int count)
{
    (void)fputs("\"fds\":{", out);
    for (int i = 0; i < count; i++) {
        (void)fprintf(out, "%s\"%d\":", i ? "," : "", list[i].number);
        put_text(out, list[i].target);
    }
    (void)fputs("},\n\"fd_flags\":{", out);
    for (int i = 0; i < count; i++) {
        (void)fprintf(out, "%s\"%d\":%d", i ? "," : "", list[i].number,
                      list[i].flags);
    }
    (void)fputs("},\n", out);
}

/* Selected lines of /proc/self/status, as they are. */
static void put_status(FILE *out)
{
    static const char *const wanted[] = {
        "SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt",     "CapInh",
        "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp"};
    char line[512];
    FILE *status = fopen("/proc/self/status", "re");
    if (!status) {
        return;
    }
    (void)fputs("\"status\":{", out);
    const char *comma = "";
    while (fgets(line, sizeof(line), status)) {
        char *colon = strchr(line, ':');
        if (!colon) {
            continue;
        }
        *colon = '\0';
        for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
            if (strcmp(line, wanted[i]) != 0) {
                continue;
            }
            char *value = colon + 1 + strspn(colon + 1, " \t");
            value[strcspn(value, "\n")] = '\0';
            (void)fprintf(out, "%s\"%s\":", comma, line);
            put_text(out, value);
            comma = ",";
        }
    }
    (void)fputs("},\n", out);
    (void)fclose(status);
}

static void put_limits(FILE *out)
{
    static const struct {
        const char *name;
        int resource;
    } all[] = {{"cpu", RLIMIT_CPU},      {"memory", RLIMIT_AS},
               {"files", RLIMIT_NOFILE}, {"processes", RLIMIT_NPROC},
               {"core", RLIMIT_CORE},    {"filesize", RLIMIT_FSIZE},
               {"stack", RLIMIT_STACK}};
    (void)fputs("\"limits\":{", out);
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        struct rlimit l = {0};
        (void)getrlimit((__rlimit_resource_t)all[i].resource, &l);
        (void)fprintf(out, "%s\"%s\":[%lld,%lld]", i ? "," : "", all[i].name,
                      l.rlim_cur == RLIM_INFINITY ? -1 : (long long)l.rlim_cur,
                      l.rlim_max == RLIM_INFINITY ? -1 : (long long)l.rlim_max);
    }
    (void)fputs("},\n", out);
}

static void put_parent(FILE *out)
{
    char path[64];
    char text[1024] = "";
    (void)snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)getppid());
    FILE *f = fopen(path, "re");
    if (f) {
        size_t n = fread(text, 1, sizeof(text) - 1, f);
        for (size_t i = 0; i + 1 < n; i++) {
            text[i] = text[i] ? text[i] : ' ';
        }
        (void)fclose(f);
    }
    (void)fputs("\"parent_cmdline\":", out);
    put_text(out, text);
    (void)fputs(",\n", out);
}

static void put_numbers(FILE *out)
{
    gid_t groups[256];
    int count = getgroups(256, groups);
    mode_t mask = umask(0);
    (void)umask(mask);

    (void)fprintf(out,
                  "\"pid\":%d,\n\"ppid\":%d,\n\"pgid\":%d,\n\"sid\":%d,\n"
                  "\"uid\":%d,\n\"euid\":%d,\n\"gid\":%d,\n\"egid\":%d,\n"
                  "\"umask\":\"%04o\",\n",
                  (int)getpid(), (int)getppid(), (int)getpgrp(), (int)getsid(0),
                  (int)getuid(), (int)geteuid(), (int)getgid(), (int)getegid(),
                  (unsigned)mask);
    (void)fputs("\"groups\":[", out);
    for (int i = 0; i < count; i++) {
        (void)fprintf(out, "%s%d", i ? "," : "", (int)groups[i]);
    }
    errno = 0;
    int nice_value = getpriority(PRIO_PROCESS, 0);
    (void)fprintf(out,
                  "],\n\"nice\":%d,\n\"scheduler\":%d,\n\"no_new_privs\":%d,\n"
                  "\"dumpable\":%d,\n\"subreaper\":%s,\n\"ioprio\":%ld,\n",
                  nice_value, sched_getscheduler(0),
                  prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
                  prctl(PR_GET_DUMPABLE, 0, 0, 0, 0),
                  (prctl(PR_GET_CHILD_SUBREAPER, &count) == 0 && count)
                      ? "true"
                      : "false",
                  syscall(SYS_ioprio_get, 1, 0));
}

static int write_report(const char *path, char **argv, const open_fd *fds,
                        int count)
{
    char aside[4096];
    char cwd[4096] = "";
    (void)snprintf(aside, sizeof(aside), "%s.part", path);
    FILE *out = fopen(aside, "we");
    if (!out) {
        return -errno;
    }
    (void)fputs("{", out);
    put_numbers(out);
    put_fds(out, fds, count);
    put_texts(out, "argv", argv);
    put_texts(out, "env", environ);
    put_status(out);
    put_limits(out);
    put_parent(out);
    (void)fputs("\"cwd\":", out);
    put_text(out, getcwd(cwd, sizeof(cwd)) ? cwd : "");
    (void)fputs("}\n", out);
    if (fclose(out) != 0 || rename(aside, path) != 0) {
        return -errno;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static open_fd fds[FDS_MAX];
    int count = look_at_fds(fds);
    if (argc < 2) {
        return 2;
    }
    return write_report(argv[1], argv, fds, count) == 0 ? 0 : 1;
}
