/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SpawnBoundingSet: the capabilities that set-id programs and programs with
 * file capabilities can have in a job. Runs in the httpd parent while the
 * configuration is read, and once more at each start. Must change no set
 * itself: the jobs' own processes do.
 */
#include "module/config.h"
#include "module/handlers.h"

#include <limits.h>
#include <unistd.h>

/* By number. The kernel's names have not changed since it gave them. */
static const char *const names[] = {"CHOWN",
                                    "DAC_OVERRIDE",
                                    "DAC_READ_SEARCH",
                                    "FOWNER",
                                    "FSETID",
                                    "KILL",
                                    "SETGID",
                                    "SETUID",
                                    "SETPCAP",
                                    "LINUX_IMMUTABLE",
                                    "NET_BIND_SERVICE",
                                    "NET_BROADCAST",
                                    "NET_ADMIN",
                                    "NET_RAW",
                                    "IPC_LOCK",
                                    "IPC_OWNER",
                                    "SYS_MODULE",
                                    "SYS_RAWIO",
                                    "SYS_CHROOT",
                                    "SYS_PTRACE",
                                    "SYS_PACCT",
                                    "SYS_ADMIN",
                                    "SYS_BOOT",
                                    "SYS_NICE",
                                    "SYS_RESOURCE",
                                    "SYS_TIME",
                                    "SYS_TTY_CONFIG",
                                    "MKNOD",
                                    "LEASE",
                                    "AUDIT_WRITE",
                                    "AUDIT_CONTROL",
                                    "SETFCAP",
                                    "MAC_OVERRIDE",
                                    "MAC_ADMIN",
                                    "SYSLOG",
                                    "WAKE_ALARM",
                                    "BLOCK_SUSPEND",
                                    "AUDIT_READ",
                                    "PERFMON",
                                    "BPF",
                                    "CHECKPOINT_RESTORE"};

#define NAMES (sizeof(names) / sizeof(names[0]))

static int number_of(const char *name)
{
    size_t i;

    if (strncasecmp(name, "CAP_", 4) == 0)
        name += 4;
    for (i = 0; i < NAMES; i++) {
        if (strcasecmp(names[i], name) == 0)
            return (int)i;
    }
    return -1;
}

const char *spawn_bounding_set_directive(cmd_parms *cmd, void *dir_config,
                                         const char *args)
{
    spawn_server_config *conf = spawn_config_of(cmd->server);
    const char *err = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    apr_array_header_t *words;
    apr_uint64_t set = 0;
    int i;

    (void)dir_config;
    if (!err)
        err = spawn_words(cmd, args, 1, INT_MAX, &words);
    if (err)
        return err;
    for (i = 0; i < words->nelts; i++) {
        const char *name = APR_ARRAY_IDX(words, i, const char *);
        bool word =
            strcasecmp(name, "all") == 0 || strcasecmp(name, "none") == 0;
        int number = number_of(name);

        if (word && words->nelts > 1)
            return apr_psprintf(cmd->pool,
                                "SpawnBoundingSet: '%s' stands alone", name);
        if (!word && number < 0)
            return apr_psprintf(
                cmd->pool,
                "SpawnBoundingSet: '%.200s' is neither 'all' nor "
                "'none' nor the name of a capability "
                "(capabilities(7), as NET_RAW or CAP_NET_RAW)",
                name);
        if (!word)
            set |= (apr_uint64_t)1 << number;
        else if (strcasecmp(name, "all") == 0)
            set = SPAWN_CAPABILITIES_ALL;
    }
    conf->bounding_set = set;
    conf->bounding_where = spawn_where(cmd->pool, cmd->directive);
    return NULL;
}

apr_status_t spawn_bounding_set_check(server_rec *s,
                                      const spawn_server_config *conf)
{
    if (conf->bounding_set == SPAWN_CAPABILITIES_ALL || geteuid() == 0)
        return APR_SUCCESS;
    ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s,
                 MSNO(0270) "%s: SpawnBoundingSet needs an httpd that is "
                            "started as root; without, give jobs "
                            "no_new_privs, or leave it out",
                 conf->bounding_where);
    return APR_EACCES;
}
