#include "stream.h"

static bool far_away(uint16_t sequence, uint16_t expected) {
    int diff = rtp_sequence_diff(sequence, expected);
    return diff > STREAM_MAX_DROPOUT || diff < -STREAM_MAX_MISORDER;
}

static void measure_jitter(struct stream_in *in, uint32_t timestamp, uint64_t now_ms) {
    uint32_t transit = (uint32_t)(now_ms * RTP_SAMPLES_PER_MS) - timestamp;
    int64_t change = rtp_timestamp_diff(transit, in->transit);
    change = change < 0 ? -change : change;
    if (in->timed && change <= STREAM_MAX_TRANSIT_CHANGE)
        in->jitter += ((double)change - in->jitter) / 16.0;
    in->timed = true;
    in->transit = transit;
}

void stream_in_packet(struct stream_in *in, const struct rtp_packet *packet, bool event, uint64_t now_ms) {
    if (!in->started || packet->ssrc != in->ssrc || far_away(packet->sequence, in->highest)) {
        if (in->started) {
            in->expected_before += in->cycles + in->highest - in->base + 1;
            in->received_before += in->received;
        }
        in->started = true;
        in->ssrc = packet->ssrc;
        in->base = in->highest = packet->sequence;
        in->cycles = 0;
        in->received = 0;
        in->timed = false;
    }
    in->received++;
    if (rtp_sequence_diff(packet->sequence, in->highest) > 0) {
        if (packet->sequence < in->highest)
            in->cycles += 1u << 16;
        in->highest = packet->sequence;
    }
    if (!event)
        measure_jitter(in, packet->timestamp, now_ms);
}

uint64_t stream_in_lost(const struct stream_in *in) {
    if (!in->started)
        return 0;
    uint64_t expected = in->expected_before + in->cycles + in->highest - in->base + 1;
    uint64_t received = in->received_before + in->received;
    return expected > received ? expected - received : 0; /* duplicates make it negative: section 6.4.1 */
}

static uint32_t clock_now(const struct stream_out *out, uint64_t now_ms) {
    uint32_t clock = out->clock_base + (uint32_t)(now_ms * RTP_SAMPLES_PER_MS);
    /* never back: the source before may have had a faster clock */
    return rtp_timestamp_diff(clock, out->timestamp) > 0 ? clock : out->timestamp;
}

bool stream_out_relay(struct stream_out *out, const struct rtp_packet *packet, uint64_t now_ms) {
    if (out->source == SOURCE_RELAY && out->relayed_ssrc == packet->ssrc &&
        !far_away((uint16_t)(packet->sequence + out->sequence_offset), out->sequence))
        return false;
    out->source = SOURCE_RELAY;
    out->relayed_ssrc = packet->ssrc;
    out->sequence_offset = (uint16_t)(out->sequence - packet->sequence);
    out->timestamp_offset = clock_now(out, now_ms) - packet->timestamp;
    return true;
}

bool stream_out_generate(struct stream_out *out, uint64_t now_ms) {
    if (out->source == SOURCE_GENERATED)
        return false;
    out->source = SOURCE_GENERATED;
    out->timestamp = clock_now(out, now_ms);
    return true;
}

void stream_out_sent(struct stream_out *out, uint16_t sequence, uint32_t timestamp, unsigned samples) {
    if (rtp_sequence_diff(sequence, out->sequence) >= 0)
        out->sequence = (uint16_t)(sequence + 1);
    if (rtp_timestamp_diff(timestamp + samples, out->timestamp) > 0)
        out->timestamp = timestamp + samples;
}
