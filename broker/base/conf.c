/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The settings that CONFIGURE brought, and which accounts httpd's processes can
 * have by them. Runs in the broker. Asks no name service: accounts are numbers.
 */
#include "broker/base/conf.h"

#include <unistd.h>

spawn_config spawn_conf;

bool spawn_conf_is_trusted(uid_t uid)
{
    return uid == 0 || uid == geteuid() || uid == spawn_conf.job_uid;
}

bool spawn_conf_is_httpds(uid_t uid)
{
    return spawn_conf_is_trusted(uid) || spawn_conf.any_account;
}
