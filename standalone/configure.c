/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a standalone pair is told: one queue, the template `app`, and the
 * account that has started it. Runs in spawn-standalone.
 */
#include "standalone/standalone.h"

#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>
#include <sys/resource.h>

#include "common/spawn_field.h"
#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "common/spawn_release.h"

#define MAX_QUEUED     10000
#define SUBMIT_TIMEOUT 5000
#define HISTORY_JOBS   1000
#define HISTORY_SIZE   (64u << 20)

static void put_list(spawn_writer *w, uint16_t attr,
                     const standalone_list *list)
{
    size_t mark = spawn_open_strv(w, attr);
    unsigned i;

    for (i = 0; i < list->count; i++)
        spawn_add_text(w, mark, list->text[i], strlen(list->text[i]));
    spawn_close(w, mark);
}

static void put_template(const standalone *s, spawn_writer *w)
{
    size_t mark = spawn_open_nest(w, SPAWN_A_TEMPLATE_RULES);

    spawn_put_str(w, SPAWN_A_TEMPLATE, SPAWN_DEFAULT_TEMPLATE);
    spawn_put_u64(w, SPAWN_A_TEMPLATE_KIND, SPAWN_TEMPLATE_EXEC);
    put_list(w, SPAWN_A_PRELOAD, &s->options.preload);
    put_list(w, SPAWN_A_INCLUDE, &s->options.include);
    if (s->options.require)
        spawn_put_str(w, SPAWN_A_REQUIRE, s->options.require);
    spawn_put_str(w, SPAWN_A_PERL, s->options.perl);
    spawn_close(w, mark);
}

static void put_queue(const standalone *s, spawn_writer *w)
{
    size_t mark = spawn_open_nest(w, SPAWN_A_QUEUE_RULES);

    spawn_put_str(w, SPAWN_A_QUEUE, SPAWN_DEFAULT_QUEUE);
    spawn_put_u64(w, SPAWN_A_MAX_JOBS, s->options.max_jobs);
    spawn_put_u64(w, SPAWN_A_MAX_QUEUED, MAX_QUEUED);
    spawn_close(w, mark);
}

static void put_account(spawn_writer *w)
{
    const struct passwd *user = getpwuid(geteuid());
    const struct group *group = getgrgid(getegid());

    if (user) {
        spawn_put_str(w, SPAWN_A_JOB_HOME, user->pw_dir);
        spawn_put_str(w, SPAWN_A_JOB_USER, user->pw_name);
    }
    if (group)
        spawn_put_str(w, SPAWN_A_JOB_GROUP, group->gr_name);
}

void standalone_put(const standalone *s, spawn_writer *w)
{
    struct rlimit files;

    spawn_put_str(w, SPAWN_A_RELEASE, SPAWN_RELEASE);
    put_queue(s, w);
    put_template(s, w);
    put_account(w);
    spawn_put_u64(w, SPAWN_A_SUBMIT_TIMEOUT, SUBMIT_TIMEOUT);
    spawn_put_u64(w, SPAWN_A_HISTORY_JOBS, HISTORY_JOBS);
    spawn_put_u64(w, SPAWN_A_HISTORY_SIZE, HISTORY_SIZE);
    spawn_put_str(w, SPAWN_A_STORE_PATH, s->store);
    spawn_put_str(w, SPAWN_A_SOCKET_PATH, s->socket);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        const uint64_t limits[2] = {files.rlim_cur, files.rlim_max};

        spawn_put_u64v(w, SPAWN_A_FILE_LIMIT, limits, 2);
    }
    spawn_put_u64(w, SPAWN_A_CONFIGURED_AT, (uint64_t)spawn_mono_ms());
    spawn_put_u64(w, SPAWN_A_LOG_LEVEL, SPAWN_LOG_INFO);
    spawn_put_u64(w, SPAWN_A_PARENT_PID, (uint64_t)getpid());
    spawn_put_bytes(w, SPAWN_A_SECRET, s->secret, sizeof(s->secret));
}
