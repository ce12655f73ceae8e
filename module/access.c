/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SpawnAccess: what accounts may over the callers' socket. Names become numbers
 * here, while the configuration is read: the broker asks no name service. The
 * lines of a <SpawnQueue> count there in the place of those outside.
 *
 * Runs in the httpd parent. Must change nothing: `httpd -t` runs it too.
 */
#include "module/access.h"

#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <unistd.h>

#include "module/handlers.h"
#include "common/spawn_proto.h"

#define RULES_MAX                                                              \
    1000              /* in all places, so that CONFIGURE has room for them    \
                       */
#define NAME_BYTES 64 /* as many as the broker tells */

typedef struct {
    const char *name;     /* as it is written, without user= or group= */
    const char *where;    /* "line N of FILE" */
    apr_int64_t uid, gid; /* SPAWN_UNSET but for one; both: "none" */
    unsigned rights;
} access_rule;

/* ---- the directive ---- */

static const char *take_number(cmd_parms *cmd, const char *arg,
                               apr_int64_t *ret)
{
    return spawn_parse_number(cmd->pool, cmd->cmd->name, arg + 1, 0,
                              UINT32_MAX - 1, ret);
}

static const char *take_user(cmd_parms *cmd, const char *arg, access_rule *r)
{
    const struct passwd *pw;
    const char *err;

    if (*arg == '#') {
        err = take_number(cmd, arg, &r->uid);
        if (err)
            return err;
    }
    else {
        pw = getpwnam(arg);
        if (!pw)
            return apr_psprintf(cmd->pool,
                                "%s: there is no account '%.200s'; make it, "
                                "name another one, or give its number behind #",
                                cmd->cmd->name, arg);
        r->uid = (apr_int64_t)pw->pw_uid;
    }
    if (r->uid == 0)
        return apr_psprintf(cmd->pool,
                            "%s: '%.200s' is root, which has all rights; name "
                            "another account",
                            cmd->cmd->name, arg);
    return NULL;
}

static const char *take_group(cmd_parms *cmd, const char *arg, access_rule *r)
{
    const struct group *group;

    if (*arg == '#')
        return take_number(cmd, arg, &r->gid);
    group = getgrnam(arg);
    if (!group)
        return apr_psprintf(cmd->pool,
                            "%s: there is no group '%.200s'; make it, name "
                            "another one, or give its number behind #",
                            cmd->cmd->name, arg);
    r->gid = (apr_int64_t)group->gr_gid;
    return NULL;
}

static const char *take_who(cmd_parms *cmd, const char *arg, access_rule *r)
{
    bool is_user = strncasecmp(arg, "user=", 5) == 0;

    if (!is_user && strncasecmp(arg, "group=", 6) != 0)
        return apr_psprintf(cmd->pool,
                            "%s: '%.200s' is neither user=name nor group=name; "
                            "wanted: one of these and rights, or 'none' alone",
                            cmd->cmd->name, arg);
    r->name = strchr(arg, '=') + 1;
    if (!*r->name || strlen(r->name) > NAME_BYTES)
        return apr_psprintf(
            cmd->pool, "%s: the name has %lu bytes, 1 to %d are allowed",
            cmd->cmd->name, (unsigned long)strlen(r->name), NAME_BYTES);
    return is_user ? take_user(cmd, r->name, r) : take_group(cmd, r->name, r);
}

static const char *take_right(cmd_parms *cmd, const char *word, access_rule *r)
{
    static const struct {
        const char *name;
        unsigned right;
    } rights[] = {{"submit", SPAWN_MAY_SUBMIT},
                  {"see", SPAWN_MAY_SEE},
                  {"kill", SPAWN_MAY_KILL},
                  {"control", SPAWN_MAY_CONTROL},
                  {"all", SPAWN_MAY_ALL}};
    size_t i;

    for (i = 0; i < sizeof(rights) / sizeof(rights[0]); i++) {
        if (strcasecmp(word, rights[i].name) == 0) {
            r->rights |= rights[i].right;
            return NULL;
        }
    }
    return apr_psprintf(cmd->pool,
                        "%s: '%.200s' is no right; wanted: submit, see, kill, "
                        "control, with commas between them, or all",
                        cmd->cmd->name, word);
}

