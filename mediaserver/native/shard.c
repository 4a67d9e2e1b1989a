#define _GNU_SOURCE
#include "shard.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define CPU_EVERY_TICKS 128

static int64_t clock_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * 1000000000ll + now.tv_nsec;
}

static void sleep_until(int64_t ns) {
    struct timespec until = {.tv_sec = ns / 1000000000ll, .tv_nsec = ns % 1000000000ll};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
}

static void run_commands(struct shard *shard) {
    struct command_ring *ring = &shard->commands;
    unsigned tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    unsigned head = atomic_load_explicit(&ring->head, memory_order_acquire);
    for (; tail != head; tail++)
        topology_execute(shard, &ring->commands[tail % COMMANDS_RING]);
    atomic_store_explicit(&ring->tail, tail, memory_order_release);
}

void shard_emit(struct shard *shard, struct point *point, enum event_kind kind, uint32_t a, uint32_t b) {
    struct event event = {.cp = point->handle, .kind = kind, .a = a, .b = b};
    struct pending_events *pending = &point->pending;
    /* behind its own pending ones, or the order of a caller's digits would change */
    if (pending->count == 0 && event_ring_push(&shard->events, &event)) {
        shard->signal = true;
    } else if (pending->count < EVENTS_PENDING) {
        shard->pending += pending->count == 0;
        pending->events[pending->count++] = event;
    } else {
        count(&shard->counters.events_lost, 1);
    }
}

void shard_emit_pending(struct shard *shard) {
    for (unsigned i = 0; i < shard->capacity && shard->pending; i++) {
        struct pending_events *pending = &shard->points[i].pending;
        unsigned done = 0;
        while (done < pending->count && event_ring_push(&shard->events, &pending->events[done]))
            done++;
        if (!done)
            continue;
        shard->signal = true;
        pending->count = (uint8_t)(pending->count - done);
        memmove(pending->events, pending->events + done, pending->count * sizeof *pending->events);
        shard->pending -= pending->count == 0;
    }
}

void shard_tick(struct shard *shard, uint64_t now_ms) {
    shard->now_ms = now_ms;
    run_commands(shard);
    arrival_receive(shard);
    frame_slot(shard, now_ms % SLOTS);
    if (shard->pending)
        shard_emit_pending(shard);
    if (shard->signal) {
        shard->signal = false;
        (void)eventfd_write(shard->event_fd, 1);
    }
    count(&shard->counters.ticks, 1);
}

static bool become_realtime(int priority) {
    struct sched_param parameters = {.sched_priority = priority};
    return priority > 0 && pthread_setschedparam(pthread_self(), SCHED_FIFO, &parameters) == 0;
}

static void *run(void *argument) {
    struct shard *shard = argument;
    shard->realtime = become_realtime(shard->realtime_priority);
    sem_post(&shard->started);
    int64_t due = clock_ns(CLOCK_MONOTONIC);
    uint64_t now_ms = shard->now_ms;
    while (!atomic_load_explicit(&shard->stopping, memory_order_relaxed)) {
        due += TICK_NS;
        now_ms++;
        sleep_until(due);
        int64_t missed = (clock_ns(CLOCK_MONOTONIC) - due) / TICK_NS;
        if (missed > 0)
            count(&shard->counters.overruns, 1);
        if (missed > CATCH_UP_TICKS) { /* a stopped process does not burst when it goes on */
            due += (missed - CATCH_UP_TICKS) * TICK_NS;
            now_ms += (uint64_t)(missed - CATCH_UP_TICKS);
        }
        shard_tick(shard, now_ms);
        if (now_ms % CPU_EVERY_TICKS == 0)
            atomic_store_explicit(&shard->counters.cpu_ns, (uint64_t)clock_ns(CLOCK_THREAD_CPUTIME_ID),
                                  memory_order_relaxed);
    }
    return NULL;
}

bool shard_start(struct shard *shard) {
    if (shard->running)
        return true;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the control thread's */
    shard->running = pthread_create(&shard->thread, NULL, run, shard) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (shard->running)
        while (sem_wait(&shard->started) == -1 && errno == EINTR)
            ;
    return shard->running;
}

void shard_stop(struct shard *shard) {
    if (shard->running) {
        atomic_store(&shard->stopping, true);
        pthread_join(shard->thread, NULL);
        shard->running = false;
    }
    run_commands(shard); /* sockets of commands nobody took are closed with the others */
    for (unsigned i = 0; i < shard->capacity; i++)
        if (shard->points[i].handle)
            topology_remove(shard, &shard->points[i]);
}
