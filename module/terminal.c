/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fault may be found when the error log is open already, but before httpd
 * leaves the terminal. It is told there too: the exit code alone gives no
 * reason.
 *
 * Runs in the httpd parent. The descriptor must not outlive the first reading
 * of the configuration, nor be inherited.
 */
#include "module/terminal.h"

#include <fcntl.h>
#include <unistd.h>

static int terminal = -1;

static apr_status_t let_go(void *unused)
{
    (void)unused;
    if (terminal >= 0)
        (void)close(terminal);
    terminal = -1;
    return APR_SUCCESS;
}

void spawn_terminal_keep(apr_pool_t *p)
{
    (void)let_go(NULL);
    terminal = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    apr_pool_cleanup_register(p, NULL, let_go, let_go);
}

void spawn_terminal_say(const char *text)
{
    char line[1024];
    int n = apr_snprintf(line, sizeof(line), "httpd: mod_spawn: %s\n", text);

    if (terminal >= 0)
        (void)!write(terminal, line, (size_t)n);
}
