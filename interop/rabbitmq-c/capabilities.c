// Each opens a connection of its own and ends its process with `fail` when something is not as it should be.

#include "matrix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

// How long the program waits between two attempts to connect again.
static const struct timespec RETRY_INTERVAL = {.tv_nsec = 200 * 1000 * 1000};
static const amqp_basic_properties_t NO_PROPERTIES = {0};
static const amqp_basic_properties_t PERSISTENT = {._flags = AMQP_BASIC_DELIVERY_MODE_FLAG,
                                                   .delivery_mode = AMQP_DELIVERY_PERSISTENT};

static amqp_bytes_t bytes(const char *text) { return amqp_cstring_bytes(text); }

static amqp_table_entry_t text_entry(const char *key, const char *value) {
    amqp_table_entry_t entry = {.key = bytes(key),
                                .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = bytes(value)}};
    return entry;
}

static amqp_table_entry_t number_entry(const char *key, int32_t value) {
    amqp_table_entry_t entry = {.key = bytes(key), .value = {.kind = AMQP_FIELD_KIND_I32, .value.i32 = value}};
    return entry;
}

static amqp_queue_declare_ok_t *declare_queue(amqp_connection_state_t connection, const char *queue,
                                              amqp_table_t arguments) {
    bool passive = false, durable = true, exclusive = false, auto_delete = false;
    amqp_queue_declare_ok_t *declared = amqp_queue_declare(connection, CHANNEL, bytes(queue), passive, durable,
                                                           exclusive, auto_delete, arguments);
    expect_ok("queue.declare", amqp_get_rpc_reply(connection));
    return declared;
}

static amqp_queue_declare_ok_t *look_at_queue(amqp_connection_state_t connection, const char *queue) {
    amqp_queue_declare_ok_t *state =
        amqp_queue_declare(connection, CHANNEL, bytes(queue), true, false, false, false, amqp_empty_table);
    expect_ok("passive queue.declare", amqp_get_rpc_reply(connection));
    return state;
}

static void publish(amqp_connection_state_t connection, const char *exchange, const char *key, bool mandatory,
                    const amqp_basic_properties_t *properties, const char *body) {
    bool immediate = false;
    int status = amqp_basic_publish(connection, CHANNEL, bytes(exchange), bytes(key), mandatory, immediate, properties,
                                    bytes(body));
    if (status != AMQP_STATUS_OK) {
        fail("basic.publish: %s", amqp_error_string2(status));
    }
}

static void consume(amqp_connection_state_t connection, const char *queue, bool no_ack) {
    bool no_local = false, exclusive = false;
    amqp_basic_consume(connection, CHANNEL, bytes(queue), bytes("tag"), no_local, no_ack, exclusive, amqp_empty_table);
    expect_ok("basic.consume", amqp_get_rpc_reply(connection));
}

void declare(void) {
    amqp_connection_state_t connection = open_connection();
    const char *exchange = unique("exchange"), *queue = unique("queue");
    bool passive = false, durable = true, auto_delete = false, internal = false;
    amqp_exchange_declare(connection, CHANNEL, bytes(exchange), bytes("topic"), passive, durable, auto_delete, internal,
                          amqp_empty_table);
    expect_ok("exchange.declare", amqp_get_rpc_reply(connection));
    amqp_table_entry_t entries[] = {number_entry("x-max-length", 10)};
    amqp_table_t arguments = {.num_entries = 1, .entries = entries};
    for (int i = 0; i < 2; i++) { // the same twice is no error
        amqp_queue_declare_ok_t *declared = declare_queue(connection, queue, arguments);
        expect_text("name", queue, declared->queue);
        expect_number("messages", 0, declared->message_count);
        expect_number("consumers", 0, declared->consumer_count);
    }

    amqp_queue_bind(connection, CHANNEL, bytes(queue), bytes(exchange), bytes("hare.*"), amqp_empty_table);
    expect_ok("queue.bind", amqp_get_rpc_reply(connection));
    publish(connection, exchange, "hare.brown", false, &NO_PROPERTIES, "bound");
    publish(connection, exchange, "rabbit.brown", false, &NO_PROPERTIES, "not bound");
    amqp_queue_unbind(connection, CHANNEL, bytes(queue), bytes(exchange), bytes("hare.*"), amqp_empty_table);
    expect_ok("queue.unbind", amqp_get_rpc_reply(connection));
    publish(connection, exchange, "hare.white", false, &NO_PROPERTIES, "no longer bound");
    // One of the three has arrived.
    amqp_queue_purge_ok_t *purged = amqp_queue_purge(connection, CHANNEL, bytes(queue));
    expect_ok("queue.purge", amqp_get_rpc_reply(connection));
    expect_number("purged", 1, purged->message_count);

    // A queue without a name gets one from the broker.
    amqp_queue_declare_ok_t *temporary =
        amqp_queue_declare(connection, CHANNEL, amqp_empty_bytes, false, false, true, true, amqp_empty_table);
    expect_ok("queue.declare", amqp_get_rpc_reply(connection));
    temporary->queue.len = strlen("amq.gen-");
    expect_text("the beginning of the name", "amq.gen-", temporary->queue);
    amqp_exchange_delete(connection, CHANNEL, bytes(exchange), false);
    expect_ok("exchange.delete", amqp_get_rpc_reply(connection));
}