/* As one word or as several. */
static const char *take_rights(cmd_parms *cmd, const apr_array_header_t *words,
                               access_rule *r)
{
    const char *err = NULL;
    char *word, *next;
    int i;

    for (i = 1; !err && i < words->nelts; i++) {
        word =
            apr_pstrdup(cmd->temp_pool, APR_ARRAY_IDX(words, i, const char *));
        for (; !err && word; word = next) {
            next = strchr(word, ',');
            if (next)
                *next++ = '\0';
            err = take_right(cmd, word, r);
        }
    }
    return err;
}

static bool is_none(const access_rule *r)
{
    return r->uid == SPAWN_UNSET && r->gid == SPAWN_UNSET;
}

static const char *add_rule(cmd_parms *cmd, apr_array_header_t **list,
                            const access_rule *r)
{
    spawn_server_config *conf = spawn_config_of(cmd->server);

    if (*list && (is_none(r) || is_none(&APR_ARRAY_IDX(*list, 0, access_rule))))
        return apr_psprintf(cmd->pool,
                            "%s: 'none' must be the only one in its place",
                            cmd->cmd->name);
    if (!is_none(r)) {
        if (conf->access_count == 0)
            conf->access_only = r->uid;
        else if (conf->access_only != r->uid)
            conf->access_only = SPAWN_UNSET;
        if (conf->access_count++ >= RULES_MAX)
            return apr_psprintf(cmd->pool,
                                "%s: there are %d already, more are not "
                                "allowed; groups need fewer",
                                cmd->cmd->name, RULES_MAX);
    }
    if (!*list)
        *list = apr_array_make(cmd->pool, 4, sizeof(access_rule));
    APR_ARRAY_PUSH(*list, access_rule) = *r;
    return NULL;
}

const char *spawn_access_directive(cmd_parms *cmd, void *dir_config,
                                   const char *args)
{
    spawn_queue_rules *queue = spawn_queue_of_section(dir_config);
    access_rule r = {.uid = SPAWN_UNSET, .gid = SPAWN_UNSET, .name = ""};
    const char *err = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    const char *who;
    apr_array_header_t *words;

    if (!err)
        err = spawn_words(cmd, args, 1, INT_MAX, &words);
    if (err)
        return err;
    who = APR_ARRAY_IDX(words, 0, const char *);
    if (words->nelts > 1 || strcasecmp(who, "none") != 0) {
        err = take_who(cmd, who, &r);
        if (!err && words->nelts == 1)
            err = apr_psprintf(cmd->pool,
                               "%s: '%.200s' is given no right; wanted: "
                               "submit, see, kill, control, or all",
                               cmd->cmd->name, who);
        if (!err)
            err = take_rights(cmd, words, &r);
    }
    if (err)
        return err;
    r.where = spawn_where(cmd->pool, cmd->directive);
    if (!queue)
        queue = &spawn_config_of(cmd->server)->given;
    return add_rule(cmd, &queue->access, &r);
}

/* ---- when all is read ---- */

/* The list of each place, queue NULL for what stands outside; false: there is
 * no such place. */
static bool place(const spawn_server_config *conf, int i, const char **queue,
                  const apr_array_header_t **list)
{
    const spawn_queue_rules *rules = &conf->given;

    if (i > conf->queues->nelts)
        return false;
    if (i > 0)
        rules = APR_ARRAY_IDX(conf->queues, i - 1, spawn_queue_rules *);
    *queue = i > 0 ? rules->name : NULL;
    *list = rules->access;
    return true;
}

static void put_rule(spawn_writer *w, const char *queue, const access_rule *r)
{
    size_t mark = spawn_open_nest(w, SPAWN_A_ACCESS);

    if (queue)
        spawn_put_str(w, SPAWN_A_QUEUE, queue);
    if (r->uid != SPAWN_UNSET)
        spawn_put_u64(w, SPAWN_A_UID, (uint64_t)r->uid);
    if (r->gid != SPAWN_UNSET)
        spawn_put_u64(w, SPAWN_A_GID, (uint64_t)r->gid);
    spawn_put_u64(w, SPAWN_A_RIGHTS, r->rights);
    spawn_put_str(w, SPAWN_A_TEXT, r->name);
    spawn_close(w, mark);
}

