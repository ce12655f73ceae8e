/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file configure.h
 * @brief CONFIGURE and PLACES: the broker puts what the httpd parent tells
 * where it belongs.
 */
#ifndef SPAWN_BROKER_CONFIGURE_H
#define SPAWN_BROKER_CONFIGURE_H

#include "common/spawn_packet.h"

/** Take a CONFIGURE message; its descriptors that are used are taken out of
 * the packet. Never fails: a rule that makes no sense is left out with a
 * line in the log. */
void spawn_config_apply(const spawn_message *m, spawn_packet *p);

/** Take a PLACES message: places that were removed are there again. */
void spawn_config_places(const spawn_message *m, spawn_packet *p);

#endif
