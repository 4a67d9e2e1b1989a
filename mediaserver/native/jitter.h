/* Jitter buffer: packets in by sequence number, samples out at our own pace. */
#ifndef OPENTAS_JITTER_H
#define OPENTAS_JITTER_H

#include <stdbool.h>
#include <stdint.h>

#include "g711.h"
#include "rtp.h"

#define JITTER_FRAMES 16 /* a power of two; 320 ms at 20 ms a packet */
#define JITTER_PREFILL 2 /* frames that wait before the first is played, more when a take needs more */
#define JITTER_HIGH 10 /* above this many a frame is left out, for a sender with a faster clock */
#define JITTER_REVIEW_TAKES 64 /* when a frame was to spare all that time it is left out: delay of a stall goes again */
#define JITTER_CONCEAL_FRAMES 3 /* a lost frame is the last one again, ever softer; then silence */

struct jitter {
    uint8_t payload[JITTER_FRAMES][RTP_MAX_PAYLOAD_BYTES];
    uint16_t length[JITTER_FRAMES]; /* 0: empty */
    uint16_t next; /* sequence number to play next */
    uint8_t count;
    uint8_t spare; /* fewest frames left after a take since the last review */
    uint8_t takes; /* since then */
    uint8_t concealed; /* frames in a row */
    bool started; /* `next` is known */
    bool filling;
    uint16_t frame_samples; /* of the last frame */
    uint16_t came_samples; /* of the frame that came last */
    uint16_t pending; /* decoded samples not yet taken */
    int16_t pcm[2 * RTP_MAX_PAYLOAD_BYTES];
    int16_t last[RTP_MAX_PAYLOAD_BYTES]; /* last good frame, for concealment */
};

enum jitter_put { JITTER_STORED, JITTER_LATE, JITTER_RESYNC };

void jitter_reset(struct jitter *jitter);
enum jitter_put jitter_put(struct jitter *jitter, const struct rtp_packet *packet);
/* Fills `out` with `samples` (at most RTP_MAX_PAYLOAD_BYTES) and returns how many of them had to be invented. */
unsigned jitter_take(struct jitter *jitter, enum codec codec, unsigned samples, int16_t *out);

#endif
