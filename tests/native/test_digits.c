#include "check.h"
#include "digits.h"
#include "rtp.h"

static bool come(struct digit_in *in, uint8_t event, bool end, uint16_t duration, uint32_t timestamp, uint64_t now_ms,
                 struct digit *digit) {
    uint8_t payload[4] = {event, (uint8_t)(end << 7 | 10)};
    rtp_put16(payload + 2, duration);
    return digit_in_packet(in, payload, 4, timestamp, now_ms, digit);
}

TEST(digit_is_reported_once_at_its_end) {
    struct digit_in in = {0};
    struct digit digit;
    CHECK(!come(&in, 5, false, 160, 1000, 0, &digit));
    CHECK(in.begins);
    CHECK(!come(&in, 5, false, 320, 1000, 20, &digit));
    CHECK(!in.begins);
    CHECK(come(&in, 5, true, 800, 1000, 40, &digit));
    CHECK_EQUAL(digit.digit, '5');
    CHECK_EQUAL(digit.duration_ms, 100);
    CHECK(!come(&in, 5, true, 800, 1000, 60, &digit));
    CHECK(!come(&in, 5, true, 800, 1000, 80, &digit));
    CHECK(!digit_in_timeout(&in, 10000, &digit));
}

TEST(all_sixteen_keys_and_no_other_event_are_digits) {
    const char *keys = "0123456789*#ABCD";
    struct digit_in in = {0};
    struct digit digit;
    for (unsigned event = 0; event < 256; event++) {
        bool reported = come(&in, (uint8_t)event, true, 400, 1000 * (event + 1), event * 100, &digit);
        CHECK_EQUAL(reported, event < 16);
        if (event < 16)
            CHECK_EQUAL(digit.digit, keys[event]);
    }
}

TEST(lost_end_is_made_good_by_time) {
    struct digit_in in = {0};
    struct digit digit;
    CHECK(!digit_in_timeout(&in, 1000, &digit));
    come(&in, 11, false, 640, 1000, 1000, &digit);
    CHECK(!digit_in_timeout(&in, 1000 + DIGIT_LOST_END_MS - 1, &digit));
    CHECK(digit_in_timeout(&in, 1000 + DIGIT_LOST_END_MS, &digit));
    CHECK(digit.digit == '#' && digit.duration_ms == 80);
    CHECK(!digit_in_timeout(&in, 5000, &digit));
}

TEST(lost_end_is_made_good_by_the_next_digit) {
    struct digit_in in = {0};
    struct digit digit;
    come(&in, 1, false, 640, 1000, 0, &digit);
    CHECK(come(&in, 1, false, 160, 3000, 200, &digit)); /* the same key again */
    CHECK_EQUAL(digit.digit, '1');
    CHECK(come(&in, 1, true, 800, 3000, 280, &digit));
    CHECK_EQUAL(digit.duration_ms, 100);
}

TEST(lone_end_after_a_lost_end_waits_for_its_retransmission) {
    struct digit_in in = {0};
    struct digit digit;
    come(&in, 1, false, 640, 1000, 0, &digit);
    CHECK(come(&in, 2, true, 800, 3000, 200, &digit) && digit.digit == '1');
    CHECK(come(&in, 2, true, 800, 3000, 220, &digit) && digit.digit == '2');
}

TEST(stragglers_of_the_digit_before_are_not_a_digit) {
    struct digit_in in = {0};
    struct digit digit;
    come(&in, 1, true, 800, 0xffffff00, 0, &digit);
    CHECK(come(&in, 2, true, 800, 500, 200, &digit));
    CHECK(!come(&in, 1, true, 800, 0xffffff00, 210, &digit));
    CHECK(!in.begins);
    CHECK(!come(&in, 2, true, 800, 500, 220, &digit));
}

TEST(key_held_longer_than_a_duration_can_say_is_one_digit) {
    struct digit_in in = {0};
    struct digit digit;
    CHECK(!come(&in, 9, false, 0xffff, 1000, 0, &digit));
    CHECK(!come(&in, 9, false, 160, 1000 + 0xffff, 20, &digit));
    CHECK(!in.begins);
    CHECK(come(&in, 9, true, 800, 1000 + 0xffff, 100, &digit));
}

TEST(short_payload_is_ignored) {
    struct digit_in in = {0};
    struct digit digit;
    for (unsigned length = 0; length < 4; length++) {
        uint8_t *payload = calloc(1, length ? length : 1);
        CHECK(!digit_in_packet(&in, payload, length, 1, 1, &digit));
        free(payload);
    }
    CHECK(!in.seen);
}

TEST(digit_of_100_ms_is_four_packets_and_three_ends) {
    struct digit_out out = {0};
    uint8_t payload[4];
    bool begins;
    CHECK_EQUAL(digit_out_queue(&out, "7", 1, 100, 60), 0);
    for (unsigned n = 0; n < 7; n++) {
        CHECK(digit_out_busy(&out));
        CHECK(digit_out_frame(&out, 160, payload, &begins));
        CHECK_EQUAL(begins, n == 0);
        CHECK_EQUAL(payload[0], 7);
        CHECK_EQUAL(payload[1] >> 7, n >= 4);
        CHECK_EQUAL(rtp_get16(payload + 2), n < 5 ? 160 * (n + 1) : 800);
    }
    for (unsigned n = 0; n < 3; n++) { /* the pause after it */
        CHECK(digit_out_busy(&out));
        CHECK(!digit_out_frame(&out, 160, payload, &begins));
    }
    CHECK(!digit_out_busy(&out));
    CHECK(!digit_out_frame(&out, 160, payload, &begins));
}

TEST(digits_beyond_the_queue_are_refused_and_counted) {
    struct digit_out out = {0};
    char digits[64];
    memset(digits, '4', sizeof digits);
    CHECK_EQUAL(digit_out_queue(&out, digits, 64, 40, 20), 0);
    CHECK_EQUAL(digit_out_queue(&out, digits, 64, 40, 20), 0);
    CHECK_EQUAL(digit_out_queue(&out, "5", 1, 40, 20), 1);
    CHECK_EQUAL(out.count, DIGITS_QUEUE);
}

TEST(every_digit_arrives_at_every_ptime_with_a_third_of_the_packets_lost) {
    const char *sent = "0123456789*#ABCD5500";
    char heard[64];
    srand(7);
    for (unsigned ptime = 10; ptime <= 60; ptime += 10) {
        struct digit_out out = {0};
        struct digit_in in = {0};
        struct digit digit;
        unsigned count = 0, samples = ptime * 8;
        uint32_t timestamp = 0xfffff000, began = 0;
        digit_out_queue(&out, sent, 20, 250, 260);
        for (uint64_t now = 1000; now < 30000; now += ptime, timestamp += samples) {
            uint8_t payload[4];
            bool begins;
            if (digit_out_frame(&out, samples, payload, &begins)) {
                if (begins)
                    began = timestamp;
                if (rand() % 3 && digit_in_packet(&in, payload, 4, began, now, &digit))
                    heard[count++] = digit.digit;
            }
            if (digit_in_timeout(&in, now, &digit))
                heard[count++] = digit.digit;
        }
        heard[count] = 0;
        CHECK(strcmp(heard, sent) == 0);
    }
}
