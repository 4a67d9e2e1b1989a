/* G.711 (ITU-T): A-law and mu-law by tables, S16 samples in and out. */
#ifndef OPENTAS_G711_H
#define OPENTAS_G711_H

#include <stddef.h>
#include <stdint.h>

enum codec { CODEC_PCMU = 0, CODEC_PCMA = 1, CODECS = 2 };

/* Must run once before the others; again is harmless. */
void g711_init(void);
void g711_encode(enum codec codec, const int16_t *samples, size_t count, uint8_t *out);
void g711_decode(enum codec codec, const uint8_t *bytes, size_t count, int16_t *out);
uint8_t g711_silence(enum codec codec);

#endif
