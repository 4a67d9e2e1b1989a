#include "check.h"
#include "stream.h"

static struct rtp_packet numbered(uint16_t sequence, uint32_t timestamp, uint32_t ssrc) {
    return (struct rtp_packet){.sequence = sequence, .timestamp = timestamp, .ssrc = ssrc, .length = 160};
}

static void come(struct stream_in *in, uint16_t sequence, uint32_t ssrc) {
    struct rtp_packet packet = numbered(sequence, sequence * 160u, ssrc);
    stream_in_packet(in, &packet, false, sequence * 20ull);
}

TEST(lost_is_what_the_numbers_miss_also_across_their_wrap) {
    struct stream_in in = {0};
    CHECK_EQUAL(stream_in_lost(&in), 0);
    for (unsigned n = 65000; n < 67000; n++)
        if (n % 100)
            come(&in, (uint16_t)n, 1);
    /* the first, 65000, was left out: nobody can miss that one */
    CHECK_EQUAL(stream_in_lost(&in), 19);
    CHECK_EQUAL(in.received, 1980);
}

TEST(reordered_and_repeated_packets_are_not_lost) {
    struct stream_in in = {0};
    const uint16_t order[] = {10, 12, 11, 11, 9, 13, 15, 14};
    for (unsigned i = 0; i < sizeof order / sizeof *order; i++)
        come(&in, order[i], 1);
    CHECK_EQUAL(stream_in_lost(&in), 0);
}

TEST(another_ssrc_begins_its_own_numbers_and_keeps_the_losses_before) {
    struct stream_in in = {0};
    come(&in, 1, 1);
    come(&in, 4, 1);
    come(&in, 40000, 2);
    come(&in, 40002, 2);
    CHECK_EQUAL(stream_in_lost(&in), 3);
    CHECK_EQUAL(in.received_before + in.received, 4);
}

TEST(sender_that_begins_anew_with_the_same_ssrc_loses_nothing) {
    struct stream_in in = {0};
    for (unsigned n = 0; n < 50; n++)
        come(&in, (uint16_t)(100 + n), 1);
    for (unsigned n = 0; n < 50; n++)
        come(&in, (uint16_t)(30000 + n), 1);
    for (unsigned n = 0; n < 50; n++)
        come(&in, (uint16_t)(20 + n), 1);
    CHECK_EQUAL(stream_in_lost(&in), 0);
    CHECK_EQUAL(in.received_before + in.received, 150);
}

TEST(jitter_is_that_of_the_rfc) {
    struct stream_in in = {0};
    double wanted = 0;
    for (unsigned n = 0; n < 200; n++) {
        struct rtp_packet packet = numbered((uint16_t)n, n * 160, 1);
        stream_in_packet(&in, &packet, false, n * 20 + (n & 1) * 5); /* every other one 5 ms late: D is 40 units */
        if (n)
            wanted += (40 - wanted) / 16;
    }
    CHECK(in.jitter > wanted - 1e-9 && in.jitter < wanted + 1e-9);
    CHECK(in.jitter > 39.9 && in.jitter < 40);
}

TEST(events_and_jumps_of_the_clock_are_no_jitter) {
    struct stream_in in = {0};
    uint32_t timestamp = 0;
    for (unsigned n = 0; n < 100; n++) {
        timestamp += n == 30 ? 0x80000000u : n == 60 ? 1000000u : 160u;
        struct rtp_packet packet = numbered((uint16_t)n, timestamp, 1);
        stream_in_packet(&in, &packet, false, n * 20);
        packet.timestamp = 7; /* a key is held meanwhile */
        stream_in_packet(&in, &packet, true, n * 20);
    }
    CHECK(in.jitter == 0);
}

static void relay(struct stream_out *out, uint16_t sequence, uint32_t timestamp, uint32_t ssrc, uint64_t now_ms,
                  bool marker, uint16_t wanted_sequence) {
    struct rtp_packet packet = numbered(sequence, timestamp, ssrc);
    CHECK_EQUAL(stream_out_relay(out, &packet, now_ms), marker);
    uint16_t ours = (uint16_t)(sequence + out->sequence_offset);
    CHECK_EQUAL(ours, wanted_sequence);
    stream_out_sent(out, ours, timestamp + out->timestamp_offset, 160);
}

TEST(numbers_go_on_when_the_source_changes_also_across_their_wrap) {
    struct stream_out out = {.sequence = 65534, .timestamp = 0xffffff00, .clock_base = 0xffffff00 - 8 * 1000};
    CHECK(stream_out_generate(&out, 1000));
    CHECK_EQUAL(out.timestamp, 0xffffff00);
    stream_out_sent(&out, out.sequence, out.timestamp, 160);
    CHECK(!stream_out_generate(&out, 1020));
    stream_out_sent(&out, out.sequence, out.timestamp, 160);
    CHECK_EQUAL(out.sequence, 0);
    relay(&out, 40000, 5000, 1, 1040, true, 0);
    CHECK_EQUAL((uint32_t)(5000 + out.timestamp_offset), (uint32_t)(0xffffff00 + 320));
    relay(&out, 40001, 5160, 1, 1060, false, 1);
    relay(&out, 9, 0, 2, 1080, true, 2); /* another SSRC */
    CHECK(stream_out_generate(&out, 1100));
    CHECK_EQUAL(out.sequence, 3);
    CHECK_EQUAL(out.timestamp, (uint32_t)(0xffffff00 + 800));
}

TEST(relayed_loss_and_order_stay_as_they_were) {
    struct stream_out out = {.sequence = 500};
    relay(&out, 10, 0, 1, 0, true, 500);
    relay(&out, 13, 480, 1, 60, false, 503);
    relay(&out, 12, 320, 1, 61, false, 502);
    CHECK_EQUAL(out.sequence, 504);
    CHECK_EQUAL(out.timestamp - out.timestamp_offset, 640);
}

TEST(relayed_source_that_begins_anew_leaves_no_gap) {
    struct stream_out out = {.sequence = 500};
    relay(&out, 10, 0, 1, 0, true, 500);
    relay(&out, 30000, 777, 1, 20, true, 501);
    relay(&out, 5, 0, 1, 40, true, 502);
    relay(&out, 6, 160, 1, 60, false, 503);
}

TEST(clock_never_goes_back) {
    struct stream_out out = {0};
    stream_out_generate(&out, 0);
    for (unsigned n = 0; n < 100; n++) /* a source that is ten times too fast */
        stream_out_sent(&out, out.sequence, out.timestamp, 160);
    out.source = SOURCE_NONE;
    CHECK(stream_out_generate(&out, 200));
    CHECK_EQUAL(out.timestamp, 16000);
    out.source = SOURCE_NONE;
    CHECK(stream_out_generate(&out, 3000));
    CHECK_EQUAL(out.timestamp, 24000);
}
