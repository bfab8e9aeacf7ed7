// Runs every capability with rabbitmq-c and prints one line for each. capabilities.c is where to read how things are
// done.

#include "matrix.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CAPABILITY_SECONDS_MAX = 90, RECOVERY_SECONDS_MAX = 300 }; // in the latter the broker stops and starts

static const struct {
    const char *name;
    void (*proof)(void);
    unsigned seconds_max;
} CAPABILITIES[] = {
    {"declare", declare, CAPABILITY_SECONDS_MAX},
    {"publish-confirms", publish_confirms, CAPABILITY_SECONDS_MAX},
    {"consume-acks", consume_acks, CAPABILITY_SECONDS_MAX},
    {"get", get, CAPABILITY_SECONDS_MAX},
    {"returns", returns, CAPABILITY_SECONDS_MAX},
    {"ttl-dead-letter", ttl_dead_letter, CAPABILITY_SECONDS_MAX},
    {"priorities", priorities, CAPABILITY_SECONDS_MAX},
    {"rpc", rpc, CAPABILITY_SECONDS_MAX},
    {"topology-errors", topology_errors, CAPABILITY_SECONDS_MAX},
    {"recovery", recovery, RECOVERY_SECONDS_MAX},
};
enum { CAPABILITIES_LENGTH = sizeof CAPABILITIES / sizeof *CAPABILITIES };

static const char *const NAMES[] = {"exchange", "queue",   "confirms", "acks",     "get",  "nowhere", "wait",
                                    "work",     "priorities", "missing",  "durable", "recovery", "kept"};
enum { NAMES_LENGTH = sizeof NAMES / sizeof *NAMES, NAME_LENGTH_MAX = 64 };

static char names[NAMES_LENGTH][NAME_LENGTH_MAX];
static const char *capability;

static bool passes(size_t number);
static void clean_up(void);

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("client rabbitmq-c %s\n", amqp_version());
    srand((unsigned)time(NULL) ^ (unsigned)getpid());
    int run = rand();
    for (size_t i = 0; i < NAMES_LENGTH; i++) {
        snprintf(names[i], NAME_LENGTH_MAX, "interop-rabbitmq-c-%s-%x", NAMES[i], run);
    }
    bool failed = false;
    for (size_t i = 0; i < CAPABILITIES_LENGTH; i++) {
        failed |= !passes(i);
    }
    alarm(CAPABILITY_SECONDS_MAX);
    clean_up();
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

// Each capability is a process of its own, so that one that hangs or crashes does no harm to the next. What it
// allocates goes with it.
static bool passes(size_t number) {
    capability = CAPABILITIES[number].name;
    pid_t child = fork();
    if (child == 0) {
        alarm(CAPABILITIES[number].seconds_max);
        CAPABILITIES[number].proof();
        printf("ok %s\n", capability);
        exit(EXIT_SUCCESS);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) < 0) {
        perror("fork");
        exit(EXIT_FAILURE);
    }
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) {
        printf("not ok %s: not over after %u s\n", capability, CAPABILITIES[number].seconds_max);
    } else if (WIFSIGNALED(status)) {
        printf("not ok %s: ended by signal %d\n", capability, WTERMSIG(status));
    }
    return status == 0;
}

// To delete what does not exist is no error.
static void clean_up(void) {
    capability = "cleaning up";
    amqp_connection_state_t connection = open_connection();
    for (size_t i = 0; i < NAMES_LENGTH; i++) {
        amqp_queue_delete(connection, CHANNEL, amqp_cstring_bytes(names[i]), false, false);
        amqp_exchange_delete(connection, CHANNEL, amqp_cstring_bytes(names[i]), false);
    }
    amqp_destroy_connection(connection);
}

const char *unique(const char *what) {
    for (size_t i = 0; i < NAMES_LENGTH; i++) {
        if (strcmp(NAMES[i], what) == 0) {
            return names[i];
        }
    }
    fail("matrix.c has no name for %s", what);
}

_Noreturn void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    printf("not ok %s: ", capability);
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    exit(EXIT_FAILURE);
}
