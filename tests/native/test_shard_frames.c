#include "world.h"

static uint8_t bytes[RTP_MAX_PACKET_BYTES];
static struct rtp_packet packet;

/* Ticks `ms` and insists that what the peer hears is numbered without a gap and never goes back in time. */
static unsigned listen_for(struct peer *peer, unsigned ms, unsigned *events) {
    unsigned count = 0;
    while (ms--) {
        ticks(1);
        uint16_t sequence = packet.sequence;
        for (; heard(peer, bytes, &packet); count++, sequence = packet.sequence) {
            CHECK(!sequence || packet.sequence == (uint16_t)(sequence + 1));
            if (events)
                *events += packet.payload_type == DTMF_PT;
        }
    }
    return count;
}

TEST(prompt_is_played_at_every_ptime_and_ends_once) {
    for (unsigned ptime = 10; ptime <= 60; ptime += 10) {
        world_begin();
        struct peer *a = add_peer(0, CODEC_PCMU);
        struct remote remote = remote_of(a, CODEC_PCMU);
        remote.frame_samples = (uint16_t)(8 * ptime);
        set_remote(a, remote);
        play(a, -1, false, 42);
        unsigned position = 0, last_ms = 0;
        uint32_t first = 0;
        for (unsigned ms = 0; ms < 1300; ms++) {
            ticks(1);
            while (heard(a, bytes, &packet)) {
                CHECK_EQUAL(packet.length, 8 * ptime);
                CHECK_EQUAL(packet.marker, position == 0);
                if (!position)
                    first = packet.timestamp;
                CHECK_EQUAL(packet.timestamp - first, position);
                for (unsigned i = 0; i < packet.length; i++, position++)
                    CHECK_EQUAL(packet.payload[i],
                                position < 8000 ? prompt_bytes[CODEC_PCMU][position] : g711_silence(CODEC_PCMU));
                last_ms = ms;
            }
        }
        CHECK(position >= 8000 && position < 8000 + 8 * ptime);
        CHECK(last_ms >= 1000 - 40 && last_ms <= 1060 + 20);
        struct event event;
        CHECK(next_event(&event) == EVENT_PLAY_FINISHED && event.a == 42 && event.b == 0);
        CHECK(!next_event(&event));
        world_end();
    }
}

TEST(codec_change_goes_on_where_the_prompt_was) {
    world_begin();
    struct peer *a = add_peer(0, CODEC_PCMU);
    play(a, 0, false, 1);
    listen_for(a, 500, NULL);
    uint8_t last = packet.payload[159];
    CHECK(packet.payload_type == 0 && last < 50);
    set_remote(a, remote_of(a, CODEC_PCMA));
    listen_for(a, 20, NULL);
    CHECK_EQUAL(packet.payload_type, 8);
    CHECK_EQUAL(packet.payload[0], 128 + last + 1);
    world_end();
}

TEST(prompt_waits_for_the_remote_and_while_sending_is_forbidden) {
    world_begin();
    struct peer *a = add_peer(0, CODEC_PCMU);
    struct remote remote = remote_of(a, CODEC_PCMU);
    remote.send = false;
    set_remote(a, remote);
    play(a, -1, false, 1);
    CHECK_EQUAL(listen_for(a, 100, NULL), 0);
    set_remote(a, remote_of(a, CODEC_PCMU));
    CHECK_EQUAL(listen_for(a, 100, NULL), 5);
    CHECK_EQUAL(packet.payload[0], 4);
    set_remote(a, remote);
    CHECK_EQUAL(listen_for(a, 200, NULL), 0);
    uint32_t before = packet.timestamp;
    set_remote(a, remote_of(a, CODEC_PCMU));
    CHECK_EQUAL(listen_for(a, 20, NULL), 1);
    CHECK_EQUAL(packet.payload[0], 5);
    CHECK(packet.marker);
    CHECK_EQUAL(packet.timestamp - before, 160 + 200 * 8);
    world_end();
}

