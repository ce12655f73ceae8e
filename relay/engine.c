/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection to RabbitMQ. Runs in the relay; the only file that knows
 * librabbitmq, which has no function that waits for confirms, nor one that
 * consumes while one publishes: so frames are read here. Whatever is asked of
 * the engine after the start is sent without waiting for its answer.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_tcp_socket.h>

#include "common/spawn_engine.h"
#include "relay/relay.h"

#define CHANNELS_MAX  1024
#define FRAME_MAX     131072
#define HEARTBEAT     10 /* s */
#define CONNECT_WAIT  3  /* s */
#define ANSWER_WAIT   5
#define DECLARED_MOST 4096
#define MESSAGE_MAX   ((size_t)SPAWN_LOAD_MAX)

static amqp_connection_state_t connection;
static const engine_events *events;
static uint64_t published; /* in this connection */
static unsigned turn;      /* whose turn it is among the hosts */

/* Queues that were declared in this connection. */
static char **declared;
static size_t declared_used;

/* The message that is being read on each channel: its method has come, its
 * content comes. Those of several channels come mixed. */
typedef struct {
    bool is_delivery; /* else it was returned, and is dropped */
    bool has_header;
    uint64_t tag;
    uint8_t *data;
    size_t length, used;
} incoming;

static incoming *in;
static unsigned channels; /* from 1 on, that are open */

void engine_begin(const engine_events *to)
{
    events = to;
}

bool engine_is_open(void)
{
    return connection != NULL;
}

int engine_fd(void)
{
    return connection ? amqp_get_sockfd(connection) : -1;
}

void engine_close(void)
{
    while (declared_used > 0)
        free(declared[--declared_used]);
    free(declared);
    declared = NULL;
    for (; channels > 0; channels--)
        free(in[channels].data);
    free(in);
    in = NULL;
    published = 0;
    if (connection)
        (void)amqp_destroy_connection(connection);
    connection = NULL;
}

static amqp_bytes_t bytes(const char *text)
{
    return amqp_cstring_bytes(text);
}

/* ---- connecting ---- */

static void say_method(const amqp_method_t *m, char *why, size_t room)
{
    const amqp_channel_close_t *channel = m->decoded;
    const amqp_connection_close_t *whole = m->decoded;

    if (m->id == AMQP_CHANNEL_CLOSE_METHOD)
        (void)snprintf(why, room, "%d %.*s", channel->reply_code,
                       (int)channel->reply_text.len,
                       (const char *)channel->reply_text.bytes);
    else if (m->id == AMQP_CONNECTION_CLOSE_METHOD)
        (void)snprintf(why, room, "%d %.*s", whole->reply_code,
                       (int)whole->reply_text.len,
                       (const char *)whole->reply_text.bytes);
    else
        (void)snprintf(why, room, "it says %s", amqp_method_name(m->id));
}

static int good(amqp_rpc_reply_t reply, const char *what, char *why,
                size_t room)
{
    size_t used;

    if (reply.reply_type == AMQP_RESPONSE_NORMAL)
        return 0;
    used = (size_t)snprintf(why, room, "%s: ", what);
    if (used >= room)
        return -1;
    if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION)
        say_method(&reply.reply, why + used, room - used);
    else
        (void)snprintf(why + used, room - used, "%s",
                       amqp_error_string2(reply.library_error));
    return -1;
}

static int open_to(const spawn_engine *engine, unsigned host, unsigned wanted,
                   char *why, size_t room)
{
    const struct timeval answer = {ANSWER_WAIT, 0};
    struct timeval wait = {CONNECT_WAIT, 0};
    amqp_socket_t *socket;
    int rv;

    if (wanted > CHANNELS_MAX)
        wanted = CHANNELS_MAX;
    in = calloc(wanted + 1, sizeof(*in));
    connection = in ? amqp_new_connection() : NULL;
    socket = connection ? amqp_tcp_socket_new(connection) : NULL;
    if (!socket) {
        (void)snprintf(why, room, "no memory");
        return -1;
    }
    (void)amqp_set_handshake_timeout(connection, &answer);
    (void)amqp_set_rpc_timeout(connection, &answer);
    rv = amqp_socket_open_noblock(socket, engine->hosts[host].name,
                                  engine->hosts[host].port, &wait);
    if (rv) {
        (void)snprintf(why, room, "%s", amqp_error_string2(rv));
        return -1;
    }
    if (good(amqp_login(connection, engine->vhost, 0, FRAME_MAX, HEARTBEAT,
                        AMQP_SASL_METHOD_PLAIN, engine->user, engine->password),
             "login", why, room))
        return -1;
    for (channels = 0; channels < wanted; channels++) {
        (void)amqp_channel_open(connection, (amqp_channel_t)(channels + 1));
        if (good(amqp_get_rpc_reply(connection), "channel", why, room))
            return -1;
    }
    (void)amqp_confirm_select(connection, ENGINE_PUBLISH);
    return good(amqp_get_rpc_reply(connection), "confirms", why, room);
}

