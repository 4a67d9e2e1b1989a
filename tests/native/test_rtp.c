#include "check.h"
#include "rtp.h"

/* Bytes in a block of exactly their size, so that a read behind them is found. */
static bool parse(const uint8_t *bytes, size_t size, struct rtp_packet *packet) {
    uint8_t *exact = malloc(size ? size : 1);
    memcpy(exact, bytes, size);
    bool good = rtp_parse(exact, size, packet);
    if (good) {
        CHECK(packet->payload >= exact + RTP_HEADER_BYTES);
        CHECK(packet->payload + packet->length <= exact + size);
        CHECK(packet->length > 0 && packet->length <= RTP_MAX_PAYLOAD_BYTES);
    }
    free(exact);
    return good;
}

TEST(plain_packet_gives_its_fields) {
    uint8_t bytes[] = {0x80, 0x88, 0x12, 0x34, 1, 2, 3, 4, 0xde, 0xad, 0xbe, 0xef, 7, 8};
    struct rtp_packet packet;
    CHECK(rtp_parse(bytes, sizeof bytes, &packet));
    CHECK(packet.marker);
    CHECK_EQUAL(packet.payload_type, 8);
    CHECK_EQUAL(packet.sequence, 0x1234);
    CHECK_EQUAL(packet.timestamp, 0x01020304);
    CHECK_EQUAL(packet.ssrc, 0xdeadbeef);
    CHECK_EQUAL(packet.length, 2);
    CHECK_EQUAL(packet.payload[0], 7);
}

TEST(sources_extension_and_padding_are_taken_off) {
    uint8_t bytes[12 + 8 + 4 + 4 + 3 + 2] = {0xb2, 0x00}; /* padding, extension, two CSRCs */
    bytes[20 + 3] = 1; /* one word of extension */
    bytes[28] = 9;
    bytes[sizeof bytes - 1] = 2;
    struct rtp_packet packet;
    CHECK(rtp_parse(bytes, sizeof bytes, &packet));
    CHECK_EQUAL(packet.payload - bytes, 28);
    CHECK_EQUAL(packet.length, 3);
    for (size_t size = 0; size < 29; size++)
        CHECK(!parse(bytes, size, &packet) || bytes[size - 1]);
}

TEST(padding_of_nothing_or_more_than_all_is_refused) {
    uint8_t bytes[16] = {0xa0};
    struct rtp_packet packet;
    bytes[15] = 0;
    CHECK(!rtp_parse(bytes, sizeof bytes, &packet));
    bytes[15] = 4;
    CHECK(!rtp_parse(bytes, sizeof bytes, &packet));
    bytes[15] = 255;
    CHECK(!rtp_parse(bytes, sizeof bytes, &packet));
    bytes[15] = 3;
    CHECK(rtp_parse(bytes, sizeof bytes, &packet));
    CHECK_EQUAL(packet.length, 1);
}

TEST(payload_is_one_to_480_bytes) {
    uint8_t bytes[RTP_MAX_PACKET_BYTES] = {0x80};
    struct rtp_packet packet;
    CHECK(!rtp_parse(bytes, RTP_HEADER_BYTES, &packet));
    CHECK(rtp_parse(bytes, RTP_HEADER_BYTES + 1, &packet));
    CHECK(rtp_parse(bytes, RTP_HEADER_BYTES + RTP_MAX_PAYLOAD_BYTES, &packet));
    CHECK(!rtp_parse(bytes, RTP_HEADER_BYTES + RTP_MAX_PAYLOAD_BYTES + 1, &packet));
}

TEST(other_versions_are_refused) {
    uint8_t bytes[20] = {0};
    struct rtp_packet packet;
    for (unsigned version = 0; version < 4; version++) {
        bytes[0] = (uint8_t)(version << 6);
        CHECK_EQUAL(rtp_parse(bytes, sizeof bytes, &packet), version == 2);
    }
}

TEST(no_bytes_of_any_length_are_read_beyond_their_end) {
    uint8_t bytes[96];
    struct rtp_packet packet;
    unsigned good = 0;
    srand(1);
    for (int round = 0; round < 200000; round++) {
        size_t size = (size_t)rand() % sizeof bytes;
        for (size_t i = 0; i < size; i++)
            bytes[i] = (uint8_t)rand();
        if (size)
            bytes[0] = (uint8_t)(0x80 | (bytes[0] & 0x3f));
        if (size > 16)
            bytes[14] = 0; /* extensions that fit are rare otherwise */
        good += parse(bytes, size, &packet);
    }
    CHECK(good > 1000);
}

TEST(rtcp_is_told_from_rtp_by_its_second_byte) {
    uint8_t bytes[2] = {0x80, 0};
    for (unsigned type = 0; type < 256; type++) {
        bytes[1] = (uint8_t)type;
        CHECK_EQUAL(rtp_is_rtcp(bytes, 2), type >= 192 && type <= 223);
    }
    CHECK(!rtp_is_rtcp(bytes, 1));
}

TEST(written_header_is_parsed_to_the_same) {
    uint8_t bytes[14] = {0};
    struct rtp_packet packet;
    CHECK(rtp_write_header(bytes + 12, true, 101, 65535, 0xfffffff0, 0x89abcdef) == bytes);
    CHECK(rtp_parse(bytes, sizeof bytes, &packet));
    CHECK(packet.marker && packet.payload_type == 101 && packet.sequence == 65535);
    CHECK(packet.timestamp == 0xfffffff0 && packet.ssrc == 0x89abcdef);
}

TEST(wrapping_numbers_compare_by_their_distance) {
    CHECK_EQUAL(rtp_sequence_diff(2, 65534), 4);
    CHECK_EQUAL(rtp_sequence_diff(65534, 2), -4);
    CHECK_EQUAL(rtp_sequence_diff(32768, 0), -32768);
    CHECK_EQUAL(rtp_timestamp_diff(100, 0xffffff9c), 200);
    CHECK_EQUAL(rtp_timestamp_diff(0xffffff9c, 100), -200);
}
