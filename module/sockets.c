/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sockets that outlive every broker and spawner (the callers' socket,
 * `control`, the post socket), and the inbox.
 *
 * Runs in the httpd parent. Must not reach a socket by its path: see
 * parent/listen.c.
 */
#include "module/sockets.h"
#include "module/runtime_dir.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/spawn_os.h"
#include "parent/listen.h"

#define UNTOLD_KEY "mod_spawn-untold-1"

apr_status_t spawn_listen_callers(apr_pool_t *p, server_rec *s,
                                  const char *socket_path,
                                  const spawn_account *account,
                                  const spawn_socket_access *access,
                                  int *ret_fd)
{
    const char *name = strrchr(socket_path, '/') + 1;
    int dir_fd, fd;
    pid_t other;
    apr_status_t rv = spawn_dir_of_socket(p, s, socket_path, account, &dir_fd);

    if (rv != APR_SUCCESS)
        return rv;
    other = spawn_served_by(dir_fd, name);
    if (other) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s,
                     MSNO(0130) "the socket %s belongs to process %d, which "
                                "has another store; set another SpawnSocket "
                                "or DefaultRuntimeDir",
                     socket_path, (int)other);
        (void)close(dir_fd);
        return APR_EBUSY;
    }
    fd = spawn_listen_in(dir_fd, name, access->mode, access->gid);
    (void)close(dir_fd);
    if (fd < 0) {
        spawn_no_socket(s, socket_path, -fd);
        return -fd;
    }
    *ret_fd = fd;
    return APR_SUCCESS;
}

apr_status_t spawn_listen_control(server_rec *s, int store_fd, int *ret_fd)
{
    int fd = spawn_listen_in(store_fd, "control", 0600, getegid());
    int rv = fd < 0 ? fd : spawn_os_pass_credentials(fd);

    if (fd >= 0 && rv < 0)
        (void)close(fd);
    if (rv < 0) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, -rv, s,
                     MSNO(0132) "cannot make the socket 'control' in the "
                                "store; nothing but an old socket may stand "
                                "there");
        return -rv;
    }
    *ret_fd = fd;
    return APR_SUCCESS;
}

int spawn_connect_control(int store_fd)
{
    return spawn_connect_in(store_fd, "control");
}

int spawn_connect_path(const char *path)
{
    const char *slash = strrchr(path, '/');
    char dir[SPAWN_SOCKET_PATH_MAX + 1];
    int dir_fd, rv;

    if (!slash || (size_t)(slash - path) >= sizeof(dir))
        return -ENAMETOOLONG;
    (void)apr_cpystrn(dir, path, (apr_size_t)(slash - path) + 1);
    dir_fd = open(*dir ? dir : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0)
        return -errno;
    rv = spawn_connect_in(dir_fd, slash + 1);
    (void)close(dir_fd);
    return rv;
}

bool spawn_socket_there(const char *path, const spawn_socket_access *access)
{
    struct stat st;

    if (lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode))
        return false;
    return !access
           || ((st.st_mode & 0777) == access->mode && st.st_gid == access->gid);
}

apr_status_t spawn_make_post(server_rec *s, spawn_retained *r)
{
    int rv = spawn_post_make(r->secret, sizeof(r->secret), &r->post_rx,
                             &r->post_tx, &r->inbox);

    if (rv == 0)
        return APR_SUCCESS;
    ap_log_error(APLOG_MARK, APLOG_CRIT, -rv, s,
                 MSNO(0133) "cannot make the post socket or the inbox; are "
                            "descriptors or memory used up?");
    return -rv;
}

/* A socket that only we have is answered by nobody: the spawner's is another
 * one. So it is known, also over restarts, until the spawner has got it. */
static bool *untold(void)
{
    bool *kept = ap_retained_data_get(UNTOLD_KEY);

    return kept ? kept : ap_retained_data_create(UNTOLD_KEY, sizeof(*kept));
}

bool spawn_listen_untold(void)
{
    return *untold();
}

void spawn_listen_told(void)
{
    *untold() = false;
}

/* The callers' socket under its name: a new one when the file was removed or
 * shall have other rights (or, after an adoption, when the configuration names
 * another path). */
apr_status_t spawn_listen_anew(const spawn_setup *setup, const char *path,
                               bool *ret_new)
{
    spawn_retained *r = setup->r;
    spawn_socket_access access =
        spawn_socket_access_of(setup->conf, setup->account);
    int fd = -1;
    apr_status_t rv;

    *ret_new = false;
    if (strcmp(path, r->socket_path) == 0 && spawn_socket_there(path, &access))
        return APR_SUCCESS;
    rv = spawn_listen_callers(setup->p, setup->s, path, setup->owner, &access,
                              &fd);
    if (rv != APR_SUCCESS)
        return rv;
    if (r->listen_fd >= 0)
        (void)close(r->listen_fd);
    r->listen_fd = fd;
    apr_cpystrn(r->socket_path, path, sizeof(r->socket_path));
    *ret_new = *untold() = true;
    return APR_SUCCESS;
}
