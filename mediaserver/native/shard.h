/* A shard: one thread that carries the media of its connection points, one tick a millisecond. */
#ifndef OPENTAS_SHARD_H
#define OPENTAS_SHARD_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "commands.h"
#include "events.h"
#include "point.h"

#define TICK_NS 1000000ll
#define SLOTS 20 /* a slot is due every 20 ms; slots share the work out over the ticks */
#define SLOT_MS 20
#define CATCH_UP_TICKS SLOTS /* so many missed ticks are made up for: each slot once, none twice */
#define CP_INDEX_BITS 16
#define CP_SHARD_BITS 8
#define CP_GENERATION_SHIFT (CP_INDEX_BITS + CP_SHARD_BITS)

struct shard_counters {
    _Atomic uint64_t ticks, overruns, packets_in, packets_out, cpu_ns, stale_commands, events_lost, active;
};

struct shard {
    pthread_t thread;
    bool running;
    sem_t started;
    atomic_bool stopping;
    int realtime_priority; /* 0: do not ask */
    bool realtime;
    int epoll_fd;
    int event_fd; /* shared with the other shards; the engine's */
    bool signal; /* an event was written in this tick */
    unsigned pending; /* connection points with events that found no room */
    uint64_t now_ms; /* of this tick, since start; stands still for nobody */
    unsigned capacity;
    struct point *points;
    struct point *slots[SLOTS];
    unsigned slot_sizes[SLOTS];
    const struct prompt *prompts;
    struct shard_counters counters;
    struct command_ring commands;
    struct event_ring events;
};

static inline unsigned cp_index(uint64_t cp) { return cp & ((1u << CP_INDEX_BITS) - 1); }
static inline unsigned cp_shard(uint64_t cp) { return (cp >> CP_INDEX_BITS) & ((1u << CP_SHARD_BITS) - 1); }

/* Start the thread and wait until it runs; false when the system gives no thread. */
bool shard_start(struct shard *shard);
void shard_stop(struct shard *shard);
/* One tick, at a time of the caller's choosing: what the thread does, and the tests of the native code. */
void shard_tick(struct shard *shard, uint64_t now_ms);

void shard_emit(struct shard *shard, struct point *point, enum event_kind kind, uint32_t a, uint32_t b);
void shard_emit_pending(struct shard *shard);

/* topology.c: commands, and which point feeds which. */
void topology_execute(struct shard *shard, const struct command *command);
void topology_remove(struct shard *shard, struct point *point);

/* arrival.c: packets that have come. */
void arrival_receive(struct shard *shard);

/* frame.c: what a slot has to send. */
void frame_slot(struct shard *shard, unsigned slot);
void frame_stop_play(struct shard *shard, struct point *point, bool by_digit);

#endif
