// What the capabilities need: names, a connection, and the words in which they say what must be so.

#ifndef MATRIX_H
#define MATRIX_H

#include <amqp.h>
#include <stdbool.h>
#include <stdint.h>

enum { CHANNEL = 1, ARRIVAL_SECONDS_MAX = 30 };

// A name that nobody else uses. `what` is one of those that matrix.c knows, so that it can clean up behind us.
const char *unique(const char *what);

// A connection with one open channel. Ends the capability when there is none to be had.
amqp_connection_state_t open_connection(void);
// The same, but NULL when there is none to be had.
amqp_connection_state_t try_connection(void);

// Prints why the capability does not work, and ends its process.
_Noreturn void fail(const char *format, ...);
void expect_number(const char *what, uint64_t expected, uint64_t actual);
void expect_text(const char *what, const char *expected, amqp_bytes_t actual);
// The last call must have succeeded.
void expect_ok(const char *what, amqp_rpc_reply_t reply);
// The broker has closed the channel with this code and text; it is open again afterwards.
void expect_refused(amqp_connection_state_t connection, int code, const char *text);
void expect_closed(amqp_connection_state_t connection, amqp_method_t method, int code, const char *text);

// The value under a key, which must be there.
amqp_field_value_t field(const amqp_table_t *table, const char *key);
// An entry of x-death. Every queue here is published to through the default exchange, under its own name.
void expect_death(amqp_field_value_t death, const char *queue, const char *reason, int64_t count);

// The next delivery to a consumer.
amqp_envelope_t next_delivery(amqp_connection_state_t connection);
// The next method that is no answer to a call: a confirm, a return, the end of the channel.
amqp_method_t next_method(amqp_connection_state_t connection);

void declare(void);
void publish_confirms(void);
void consume_acks(void);
void get(void);
void returns(void);
void ttl_dead_letter(void);
void priorities(void);
void rpc(void);
void topology_errors(void);
void recovery(void);

#endif
