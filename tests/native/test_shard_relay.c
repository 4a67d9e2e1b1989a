#include "world.h"

static uint8_t bytes[RTP_MAX_PACKET_BYTES];
static struct rtp_packet packet;

static struct peer *bridged(enum codec a, enum codec b) {
    world_begin();
    add_peer(0, a);
    add_peer(1, b);
    bridge(&peers[0], &peers[1]);
    ticks(1);
    return &peers[1];
}

TEST(same_codec_is_relayed_untouched_in_the_same_tick) {
    struct peer *b = bridged(CODEC_PCMA, CODEC_PCMA), *a = &peers[0];
    struct remote remote = remote_of(b, CODEC_PCMA);
    remote.payload_type = 96; /* the same codec under a number of its own */
    set_remote(b, remote);
    uint16_t sequence = 0;
    uint32_t timestamp = 0;
    for (unsigned n = 0; n < 1000; n++) {
        uint8_t payload[RTP_MAX_PAYLOAD_BYTES];
        unsigned length = 80 * (1 + n % 6);
        for (unsigned i = 0; i < length; i++)
            payload[i] = (uint8_t)(i * n);
        send_raw(a, payload, length, 8, n == 500, a->timestamp);
        ticks(1);
        CHECK(heard(b, bytes, &packet));
        CHECK(packet.length == length && memcmp(packet.payload, payload, length) == 0);
        CHECK(packet.payload_type == 96 && packet.ssrc != a->ssrc);
        CHECK_EQUAL(packet.marker, n == 0 || n == 500);
        CHECK(!n || (packet.sequence == (uint16_t)(sequence + 1) && packet.timestamp == timestamp));
        sequence = packet.sequence;
        timestamp = packet.timestamp + length;
        a->timestamp += length;
    }
    CHECK(!heard(b, bytes, &packet) && !heard(a, bytes, &packet));
    world_end();
}

TEST(telephone_events_are_relayed_in_the_same_numbering) {
    struct peer *b = bridged(CODEC_PCMA, CODEC_PCMA), *a = &peers[0];
    struct remote remote = remote_of(b, CODEC_PCMA);
    remote.dtmf_payload_type = 97;
    set_remote(b, remote);
    uint32_t offset = 0;
    for (unsigned n = 0; n < 20; n++) {
        bool event = n >= 5 && n < 12;
        uint32_t timestamp = event ? a->timestamp : a->timestamp + (n >= 12 ? 1120 : 0);
        if (event)
            key(a, 5, 20 * (n - 4), n >= 9, timestamp);
        else
            send_raw(a, bytes + 12, 160, 8, false, timestamp), a->timestamp += 160;
        ticks(1);
        uint16_t before = packet.sequence;
        CHECK(heard(b, bytes, &packet));
        CHECK_EQUAL(packet.payload_type, event ? 97 : 8);
        CHECK(!n || packet.sequence == (uint16_t)(before + 1));
        if (!n)
            offset = packet.timestamp - timestamp;
        CHECK_EQUAL(packet.timestamp - timestamp, offset);
        CHECK_EQUAL(packet.marker, n == 0 || n == 5);
    }
    struct event event;
    CHECK_EQUAL(next_event(&event), EVENT_FIRST_PACKET);
    CHECK(next_event(&event) == EVENT_DIGIT && event.a == '5');
    CHECK(!next_event(&event));
    world_end();
}

TEST(peer_that_takes_no_events_sees_neither_them_nor_a_gap) {
    struct peer *b = bridged(CODEC_PCMA, CODEC_PCMA), *a = &peers[0];
    struct remote remote = remote_of(b, CODEC_PCMA);
    remote.dtmf_payload_type = -1;
    set_remote(b, remote);
    unsigned count = 0;
    for (unsigned n = 0; n < 30; n++) {
        if (n % 3)
            talk(a, CODEC_PCMA, 1);
        else
            key(a, 5, 20 * (n + 1), false, 5);
        ticks(1);
        uint16_t before = packet.sequence;
        if (!heard(b, bytes, &packet))
            continue;
        CHECK_EQUAL(packet.payload_type, 8);
        CHECK(!count++ || packet.sequence == (uint16_t)(before + 1));
    }
    CHECK_EQUAL(count, 20);
    world_end();
}