int engine_connect(const char *url, unsigned wanted, char *where,
                   size_t where_room, char *why, size_t why_room)
{
    spawn_engine engine;
    const char *bad = spawn_engine_parse(url, &engine);
    unsigned host;
    int rv;

    engine_close();
    if (bad) {
        (void)snprintf(where, where_room, "SpawnRelay");
        (void)snprintf(why, why_room, "%s", bad);
        return -1;
    }
    host = turn++ % engine.hosts_count;
    (void)snprintf(where, where_room, "%s:%d", engine.hosts[host].name,
                   engine.hosts[host].port);
    rv = open_to(&engine, host, wanted, why, why_room);
    explicit_bzero(&engine, sizeof(engine));
    if (rv)
        engine_close();
    return rv;
}

/* ---- out ---- */

static int send_method(unsigned channel, amqp_method_number_t id, void *method)
{
    return connection && channel <= channels
                   && amqp_send_method(connection, (amqp_channel_t)channel, id,
                                       method)
                          == AMQP_STATUS_OK
               ? 0
               : -1;
}

static bool is_declared(const char *queue)
{
    size_t i;

    for (i = 0; i < declared_used; i++) {
        if (strcmp(declared[i], queue) == 0)
            return true;
    }
    return false;
}

static void note_declared(const char *queue)
{
    char **more;

    if (declared_used == DECLARED_MOST)
        return;
    more = realloc(declared, (declared_used + 1) * sizeof(*declared));
    if (!more)
        return;
    declared = more;
    declared[declared_used] = strdup(queue);
    if (declared[declared_used])
        declared_used++;
}

int engine_declare(const char *queue)
{
    amqp_table_entry_t quorum = {.key = bytes("x-queue-type"),
                                 .value = {.kind = AMQP_FIELD_KIND_UTF8,
                                           .value.bytes = bytes("quorum")}};
    amqp_queue_declare_t method = {.queue = bytes(queue),
                                   .durable = 1,
                                   .nowait = 1,
                                   .arguments = {1, &quorum}};

    if (is_declared(queue))
        return 0;
    if (send_method(ENGINE_PUBLISH, AMQP_QUEUE_DECLARE_METHOD, &method))
        return -1;
    note_declared(queue);
    return 0;
}

int engine_publish(const char *queue, const void *data, size_t length,
                   uint64_t *ret_number)
{
    amqp_basic_properties_t properties = {
        ._flags = AMQP_BASIC_DELIVERY_MODE_FLAG,
        .delivery_mode = AMQP_DELIVERY_PERSISTENT};
    const amqp_bytes_t body = {length, (void *)(uintptr_t)data};

    if (!connection
        || amqp_basic_publish(connection, ENGINE_PUBLISH, amqp_empty_bytes,
                              bytes(queue), 1, 0, &properties, body)
               != AMQP_STATUS_OK)
        return -1;
    *ret_number = ++published;
    return 0;
}

int engine_consume(unsigned channel, const char *queue, const char *consumer,
                   unsigned prefetch)
{
    amqp_basic_qos_t qos = {.prefetch_count = (uint16_t)prefetch};
    amqp_basic_consume_t method = {.queue = bytes(queue),
                                   .consumer_tag = bytes(consumer),
                                   .nowait = 1,
                                   .arguments = amqp_empty_table};

    return send_method(channel, AMQP_BASIC_QOS_METHOD, &qos)
                   || send_method(channel, AMQP_BASIC_CONSUME_METHOD, &method)
               ? -1
               : 0;
}

