/* Prompts, encoded once per codec, and a connection point's place in a list of them. */
#ifndef OPENTAS_PLAYER_H
#define OPENTAS_PLAYER_H

#include <stdbool.h>
#include <stdint.h>

#include "g711.h"

#define PROMPTS_MAX 1024
#define PLAYLIST_MAX 16

struct prompt {
    uint8_t *coded[CODECS]; /* one byte a sample; shared, read only */
    uint32_t samples;
};

struct playlist {
    uint16_t prompts[PLAYLIST_MAX];
    uint8_t count;
    int8_t loop_from; /* -1: stop after the last */
    bool interrupt_on_digit;
    uint32_t play_id;
};

struct player {
    struct playlist list;
    bool playing;
    uint8_t index;
    uint32_t position; /* samples into prompts[index] */
};

void player_start(struct player *player, const struct playlist *list);
/* Fills `samples` bytes; what the end of the list leaves is silence. False when the list has ended with this frame. */
bool player_take(struct player *player, const struct prompt *prompts, enum codec codec, unsigned samples,
                 uint8_t *out);

#endif
