/* Packets that have come: checked, counted, read for digits, and relayed in the same tick where no codec is needed. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "shard.h"

#define READY_MAX 512

/* May what comes in at `point` go out at `out` now? */
static bool open_to_relay(const struct point *out) {
    return out->has_remote && out->remote.send && !out->player.playing && !point_sends_digits(out);
}

static void send_relayed(struct shard *shard, struct point *out, struct rtp_packet *packet, bool event) {
    bool first = stream_out_relay(&out->out, packet, shard->now_ms);
    if (event && out->remote.dtmf_payload_type < 0) {
        out->out.sequence_offset--; /* the peer takes no events; it shall not see a gap either */
        return;
    }
    uint16_t sequence = (uint16_t)(packet->sequence + out->out.sequence_offset);
    uint32_t timestamp = packet->timestamp + out->out.timestamp_offset;
    uint8_t payload_type = event ? (uint8_t)out->remote.dtmf_payload_type : out->remote.payload_type;
    rtp_write_header(packet->payload, packet->marker || first, payload_type, sequence, timestamp, out->out.ssrc);
    stream_out_sent(&out->out, sequence, timestamp, event ? 0 : packet->length);
    if (point_send(out, packet->payload, packet->length))
        count(&shard->counters.packets_out, 1);
}

/* Between unlike codecs audio is generated, so events need our numbers: one timestamp an event, ours. */
static void send_event(struct shard *shard, struct point *out, struct rtp_packet *packet) {
    if (out->remote.dtmf_payload_type < 0)
        return;
    stream_out_generate(&out->out, shard->now_ms);
    bool begins = !out->event_relayed || out->event_in != packet->timestamp;
    if (begins) {
        out->event_relayed = true;
        out->event_in = packet->timestamp;
        out->event_out = out->out.timestamp;
    }
    rtp_write_header(packet->payload, begins, (uint8_t)out->remote.dtmf_payload_type, out->out.sequence,
                     out->event_out, out->out.ssrc);
    stream_out_sent(&out->out, out->out.sequence, out->event_out, 0);
    if (point_send(out, packet->payload, packet->length))
        count(&shard->counters.packets_out, 1);
}

static void read_digit(struct shard *shard, struct point *point, const struct rtp_packet *packet) {
    struct digit digit;
    bool complete = digit_in_packet(&point->digit_in, packet->payload, packet->length, packet->timestamp,
                                    shard->now_ms, &digit);
    /* by a digit that begins: the rest of one that ended a prompt must not end the next prompt too */
    if (point->digit_in.begins && point->player.list.interrupt_on_digit)
        frame_stop_play(shard, point, true);
    if (complete)
        shard_emit(shard, point, EVENT_DIGIT, (uint32_t)digit.digit, digit.duration_ms);
}

static void packet_came(struct shard *shard, struct point *point, struct rtp_packet *packet) {
    bool event = (int)packet->payload_type == point->remote.dtmf_payload_type;
    if (packet->ssrc != point->in.ssrc)
        jitter_reset(&point->jitter); /* another stream, its numbers may lie near by chance */
    stream_in_packet(&point->in, packet, event, shard->now_ms);
    point->last_packet_ms = shard->now_ms;
    point->timed_out = false;
    if (!point->remote.receive)
        return;
    if (event)
        read_digit(shard, point, packet);
    struct point *out = point->echo ? point : point->peer;
    if (!out || !open_to_relay(out))
        return;
    if (out->remote.codec == point->remote.codec)
        send_relayed(shard, out, packet, event);
    else if (event)
        send_event(shard, out, packet);
    else if (jitter_put(&point->jitter, packet) == JITTER_LATE)
        count(&point->statistics.late, 1);
}

static void receive_one(struct shard *shard, struct point *point) {
    uint8_t bytes[RTP_MAX_PACKET_BYTES];
    struct sockaddr_in from;
    socklen_t from_size = sizeof from;
    struct rtp_packet packet;
    bool first;
    ssize_t size = recvfrom(point->fd, bytes, sizeof bytes, MSG_DONTWAIT, (struct sockaddr *)&from, &from_size);
    if (size < 0)
        return; /* nothing there, or an ICMP error of what we sent */
    count(&shard->counters.packets_in, 1);
    if (rtp_is_rtcp(bytes, (size_t)size))
        return;
    if (!rtp_parse(bytes, (size_t)size, &packet) || !point_accept(point, &from, &packet, &first)) {
        point_count_refused(point);
        return;
    }
    if (first)
        shard_emit(shard, point, EVENT_FIRST_PACKET, ntohl(from.sin_addr.s_addr), ntohs(from.sin_port));
    packet_came(shard, point, &packet);
}

void arrival_receive(struct shard *shard) {
    struct epoll_event ready[READY_MAX];
    /* one packet of each socket that has any: none waits longer than a tick for another's flood */
    int count = epoll_wait(shard->epoll_fd, ready, READY_MAX, 0);
    for (int i = 0; i < count; i++)
        receive_one(shard, ready[i].data.ptr);
}
