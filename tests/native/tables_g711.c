/* Writes, for mu-law and A-law, the codes of all 65,536 samples (from -32768 up) and the samples of all 256 codes. */
#include <stdio.h>

#include "g711.h"

int main(void) {
    static int16_t samples[65536];
    static uint8_t codes[65536];
    g711_init();
    g711_init();
    for (int codec = 0; codec < CODECS; codec++) {
        for (int i = 0; i < 65536; i++)
            samples[i] = (int16_t)(i - 32768);
        g711_encode((enum codec)codec, samples, 65536, codes);
        fwrite(codes, 1, 65536, stdout);
        for (int i = 0; i < 256; i++)
            codes[i] = (uint8_t)i;
        g711_decode((enum codec)codec, codes, 256, samples);
        fwrite(samples, sizeof *samples, 256, stdout);
        putchar(g711_silence((enum codec)codec));
    }
    return 0;
}
