#include "digits.h"

#include <string.h>

#include "rtp.h"

static const char EVENT_DIGITS[] = "0123456789*#ABCD";
#define DIGIT_EVENTS 16
#define END_BIT 0x80
#define LONGEST_DURATION 0xffff

static void report(struct digit_in *in, struct digit *digit) {
    in->reported = true;
    digit->digit = EVENT_DIGITS[in->event];
    digit->duration_ms = in->duration / RTP_SAMPLES_PER_MS;
}

bool digit_in_packet(struct digit_in *in, const uint8_t *payload, unsigned length, uint32_t timestamp,
                     uint64_t now_ms, struct digit *digit) {
    bool complete = false;
    in->begins = false;
    if (length < DIGIT_EVENT_BYTES || payload[0] >= DIGIT_EVENTS)
        return false; /* flash and tones of fax machines are no digits */
    if (in->seen && rtp_timestamp_diff(timestamp, in->timestamp) < 0 &&
        rtp_timestamp_diff(timestamp, in->timestamp) > -RTP_SAMPLES_PER_MS * 5000)
        return false; /* a straggler of the digit before */
    if (in->seen && !in->reported && payload[0] == in->event && timestamp == in->timestamp + LONGEST_DURATION)
        in->timestamp = timestamp; /* a key held for longer than a duration can say: section 2.5.1.3 */
    if (!in->seen || timestamp != in->timestamp) {
        if (in->seen && !in->reported) {
            report(in, digit);
            complete = true;
        }
        *in = (struct digit_in){.seen = true, .begins = true, .event = payload[0], .timestamp = timestamp};
    }
    in->last_ms = now_ms;
    if (rtp_get16(payload + 2) > in->duration)
        in->duration = rtp_get16(payload + 2);
    /* when a lost end and a lone end fall together the second waits for its retransmission or the timeout */
    if (payload[1] & END_BIT && !in->reported && !complete) {
        report(in, digit);
        complete = true;
    }
    return complete;
}

bool digit_in_timeout(struct digit_in *in, uint64_t now_ms, struct digit *digit) {
    if (!in->seen || in->reported || now_ms - in->last_ms < DIGIT_LOST_END_MS)
        return false;
    report(in, digit);
    return true;
}

unsigned digit_out_queue(struct digit_out *out, const char *digits, unsigned count, unsigned duration_ms,
                         unsigned gap_ms) {
    unsigned left = count;
    out->duration = (uint16_t)(duration_ms * RTP_SAMPLES_PER_MS);
    out->gap = (uint16_t)(gap_ms * RTP_SAMPLES_PER_MS);
    for (; left && out->count < DIGITS_QUEUE; left--)
        out->queue[(out->head + out->count++) % DIGITS_QUEUE] = *digits++;
    return left;
}

bool digit_out_frame(struct digit_out *out, unsigned samples, uint8_t payload[DIGIT_EVENT_BYTES], bool *first) {
    *first = false;
    if (out->gap_left) {
        out->gap_left = (uint16_t)(out->gap_left > samples ? out->gap_left - samples : 0);
        return false;
    }
    if (!out->sounding) {
        if (!out->count)
            return false;
        out->sounding = *first = true;
        out->elapsed = 0;
        out->end_packets = DIGIT_END_PACKETS;
    }
    const char *at = strchr(EVENT_DIGITS, out->queue[out->head]);
    bool end = out->elapsed + samples >= out->duration;
    if (end)
        out->end_packets--; /* the retransmissions repeat the duration */
    else
        out->elapsed = (uint16_t)(out->elapsed + samples);
    payload[0] = (uint8_t)(at ? at - EVENT_DIGITS : 0);
    payload[1] = (uint8_t)((end ? END_BIT : 0) | DIGIT_VOLUME);
    rtp_put16(payload + 2, (uint16_t)(end ? out->elapsed + samples : out->elapsed));
    if (end && !out->end_packets) {
        out->sounding = false;
        out->head = (uint8_t)((out->head + 1) % DIGITS_QUEUE);
        out->count--;
        out->gap_left = out->gap;
    }
    return true;
}