void publish_confirms(void) {
    amqp_connection_state_t connection = open_connection();
    const char *queue = unique("confirms");
    declare_queue(connection, queue, amqp_empty_table);
    amqp_confirm_select(connection, CHANNEL);
    expect_ok("confirm.select", amqp_get_rpc_reply(connection));
    for (int i = 0; i < 100; i++) {
        publish(connection, "", queue, false, &PERSISTENT, "message");
    }
    // The broker may confirm several at once; here everything up to the last number is what counts.
    for (uint64_t tag = 0; tag < 100;) {
        amqp_method_t method = next_method(connection);
        if (method.id != AMQP_BASIC_ACK_METHOD) {
            fail("expected a confirm, not %s", amqp_method_name(method.id));
        }
        amqp_basic_ack_t *ack = method.decoded;
        if (ack->delivery_tag != tag + 1 && !ack->multiple) {
            fail("message %d is confirmed before those ahead of it", (int)ack->delivery_tag);
        }
        tag = ack->delivery_tag;
    }
    expect_number("messages", 100, look_at_queue(connection, queue)->message_count);
}

void consume_acks(void) {
    amqp_connection_state_t connection = open_connection();
    const char *queue = unique("acks");
    declare_queue(connection, queue, amqp_empty_table);
    amqp_table_entry_t headers[] = {text_entry("colour", "brown"), number_entry("legs", 4)};
    amqp_basic_properties_t properties = {
        ._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_CORRELATION_ID_FLAG | AMQP_BASIC_HEADERS_FLAG,
        .content_type = bytes("text/plain"),
        .correlation_id = bytes("c-1"),
        .headers = {.num_entries = 2, .entries = headers},
    };
    publish(connection, "", queue, false, &properties, "one");
    publish(connection, "", queue, false, &properties, "two");
    publish(connection, "", queue, false, &properties, "three");

    amqp_basic_qos(connection, CHANNEL, 0, 1, false);
    expect_ok("basic.qos", amqp_get_rpc_reply(connection));
    consume(connection, queue, false);
    amqp_envelope_t one = next_delivery(connection);
    expect_text("body", "one", one.message.body);
    expect_number("redelivered", false, (uint64_t)one.redelivered);
    expect_text("content type", "text/plain", one.message.properties.content_type);
    expect_text("correlation id", "c-1", one.message.properties.correlation_id);
    expect_text("colour", "brown", field(&one.message.properties.headers, "colour").value.bytes);
    expect_number("legs", 4, (uint64_t)field(&one.message.properties.headers, "legs").value.i32);
    // With a prefetch of one nothing else comes before an acknowledgement.
    expect_number("messages", 2, look_at_queue(connection, queue)->message_count);

    amqp_basic_nack(connection, CHANNEL, one.delivery_tag, false, true);
    amqp_envelope_t again = next_delivery(connection);
    expect_text("body", "one", again.message.body);
    expect_number("redelivered", true, (uint64_t)again.redelivered);
    amqp_basic_ack(connection, CHANNEL, again.delivery_tag, false);
    amqp_envelope_t two = next_delivery(connection);
    expect_text("body", "two", two.message.body);
    amqp_basic_reject(connection, CHANNEL, two.delivery_tag, false);
    amqp_envelope_t three = next_delivery(connection);
    expect_text("body", "three", three.message.body);
    amqp_basic_ack(connection, CHANNEL, three.delivery_tag, false);

    amqp_basic_cancel(connection, CHANNEL, bytes("tag"));
    expect_ok("basic.cancel", amqp_get_rpc_reply(connection));
    amqp_queue_declare_ok_t *left = look_at_queue(connection, queue);
    expect_number("messages", 0, left->message_count);
    expect_number("consumers", 0, left->consumer_count);
}

