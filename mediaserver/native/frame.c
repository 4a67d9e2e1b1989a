/* What a slot has to send when it is due: digits, prompts, transcoded sound; and what has timed out. */
#include <string.h>

#include "shard.h"

struct frame {
    uint8_t header[RTP_HEADER_BYTES];
    uint8_t payload[RTP_MAX_PAYLOAD_BYTES];
};

void frame_stop_play(struct shard *shard, struct point *point, bool by_digit) {
    if (!point->player.playing)
        return;
    point->player.playing = false;
    if (by_digit)
        shard_emit(shard, point, EVENT_PLAY_FINISHED, point->player.list.play_id, 1);
}

static void send_audio(struct shard *shard, struct point *point, struct frame *frame, unsigned samples) {
    bool first = stream_out_generate(&point->out, shard->now_ms);
    struct stream_out *out = &point->out;
    rtp_write_header(frame->payload, first, point->remote.payload_type, out->sequence, out->timestamp, out->ssrc);
    stream_out_sent(out, out->sequence, out->timestamp, samples);
    if (point_send(point, frame->payload, samples))
        count(&shard->counters.packets_out, 1);
}

static void send_digit_frame(struct shard *shard, struct point *point, struct frame *frame, unsigned samples) {
    bool begins;
    stream_out_generate(&point->out, shard->now_ms);
    struct stream_out *out = &point->out;
    if (digit_out_frame(&point->digit_out, samples, frame->payload, &begins)) {
        /* every packet of an event carries its start's timestamp, whatever the clock did since: RFC 4733 section 2.2.1 */
        if (begins)
            point->digit_began = out->timestamp;
        rtp_write_header(frame->payload, begins, (uint8_t)point->remote.dtmf_payload_type, out->sequence,
                         point->digit_began, out->ssrc);
        stream_out_sent(out, out->sequence, out->timestamp, 0);
        if (point_send(point, frame->payload, DIGIT_EVENT_BYTES))
            count(&shard->counters.packets_out, 1);
    }
    out->timestamp += samples;
}

static void send_prompt(struct shard *shard, struct point *point, struct frame *frame, unsigned samples) {
    bool more = player_take(&point->player, shard->prompts, point->remote.codec, samples, frame->payload);
    send_audio(shard, point, frame, samples);
    if (!more)
        shard_emit(shard, point, EVENT_PLAY_FINISHED, point->player.list.play_id, 0);
}

static void send_transcoded(struct shard *shard, struct point *point, struct frame *frame, unsigned samples) {
    int16_t pcm[RTP_MAX_PAYLOAD_BYTES];
    struct point *peer = point->peer;
    unsigned invented = jitter_take(&peer->jitter, peer->remote.codec, samples, pcm);
    if (invented)
        count(&peer->statistics.concealed_ms, invented / RTP_SAMPLES_PER_MS);
    g711_encode(point->remote.codec, pcm, samples, frame->payload);
    send_audio(shard, point, frame, samples);
}

static bool transcodes(const struct point *point) {
    const struct point *peer = point->peer;
    return peer && peer->has_remote && peer->remote.codec != point->remote.codec && peer->jitter.started;
}

static void send_frame(struct shard *shard, struct point *point, unsigned samples) {
    struct frame frame;
    if (point_sends_digits(point))
        send_digit_frame(shard, point, &frame, samples);
    else if (point->player.playing)
        send_prompt(shard, point, &frame, samples);
    else if (transcodes(point))
        send_transcoded(shard, point, &frame, samples);
}

static bool generates(const struct point *point) {
    return point_sends_digits(point) || point->player.playing || transcodes(point);
}

static void due(struct shard *shard, struct point *point) {
    const unsigned frame_samples = point->remote.frame_samples;
    uint64_t passed_ms = shard->now_ms - point->last_due_ms;
    point->last_due_ms = shard->now_ms;
    if (!point->has_remote || !point->remote.send || !generates(point)) {
        point->frame_credit = 0;
        if (point->out.source == SOURCE_GENERATED)
            point->out.source = SOURCE_NONE; /* what follows begins at its own time, with a marker */
        return;
    }
    if (passed_ms > SLOT_MS && point->out.source == SOURCE_GENERATED)
        /* ticks were skipped: the receiver sees the time in the timestamps, and no burst */
        point->out.timestamp += (uint32_t)(passed_ms - SLOT_MS) * RTP_SAMPLES_PER_MS;
    point->frame_credit = (uint16_t)(point->frame_credit + SLOT_MS * RTP_SAMPLES_PER_MS);
    while (point->frame_credit >= frame_samples && frame_samples) {
        point->frame_credit = (uint16_t)(point->frame_credit - frame_samples);
        send_frame(shard, point, frame_samples);
    }
}

static void time_out(struct shard *shard, struct point *point) {
    struct digit digit;
    if (digit_in_timeout(&point->digit_in, shard->now_ms, &digit))
        shard_emit(shard, point, EVENT_DIGIT, (uint32_t)digit.digit, digit.duration_ms);
    uint64_t silent_ms = shard->now_ms - point->last_packet_ms;
    const struct remote *remote = &point->remote;
    if (!point->has_remote || !remote->timeout_ms || point->timed_out || silent_ms < remote->timeout_ms)
        return;
    point->timed_out = true;
    point_forget_source(point);
    shard_emit(shard, point, EVENT_RTP_TIMEOUT, (uint32_t)silent_ms, 0);
}

void frame_slot(struct shard *shard, unsigned slot) {
    for (struct point *point = shard->slots[slot]; point; point = point->slot_next) {
        due(shard, point);
        time_out(shard, point);
        point_publish(point);
    }
}
