#include "check.h"
#include "commands.h"
#include "events.h"

TEST(command_ring_takes_4096_and_refuses_the_next) {
    static struct command_ring ring;
    for (unsigned start = 0; start < 2; start++) {
        ring.staged = start ? 0xfffff800u : 0; /* the second time across the wrap of its numbers */
        atomic_store(&ring.tail, ring.staged);
        atomic_store(&ring.head, ring.staged);
        for (unsigned n = 0; n < COMMANDS_RING; n++) {
            CHECK_EQUAL(command_ring_room(&ring), COMMANDS_RING - n);
            struct command *command = command_ring_stage(&ring);
            CHECK(command);
            command->cp = n;
        }
        CHECK_EQUAL(command_ring_room(&ring), 0);
        CHECK(!command_ring_stage(&ring));
        CHECK_EQUAL(atomic_load(&ring.head), atomic_load(&ring.tail)); /* unseen until they are published */
        command_ring_publish(&ring);
        CHECK_EQUAL((unsigned)(atomic_load(&ring.head) - atomic_load(&ring.tail)), COMMANDS_RING);
        atomic_fetch_add(&ring.tail, 1);
        struct command *again = command_ring_stage(&ring);
        CHECK(again && again->cp == 0); /* the place that was taken */
        CHECK(!command_ring_stage(&ring));
    }
}

TEST(event_ring_takes_4096_and_gives_them_in_order) {
    static struct event_ring ring;
    for (unsigned start = 0; start < 2; start++) {
        struct event event = {0};
        atomic_store(&ring.tail, start ? 0xfffff800u : 0);
        atomic_store(&ring.head, atomic_load(&ring.tail));
        CHECK(event_ring_empty(&ring));
        CHECK(!event_ring_pop(&ring, &event));
        for (unsigned n = 0; n < EVENTS_RING; n++)
            CHECK(event_ring_push(&ring, &(struct event){.a = n}));
        CHECK(!event_ring_push(&ring, &event));
        for (unsigned n = 0; n < EVENTS_RING; n++) {
            CHECK(!event_ring_empty(&ring));
            CHECK(event_ring_pop(&ring, &event));
            CHECK_EQUAL(event.a, n);
            CHECK(event_ring_push(&ring, &(struct event){.a = EVENTS_RING + n}));
        }
        CHECK(event_ring_pop(&ring, &event));
        CHECK_EQUAL(event.a, EVENTS_RING);
    }
}