// Takes one message; false when there is none.
static bool get_message(amqp_connection_state_t connection, const char *queue, bool no_ack, amqp_basic_get_ok_t *got,
                        amqp_message_t *message) {
    amqp_rpc_reply_t reply = amqp_basic_get(connection, CHANNEL, bytes(queue), no_ack);
    expect_ok("basic.get", reply);
    if (reply.reply.id == AMQP_BASIC_GET_EMPTY_METHOD) {
        return false;
    }
    *got = *(amqp_basic_get_ok_t *)reply.reply.decoded;
    expect_ok("the message", amqp_read_message(connection, CHANNEL, message, 0));
    return true;
}

void get(void) {
    amqp_connection_state_t connection = open_connection();
    const char *queue = unique("get");
    declare_queue(connection, queue, amqp_empty_table);
    amqp_basic_get_ok_t got;
    amqp_message_t message;
    expect_number("a message", false, get_message(connection, queue, false, &got, &message));
    publish(connection, "", queue, false, &NO_PROPERTIES, "one");
    publish(connection, "", queue, false, &NO_PROPERTIES, "two");

    expect_number("a message", true, get_message(connection, queue, false, &got, &message));
    expect_text("body", "one", message.body);
    expect_number("message count", 1, got.message_count);
    expect_text("routing key", queue, got.routing_key);
    amqp_basic_ack(connection, CHANNEL, got.delivery_tag, false);
    expect_number("a message", true, get_message(connection, queue, true, &got, &message));
    expect_text("body", "two", message.body);
    expect_number("message count", 0, got.message_count);
    expect_number("a message", false, get_message(connection, queue, true, &got, &message));
}

void returns(void) {
    amqp_connection_state_t connection = open_connection();
    amqp_confirm_select(connection, CHANNEL);
    expect_ok("confirm.select", amqp_get_rpc_reply(connection));
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_MESSAGE_ID_FLAG, .message_id = bytes("m-1")};
    bool mandatory = true;
    publish(connection, "", unique("nowhere"), mandatory, &properties, "lost");

    amqp_method_t method = next_method(connection);
    if (method.id != AMQP_BASIC_RETURN_METHOD) {
        fail("expected basic.return, not %s", amqp_method_name(method.id));
    }
    amqp_basic_return_t *returned = method.decoded;
    expect_number("reply code", AMQP_NO_ROUTE, returned->reply_code);
    expect_text("reply text", "NO_ROUTE", returned->reply_text);
    expect_text("exchange", "", returned->exchange);
    expect_text("routing key", unique("nowhere"), returned->routing_key);
    amqp_message_t message;
    expect_ok("the message", amqp_read_message(connection, CHANNEL, &message, 0));
    expect_text("body", "lost", message.body);
    expect_text("message id", "m-1", message.properties.message_id);
    // A message that cannot be routed is confirmed too, after its return.
    expect_number("the next method", AMQP_BASIC_ACK_METHOD, next_method(connection).id);
}

