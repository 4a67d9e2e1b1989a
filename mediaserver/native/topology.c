/* Which connection points there are and which feeds which: the commands of the control thread. */
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "shard.h"

static struct point *find(struct shard *shard, uint64_t cp) {
    unsigned index = cp_index(cp);
    struct point *point = index < shard->capacity ? &shard->points[index] : NULL;
    return point && point->handle == cp ? point : NULL;
}

static void leave_slot(struct shard *shard, struct point *point) {
    if (point->slot_previous)
        point->slot_previous->slot_next = point->slot_next;
    else
        shard->slots[point->slot] = point->slot_next;
    if (point->slot_next)
        point->slot_next->slot_previous = point->slot_previous;
    shard->slot_sizes[point->slot]--;
}

static void enter_slot(struct shard *shard, struct point *point, unsigned slot) {
    point->slot = (uint8_t)slot;
    point->slot_previous = NULL;
    point->slot_next = shard->slots[slot];
    if (point->slot_next)
        point->slot_next->slot_previous = point;
    shard->slots[slot] = point;
    shard->slot_sizes[slot]++;
}

static unsigned emptiest_slot(const struct shard *shard) {
    unsigned best = 0;
    for (unsigned slot = 1; slot < SLOTS; slot++)
        if (shard->slot_sizes[slot] < shard->slot_sizes[best])
            best = slot;
    return best;
}

static void add(struct shard *shard, const struct command *command) {
    unsigned index = cp_index(command->cp);
    struct point *point = index < shard->capacity ? &shard->points[index] : NULL;
    if (!point || point->handle) {
        close(command->add.fd);
        count(&shard->counters.stale_commands, 1);
        return;
    }
    point_open(point, command->cp, command->add.fd, command->add.random);
    point->last_packet_ms = point->last_due_ms = shard->now_ms;
    enter_slot(shard, point, emptiest_slot(shard));
    struct epoll_event ready = {.events = EPOLLIN, .data.ptr = point};
    epoll_ctl(shard->epoll_fd, EPOLL_CTL_ADD, point->fd, &ready);
    count(&shard->counters.active, 1);
}

static void unbridge(struct point *point) {
    struct point *peer = point->peer;
    point->peer = NULL;
    point->event_relayed = false;
    point->out.source = SOURCE_NONE; /* the same source may come back later: the pause is no gap in the numbering */
    jitter_reset(&point->jitter);
    if (peer)
        unbridge(peer);
}

/* What a point was in before it enters a bridge. */
static void leave_all(struct shard *shard, struct point *point) {
    unbridge(point);
    point->echo = false;
    frame_stop_play(shard, point, false);
}

static void bridge(struct shard *shard, struct point *a, struct point *b) {
    leave_all(shard, a);
    leave_all(shard, b);
    a->peer = b;
    b->peer = a;
    if (a->slot != b->slot) { /* both in one tick: a frame goes through a bridge without waiting */
        leave_slot(shard, b);
        enter_slot(shard, b, a->slot);
    }
}

void topology_remove(struct shard *shard, struct point *point) {
    unbridge(point);
    leave_slot(shard, point);
    point_publish(point);
    epoll_ctl(shard->epoll_fd, EPOLL_CTL_DEL, point->fd, NULL); /* a duplicate of it would keep it there */
    close(point->fd);
    shard->pending -= point->pending.count != 0;
    point->pending.count = 0;
    point->handle = 0;
    atomic_fetch_sub_explicit(&shard->counters.active, 1, memory_order_relaxed);
}

void topology_execute(struct shard *shard, const struct command *command) {
    if (command->kind == COMMAND_ADD) {
        add(shard, command);
        return;
    }
    struct point *point = find(shard, command->cp);
    struct point *other = command->kind == COMMAND_BRIDGE ? find(shard, command->other) : point;
    if (!point || !other || (command->kind == COMMAND_BRIDGE && point == other)) {
        count(&shard->counters.stale_commands, 1);
        return;
    }
    switch (command->kind) {
    case COMMAND_SET_REMOTE:
        point_set_remote(point, &command->remote, shard->now_ms);
        break;
    case COMMAND_BRIDGE:
        bridge(shard, point, other);
        break;
    case COMMAND_UNBRIDGE:
        unbridge(point);
        break;
    case COMMAND_ECHO:
        if (command->on)
            leave_all(shard, point);
        point->echo = command->on;
        break;
    case COMMAND_PLAY:
        frame_stop_play(shard, point, false);
        player_start(&point->player, &command->playlist);
        break;
    case COMMAND_STOP_PLAY:
        point->player.playing = false;
        break;
    case COMMAND_SEND_DIGITS:
        digit_out_queue(&point->digit_out, command->digits.digits, command->digits.count,
                        command->digits.duration_ms, command->digits.gap_ms);
        break;
    case COMMAND_REMOVE:
        topology_remove(shard, point);
        break;
    case COMMAND_ADD:
    case COMMAND_KINDS:
        break;
    }
}
