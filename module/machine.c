/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls that every start needs: looked for before anything is made, so
 * that the log names the missing call and not its consequence. Runs in the
 * httpd parent at its first start. Must leave nothing behind.
 */
#include "module/start.h"

#include <unistd.h>

#include "common/spawn_os.h"
#include "common/spawn_process.h"

#define ALLOW                                                                  \
    "; a filter of system calls (seccomp: the container's, or systemd's "      \
    "SystemCallFilter) may forbid it: allow it there"

static apr_status_t try_call(server_rec *s, int fd, const char *what,
                             const char *since)
{
    if (fd >= 0) {
        (void)close(fd);
        return APR_SUCCESS;
    }
    ap_log_error(APLOG_MARK, APLOG_CRIT, -fd, s,
                 MSNO(0271) "%s does not work; it needs Linux %s or later, and "
                            "a free descriptor%s",
                 what, since, ALLOW);
    return -fd;
}

apr_status_t spawn_machine_check(server_rec *s)
{
    apr_status_t rv;

    if (access("/proc/self/fd", F_OK) < 0) {
        rv = errno;
        ap_log_error(APLOG_MARK, APLOG_CRIT, rv, s,
                     MSNO(0272) "/proc/self/fd is not there: mount /proc where "
                                "httpd runs (mount -t proc proc /proc; in a "
                                "chroot or container too)");
        return rv;
    }
    rv = try_call(s, spawn_os_memfd("spawn-try"), "memfd_create", "3.17");
    if (rv == APR_SUCCESS)
        rv = try_call(s, spawn_os_pidfd(getpid()), "pidfd_open", "5.3");
    return rv;
}
