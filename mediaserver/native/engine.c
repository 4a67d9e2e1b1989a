#define _GNU_SOURCE
#include "engine.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "shard.h"

/* The control thread's view of one place in a shard's slab. */
struct place {
    uint64_t handle; /* of its present or last owner */
    uint32_t generation;
    uint32_t next_free; /* 0: none, else index + 1 */
    bool taken;
};

struct engine {
    unsigned shard_count, capacity;
    int event_fd;
    unsigned prompt_count;
    struct prompt prompts[PROMPTS_MAX];
    struct shard *shards[SHARDS_MAX];
    struct place *places[SHARDS_MAX];
    uint32_t first_free[SHARDS_MAX];
};

static void destroy_shard(struct shard *shard) {
    if (!shard)
        return;
    command_ring_publish(&shard->commands); /* what was never flushed may hold sockets */
    shard_stop(shard);
    if (shard->epoll_fd >= 0)
        close(shard->epoll_fd);
    sem_destroy(&shard->started);
    free(shard->points);
    free(shard);
}

static struct shard *create_shard(struct engine *engine, int realtime_priority) {
    struct shard *shard = aligned_alloc(64, (sizeof *shard + 63) / 64 * 64);
    if (!shard)
        return NULL;
    memset(shard, 0, sizeof *shard);
    shard->points = calloc(engine->capacity, sizeof *shard->points);
    shard->capacity = shard->points ? engine->capacity : 0;
    shard->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    shard->event_fd = engine->event_fd;
    shard->realtime_priority = realtime_priority;
    shard->prompts = engine->prompts;
    shard->now_ms = 1;
    sem_init(&shard->started, 0, 0);
    if (!shard->points || shard->epoll_fd < 0) {
        destroy_shard(shard);
        return NULL;
    }
    return shard;
}

struct engine *engine_create(unsigned shards, unsigned capacity, int realtime_priority) {
    struct engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        return NULL;
    g711_init();
    engine->shard_count = shards;
    engine->capacity = capacity;
    engine->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    for (unsigned i = 0; i < shards; i++) {
        engine->shards[i] = create_shard(engine, realtime_priority);
        engine->places[i] = calloc(capacity, sizeof *engine->places[i]);
        if (!engine->shards[i] || !engine->places[i] || engine->event_fd < 0) {
            engine_destroy(engine);
            return NULL;
        }
        for (unsigned index = 0; index < capacity; index++)
            engine->places[i][index].next_free = index + 1 < capacity ? index + 2 : 0;
        engine->first_free[i] = 1;
    }
    return engine;
}

bool engine_start(struct engine *engine) {
    for (unsigned i = 0; i < engine->shard_count; i++)
        if (!shard_start(engine->shards[i]))
            return false;
    return true;
}

void engine_stop(struct engine *engine) {
    for (unsigned i = 0; i < engine->shard_count; i++) {
        if (!engine->shards[i])
            continue;
        command_ring_publish(&engine->shards[i]->commands);
        shard_stop(engine->shards[i]);
    }
}

void engine_destroy(struct engine *engine) {
    for (unsigned i = 0; i < engine->shard_count; i++) {
        destroy_shard(engine->shards[i]);
        free(engine->places[i]);
    }
    for (unsigned i = 0; i < engine->prompt_count; i++)
        free(engine->prompts[i].coded[0]); /* the codecs lie behind one another */
    if (engine->event_fd >= 0)
        close(engine->event_fd);
    free(engine);
}

bool engine_realtime(const struct engine *engine) {
    for (unsigned i = 0; i < engine->shard_count; i++)
        if (!engine->shards[i]->realtime)
            return false;
    return true;
}

int engine_event_fd(const struct engine *engine) { return engine->event_fd; }

int engine_load_prompt(struct engine *engine, const int16_t *samples, uint32_t count) {
    if (engine->prompt_count == PROMPTS_MAX)
        return -1;
    struct prompt *prompt = &engine->prompts[engine->prompt_count];
    uint8_t *coded = malloc((size_t)CODECS * count + 1);
    if (!coded)
        return -1;
    prompt->samples = count;
    for (int codec = 0; codec < CODECS; codec++, coded += count) {
        prompt->coded[codec] = coded;
        g711_encode((enum codec)codec, samples, count, coded);
    }
    return (int)engine->prompt_count++;
}