TEST(stall_of_the_shard_shows_in_the_timestamps_and_not_as_a_burst) {
    world_begin();
    struct peer *a = add_peer(0, CODEC_PCMU);
    play(a, 0, false, 1);
    listen_for(a, 200, NULL);
    uint32_t before = packet.timestamp;
    now_ms += 300;
    CHECK_EQUAL(listen_for(a, 20, NULL), 1);
    CHECK_EQUAL(packet.timestamp - before, 160 + 300 * 8);
    CHECK_EQUAL(listen_for(a, 200, NULL), 10);
    world_end();
}

TEST(digit_is_interrupting_once_and_its_rest_leaves_the_next_prompt_alone) {
    world_begin();
    struct peer *a = add_peer(0, CODEC_PCMU);
    struct event event;
    play(a, 0, true, 1);
    listen_for(a, 100, NULL);
    CHECK(!next_event(&event));
    key(a, 3, 20, false, 5000);
    ticks(1);
    CHECK_EQUAL(next_event(&event), EVENT_FIRST_PACKET);
    CHECK(next_event(&event) == EVENT_PLAY_FINISHED && event.a == 1 && event.b == 1);
    play(a, 0, true, 2);
    ticks(1);
    key(a, 3, 40, false, 5000);
    key(a, 3, 60, true, 5000);
    key(a, 3, 60, true, 5000);
    ticks(3);
    CHECK(next_event(&event) == EVENT_DIGIT && event.a == '3' && event.b == 60);
    CHECK(!next_event(&event));
    CHECK(point_of(a)->player.playing);
    key(a, 3, 20, false, 9000);
    ticks(1);
    CHECK(next_event(&event) == EVENT_PLAY_FINISHED && event.a == 2 && event.b == 1);
    world_end();
}

TEST(digit_without_interrupt_and_requests_to_stop_report_no_end) {
    world_begin();
    struct peer *a = add_peer(0, CODEC_PCMU);
    struct event event;
    play(a, 0, false, 1);
    ticks(1);
    key(a, 3, 60, true, 5000);
    ticks(1);
    CHECK_EQUAL(next_event(&event), EVENT_FIRST_PACKET);
    CHECK_EQUAL(next_event(&event), EVENT_DIGIT);
    play(a, 0, false, 2);
    ticks(1);
    stage((struct command){.kind = COMMAND_STOP_PLAY, .cp = a->cp});
    ticks(1);
    CHECK(!next_event(&event) && !point_of(a)->player.playing);
    world_end();
}

TEST(digits_interrupt_a_prompt_which_goes_on_where_it_was) {
    world_begin();
    struct peer *a = add_peer(0, CODEC_PCMU);
    unsigned events = 0;
    play(a, 0, false, 1);
    listen_for(a, 200, NULL);
    CHECK_EQUAL(packet.payload[0], 9);
    send_digits(a, "12", 100, 60);
    listen_for(a, 2 * (140 + 60), &events);
    CHECK_EQUAL(events, 14);
    listen_for(a, 20, &events);
    CHECK(packet.payload_type == 0 && packet.payload[0] == 10);
    CHECK_EQUAL(events, 14);
    world_end();
}

TEST(every_packet_of_a_digit_has_its_start_also_through_a_stall) {
    world_begin();
    struct peer *a = add_peer(0, CODEC_PCMU);
    send_digits(a, "9", 200, 60);
    uint32_t began = 0;
    unsigned count = 0, ends = 0;
    for (unsigned ms = 0; ms < 300; ms++) {
        if (ms == 90)
            now_ms += 500;
        ticks(1);
        for (; heard(a, bytes, &packet); count++) {
            CHECK_EQUAL(packet.payload_type, DTMF_PT);
            CHECK_EQUAL(packet.marker, count == 0);
            if (!count)
                began = packet.timestamp;
            CHECK_EQUAL(packet.timestamp, began);
            ends += packet.payload[1] >> 7;
            CHECK_EQUAL(rtp_get16(packet.payload + 2), count < 9 ? 160 * (count + 1) : 1600);
        }
    }
    CHECK_EQUAL(count, 12);
    CHECK_EQUAL(ends, DIGIT_END_PACKETS);
    world_end();
}

