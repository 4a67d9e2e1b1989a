#include "world.h"

TEST(added_points_share_the_slots_evenly) {
    world_begin();
    for (unsigned i = 0; i < POINTS; i++) {
        struct sockaddr_in ignored;
        stage((struct command){.kind = COMMAND_ADD, .cp = handle_of(i, 1), .add = {.fd = bound_socket(&ignored)}});
    }
    ticks(1);
    for (unsigned slot = 0; slot < SLOTS; slot++)
        CHECK(shard->slot_sizes[slot] == POINTS / SLOTS || shard->slot_sizes[slot] == POINTS / SLOTS + 1);
    CHECK_EQUAL(atomic_load(&shard->counters.active), POINTS);
    world_end();
}

TEST(bridged_points_share_a_slot_and_a_third_takes_one_away) {
    world_begin();
    struct peer *a = add_peer(0, CODEC_PCMA), *b = add_peer(1, CODEC_PCMA), *c = add_peer(2, CODEC_PCMA);
    bridge(a, b);
    ticks(1);
    CHECK(point_of(a)->peer == point_of(b) && point_of(b)->peer == point_of(a));
    CHECK_EQUAL(point_of(a)->slot, point_of(b)->slot);
    bridge(c, a);
    ticks(1);
    CHECK(point_of(a)->peer == point_of(c) && point_of(c)->peer == point_of(a));
    CHECK(!point_of(b)->peer);
    CHECK_EQUAL(point_of(a)->slot, point_of(c)->slot);
    stage((struct command){.kind = COMMAND_UNBRIDGE, .cp = a->cp});
    ticks(1);
    CHECK(!point_of(a)->peer && !point_of(c)->peer);
    world_end();
}

TEST(bridge_ends_plays_and_echo) {
    world_begin();
    struct peer *a = add_peer(0, CODEC_PCMA), *b = add_peer(1, CODEC_PCMA);
    play(a, 0, false, 1);
    stage((struct command){.kind = COMMAND_ECHO, .cp = b->cp, .on = true});
    ticks(1);
    CHECK(point_of(a)->player.playing && point_of(b)->echo);
    bridge(a, b);
    ticks(1);
    CHECK(!point_of(a)->player.playing && !point_of(b)->echo);
    world_end();
}

TEST(echo_off_leaves_bridge_and_play_alone) {
    world_begin();
    struct peer *a = add_peer(0, CODEC_PCMA), *b = add_peer(1, CODEC_PCMA);
    bridge(a, b);
    play(a, 0, false, 1);
    stage((struct command){.kind = COMMAND_ECHO, .cp = a->cp, .on = false});
    ticks(1);
    CHECK(point_of(a)->peer == point_of(b) && point_of(a)->player.playing);
    stage((struct command){.kind = COMMAND_ECHO, .cp = a->cp, .on = true});
    ticks(1);
    CHECK(!point_of(a)->peer && !point_of(b)->peer && !point_of(a)->player.playing && point_of(a)->echo);
    world_end();
}

TEST(removed_point_leaves_its_peer_alone_and_its_place_to_the_next) {
    world_begin();
    struct peer *a = add_peer(0, CODEC_PCMA), *b = add_peer(1, CODEC_PCMA);
    bridge(a, b);
    ticks(1);
    stage((struct command){.kind = COMMAND_REMOVE, .cp = a->cp});
    struct sockaddr_in ignored;
    uint64_t next = handle_of(0, 2);
    stage((struct command){.kind = COMMAND_ADD, .cp = next, .add = {.fd = bound_socket(&ignored)}});
    stage((struct command){.kind = COMMAND_UNBRIDGE, .cp = a->cp});
    stage((struct command){.kind = COMMAND_REMOVE, .cp = a->cp});
    stage((struct command){.kind = COMMAND_BRIDGE, .cp = b->cp, .other = a->cp});
    ticks(1);
    CHECK(!point_of(b)->peer);
    CHECK_EQUAL(shard->points[0].handle, next);
    CHECK(!shard->points[0].has_remote);
    CHECK_EQUAL(atomic_load(&shard->counters.stale_commands), 3);
    CHECK_EQUAL(atomic_load(&shard->counters.active), 2);
    talk(a, CODEC_PCMA, 1); /* nobody is there any more */
    ticks(25);
    CHECK_EQUAL(heard_count(b), 0);
    world_end();
}

