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
    jitter->takes = 0;
    jitter->spare = JITTER_FRAMES;
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
    jitter->came_samples = packet->length;
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

static void leave_one_out(struct jitter *jitter) {
    unsigned slot = SLOT(jitter->next);
    if (jitter->length[slot]) {
        jitter->length[slot] = 0;
        jitter->count--;
    }
    jitter->next++;
}

/* Delay is no more than the network needs: what a stall or a faster clock piled up is left out, a frame at a time. */
static void review(struct jitter *jitter) {
    if (jitter->count < jitter->spare)
        jitter->spare = jitter->count;
    if (++jitter->takes < JITTER_REVIEW_TAKES)
        return;
    if (jitter->spare >= JITTER_PREFILL)
        leave_one_out(jitter);
    jitter->takes = 0;
    jitter->spare = JITTER_FRAMES;
}

/* A take and a frame beyond it, so that no take runs dry while the next frame is on its way. */
static bool filled(const struct jitter *jitter, unsigned samples) {
    if (jitter->count > JITTER_HIGH)
        return true; /* tiny frames */
    return jitter->count >= JITTER_PREFILL && jitter->count * jitter->came_samples >= jitter->came_samples + samples;
}

static void begin_to_play(struct jitter *jitter) {
    jitter->filling = false;
    /* the time of what is missing has passed in silence: to conceal it too would only add delay */
    while (!jitter->length[SLOT(jitter->next)])
        jitter->next++;
}

unsigned jitter_take(struct jitter *jitter, enum codec codec, unsigned samples, int16_t *out) {
    unsigned invented = 0;
    if (jitter->filling && filled(jitter, samples))
        begin_to_play(jitter);
    if (jitter->count > JITTER_HIGH)
        leave_one_out(jitter);
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
    review(jitter);
    return invented;
}
