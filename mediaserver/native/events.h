/* Events from a shard to the control thread: a ring, and a short list per connection point while the ring is full. */
#ifndef OPENTAS_EVENTS_H
#define OPENTAS_EVENTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define EVENTS_RING 4096 /* a power of two */
#define EVENTS_PENDING 8 /* per connection point; what finds no room even there is counted as lost */

enum event_kind { EVENT_FIRST_PACKET = 1, EVENT_DIGIT, EVENT_PLAY_FINISHED, EVENT_RTP_TIMEOUT };

struct event {
    uint64_t cp;
    uint32_t kind, a, b;
};

struct pending_events {
    uint8_t count;
    struct event events[EVENTS_PENDING];
};

struct event_ring {
    _Alignas(64) atomic_uint head; /* written by the shard */
    _Alignas(64) atomic_uint tail; /* written by the control thread */
    struct event events[EVENTS_RING];
};

static inline bool event_ring_push(struct event_ring *ring, const struct event *event) {
    unsigned head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    if (head - atomic_load_explicit(&ring->tail, memory_order_acquire) == EVENTS_RING)
        return false;
    ring->events[head % EVENTS_RING] = *event;
    atomic_store_explicit(&ring->head, head + 1, memory_order_release);
    return true;
}

static inline bool event_ring_pop(struct event_ring *ring, struct event *event) {
    unsigned tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    if (tail == atomic_load_explicit(&ring->head, memory_order_acquire))
        return false;
    *event = ring->events[tail % EVENTS_RING];
    atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
    return true;
}

static inline bool event_ring_empty(struct event_ring *ring) {
    return atomic_load_explicit(&ring->tail, memory_order_relaxed) ==
           atomic_load_explicit(&ring->head, memory_order_acquire);
}

#endif
