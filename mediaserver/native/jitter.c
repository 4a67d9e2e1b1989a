#include "jitter.h"

#include <string.h>

#define SLOT(sequence) ((sequence) & (JITTER_FRAMES - 1))

void jitter_reset(struct jitter *jitter) {
    memset(jitter->length, 0, sizeof jitter->length);
    jitter->count = 0;
    jitter->concealed = JITTER_CONCEAL_FRAMES;
    jitter->started = false;
    jitter->filling = true;
    jitter->pending = 0;
    jitter->frame_samples = 20 * RTP_SAMPLES_PER_MS;
}

enum jitter_put jitter_put(struct jitter *jitter, const struct rtp_packet *packet) {
    enum jitter_put result = JITTER_STORED;
    int ahead = jitter->started ? rtp_sequence_diff(packet->sequence, jitter->next) : 0;
    if (ahead < 0 && ahead > -JITTER_FRAMES)
        return JITTER_LATE;
    if (ahead >= JITTER_FRAMES || ahead <= -JITTER_FRAMES) {
        /* the sender began anew, or nothing was taken for long: go on from here */
        jitter_reset(jitter);
        result = JITTER_RESYNC;
    }
    if (!jitter->started) {
        jitter->started = true;
        jitter->next = packet->sequence;
    }
    unsigned slot = SLOT(packet->sequence);
    if (jitter->length[slot] == 0)
        jitter->count++;
    memcpy(jitter->payload[slot], packet->payload, packet->length);
    jitter->length[slot] = packet->length;
    if (jitter->filling && jitter->count >= JITTER_PREFILL) {
        jitter->filling = false;
        /* the time of what is missing has passed in silence: to conceal it too would only add delay */
        while (!jitter->length[SLOT(jitter->next)])
            jitter->next++;
    }
    return result;
}

static void decode_next(struct jitter *jitter, enum codec codec) {
    unsigned slot = SLOT(jitter->next);
    unsigned length = jitter->length[slot];
    g711_decode(codec, jitter->payload[slot], length, jitter->pcm + jitter->pending);
    memcpy(jitter->last, jitter->pcm + jitter->pending, length * sizeof *jitter->last);
    jitter->pending = (uint16_t)(jitter->pending + length);
    jitter->frame_samples = (uint16_t)length;
    jitter->length[slot] = 0;
    jitter->count--;
    jitter->next++;
    jitter->concealed = 0;
}

static unsigned conceal(struct jitter *jitter) {
    unsigned length = jitter->frame_samples;
    int16_t *out = jitter->pcm + jitter->pending;
    if (jitter->concealed < JITTER_CONCEAL_FRAMES) {
        jitter->concealed++;
        for (unsigned i = 0; i < length; i++)
            out[i] = (int16_t)(jitter->last[i] >> jitter->concealed);
    } else {
        memset(out, 0, length * sizeof *out);
    }
    jitter->pending = (uint16_t)(jitter->pending + length);
    return length;
}

unsigned jitter_take(struct jitter *jitter, enum codec codec, unsigned samples, int16_t *out) {
    unsigned invented = 0;
    if (jitter->count > JITTER_HIGH) {
        unsigned slot = SLOT(jitter->next);
        if (jitter->length[slot]) {
            jitter->length[slot] = 0;
            jitter->count--;
        }
        jitter->next++;
    }
    while (jitter->pending < samples) {
        if (!jitter->filling && jitter->count == 0)
            jitter->filling = true;
        if (jitter->filling) {
            invented += conceal(jitter);
        } else if (jitter->length[SLOT(jitter->next)]) {
            decode_next(jitter, codec);
        } else {
            jitter->next++; /* lost: those after it are here */
            invented += conceal(jitter);
        }
    }
    memcpy(out, jitter->pcm, samples * sizeof *out);
    jitter->pending = (uint16_t)(jitter->pending - samples);
    if (jitter->pending)
        memmove(jitter->pcm, jitter->pcm + samples, jitter->pending * sizeof *out);
    return invented;
}