/* Sends `frames` of A-law `fill` from a to b and checks what b hears: `ptime_ms` packets, evenly numbered. */
static void transcoded(unsigned ptime_ms) {
    struct peer *b = bridged(CODEC_PCMA, CODEC_PCMU), *a = &peers[0];
    struct remote remote = remote_of(b, CODEC_PCMU);
    remote.frame_samples = (uint16_t)(8 * ptime_ms);
    set_remote(b, remote);
    unsigned count = 0, loud = 0;
    uint8_t fill = 0x23, wanted;
    int16_t sample;
    g711_decode(CODEC_PCMA, &fill, 1, &sample);
    g711_encode(CODEC_PCMU, &sample, 1, &wanted);
    for (unsigned ms = 0; ms < 2400; ms++) {
        if (ms % 20 == 7)
            talk(a, CODEC_PCMA, fill);
        ticks(1);
        uint16_t sequence = packet.sequence;
        uint32_t timestamp = packet.timestamp;
        while (heard(b, bytes, &packet)) {
            CHECK_EQUAL(packet.length, 8 * ptime_ms);
            CHECK_EQUAL(packet.payload_type, 0);
            CHECK_EQUAL(packet.marker, count == 0);
            CHECK(!count || packet.sequence == (uint16_t)(sequence + 1));
            CHECK(!count || packet.timestamp == timestamp + 8 * ptime_ms);
            sequence = packet.sequence;
            timestamp = packet.timestamp;
            count++;
            loud += packet.payload[0] == wanted && packet.payload[packet.length - 1] == wanted;
        }
    }
    CHECK(count >= 2400 / ptime_ms - 4 && count <= 2400 / ptime_ms);
    CHECK(loud >= count - (80 / ptime_ms + 2));
    CHECK_EQUAL(heard_count(a), 0);
    world_end();
}

TEST(other_codec_is_transcoded_at_10_ms) { transcoded(10); }
TEST(other_codec_is_transcoded_at_20_ms) { transcoded(20); }
TEST(other_codec_is_transcoded_at_30_ms) { transcoded(30); }
TEST(other_codec_is_transcoded_at_40_ms) { transcoded(40); }
TEST(other_codec_is_transcoded_at_50_ms) { transcoded(50); }
TEST(other_codec_is_transcoded_at_60_ms) { transcoded(60); }

TEST(events_between_unlike_codecs_have_one_timestamp_and_one_marker) {
    struct peer *b = bridged(CODEC_PCMA, CODEC_PCMU), *a = &peers[0];
    for (unsigned talking = 0; talking < 2; talking++) {
        unsigned events = 0, markers = 0;
        uint32_t first = 0;
        for (unsigned ms = 0; ms < 400; ms++) {
            if (ms % 20 == 3 && talking)
                talk(a, CODEC_PCMA, 1);
            if (ms % 20 == 5 && ms >= 100 && ms < 240)
                key(a, 7, ms - 85, ms >= 180, 1000 + talking * 8000);
            ticks(1);
            uint16_t before = packet.sequence;
            bool known = events > 0;
            while (heard(b, bytes, &packet)) {
                CHECK(!known || packet.sequence == (uint16_t)(before + 1));
                before = packet.sequence;
                if (packet.payload_type != DTMF_PT)
                    continue;
                CHECK(!events || packet.timestamp == first);
                known = true;
                first = packet.timestamp;
                markers += packet.marker;
                events++;
            }
        }
        CHECK_EQUAL(events, 7);
        CHECK_EQUAL(markers, 1);
    }
    world_end();
}

