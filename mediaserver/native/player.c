#include "player.h"

#include <string.h>

void player_start(struct player *player, const struct playlist *list) {
    player->list = *list;
    player->playing = list->count > 0;
    player->index = 0;
    player->position = 0;
}

bool player_take(struct player *player, const struct prompt *prompts, enum codec codec, unsigned samples,
                 uint8_t *out) {
    /* a list of empty prompts that loops must not spin */
    for (unsigned empty = 0; samples && empty <= player->list.count;) {
        if (player->index >= player->list.count) {
            if (player->list.loop_from < 0)
                break;
            player->index = (uint8_t)player->list.loop_from;
        }
        const struct prompt *prompt = &prompts[player->list.prompts[player->index]];
        unsigned left = prompt->samples - player->position;
        unsigned take = left < samples ? left : samples;
        memcpy(out, prompt->coded[codec] + player->position, take);
        out += take;
        samples -= take;
        player->position += take;
        if (player->position == prompt->samples) {
            empty += prompt->samples == 0;
            player->index++;
            player->position = 0;
        }
    }
    memset(out, g711_silence(codec), samples);
    player->playing = player->index < player->list.count || player->list.loop_from >= 0;
    return player->playing;
}