int engine_cancel(unsigned channel, const char *consumer)
{
    amqp_basic_cancel_t method = {.consumer_tag = bytes(consumer), .nowait = 1};

    return send_method(channel, AMQP_BASIC_CANCEL_METHOD, &method);
}

int engine_ack(unsigned channel, uint64_t tag, bool again)
{
    amqp_basic_ack_t ack = {.delivery_tag = tag};
    amqp_basic_nack_t nack = {.delivery_tag = tag, .requeue = 1};

    return again ? send_method(channel, AMQP_BASIC_NACK_METHOD, &nack)
                 : send_method(channel, AMQP_BASIC_ACK_METHOD, &ack);
}

/* ---- in ---- */

static void begin_message(incoming *m, const amqp_basic_deliver_t *d)
{
    free(m->data);
    memset(m, 0, sizeof(*m));
    m->is_delivery = d != NULL;
    if (d)
        m->tag = d->delivery_tag;
}

static void end_message(unsigned channel)
{
    incoming *m = &in[channel];

    if (m->is_delivery)
        events->came(channel, m->tag, m->data, m->length);
    free(m->data);
    memset(m, 0, sizeof(*m));
}

/* -1: it is too long to be one of ours. */
static int take_header(unsigned channel, uint64_t size)
{
    incoming *m = &in[channel];

    if (size > MESSAGE_MAX)
        return -1;
    free(m->data);
    m->has_header = true;
    m->length = (size_t)size;
    m->used = 0;
    m->data = malloc(m->length ? m->length : 1);
    if (!m->data)
        abort(); /* killing it loses nothing */
    if (m->length == 0)
        end_message(channel);
    return 0;
}

static void take_body(unsigned channel, const amqp_bytes_t *part)
{
    incoming *m = &in[channel];

    if (!m->has_header || part->len > m->length - m->used)
        return;
    memcpy(m->data + m->used, part->bytes, part->len);
    m->used += part->len;
    if (m->used == m->length)
        end_message(channel);
}

/* 0; -1: the connection ends. */
static int take_method(unsigned channel, const amqp_method_t *m, char *why,
                       size_t room)
{
    const amqp_basic_ack_t *ack = m->decoded;
    const amqp_basic_nack_t *nack = m->decoded;

    switch (m->id) {
    case AMQP_BASIC_ACK_METHOD:
        events->confirmed(ack->delivery_tag, ack->multiple, false);
        return 0;
    case AMQP_BASIC_NACK_METHOD:
        events->confirmed(nack->delivery_tag, nack->multiple, true);
        return 0;
    case AMQP_BASIC_DELIVER_METHOD:
        begin_message(&in[channel], m->decoded);
        return 0;
    case AMQP_BASIC_RETURN_METHOD:
        begin_message(&in[channel], NULL);
        return 0;
    case AMQP_BASIC_CANCEL_METHOD: /* the queue has gone */
        (void)snprintf(why, room, "a queue was deleted");
        return -1;
    case AMQP_CHANNEL_CLOSE_METHOD:
    case AMQP_CONNECTION_CLOSE_METHOD:
        say_method(m, why, room);
        return -1;
    default: /* answers that nobody waits for */
        return 0;
    }
}

static int take_frame(const amqp_frame_t *f, char *why, size_t room)
{
    if (f->channel > channels)
        return 0;
    switch (f->frame_type) {
    case AMQP_FRAME_METHOD:
        return take_method(f->channel, &f->payload.method, why, room);
    case AMQP_FRAME_HEADER:
        if (take_header(f->channel, f->payload.properties.body_size) == 0)
            return 0;
        (void)snprintf(why, room, "a message is too long to be one of ours");
        return -1;
    case AMQP_FRAME_BODY:
        take_body(f->channel, &f->payload.body_fragment);
        return 0;
    default:
        return 0;
    }
}

int engine_read(char *why, size_t room)
{
    struct timeval none = {0, 0};
    amqp_frame_t frame;
    int rv;

    while (connection) {
        rv = amqp_simple_wait_frame_noblock(connection, &frame, &none);
        if (rv == AMQP_STATUS_TIMEOUT)
            return 0;
        if (rv != AMQP_STATUS_OK) {
            (void)snprintf(why, room, "%s", amqp_error_string2(rv));
            return -1;
        }
        if (take_frame(&frame, why, room))
            return -1;
        amqp_maybe_release_buffers(connection);
    }
    return 0;
}