TEST(commands_out_of_bounds_are_counted_and_cost_no_socket) {
    world_begin();
    struct peer *a = add_peer(0, CODEC_PCMA);
    struct sockaddr_in ignored;
    int fd = bound_socket(&ignored), again = bound_socket(&ignored);
    stage((struct command){.kind = COMMAND_ADD, .cp = handle_of(POINTS, 1), .add = {.fd = fd}});
    stage((struct command){.kind = COMMAND_ADD, .cp = handle_of(0, 2), .add = {.fd = again}}); /* taken */
    stage((struct command){.kind = COMMAND_UNBRIDGE, .cp = handle_of(60000, 1)});
    stage((struct command){.kind = COMMAND_BRIDGE, .cp = a->cp, .other = a->cp});
    ticks(1);
    CHECK_EQUAL(atomic_load(&shard->counters.stale_commands), 4);
    CHECK(close(fd) == -1 && close(again) == -1);
    world_end();
}

static void keys(struct peer *a, unsigned count, uint32_t *timestamp) {
    while (count--) {
        key(a, (uint8_t)(*timestamp / 1000 % 10), 100, true, *timestamp);
        *timestamp += 1000;
        ticks(1);
    }
}

TEST(events_wait_in_order_at_their_point_while_the_ring_is_full) {
    world_begin();
    struct peer *a = add_peer(0, CODEC_PCMA);
    struct event event;
    uint32_t timestamp = 1000;
    ticks(1);
    while (event_ring_push(&shard->events, &(struct event){0}))
        ;
    keys(a, EVENTS_PENDING + 2, &timestamp); /* the first brings the event of the first packet with it */
    CHECK_EQUAL(point_of(a)->pending.count, EVENTS_PENDING);
    CHECK_EQUAL(shard->pending, 1);
    CHECK_EQUAL(atomic_load(&shard->counters.events_lost), 3);
    CHECK(event_ring_pop(&shard->events, &event) && event_ring_pop(&shard->events, &event));
    ticks(1);
    CHECK_EQUAL(point_of(a)->pending.count, EVENTS_PENDING - 2);
    CHECK(event_ring_pop(&shard->events, &event));
    keys(a, 1, &timestamp); /* there is room, and yet it goes behind those that wait */
    for (unsigned n = 0; n < EVENTS_RING - 3; n++)
        CHECK(event_ring_pop(&shard->events, &event) && event.kind == 0);
    ticks(1);
    CHECK_EQUAL(shard->pending, 0);
    CHECK_EQUAL(next_event(&event), EVENT_FIRST_PACKET);
    const char *wanted = "1234567";
    for (; *wanted; wanted++)
        CHECK(next_event(&event) == EVENT_DIGIT && event.a == (uint32_t)*wanted);
    CHECK(next_event(&event) == EVENT_DIGIT && event.a == '1'); /* the eleventh */
    CHECK(!next_event(&event));
    world_end();
}

TEST(removed_point_takes_its_waiting_events_with_it) {
    world_begin();
    struct peer *a = add_peer(0, CODEC_PCMA);
    struct event event;
    uint32_t timestamp = 1000;
    ticks(1);
    while (event_ring_push(&shard->events, &(struct event){0}))
        ;
    keys(a, 2, &timestamp);
    CHECK_EQUAL(shard->pending, 1);
    stage((struct command){.kind = COMMAND_REMOVE, .cp = a->cp});
    ticks(1);
    CHECK_EQUAL(shard->pending, 0);
    while (next_event(&event) || event_ring_pop(&shard->events, &event))
        CHECK_EQUAL(event.kind, 0);
    ticks(1);
    CHECK(!next_event(&event));
    world_end();
}