void spawn_access_put(spawn_writer *w, const spawn_server_config *conf)
{
    const apr_array_header_t *list;
    const char *queue;
    int i, j;

    for (i = 0; place(conf, i, &queue, &list); i++) {
        for (j = 0; list && j < list->nelts; j++)
            put_rule(w, queue, &APR_ARRAY_IDX(list, j, access_rule));
    }
}

/* ---- accounts that are let in nevertheless, or not ---- */

static bool is_member(uid_t uid, gid_t gid)
{
    const struct passwd *pw = getpwuid(uid);
    gid_t groups[NGROUPS_MAX];
    int count = NGROUPS_MAX;

    if (!pw || getgrouplist(pw->pw_name, pw->pw_gid, groups, &count) < 0)
        return false;
    while (count > 0) {
        if (groups[--count] == gid)
            return true;
    }
    return false;
}

/* As the kernel will look at it; of a group, as far as all of its members have
 * that one. */
static bool can_connect(const access_rule *r, const spawn_socket_access *socket)
{
    bool of_group = r->gid != SPAWN_UNSET
                        ? (gid_t)r->gid == socket->gid
                        : is_member((uid_t)r->uid, socket->gid);

    if (r->uid != SPAWN_UNSET && (uid_t)r->uid == geteuid())
        return true;
    return (socket->mode & (of_group ? 0020 : 0002)) != 0;
}

static void tell(const spawn_setup *setup, const access_rule *r,
                 const spawn_socket_access *socket)
{
    const char *kind = r->uid != SPAWN_UNSET ? "user" : "group";

    if (is_none(r))
        return;
    if (r->uid != SPAWN_UNSET && (uid_t)r->uid == setup->account->uid)
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, setup->s,
                     MSNO(0125) "%s: SpawnAccess: '%s' is httpd's User, which "
                                "has all rights, whatever is said of it",
                     r->where, r->name);
    else if (!can_connect(r, socket))
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, setup->s,
                     MSNO(0119) "%s: SpawnAccess: %s '%s' cannot connect: the "
                                "socket has mode %04o and group %lu; set "
                                "SpawnSocketMode 0666, or another "
                                "SpawnSocketGroup",
                     r->where, kind, r->name, (unsigned)socket->mode,
                     (unsigned long)socket->gid);
}

void spawn_access_tell(const spawn_setup *setup)
{
    const spawn_socket_access socket =
        spawn_socket_access_of(setup->conf, setup->account);
    const apr_array_header_t *list;
    const char *queue;
    int i, j;

    for (i = 0; place(setup->conf, i, &queue, &list); i++) {
        for (j = 0; list && j < list->nelts; j++)
            tell(setup, &APR_ARRAY_IDX(list, j, access_rule), &socket);
    }
}

/* ---- in children ---- */

/* They may be 65536, which is no size for the stack of a thread. */
static bool is_ours(gid_t gid, apr_pool_t *pool)
{
    int count = getgroups(0, NULL);
    gid_t *groups;

    if (count <= 0)
        return false;
    groups = apr_palloc(pool, (apr_size_t)count * sizeof(*groups));
    count = getgroups(count, groups);
    while (count > 0) {
        if (groups[--count] == gid)
            return true;
    }
    return false;
}

static bool is_of(const access_rule *r, uid_t uid, gid_t gid, apr_pool_t *pool)
{
    if (r->uid != SPAWN_UNSET)
        return (uid_t)r->uid == uid;
    return r->gid != SPAWN_UNSET
           && ((gid_t)r->gid == gid
               || (uid == geteuid() && is_ours((gid_t)r->gid, pool)));
}

bool spawn_access_lets_in(const spawn_server_config *conf, uid_t uid, gid_t gid,
                          apr_pool_t *pool)
{
    const apr_array_header_t *list;
    const char *queue;
    int i, j;

    for (i = 0; place(conf, i, &queue, &list); i++) {
        for (j = 0; list && j < list->nelts; j++) {
            if (is_of(&APR_ARRAY_IDX(list, j, access_rule), uid, gid, pool))
                return true;
        }
    }
    return false;
}
