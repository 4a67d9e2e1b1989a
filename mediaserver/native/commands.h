/* Commands from the control thread to a shard: staged in a ring, visible to the shard at once when published. */
#ifndef OPENTAS_COMMANDS_H
#define OPENTAS_COMMANDS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "player.h"
#include "point.h"

#define COMMANDS_RING 4096 /* a power of two; 500 calls set up at once take 1,500 */
#define DIGITS_REQUEST_MAX 64

enum command_kind {
    COMMAND_ADD,
    COMMAND_SET_REMOTE,
    COMMAND_BRIDGE,
    COMMAND_UNBRIDGE,
    COMMAND_ECHO,
    COMMAND_PLAY,
    COMMAND_STOP_PLAY,
    COMMAND_SEND_DIGITS,
    COMMAND_REMOVE,
    COMMAND_KINDS,
};

struct command {
    enum command_kind kind;
    uint64_t cp;
    union {
        struct {
            int fd;
            uint32_t random;
        } add;
        struct remote remote;
        uint64_t other;
        bool on;
        struct playlist playlist;
        struct {
            char digits[DIGITS_REQUEST_MAX];
            uint16_t count, duration_ms, gap_ms;
        } digits;
    };
};

struct command_ring {
    _Alignas(64) atomic_uint head; /* published by the control thread */
    unsigned staged; /* its own: where the next command goes */
    _Alignas(64) atomic_uint tail; /* written by the shard */
    struct command commands[COMMANDS_RING];
};

static inline unsigned command_ring_room(const struct command_ring *ring) {
    return COMMANDS_RING - (ring->staged - atomic_load_explicit(&ring->tail, memory_order_acquire));
}

/* Room for one more command, or NULL when the shard is behind. */
static inline struct command *command_ring_stage(struct command_ring *ring) {
    if (!command_ring_room(ring))
        return NULL;
    return &ring->commands[ring->staged++ % COMMANDS_RING];
}

static inline void command_ring_publish(struct command_ring *ring) {
    atomic_store_explicit(&ring->head, ring->staged, memory_order_release);
}

#endif
