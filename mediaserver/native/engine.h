/* The media engine as the control thread uses it: commands in, events and statistics out, never blocking. */
#ifndef OPENTAS_ENGINE_H
#define OPENTAS_ENGINE_H

#include "commands.h"
#include "events.h"
#include "player.h"
#include "point.h"

#define SHARDS_MAX 64
#define CAPACITY_MAX 10000 /* connection points per shard */

struct engine;

enum engine_result { ENGINE_OK, ENGINE_BUSY, ENGINE_FULL, ENGINE_UNKNOWN };

/* NULL when memory or descriptors are short. */
struct engine *engine_create(unsigned shards, unsigned capacity, int realtime_priority);
bool engine_start(struct engine *engine);
/* Joins the threads and closes all sockets; engine_destroy frees the rest. */
void engine_stop(struct engine *engine);
void engine_destroy(struct engine *engine);
bool engine_realtime(const struct engine *engine);
int engine_event_fd(const struct engine *engine);

/* Handle of the encoded prompt; -1 when there are PROMPTS_MAX already or memory is short. */
int engine_load_prompt(struct engine *engine, const int16_t *samples, uint32_t count);
unsigned engine_prompts(const struct engine *engine);

/* Commands that can be staged for a shard now; only staging makes it less. */
unsigned engine_room(const struct engine *engine, unsigned shard);
enum engine_result engine_add(struct engine *engine, unsigned shard, int fd, uint64_t *cp);
enum engine_result engine_remove(struct engine *engine, uint64_t cp);
/* Stage any other command; the caller fills it. UNKNOWN: no such connection point; BUSY: nothing was staged. */
enum engine_result engine_stage(struct engine *engine, const struct command *command);
void engine_flush(struct engine *engine);

unsigned engine_read_events(struct engine *engine, struct event *events, unsigned limit);
struct statistics_snapshot engine_statistics(struct engine *engine, uint64_t cp);

struct engine_counters {
    uint64_t ticks, overruns, packets_in, packets_out, cpu_ns, stale_commands, events_lost, active;
};
struct engine_counters engine_counters(struct engine *engine);

#endif
