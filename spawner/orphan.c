/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals for orphans: jobs that an earlier spawner had started, or a template
 * that has gone. The broker follows them, and may not signal a process whose
 * account is not its own. Runs in the spawner only.
 *
 * They are not in the table, so the order says which process it is, and that is
 * not believed: a broker that was taken over could name any. Must signal only a
 * process that leads a session, began when the order says, and has an account
 * that httpd has listed for jobs; by pidfd, never by number.
 */
#include <errno.h>
#include <unistd.h>

#include "common/spawn_process.h"
#include "spawner/spawner.h"

/* The look is at the number, and the signal goes to what the pidfd names: when
 * the number is another process's by now, that one has ended. */
static bool is_orphan(pid_t pid, int64_t noted)
{
    uid_t uid;

    return spawn_os_is_noted(pid, noted, SPAWN_NOTED_LATE)
           && spawn_os_real_uid(pid, &uid) == 0 && accounts_has(uid);
}

int orphan_signal(const spawn_message *order, int signo)
{
    pid_t pid = (pid_t)spawn_u64_or(order, SPAWN_A_PID, 0);
    int64_t noted = (int64_t)spawn_u64_or(order, SPAWN_A_BOOT_STARTED, 0);
    int fd = pid > 1 ? spawn_os_pidfd(pid) : -ESRCH;
    int rv = fd;

    if (fd < 0)
        return rv;
    rv = is_orphan(pid, noted) ? spawn_os_pidfd_signal(fd, signo) : -EPERM;
    (void)close(fd);
    return rv;
}
