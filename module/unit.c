/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service of systemd that is stopped ends with all processes of its control
 * group: also with spawner, broker and jobs, which httpd's own stop leaves
 * alone. An administrator who has not read of that is told, once, at the start.
 *
 * Runs in the httpd parent. Must change nothing. The control group is asked and
 * not INVOCATION_ID: that is in the environment of every shell that some
 * service has started, and Debian's apachectl takes it out of httpd's.
 */
#include "module/unit.h"

#include <stdio.h>

#define SUFFIX ".service"

/* The last part of a line of /proc/self/cgroup, in place: NULL when the line is
 * of a hierarchy that is not systemd's. */
static const char *group_of(char *line)
{
    const char *slash;

    if (strncmp(line, "0::", 3) != 0 && !strstr(line, ":name=systemd:"))
        return NULL;
    line[strcspn(line, "\n")] = '\0';
    slash = strrchr(line, '/');
    return slash ? slash + 1 : NULL;
}

static bool is_service(const char *name)
{
    size_t length = strlen(name), end = sizeof(SUFFIX) - 1;

    return length > end && strcmp(name + length - end, SUFFIX) == 0;
}

/* The service, or NULL. A login session or a terminal is a scope, which nobody
 * restarts. */
static const char *service(apr_pool_t *p)
{
    FILE *in = fopen("/proc/self/cgroup", "re");
    const char *ret = NULL;
    char line[1024];

    if (!in)
        return NULL;
    while (!ret && fgets(line, sizeof(line), in)) {
        const char *name = group_of(line);

        if (name && is_service(name))
            ret = apr_pstrdup(p, name);
    }
    (void)fclose(in);
    return ret;
}

void spawn_unit_tell(apr_pool_t *p, server_rec *s)
{
    const char *unit = service(p);

    if (unit)
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s,
                     MSNO(0290) "httpd is in systemd's unit %s: when the unit "
                                "is stopped or restarted, running jobs end "
                                "with it, unless it has KillMode=process; "
                                "a reload leaves them alone",
                     unit);
}

void spawn_unit_tell_templates(apr_pool_t *p, server_rec *s,
                               const char *templates)
{
    const char *unit = *templates ? service(p) : NULL;

    if (unit)
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s,
                     MSNO(0299) "httpd is in systemd's unit %s, and so are the "
                                "'parent' templates (%s) with their Perl jobs: "
                                "these end when the unit is stopped or "
                                "restarted; those of 'exec' templates and "
                                "programs do not",
                     unit, templates);
}
