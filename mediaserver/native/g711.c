#include "g711.h"

#include <pthread.h>

/* mu-law looks at 14 bits of a sample, A-law at 13: the tables are indexed by those. */
#define ULAW_SHIFT 2
#define ALAW_SHIFT 3
#define ULAW_CODES (1 << (16 - ULAW_SHIFT))
#define ALAW_CODES (1 << (16 - ALAW_SHIFT))

static int16_t decode_table[CODECS][256];
static uint8_t ulaw_table[ULAW_CODES];
static uint8_t alaw_table[ALAW_CODES];

/* G.711 table 2a: sign, 3 bits of segment, 4 bits of interval, all inverted; bias 33 of 14 bits. */
static int16_t ulaw_decode(uint8_t code) {
    code = (uint8_t)~code;
    int magnitude = (((code & 0x0f) << 1) + 33) << ((code >> 4) & 7);
    magnitude = (magnitude - 33) << ULAW_SHIFT;
    return (int16_t)(code & 0x80 ? -magnitude : magnitude);
}

/* G.711 table 1a: even bits inverted; the first two segments share one step. */
static int16_t alaw_decode(uint8_t code) {
    code ^= 0x55;
    int segment = (code >> 4) & 7;
    int magnitude = ((code & 0x0f) << 1) + 1;
    if (segment > 0)
        magnitude = (magnitude + 32) << (segment - 1);
    magnitude <<= ALAW_SHIFT;
    return (int16_t)(code & 0x80 ? magnitude : -magnitude);
}

static uint8_t ulaw_encode(int value) { /* 14 bits */
    int sign = 0;
    if (value < 0) {
        /* the one's complement keeps -1 and 0 in different intervals, as G.711 does */
        value = ~value;
        sign = 0x80;
    }
    value += 33;
    if (value > 8191)
        value = 8191;
    int segment = 0;
    while (value >> (segment + 6))
        segment++;
    return (uint8_t)~(sign | segment << 4 | ((value >> (segment + 1)) & 0x0f));
}

static uint8_t alaw_encode(int value) { /* 13 bits */
    int sign = 0x80;
    if (value < 0) {
        value = ~value;
        sign = 0;
    }
    int segment = 0;
    while (value >> (segment + 5))
        segment++;
    int interval = segment > 1 ? value >> segment : value >> 1;
    return (uint8_t)((sign | segment << 4 | (interval & 0x0f)) ^ 0x55);
}

static void make_tables(void) {
    for (int code = 0; code < 256; code++) {
        decode_table[CODEC_PCMU][code] = ulaw_decode((uint8_t)code);
        decode_table[CODEC_PCMA][code] = alaw_decode((uint8_t)code);
    }
    for (int index = 0; index < ULAW_CODES; index++)
        ulaw_table[index] = ulaw_encode((int16_t)(index << ULAW_SHIFT) >> ULAW_SHIFT);
    for (int index = 0; index < ALAW_CODES; index++)
        alaw_table[index] = alaw_encode((int16_t)(index << ALAW_SHIFT) >> ALAW_SHIFT);
}

void g711_init(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT; /* a second engine must not write what a shard of the first reads */
    pthread_once(&once, make_tables);
}

void g711_encode(enum codec codec, const int16_t *samples, size_t count, uint8_t *out) {
    if (codec == CODEC_PCMU) {
        for (size_t i = 0; i < count; i++)
            out[i] = ulaw_table[(uint16_t)samples[i] >> ULAW_SHIFT];
    } else {
        for (size_t i = 0; i < count; i++)
            out[i] = alaw_table[(uint16_t)samples[i] >> ALAW_SHIFT];
    }
}

void g711_decode(enum codec codec, const uint8_t *bytes, size_t count, int16_t *out) {
    const int16_t *table = decode_table[codec];
    for (size_t i = 0; i < count; i++)
        out[i] = table[bytes[i]];
}

uint8_t g711_silence(enum codec codec) { return codec == CODEC_PCMU ? 0xff : 0xd5; }