unsigned engine_prompts(const struct engine *engine) { return engine->prompt_count; }

static struct place *find_place(struct engine *engine, uint64_t cp) {
    unsigned shard = cp_shard(cp), index = cp_index(cp);
    if (shard >= engine->shard_count || index >= engine->capacity)
        return NULL;
    struct place *place = &engine->places[shard][index];
    return place->handle == cp && cp ? place : NULL;
}

enum engine_result engine_add(struct engine *engine, unsigned shard, int fd, uint64_t *cp) {
    uint32_t random;
    if (shard >= engine->shard_count)
        return ENGINE_UNKNOWN;
    if (!engine->first_free[shard])
        return ENGINE_FULL;
    unsigned index = engine->first_free[shard] - 1;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != sizeof random)
        return ENGINE_BUSY;
    struct command *command = command_ring_stage(&engine->shards[shard]->commands);
    if (!command)
        return ENGINE_BUSY;
    struct place *place = &engine->places[shard][index];
    engine->first_free[shard] = place->next_free;
    place->generation++;
    place->taken = true;
    place->handle = (uint64_t)place->generation << CP_GENERATION_SHIFT | (uint64_t)shard << CP_INDEX_BITS | index;
    *command = (struct command){.kind = COMMAND_ADD, .cp = place->handle, .add = {.fd = fd, .random = random}};
    *cp = place->handle;
    return ENGINE_OK;
}

unsigned engine_room(const struct engine *engine, unsigned shard) {
    return shard < engine->shard_count ? command_ring_room(&engine->shards[shard]->commands) : 0;
}

enum engine_result engine_stage(struct engine *engine, const struct command *command) {
    struct place *place = find_place(engine, command->cp);
    if (!place || !place->taken)
        return ENGINE_UNKNOWN;
    struct command *staged = command_ring_stage(&engine->shards[cp_shard(command->cp)]->commands);
    if (!staged)
        return ENGINE_BUSY;
    *staged = *command;
    return ENGINE_OK;
}

enum engine_result engine_remove(struct engine *engine, uint64_t cp) {
    enum engine_result result = engine_stage(engine, &(struct command){.kind = COMMAND_REMOVE, .cp = cp});
    if (result != ENGINE_OK)
        return result;
    /* free at once: commands keep their order, so the next owner's add comes after this */
    struct place *place = find_place(engine, cp);
    unsigned shard = cp_shard(cp);
    place->taken = false;
    place->next_free = engine->first_free[shard];
    engine->first_free[shard] = cp_index(cp) + 1;
    return ENGINE_OK;
}

void engine_flush(struct engine *engine) {
    for (unsigned i = 0; i < engine->shard_count; i++)
        command_ring_publish(&engine->shards[i]->commands);
}

unsigned engine_read_events(struct engine *engine, struct event *events, unsigned limit) {
    eventfd_t ignored;
    unsigned count = 0;
    bool left = false;
    (void)eventfd_read(engine->event_fd, &ignored);
    for (unsigned i = 0; i < engine->shard_count; i++) {
        while (count < limit && event_ring_pop(&engine->shards[i]->events, &events[count]))
            count++;
        left |= !event_ring_empty(&engine->shards[i]->events);
    }
    if (left)
        (void)eventfd_write(engine->event_fd, 1);
    return count;
}

struct statistics_snapshot engine_statistics(struct engine *engine, uint64_t cp) {
    if (!find_place(engine, cp))
        return (struct statistics_snapshot){0};
    return point_read_statistics(&engine->shards[cp_shard(cp)]->points[cp_index(cp)], cp);
}

struct engine_counters engine_counters(struct engine *engine) {
    struct engine_counters sum = {0};
    for (unsigned i = 0; i < engine->shard_count; i++) {
        struct shard_counters *from = &engine->shards[i]->counters;
        sum.ticks += from->ticks;
        sum.overruns += from->overruns;
        sum.packets_in += from->packets_in;
        sum.packets_out += from->packets_out;
        sum.cpu_ns += from->cpu_ns;
        sum.stale_commands += from->stale_commands;
        sum.events_lost += from->events_lost;
        sum.active += from->active;
    }
    return sum;
}
