#include "check.h"
#include "jitter.h"

/* A-law both ways is transparent: what was put in can be told sample by sample from what comes out. */
static struct jitter jitter;
static uint32_t written; /* samples put in so far */

static void begin(void) {
    g711_init();
    memset(&jitter, 0xaa, sizeof jitter); /* nothing may rest on what was there */
    jitter_reset(&jitter);
    written = 0;
}

static uint8_t code(uint32_t sample) { return (uint8_t)(1 + sample * 7 % 83); /* never silence */ }

static enum jitter_put put(uint16_t sequence, unsigned samples) {
    uint8_t payload[RTP_MAX_PAYLOAD_BYTES];
    for (unsigned i = 0; i < samples; i++)
        payload[i] = code(written + i);
    written += samples;
    struct rtp_packet packet = {.payload = payload, .length = (uint16_t)samples, .sequence = sequence};
    return jitter_put(&jitter, &packet);
}

static unsigned take(unsigned samples, uint8_t *out) {
    int16_t pcm[RTP_MAX_PAYLOAD_BYTES];
    unsigned invented = jitter_take(&jitter, CODEC_PCMA, samples, pcm);
    g711_encode(CODEC_PCMA, pcm, samples, out);
    return invented;
}

static void check_silent(const uint8_t *out, unsigned samples) {
    for (unsigned i = 0; i < samples; i++)
        CHECK_EQUAL(out[i], g711_silence(CODEC_PCMA));
}

static void check_sound(const uint8_t *out, unsigned samples, uint32_t first) {
    for (unsigned i = 0; i < samples; i++)
        CHECK_EQUAL(out[i], code(first + i));
}

TEST(silent_until_two_frames_are_there) {
    uint8_t out[160];
    begin();
    CHECK_EQUAL(take(160, out), 160);
    put(7, 160);
    CHECK_EQUAL(take(160, out), 160);
    check_silent(out, 160);
    put(8, 160);
    CHECK_EQUAL(take(160, out), 0);
    check_sound(out, 160, 0);
}

TEST(reordered_frames_play_in_order_across_the_wrap) {
    uint8_t out[160];
    const uint16_t order[] = {65533, 65535, 65534, 1, 0, 2};
    const unsigned place[] = {0, 2, 1, 4, 3, 5};
    begin();
    for (unsigned i = 0; i < 6; i++) {
        written = place[i] * 160;
        CHECK_EQUAL(put(order[i], 160), JITTER_STORED);
    }
    for (unsigned i = 0; i < 6; i++) {
        CHECK_EQUAL(take(160, out), 0);
        check_sound(out, 160, i * 160);
    }
}

TEST(lost_frame_is_the_last_one_softer_and_then_silence) {
    uint8_t out[160];
    begin();
    put(1, 160);
    put(2, 160);
    put(8, 160); /* 3 to 7 are lost */
    take(160, out);
    take(160, out);
    int16_t pcm[160], before[160];
    memcpy(before, jitter.last, sizeof before);
    for (unsigned n = 1; n <= 5; n++) {
        CHECK_EQUAL(jitter_take(&jitter, CODEC_PCMA, 160, pcm), 160);
        for (unsigned i = 0; i < 160; i++)
            CHECK_EQUAL(pcm[i], n <= JITTER_CONCEAL_FRAMES ? before[i] >> n : 0);
    }
    CHECK_EQUAL(take(160, out), 0);
    check_sound(out, 160, 320);
}

TEST(late_frame_is_told_and_not_played) {
    uint8_t out[160];
    begin();
    put(10, 160);
    put(11, 160);
    take(160, out);
    CHECK_EQUAL(put(10, 160), JITTER_LATE);
    CHECK_EQUAL(put(9, 160), JITTER_LATE);
    CHECK_EQUAL(jitter.count, 1);
}

TEST(frame_after_a_gap_that_came_late_is_left_out) {
    uint8_t out[160];
    begin();
    put(1, 160);
    put(2, 160);
    put(4, 160);
    put(5, 160);
    take(160, out);
    take(160, out);
    CHECK_EQUAL(take(160, out), 160); /* 3 is concealed */
    CHECK_EQUAL(put(3, 160), JITTER_LATE);
    CHECK_EQUAL(take(160, out), 0);
    check_sound(out, 160, 320);
}

TEST(sender_that_begins_anew_is_followed_at_once) {
    uint8_t out[160];
    begin();
    put(100, 160);
    put(101, 160);
    take(160, out);
    CHECK_EQUAL(put(40000, 160), JITTER_RESYNC);
    CHECK_EQUAL(put(40001, 160), JITTER_STORED);
    CHECK_EQUAL(take(160, out), 0);
    check_sound(out, 160, 320);
    CHECK_EQUAL(put(39000, 160), JITTER_RESYNC);
}

