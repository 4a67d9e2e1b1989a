/* The two directions of one RTP session: what came in (RFC 3550 appendix A), and the numbering of what goes out. */
#ifndef OPENTAS_STREAM_H
#define OPENTAS_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "rtp.h"

/* A sequence number further from the expected one than this is a sender that began anew (RFC 3550 appendix A.1). */
#define STREAM_MAX_DROPOUT 3000
#define STREAM_MAX_MISORDER 100
#define STREAM_MAX_TRANSIT_CHANGE (10000 * RTP_SAMPLES_PER_MS) /* more is another clock, not jitter */

struct stream_in {
    bool started;
    uint32_t ssrc;
    uint16_t base, highest; /* sequence numbers */
    uint32_t cycles;
    uint32_t received; /* of this SSRC */
    uint64_t expected_before; /* of the SSRCs before */
    uint64_t received_before;
    bool timed; /* `transit` is known */
    uint32_t transit;
    double jitter; /* timestamp units, section 6.4.1 */
};

/* `event`: a telephone event, whose timestamp stands still and says nothing of jitter. */
void stream_in_packet(struct stream_in *in, const struct rtp_packet *packet, bool event, uint64_t now_ms);
uint64_t stream_in_lost(const struct stream_in *in);

/* Where the packets we send come from: numbering goes on without a break when it changes. */
enum stream_source { SOURCE_NONE, SOURCE_RELAY, SOURCE_GENERATED };

struct stream_out {
    uint32_t ssrc;
    uint16_t sequence; /* next */
    uint32_t timestamp; /* next */
    uint32_t clock_base; /* clock_base + 8 * ms is our RTP clock */
    enum stream_source source;
    uint32_t relayed_ssrc;
    uint16_t sequence_offset; /* relayed + offset = ours */
    uint32_t timestamp_offset;
};

/* A packet is relayed: true when it is the first from its source (set the marker). */
bool stream_out_relay(struct stream_out *out, const struct rtp_packet *packet, uint64_t now_ms);
/* Audio or digits of our own follow: true when it is the first (set the marker). */
bool stream_out_generate(struct stream_out *out, uint64_t now_ms);
/* What was sent under this number, `samples` long. */
void stream_out_sent(struct stream_out *out, uint16_t sequence, uint32_t timestamp, unsigned samples);

#endif
