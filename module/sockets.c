/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sockets that outlive every broker and spawner (the callers' socket,
 * `control`, the post socket), and the inbox.
 *
 * Runs in the httpd parent. Must not reach a socket by its path, but makes it
 * through /proc/self/fd/N of its directory and connects to it by a descriptor
 * of its own: no symbolic link can lead elsewhere, not even in its place, and
 * the store's path may be longer than a socket's.
 */
#include "module/sockets.h"
#include "module/runtime_dir.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/fsuid.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/spawn_os.h"

#define POST_BUFFER (8 << 20)
#define UNTOLD_KEY  "mod_spawn-untold-1"

static int address_of(int dir_fd, const char *name, struct sockaddr_un *ret)
{
    int n;

    memset(ret, 0, sizeof(*ret));
    ret->sun_family = AF_UNIX;
    n = snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%s",
                 dir_fd, name);
    return n < (int)sizeof(ret->sun_path) ? 0 : -ENAMETOOLONG;
}

/* The socket itself, which connect(2) would look for behind a symbolic link.
 * One that has another name too may be another httpd's. */
static int open_socket(int dir_fd, const char *name)
{
    int fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    int rv;

    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0)
        rv = -errno;
    else if (S_ISLNK(st.st_mode))
        rv = -ELOOP;
    else if (!S_ISSOCK(st.st_mode))
        rv = -ECONNREFUSED;
    else if (st.st_nlink > 1)
        rv = -EMLINK;
    else
        return fd;
    (void)close(fd);
    return rv;
}

static int connect_to(int path_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int rv;

    if (fd < 0)
        return -errno;
    (void)snprintf(address.sun_path, sizeof(address.sun_path),
                   "/proc/self/fd/%d", path_fd);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    rv = -errno;
    (void)close(fd);
    return rv;
}

static int connect_in(int dir_fd, const char *name)
{
    int path_fd = open_socket(dir_fd, name);
    int rv = path_fd;

    if (path_fd >= 0) {
        rv = connect_to(path_fd);
        (void)close(path_fd);
    }
    return rv;
}

/* The process that serves the socket, when it is another one that lives; 0 when
 * none does. The kernel is asked for the process that listened, since a helper
 * of a dead httpd (a CGI daemon) may hold a copy of the descriptor and never
 * answer. */
static pid_t served_by(int dir_fd, const char *name)
{
    int fd = connect_in(dir_fd, name);
    pid_t pid = 0;

    if (fd < 0)
        return 0;
    if (spawn_os_peer(fd, &pid, NULL, NULL) < 0 || pid == getpid()
        || (kill(pid, 0) < 0 && errno == ESRCH))
        pid = 0;
    (void)close(fd);
    return pid;
}

/* bind(2), with mode and group of the file from its birth: to change them later
 * by name, in a directory of another account, could change whatever that
 * account put there. */
static int bind_as(int fd, const struct sockaddr_un *address,
                   const spawn_socket_access *access)
{
    mode_t before;
    int own, rv;

    if (fchmod(fd, access->mode) < 0)
        return -errno;
    own = setfsgid(access->gid);
    before = umask(0);
    rv = bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0
             ? -errno
             : 0;
    (void)umask(before);
    (void)setfsgid((gid_t)own);
    return rv;
}

/* A listening socket in the place of an old one. Negative errno; -EEXIST when
 * something else than a socket stands there. */
static int listen_in(int dir_fd, const char *name,
                     const spawn_socket_access *access)
{
    struct sockaddr_un address;
    struct stat st;
    int rv = address_of(dir_fd, name, &address);
    int fd;

    if (rv < 0)
        return rv;
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        if (!S_ISSOCK(st.st_mode))
            return -EEXIST;
        if (unlinkat(dir_fd, name, 0) < 0)
            return -errno;
    }
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    /* a caller passes no descriptors before the broker allows it after HELLO;
     * `control` is for its owner alone */
    if (access->mode & 077)
        (void)spawn_os_pass_descriptors(fd, false);
    rv = bind_as(fd, &address, access);
    if (rv == 0 && listen(fd, SOMAXCONN) < 0)
        rv = -errno;
    if (rv == 0)
        return fd;
    (void)close(fd);
    return rv;
}

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
    other = served_by(dir_fd, name);
    if (other) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s,
                     MSNO(0130) "the socket %s belongs to process %d, which "
                                "has another store; set another SpawnSocket "
                                "or DefaultRuntimeDir",
                     socket_path, (int)other);
        (void)close(dir_fd);
        return APR_EBUSY;
    }
    fd = listen_in(dir_fd, name, access);
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
    const spawn_socket_access own = {0600, getegid()};
    int fd = listen_in(store_fd, "control", &own);
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
    return connect_in(store_fd, "control");
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
    rv = connect_in(dir_fd, slash + 1);
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

/* A big buffer lets posts wait for a broker that is being replaced. Root may
 * exceed the system's limit; other accounts get what is allowed. */
static void widen(int tx)
{
    const int size = POST_BUFFER;

    if (setsockopt(tx, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
        (void)setsockopt(tx, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

apr_status_t spawn_make_post(server_rec *s, spawn_retained *r)
{
    int ends[2], inbox, error;

    if (getrandom(r->secret, sizeof(r->secret), 0)
        != (ssize_t)sizeof(r->secret)) {
        error = errno;
        goto fail;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
        error = errno;
        goto fail;
    }
    inbox = spawn_os_memfd("spawn-inbox");
    if (inbox < 0) {
        error = -inbox;
        (void)close(ends[0]);
        (void)close(ends[1]);
        goto fail;
    }
    error = -spawn_os_pass_credentials(ends[0]);
    if (error) {
        (void)close(ends[0]);
        (void)close(ends[1]);
        (void)close(inbox);
        goto fail;
    }
    widen(ends[1]);
    (void)spawn_os_pass_descriptors(ends[0], false);
    r->post_rx = ends[0];
    r->post_tx = ends[1];
    r->inbox = inbox;
    return APR_SUCCESS;
fail:
    ap_log_error(APLOG_MARK, APLOG_CRIT, error, s,
                 MSNO(0133) "cannot make the post socket or the inbox; are "
                            "descriptors or memory used up?");
    return error;
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
    int fd;
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
