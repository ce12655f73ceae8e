/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_spawn: the table of hooks and the module itself; everything else is in
 * module/.
 *
 * Runs in the httpd parent and its children. Nothing here or below forks in a
 * child, or on a request's path.
 */
#include "http_protocol.h"
#include "http_request.h"
#include "mod_status.h"
#include "mpm_common.h"
#include "apr_optional_hooks.h"

#include "module/api.h"
#include "module/bound.h"
#include "module/cgi.h"
#include "module/cleanup.h"
#include "module/cleanup_handler.h"
#include "module/cleanup_sent.h"
#include "module/config.h"
#include "module/context.h"
#include "module/directives.h"
#include "module/endpoint.h"
#include "module/forks.h"
#include "module/job_token.h"
#include "module/lifecycle.h"
#include "module/parent_template.h"
#include "module/queue_access.h"
#include "module/perl_runner.h"
#include "module/request_jobs.h"
#include "module/status/server_status.h"
#include "module/status/status.h"
#include "module/status/visitor.h"
#include "module/watch.h"

/* For Apache2::Spawn, and for other modules. */
static void register_functions(void)
{
    APR_REGISTER_OPTIONAL_FN(spawn_child_endpoint_get);
    APR_REGISTER_OPTIONAL_FN(spawn_submit_timeout_ms);
    APR_REGISTER_OPTIONAL_FN(spawn_queue_choose);
    APR_REGISTER_OPTIONAL_FN(spawn_queue_refuses);
    APR_REGISTER_OPTIONAL_FN(spawn_template_runner_set);
    APR_REGISTER_OPTIONAL_FN(spawn_own_perl_note);
    APR_REGISTER_OPTIONAL_FN(spawn_cleanup_register);
    APR_REGISTER_OPTIONAL_FN(spawn_cleanup_handlers);
    APR_REGISTER_OPTIONAL_FN(spawn_request_context);
    APR_REGISTER_OPTIONAL_FN(spawn_request_job);
    APR_REGISTER_OPTIONAL_FN(spawn_bound_untold);
    APR_REGISTER_OPTIONAL_FN(spawn_job_make);
    APR_REGISTER_OPTIONAL_FN(spawn_job_program);
    APR_REGISTER_OPTIONAL_FN(spawn_job_function);
    APR_REGISTER_OPTIONAL_FN(spawn_job_option);
    APR_REGISTER_OPTIONAL_FN(spawn_job_pair);
    APR_REGISTER_OPTIONAL_FN(spawn_job_data);
    APR_REGISTER_OPTIONAL_FN(spawn_job_fd);
    APR_REGISTER_OPTIONAL_FN(spawn_job_id);
    APR_REGISTER_OPTIONAL_FN(spawn_job_submit);
    APR_REGISTER_OPTIONAL_FN(spawn_job_cleanup);
    APR_REGISTER_OPTIONAL_FN(spawn_job_wait);
    APR_REGISTER_OPTIONAL_FN(spawn_job_status);
    APR_REGISTER_OPTIONAL_FN(spawn_job_kill);
    APR_REGISTER_OPTIONAL_FN(spawn_job_token);
    APR_REGISTER_OPTIONAL_FN(spawn_job_revive);
    APR_REGISTER_OPTIONAL_FN(spawn_job_list);
    APR_REGISTER_OPTIONAL_FN(spawn_job_start_now);
}

static void register_hooks(apr_pool_t *p)
{
    /* After the error log is open (core), so that the spawner writes there;
     * before mod_perl makes the parent big and starts Perl. */
    static const char *const after[] = {"core.c", "prefork.c", "worker.c",
                                        "event.c", NULL};
    static const char *const core[] = {"core.c", NULL};
    static const char *const mod_perl[] = {"mod_perl.c", NULL};

    (void)p;
    spawn_loaded();
    ap_hook_pre_config(spawn_pre_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_check_config(spawn_check_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_open_logs(spawn_first_look, NULL, core, APR_HOOK_REALLY_FIRST);
    ap_hook_open_logs(spawn_open_logs, after, mod_perl, APR_HOOK_REALLY_FIRST);
    ap_hook_post_config(spawn_post_config, mod_perl, NULL,
                        APR_HOOK_REALLY_LAST);
    ap_hook_pre_mpm(spawn_forks_before_mpm, NULL, NULL,
                    APR_HOOK_REALLY_FIRST - 10);
    ap_hook_child_init(spawn_endpoint_child_init, NULL, mod_perl,
                       APR_HOOK_REALLY_FIRST);
    ap_hook_child_init(spawn_cleanup_handlers_child_init, NULL, NULL,
                       APR_HOOK_MIDDLE);
    spawn_cleanup_sent_register();
    ap_hook_post_read_request(spawn_cleanup_sent_watch, NULL, NULL,
                              APR_HOOK_MIDDLE);
    ap_hook_fixups(spawn_cgi_fixups, NULL, NULL, APR_HOOK_LAST);
    ap_hook_handler(spawn_status_handler, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(spawn_visitor_handler, NULL, NULL, APR_HOOK_MIDDLE);
    APR_OPTIONAL_HOOK(ap, status_hook, spawn_server_status, NULL, NULL,
                      APR_HOOK_MIDDLE);
    ap_hook_log_transaction(spawn_request_jobs_log, NULL, NULL,
                            APR_HOOK_REALLY_FIRST);
    ap_hook_log_transaction(spawn_cleanup_log_first, NULL, mod_perl,
                            APR_HOOK_REALLY_FIRST);
    ap_hook_log_transaction(spawn_cleanup_log_last, NULL, NULL,
                            APR_HOOK_REALLY_LAST);
    ap_hook_monitor(spawn_watch_monitor, NULL, NULL, APR_HOOK_MIDDLE);
    register_functions();
}

/* not AP_DECLARE_MODULE: module.h has declared the symbol for all files */
module AP_MODULE_DECLARE_DATA spawn_module = {STANDARD20_MODULE_STUFF,
                                              spawn_dir_config_create,
                                              spawn_dir_config_merge,
                                              spawn_server_config_create,
                                              spawn_server_config_merge,
                                              spawn_directives,
                                              register_hooks,
                                              AP_MODULE_FLAG_NONE};
