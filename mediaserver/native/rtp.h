/* RTP packets on the wire (RFC 3550 section 5.1), without I/O. */
#ifndef OPENTAS_RTP_H
#define OPENTAS_RTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RTP_HEADER_BYTES 12
#define RTP_VERSION 2
#define RTP_SAMPLES_PER_MS 8 /* every codec here has an RTP clock of 8000 Hz */
#define RTP_MAX_PAYLOAD_BYTES 480 /* 60 ms of G.711 */
#define RTP_MAX_PACKET_BYTES 1500

struct rtp_packet {
    uint8_t *payload; /* points into the received bytes, at least RTP_HEADER_BYTES from their start */
    uint16_t length;
    uint16_t sequence;
    uint32_t timestamp;
    uint32_t ssrc;
    uint8_t payload_type;
    bool marker;
};

static inline uint16_t rtp_get16(const uint8_t *at) { return (uint16_t)(at[0] << 8 | at[1]); }
static inline uint32_t rtp_get32(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}
static inline void rtp_put16(uint8_t *at, uint16_t value) {
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}
static inline void rtp_put32(uint8_t *at, uint32_t value) {
    rtp_put16(at, (uint16_t)(value >> 16));
    rtp_put16(at + 2, (uint16_t)value);
}

/* Which of two wrapping numbers is later: positive when `a` is. */
static inline int16_t rtp_sequence_diff(uint16_t a, uint16_t b) { return (int16_t)(uint16_t)(a - b); }
static inline int32_t rtp_timestamp_diff(uint32_t a, uint32_t b) { return (int32_t)(a - b); }

/* Takes CSRCs, header extension and padding off; false for anything that is no well-formed RTP packet with payload. */
static inline bool rtp_parse(uint8_t *bytes, size_t size, struct rtp_packet *packet) {
    if (size < RTP_HEADER_BYTES || bytes[0] >> 6 != RTP_VERSION)
        return false;
    size_t start = RTP_HEADER_BYTES + 4u * (bytes[0] & 0x0f);
    if (bytes[0] & 0x10) { /* header extension, section 5.3.1 */
        if (size < start + 4)
            return false;
        start += 4 + 4u * rtp_get16(bytes + start + 2);
    }
    size_t padding = 0;
    if (bytes[0] & 0x20) {
        padding = bytes[size - 1];
        if (padding == 0)
            return false;
    }
    if (size <= start + padding || size - start - padding > RTP_MAX_PAYLOAD_BYTES)
        return false;
    packet->payload = bytes + start;
    packet->length = (uint16_t)(size - start - padding);
    packet->marker = bytes[1] >> 7;
    packet->payload_type = bytes[1] & 0x7f;
    packet->sequence = rtp_get16(bytes + 2);
    packet->timestamp = rtp_get32(bytes + 4);
    packet->ssrc = rtp_get32(bytes + 8);
    return true;
}

/* RTCP on the RTP port (RFC 5761 section 4): types 192 to 223 in the second byte. */
static inline bool rtp_is_rtcp(const uint8_t *bytes, size_t size) {
    return size >= 2 && bytes[1] >= 192 && bytes[1] <= 223;
}

/* Writes the 12 bytes before `payload`. */
static inline uint8_t *rtp_write_header(uint8_t *payload, bool marker, uint8_t payload_type, uint16_t sequence,
                                        uint32_t timestamp, uint32_t ssrc) {
    uint8_t *header = payload - RTP_HEADER_BYTES;
    header[0] = RTP_VERSION << 6;
    header[1] = (uint8_t)(marker << 7 | payload_type);
    rtp_put16(header + 2, sequence);
    rtp_put32(header + 4, timestamp);
    rtp_put32(header + 8, ssrc);
    return header;
}

#endif