TEST(digits_take_the_place_of_what_is_relayed_and_the_numbering_goes_on) {
    world_begin();
    struct peer *a = add_peer(0, CODEC_PCMA), *b = add_peer(1, CODEC_PCMA);
    bridge(a, b);
    unsigned events = 0, audio = 0;
    uint32_t end = 0;
    for (unsigned n = 0; n < 60; n++) {
        if (n == 20)
            send_digits(b, "5", 100, 60);
        talk(a, CODEC_PCMA, 1);
        audio += listen_for(b, 20, &events);
        CHECK(rtp_timestamp_diff(packet.timestamp, end) >= 0 || packet.payload_type == DTMF_PT || !end);
        end = packet.timestamp;
    }
    CHECK_EQUAL(events, 7);
    CHECK(audio - events >= 48 && audio - events <= 51);
    world_end();
}

TEST(digits_for_a_peer_that_takes_none_stop_nothing) {
    world_begin();
    struct peer *a = add_peer(0, CODEC_PCMA);
    struct remote remote = remote_of(a, CODEC_PCMA);
    remote.dtmf_payload_type = -1;
    set_remote(a, remote);
    play(a, 0, false, 1);
    send_digits(a, "1234", 100, 60);
    CHECK_EQUAL(listen_for(a, 200, NULL), 10);
    CHECK_EQUAL(packet.payload_type, 8);
    world_end();
}

TEST(silence_is_reported_once_and_again_after_sound) {
    world_begin();
    struct peer *a = add_peer(0, CODEC_PCMA);
    struct remote remote = remote_of(a, CODEC_PCMA);
    struct event event;
    remote.timeout_ms = 500;
    set_remote(a, remote);
    ticks(499);
    CHECK(!next_event(&event));
    ticks(1000);
    CHECK(next_event(&event) == EVENT_RTP_TIMEOUT && event.a >= 500 && event.a < 520);
    CHECK(!next_event(&event));
    talk(a, CODEC_PCMA, 1);
    ticks(1);
    CHECK_EQUAL(next_event(&event), EVENT_FIRST_PACKET);
    ticks(530);
    CHECK_EQUAL(next_event(&event), EVENT_RTP_TIMEOUT);
    ticks(2000);
    CHECK(!next_event(&event));
    world_end();
}

TEST(counters_add_up) {
    world_begin();
    struct peer *a = add_peer(0, CODEC_PCMA), *b = add_peer(1, CODEC_PCMU);
    bridge(a, b);
    for (unsigned n = 0; n < 100; n++) {
        if (n % 10 == 5)
            a->sequence++; /* lost on the way */
        talk(a, CODEC_PCMA, 1);
        ticks(20);
    }
    struct statistics_snapshot came = point_read_statistics(point_of(a), a->cp);
    struct statistics_snapshot went = point_read_statistics(point_of(b), b->cp);
    CHECK_EQUAL(came.received, 100);
    CHECK_EQUAL(came.lost, 10);
    CHECK_EQUAL(came.jitter_us, 0);
    CHECK(came.concealed_ms >= 200 && came.concealed_ms <= 260);
    CHECK_EQUAL(came.remote, (uint64_t)INADDR_LOOPBACK << 16 | ntohs(a->own.sin_port));
    CHECK_EQUAL(went.sent, heard_count(b));
    CHECK_EQUAL(atomic_load(&shard->counters.packets_in), 100);
    CHECK_EQUAL(atomic_load(&shard->counters.packets_out), went.sent);
    world_end();
}
