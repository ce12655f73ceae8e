/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SetHandler spawn-status: what was asked for, and in which form. All of it is
 * in the query, so that the page may stand at any address. Runs in httpd
 * children, in the thread of the request. Must send nothing before all of it is
 * there. httpd's Require says which visitors may see it.
 */
#include "module/status/status.h"

#include <string.h>

#include "ap_mpm.h"
#include "http_protocol.h"
#include "http_request.h"

#include "common/spawn_field.h"
#include "common/spawn_os.h"
#include "client/prometheus.h"
#include "module/config.h"
#include "module/status/act.h"
#include "module/status/files.h"
#include "module/status/frame.h"
#include "module/status/json.h"
#include "module/status/views.h"

#define SPAWN_STATUS_NAME "spawn-status"
#define JSON_VERSION      1
#define REFRESH_MAX       3600

typedef struct {
    const char *name;
    int (*html)(spawn_page *page);
    int (*json)(spawn_page *page);
    int (*csv)(spawn_page *page);
} view;

static const view views[] = {
    {"overview", spawn_view_overview, spawn_view_overview_json, NULL},
    {"jobs", spawn_view_jobs, spawn_view_jobs_json, spawn_view_jobs_csv},
    {"job", spawn_view_job, spawn_view_job_json, NULL}};

/* The view that takes a form, and the one that asks before it. */
static const view do_act = {"do", spawn_act_do, NULL, NULL};
static const view ask_act = {"act", spawn_act_ask, NULL, NULL};

/* ---- the forms ---- */

static void discard(spawn_page *page)
{
    (void)apr_brigade_cleanup(page->out);
    page->comma = false;
}

static void as_html(spawn_page *page, const view *v)
{
    spawn_page_headers(page, "text/html; charset=utf-8");
    if (v->html(page) == 0)
        return;
    discard(page);
    spawn_frame_failed(page);
}

static void begin_json(spawn_page *page)
{
    spawn_json_open(page, NULL, '{');
    spawn_json_number(page, "version", JSON_VERSION);
    spawn_json_time(page, "now", (uint64_t)page->now);
}

static void as_json(spawn_page *page, const view *v)
{
    spawn_page_headers(page, "application/json");
    begin_json(page);
    if (v->json(page)) {
        discard(page);
        begin_json(page);
        spawn_json_open(page, "error", '{');
        spawn_json_text(page, "code", spawn_error_name(page->why.code));
        spawn_json_text(page, "text", page->why.text);
        spawn_json_close(page, '}');
    }
    spawn_json_close(page, '}');
    spawn_page_html(page, "\n");
}

/* A program looks at the status, and a person at the text. */
static void as_lines(spawn_page *page, const char *type,
                     int (*put)(spawn_page *page))
{
    spawn_page_headers(page, type);
    if (put(page) == 0)
        return;
    discard(page);
    ap_set_content_type(page->r, "text/plain; charset=utf-8");
    apr_table_unset(page->r->headers_out, "Content-Disposition");
    spawn_page_html(page, "# ");
    spawn_page_html(page, page->why.text);
    spawn_page_html(page, "\n");
}

/* It is kept as a file. */
static void as_csv(spawn_page *page, int (*put)(spawn_page *page))
{
    apr_table_setn(page->r->headers_out, "Content-Disposition",
                   "attachment; filename=\"jobs.csv\"");
    as_lines(page, "text/csv; charset=utf-8; header=present", put);
}

static const view *view_of(const spawn_page *page)
{
    const char *name = spawn_page_arg(page, "view");
    size_t i;

    if (*spawn_page_arg(page, "job"))
        name = "job";
    for (i = 0; i < sizeof(views) / sizeof(views[0]); i++) {
        if (strcmp(views[i].name, name) == 0)
            return &views[i];
    }
    return &views[0];
}

static int write_view(spawn_page *page)
{
    const char *format = spawn_page_arg(page, "format");
    const char *file = spawn_page_arg(page, "file");

    if (page->r->method_number == M_POST)
        as_html(page, &do_act);
    else if (*file)
        return spawn_file_put(page, file);
    else if (*spawn_page_arg(page, "act"))
        as_html(page, &ask_act);
    else if (strcmp(format, "json") == 0)
        as_json(page, view_of(page));
    else if (strcmp(format, "prometheus") == 0)
        as_lines(page, SPAWN_PROMETHEUS_TYPE, spawn_view_metrics);
    else if (strcmp(format, "csv") == 0 && view_of(page)->csv)
        as_csv(page, view_of(page)->csv);
    else if (!*format || strcmp(format, "html") == 0)
        as_html(page, view_of(page));
    else
        return HTTP_NOT_FOUND;
    return OK;
}

/* ---- the handler ---- */

/* prefork and worker keep a process, or a thread, for each connection that
 * waits for its next request: KeepAliveTimeout (5 s) is no less than the time
 * after which an open page asks again, so each would hold one for good. */
static void hold_nothing(const request_rec *r)
{
    int is_async = AP_MPMQ_NOT_SUPPORTED;

    if (ap_mpm_query(AP_MPMQ_IS_ASYNC, &is_async) != APR_SUCCESS
        || is_async == AP_MPMQ_NOT_SUPPORTED)
        r->connection->keepalive = AP_CONN_CLOSE;
}

static void read_refresh(spawn_page *page)
{
    int64_t seconds;

    if (spawn_parse_integer(spawn_page_arg(page, "refresh"), &seconds) == 0
        && seconds > 0 && seconds <= REFRESH_MAX)
        page->refresh = (unsigned)seconds;
}

static int send_page(spawn_page *page)
{
    request_rec *r = page->r;
    apr_off_t length;

    if (page->status)
        r->status = page->status;
    if (apr_brigade_length(page->out, 1, &length) == APR_SUCCESS)
        ap_set_content_length(r, length);
    /* a visitor who went away is no fault of the page; httpd adds the end */
    (void)ap_pass_brigade(r->output_filters, page->out);
    return OK;
}

int spawn_status_handler(request_rec *r)
{
    spawn_page page = {.r = r};
    int rv;

    if (!r->handler || strcmp(r->handler, SPAWN_STATUS_NAME) != 0)
        return DECLINED;
    hold_nothing(r);
    ap_allow_standard_methods(r, REPLACE_ALLOW, M_GET, M_POST, -1);
    if (r->method_number != M_GET && r->method_number != M_POST)
        return HTTP_METHOD_NOT_ALLOWED;
    page.switched_on = *spawn_status_control_of(ap_get_module_config(
                           r->per_dir_config, &spawn_module))
                       == SPAWN_SWITCH_ON;
    page.control = page.switched_on && r->user;
    spawn_page_read_query(&page);
    page.out = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    page.now = spawn_wall_ms();
    read_refresh(&page);
    rv = write_view(&page);
    return rv == OK ? send_page(&page) : rv;
}
