#include "matrix.h"

#include <amqp_tcp_socket.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

enum { FRAME_BYTES_MAX = 131072, HEARTBEAT_SECONDS = 30, CLOCK_SKEW_SECONDS_MAX = 60 };

static bool is(amqp_bytes_t bytes, const char *text) {
    return bytes.len == strlen(text) && memcmp(bytes.bytes, text, bytes.len) == 0;
}

amqp_connection_state_t open_connection(void) {
    amqp_connection_state_t connection = try_connection();
    if (connection == NULL) {
        fail("no connection to %s", getenv("AMQP_URL"));
    }
    return connection;
}

amqp_connection_state_t try_connection(void) {
    char *url = strdup(getenv("AMQP_URL")); // the parts that the parser finds point into it
    struct amqp_connection_info broker;
    if (amqp_parse_url(url, &broker) != AMQP_STATUS_OK) {
        fail("AMQP_URL is no address of a broker: %s", getenv("AMQP_URL"));
    }
    amqp_connection_state_t connection = amqp_new_connection();
    amqp_socket_t *socket = amqp_tcp_socket_new(connection);
    bool open = amqp_socket_open(socket, broker.host, broker.port) == AMQP_STATUS_OK &&
                amqp_login(connection, broker.vhost, 0, FRAME_BYTES_MAX, HEARTBEAT_SECONDS, AMQP_SASL_METHOD_PLAIN,
                           broker.user, broker.password)
                        .reply_type == AMQP_RESPONSE_NORMAL &&
                amqp_channel_open(connection, CHANNEL) != NULL;
    free(url);
    if (!open) {
        amqp_destroy_connection(connection);
        return NULL;
    }
    return connection;
}

void expect_number(const char *what, uint64_t expected, uint64_t actual) {
    if (expected != actual) {
        fail("%s: expected %" PRIu64 ", not %" PRIu64, what, expected, actual);
    }
}

void expect_text(const char *what, const char *expected, amqp_bytes_t actual) {
    if (!is(actual, expected)) {
        fail("%s: expected '%s', not '%.*s'", what, expected, (int)actual.len, (const char *)actual.bytes);
    }
}

void expect_ok(const char *what, amqp_rpc_reply_t reply) {
    if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION) {
        fail("%s: %s", what, amqp_error_string2(reply.library_error));
    }
    if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION && reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
        amqp_channel_close_t *close = reply.reply.decoded;
        fail("%s: %u %.*s", what, close->reply_code, (int)close->reply_text.len, (const char *)close->reply_text.bytes);
    }
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
        fail("%s: answered with %s", what, amqp_method_name(reply.reply.id));
    }
}

void expect_refused(amqp_connection_state_t connection, int code, const char *text) {
    amqp_rpc_reply_t reply = amqp_get_rpc_reply(connection);
    if (reply.reply_type != AMQP_RESPONSE_SERVER_EXCEPTION) {
        fail("the broker had to refuse this with %d", code);
    }
    expect_closed(connection, reply.reply, code, text);
}

void expect_closed(amqp_connection_state_t connection, amqp_method_t method, int code, const char *text) {
    if (method.id != AMQP_CHANNEL_CLOSE_METHOD) {
        fail("expected the end of the channel, not %s", amqp_method_name(method.id));
    }
    amqp_channel_close_t *close = method.decoded;
    expect_number("reply code", (uint64_t)code, close->reply_code);
    expect_text("reply text", text, close->reply_text);
    // The library leaves it to us to say that we have understood.
    amqp_channel_close_ok_t understood = {0};
    amqp_send_method(connection, CHANNEL, AMQP_CHANNEL_CLOSE_OK_METHOD, &understood);
    amqp_channel_open(connection, CHANNEL);
    expect_ok("channel.open", amqp_get_rpc_reply(connection));
}

amqp_field_value_t field(const amqp_table_t *table, const char *key) {
    for (int i = 0; i < table->num_entries; i++) {
        if (is(table->entries[i].key, key)) {
            return table->entries[i].value;
        }
    }
    fail("no field %s", key);
}

void expect_death(amqp_field_value_t death, const char *queue, const char *reason, int64_t count) {
    if (death.kind != AMQP_FIELD_KIND_TABLE) {
        fail("an entry of x-death is of kind '%c'", death.kind);
    }
    const amqp_table_t *table = &death.value.table;
    expect_text("x-death's queue", queue, field(table, "queue").value.bytes);
    expect_text("x-death's reason", reason, field(table, "reason").value.bytes);
    expect_text("x-death's exchange", "", field(table, "exchange").value.bytes);
    expect_number("kind of x-death's count", AMQP_FIELD_KIND_I64, field(table, "count").kind);
    expect_number("x-death's count", (uint64_t)count, (uint64_t)field(table, "count").value.i64);
    amqp_array_t keys = field(table, "routing-keys").value.array;
    expect_number("routing keys", 1, (uint64_t)keys.num_entries);
    expect_text("routing key", queue, keys.entries[0].value.bytes);
    expect_number("kind of x-death's time", AMQP_FIELD_KIND_TIMESTAMP, field(table, "time").kind);
    int64_t skew = (int64_t)time(NULL) - (int64_t)field(table, "time").value.u64;
    if (skew > CLOCK_SKEW_SECONDS_MAX || skew < -CLOCK_SKEW_SECONDS_MAX) {
        fail("x-death's time is off by %" PRId64 " s", skew);
    }
}

amqp_envelope_t next_delivery(amqp_connection_state_t connection) {
    struct timeval limit = {.tv_sec = ARRIVAL_SECONDS_MAX};
    amqp_envelope_t envelope;
    expect_ok("the next delivery", amqp_consume_message(connection, &envelope, &limit, 0));
    return envelope;
}

amqp_method_t next_method(amqp_connection_state_t connection) {
    struct timeval limit = {.tv_sec = ARRIVAL_SECONDS_MAX};
    amqp_frame_t frame;
    int status = amqp_simple_wait_frame_noblock(connection, &frame, &limit);
    if (status != AMQP_STATUS_OK) {
        fail("the next method: %s", amqp_error_string2(status));
    }
    expect_number("type of frame", AMQP_FRAME_METHOD, frame.frame_type);
    return frame.payload.method;
}