// A retry loop: messages wait in one queue until they expire into the other, whose consumer may send them back.
void ttl_dead_letter(void) {
    amqp_connection_state_t connection = open_connection();
    const char *wait = unique("wait"), *work = unique("work");
    amqp_table_entry_t wait_entries[] = {text_entry("x-dead-letter-exchange", ""),
                                         text_entry("x-dead-letter-routing-key", work),
                                         number_entry("x-message-ttl", 100)};
    declare_queue(connection, wait, (amqp_table_t){.num_entries = 3, .entries = wait_entries});
    amqp_table_entry_t work_entries[] = {text_entry("x-dead-letter-exchange", ""),
                                         text_entry("x-dead-letter-routing-key", wait)};
    declare_queue(connection, work, (amqp_table_t){.num_entries = 2, .entries = work_entries});
    consume(connection, work, false);
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_EXPIRATION_FLAG, .expiration = bytes("50")};
    publish(connection, "", wait, false, &properties, "try me");

    amqp_envelope_t expired = next_delivery(connection);
    expect_text("body", "try me", expired.message.body);
    expect_text("exchange", "", expired.exchange);
    expect_text("routing key", work, expired.routing_key);
    expect_number("expiration", 0, expired.message.properties._flags & AMQP_BASIC_EXPIRATION_FLAG);
    const amqp_table_t *headers = &expired.message.properties.headers;
    expect_text("x-first-death-queue", wait, field(headers, "x-first-death-queue").value.bytes);
    expect_text("x-first-death-reason", "expired", field(headers, "x-first-death-reason").value.bytes);
    expect_text("x-first-death-exchange", "", field(headers, "x-first-death-exchange").value.bytes);
    amqp_array_t deaths = field(headers, "x-death").value.array;
    expect_number("deaths", 1, (uint64_t)deaths.num_entries);
    expect_death(deaths.entries[0], wait, "expired", 1);
    expect_text("original-expiration", "50", field(&deaths.entries[0].value.table, "original-expiration").value.bytes);

    amqp_basic_reject(connection, CHANNEL, expired.delivery_tag, false);
    amqp_envelope_t retried = next_delivery(connection);
    deaths = field(&retried.message.properties.headers, "x-death").value.array;
    expect_number("deaths", 2, (uint64_t)deaths.num_entries);
    // The latest death is the first in the list.
    expect_death(deaths.entries[0], wait, "expired", 2);
    expect_death(deaths.entries[1], work, "rejected", 1);
    amqp_basic_ack(connection, CHANNEL, retried.delivery_tag, false);
}

void priorities(void) {
    amqp_connection_state_t connection = open_connection();
    const char *queue = unique("priorities");
    amqp_table_entry_t entries[] = {number_entry("x-max-priority", 5)};
    declare_queue(connection, queue, (amqp_table_t){.num_entries = 1, .entries = entries});
    publish(connection, "", queue, false, &NO_PROPERTIES, "none");
    const uint8_t published[] = {1, 5, 3, 9};
    for (size_t i = 0; i < sizeof published; i++) {
        amqp_basic_properties_t properties = {._flags = AMQP_BASIC_PRIORITY_FLAG, .priority = published[i]};
        publish(connection, "", queue, false, &properties, "some");
    }
    // What is above the queue's highest priority counts as the highest, no priority as the lowest.
    const uint8_t expected[] = {5, 9, 3, 1};
    amqp_basic_get_ok_t got;
    amqp_message_t message;
    for (size_t i = 0; i < sizeof expected; i++) {
        expect_number("a message", true, get_message(connection, queue, true, &got, &message));
        expect_text("body", "some", message.body);
        expect_number("priority", expected[i], message.properties.priority);
    }
    expect_number("a message", true, get_message(connection, queue, true, &got, &message));
    expect_text("body", "none", message.body);
    expect_number("priority", 0, message.properties._flags & AMQP_BASIC_PRIORITY_FLAG);
}

