/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of the status page, out of the module itself: there is no directory
 * that would have to be installed, found and guarded. Runs in httpd children,
 * in the thread of the request.
 */
#include "module/status/files.h"

#include <string.h>

#include "http_protocol.h"

typedef struct {
    const char *name, *type, *version;
    const char *text;
    size_t length;
} file;

/* made of the files by module/status/embed: files[] */
#include "status_files.h"

static const file *find(const char *name)
{
    size_t i;

    for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        if (strcmp(files[i].name, name) == 0)
            return &files[i];
    }
    return NULL;
}

const char *spawn_file_version(const char *name)
{
    const file *f = find(name);

    return f ? f->version : "";
}

int spawn_file_put(spawn_page *page, const char *name)
{
    apr_table_t *headers = page->r->headers_out;
    const file *f = find(name);
    int status;

    if (!f)
        return HTTP_NOT_FOUND;
    spawn_page_headers(page, f->type);
    /* private: a visitor that may see the page may see them; its address has
     * the version */
    apr_table_setn(headers, "Cache-Control", "private, max-age=86400");
    apr_table_setn(headers, "ETag",
                   apr_psprintf(page->r->pool, "\"%s\"", f->version));
    status = ap_meets_conditions(page->r);
    if (status != OK)
        return status;
    (void)apr_brigade_write(page->out, NULL, NULL, f->text, f->length);
    return OK;
}