TEST(source_that_comes_back_after_hold_leaves_no_gap) {
    struct peer *b = bridged(CODEC_PCMA, CODEC_PCMA), *a = &peers[0];
    struct remote remote = remote_of(a, CODEC_PCMA);
    uint16_t last = 0;
    for (unsigned n = 0; n < 30; n++) {
        remote.receive = n < 10 || n >= 20;
        set_remote(a, remote);
        talk(a, CODEC_PCMA, 1);
        ticks(20);
        bool came = heard(b, bytes, &packet);
        CHECK_EQUAL(came, remote.receive);
        if (!came)
            continue;
        CHECK(!n || packet.sequence == (uint16_t)(last + 1));
        CHECK_EQUAL(packet.marker, n == 0 || n == 20);
        last = packet.sequence;
    }
    world_end();
}

TEST(echo_sends_back_what_came) {
    world_begin();
    struct peer *a = add_peer(0, CODEC_PCMU);
    stage((struct command){.kind = COMMAND_ECHO, .cp = a->cp, .on = true});
    for (unsigned n = 0; n < 10; n++) {
        talk(a, CODEC_PCMU, (uint8_t)n);
        ticks(1);
        CHECK(heard(a, bytes, &packet));
        CHECK(packet.payload_type == 0 && packet.payload[0] == n && packet.payload[159] == n);
    }
    world_end();
}

TEST(stranger_can_not_speak_into_a_call) {
    struct peer *b = bridged(CODEC_PCMA, CODEC_PCMA), *a = &peers[0];
    struct peer *stranger = add_peer(2, CODEC_PCMA);
    stranger->point = a->point;
    for (unsigned n = 0; n < 50; n++) { /* before the first packet of the real one */
        talk(stranger, CODEC_PCMA, 9);
        ticks(1);
    }
    CHECK_EQUAL(heard_count(b), 0);
    talk(a, CODEC_PCMA, 1);
    ticks(1);
    stranger->ssrc = a->ssrc;
    for (unsigned n = 0; n < 50; n++) {
        stranger->sequence = a->sequence;
        talk(stranger, CODEC_PCMA, 9);
        talk(a, CODEC_PCMA, 1);
        ticks(2);
    }
    unsigned count = 0;
    for (; heard(b, bytes, &packet); count++)
        CHECK_EQUAL(packet.payload[0], 1);
    CHECK_EQUAL(count, 51);
    ticks(20);
    CHECK_EQUAL(point_read_statistics(point_of(a), a->cp).refused, 50); /* the kernel drops those after them */
    world_end();
}

TEST(peer_whose_port_was_closed_is_heard_and_spoken_to_when_it_is_open_again) {
    struct peer *b = bridged(CODEC_PCMA, CODEC_PCMA), *a = &peers[0];
    talk(b, CODEC_PCMA, 2);
    ticks(1);
    close(b->fd);
    for (unsigned n = 0; n < 20; n++) { /* ICMP comes back for each */
        talk(a, CODEC_PCMA, 1);
        ticks(20);
    }
    b->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    CHECK(bind(b->fd, (struct sockaddr *)&b->own, sizeof b->own) == 0);
    heard_count(a);
    for (unsigned n = 0; n < 5; n++) {
        talk(a, CODEC_PCMA, 1);
        talk(b, CODEC_PCMA, 2);
        ticks(20);
    }
    CHECK(heard_count(a) >= 4);
    CHECK(heard_count(b) >= 4);
    world_end();
}

TEST(flood_on_one_socket_delays_no_other_and_breaks_nothing) {
    struct peer *b = bridged(CODEC_PCMA, CODEC_PCMA), *a = &peers[0];
    struct peer *other = add_peer(2, CODEC_PCMA);
    stage((struct command){.kind = COMMAND_ECHO, .cp = other->cp, .on = true});
    ticks(1);
    for (unsigned n = 0; n < 20000; n++) /* more than the socket's queue holds */
        talk(a, CODEC_PCMA, 1);
    talk(other, CODEC_PCMA, 3);
    ticks(1);
    CHECK(heard(other, bytes, &packet) && packet.payload[0] == 3);
    unsigned count = 0;
    for (unsigned n = 0; n < 3000; n++) {
        unsigned more = heard_count(b);
        CHECK(more <= 1);
        count += more;
        ticks(1);
    }
    CHECK(count > 10);
    CHECK_EQUAL(heard_count(b), 0);
    world_end();
}