// Direct reply-to: the answer comes without a queue of the client's own.
void rpc(void) {
    amqp_connection_state_t client = open_connection(), server = open_connection();
    amqp_queue_declare_ok_t *declared =
        amqp_queue_declare(server, CHANNEL, amqp_empty_bytes, false, false, false, true, amqp_empty_table);
    expect_ok("queue.declare", amqp_get_rpc_reply(server));
    char queue[256] = {0};
    memcpy(queue, declared->queue.bytes, declared->queue.len);
    consume(server, queue, true);

    bool no_ack = true;
    consume(client, "amq.rabbitmq.reply-to", no_ack);
    const char *const ids[] = {"r-1", "r-2"};
    for (size_t i = 0; i < 2; i++) {
        amqp_basic_properties_t ask = {._flags = AMQP_BASIC_REPLY_TO_FLAG | AMQP_BASIC_CORRELATION_ID_FLAG,
                                       .reply_to = bytes("amq.rabbitmq.reply-to"),
                                       .correlation_id = bytes(ids[i])};
        publish(client, "", queue, false, &ask, "ping");

        amqp_envelope_t request = next_delivery(server);
        amqp_bytes_t reply_to = request.message.properties.reply_to;
        amqp_basic_properties_t same_id = {._flags = AMQP_BASIC_CORRELATION_ID_FLAG,
                                           .correlation_id = request.message.properties.correlation_id};
        amqp_basic_publish(server, CHANNEL, amqp_empty_bytes, reply_to, false, false, &same_id, bytes("pong"));
        reply_to.len = strlen("amq.rabbitmq.reply-to.");
        expect_text("the address for the answer", "amq.rabbitmq.reply-to.", reply_to);

        amqp_envelope_t answer = next_delivery(client);
        expect_text("answer", "pong", answer.message.body);
        expect_text("correlation id", ids[i], answer.message.properties.correlation_id);
    }
}

void topology_errors(void) {
    amqp_connection_state_t connection = open_connection();
    const char *missing = unique("missing"), *queue = unique("durable");
    char text[256];
    snprintf(text, sizeof text, "NOT_FOUND - no queue '%s' in vhost '/'", missing);
    amqp_queue_declare(connection, CHANNEL, bytes(missing), true, false, false, false, amqp_empty_table);
    expect_refused(connection, AMQP_NOT_FOUND, text);

    declare_queue(connection, queue, amqp_empty_table);
    snprintf(text, sizeof text,
             "PRECONDITION_FAILED - inequivalent arg 'durable' for queue '%s' in vhost '/': "
             "received 'false' but current is 'true'",
             queue);
    amqp_queue_declare(connection, CHANNEL, bytes(queue), false, false, false, false, amqp_empty_table);
    expect_refused(connection, AMQP_PRECONDITION_FAILED, text);

    // A publish has no answer of its own: its error is the next that comes.
    snprintf(text, sizeof text, "NOT_FOUND - no exchange '%s' in vhost '/'", missing);
    publish(connection, missing, "key", false, &NO_PROPERTIES, "nowhere to go");
    expect_closed(connection, next_method(connection), AMQP_NOT_FOUND, text);

    // The connection is still in order.
    expect_number("messages", 0, look_at_queue(connection, queue)->message_count);
}

static void publish_confirmed(const char *queue, const char *text) {
    amqp_connection_state_t connection = open_connection();
    amqp_confirm_select(connection, CHANNEL);
    expect_ok("confirm.select", amqp_get_rpc_reply(connection));
    publish(connection, "", queue, false, &PERSISTENT, text);
    expect_number("the next method", AMQP_BASIC_ACK_METHOD, next_method(connection).id);
    amqp_destroy_connection(connection);
}

// The library leaves recovery to its user: when the connection is lost, the program connects and subscribes anew.
void recovery(void) {
    amqp_connection_state_t connection = open_connection();
    const char *queue = unique("recovery"), *kept = unique("kept");
    declare_queue(connection, queue, amqp_empty_table);
    declare_queue(connection, kept, amqp_empty_table);
    consume(connection, queue, true);
    publish_confirmed(queue, "before");
    publish_confirmed(kept, "kept");
    expect_text("body", "before", next_delivery(connection).message.body);

    expect_number("exit code of BROKER_RESTART", 0, (uint64_t)system("\"$BROKER_RESTART\" >&2"));
    struct timeval limit = {.tv_sec = ARRIVAL_SECONDS_MAX};
    amqp_envelope_t envelope;
    if (amqp_consume_message(connection, &envelope, &limit, 0).reply_type == AMQP_RESPONSE_NORMAL) {
        fail("the connection had to be lost");
    }
    amqp_destroy_connection(connection);
    while ((connection = try_connection()) == NULL) {
        nanosleep(&RETRY_INTERVAL, NULL);
    }

    consume(connection, queue, true);
    publish_confirmed(queue, "after");
    expect_text("body", "after", next_delivery(connection).message.body);
    amqp_basic_get_ok_t got;
    amqp_message_t message;
    expect_number("a message", true, get_message(connection, kept, true, &got, &message));
    expect_text("body", "kept", message.body);
}