TEST(frame_twice_is_one_frame) {
    begin();
    put(1, 160);
    put(1, 160);
    CHECK_EQUAL(jitter.count, 1);
    CHECK(jitter.filling);
}

TEST(pause_of_the_sender_is_not_concealed_twice) {
    uint8_t out[160];
    begin();
    put(1, 160);
    put(2, 160);
    for (unsigned n = 0; n < 10; n++) /* it plays two and then waits */
        take(160, out);
    put(6, 160); /* 3 to 5 were events or lost; their time is over */
    put(7, 160);
    CHECK_EQUAL(take(160, out), 0);
    check_sound(out, 160, 320);
}

TEST(every_ptime_goes_in_and_out_at_every_other_without_a_sample_lost) {
    for (unsigned in = 80; in <= 480; in += 80) {
        for (unsigned out_samples = 80; out_samples <= 480; out_samples += 80) {
            if (out_samples > 4 * in)
                continue; /* such takes live near JITTER_HIGH, where frames are left out */
            uint8_t out[480];
            uint32_t played = 0;
            uint16_t sequence = 65500;
            unsigned came = 0, due = 0, invented = 0, silent_before = 0;
            begin();
            const unsigned end = (JITTER_REVIEW_TAKES - 1) * out_samples; /* the review leaves out what was too early */
            for (unsigned clock = 0; clock < end; clock += 80) {
                for (; came + in <= clock; came += in)
                    put(sequence++, in);
                for (; due + out_samples <= clock; due += out_samples) {
                    unsigned silent = 0;
                    invented += take(out_samples, out);
                    while (!played && silent < out_samples && out[silent] == g711_silence(CODEC_PCMA))
                        silent++;
                    silent_before += silent;
                    CHECK(silent_before <= invented);
                    check_sound(out + silent, out_samples - silent, played);
                    played += out_samples - silent;
                }
            }
            CHECK(played + 3 * (in + out_samples) > end);
        }
    }
}

TEST(faster_sender_loses_single_frames_and_never_the_stream) {
    uint8_t out[160];
    uint16_t sequence = 0;
    unsigned invented = 0;
    begin();
    for (unsigned n = 0; n < 5000; n++) {
        CHECK(put(sequence++, 160) == JITTER_STORED);
        if (n % 20 == 0) /* 5 % too fast */
            CHECK(put(sequence++, 160) == JITTER_STORED);
        invented += take(160, out);
        CHECK(jitter.count <= JITTER_HIGH + 1);
    }
    CHECK(invented <= 160);
}

TEST(delay_of_a_stall_is_given_back) {
    uint8_t out[160];
    uint16_t sequence = 0;
    begin();
    for (; sequence < 50; sequence++) {
        put(sequence, 160);
        take(160, out);
    }
    for (unsigned n = 0; n < 8; n++) /* the network holds 160 ms back, then all come at once */
        take(160, out);
    for (unsigned n = 0; n < 8; n++)
        put(sequence++, 160);
    unsigned high = jitter.count;
    CHECK(high >= 8);
    for (unsigned n = 0; n < 10 * JITTER_REVIEW_TAKES; n++) {
        put(sequence++, 160);
        CHECK_EQUAL(take(160, out), 0);
    }
    CHECK(jitter.count <= JITTER_PREFILL);
}

TEST(jittery_network_is_left_its_frames) {
    uint8_t out[160];
    uint16_t sequence = 0;
    unsigned invented = 0;
    begin();
    for (unsigned n = 0; n < 4000; n++) {
        if (n % 4 == 3) /* three late, then four at once */
            for (unsigned i = 0; i < 4; i++)
                put(sequence++, 160);
        unsigned more = take(160, out);
        invented += n > 100 ? more : 0;
    }
    CHECK_EQUAL(invented, 0);
}

TEST(no_order_of_puts_and_takes_breaks_it) {
    uint8_t out[480];
    uint16_t sequence = 0;
    srand(3);
    begin();
    for (unsigned n = 0; n < 300000; n++) {
        switch (rand() % 8) {
        case 0:
            sequence = (uint16_t)rand();
            break;
        case 1:
            sequence = (uint16_t)(sequence - rand() % 40);
            break;
        case 2:
            sequence = (uint16_t)(sequence + rand() % 40);
            break;
        default:
            sequence++;
        }
        put(sequence, 1 + (unsigned)rand() % (rand() % 4 ? 480 : 3));
        if (rand() % 2)
            take(1 + (unsigned)rand() % 480, out);
        CHECK(jitter.count <= JITTER_FRAMES);
        CHECK(jitter.pending < RTP_MAX_PAYLOAD_BYTES);
    }
}
