#include "check.h"
#include "player.h"

static uint8_t ulaw[400], alaw[400];
static struct prompt prompts[3];

static void load(unsigned first, unsigned second) {
    for (unsigned i = 0; i < sizeof ulaw; i++) {
        ulaw[i] = (uint8_t)(i % 100);
        alaw[i] = (uint8_t)(128 + i % 100);
    }
    prompts[0] = (struct prompt){.coded = {ulaw, alaw}, .samples = first};
    prompts[1] = (struct prompt){.coded = {ulaw + 200, alaw + 200}, .samples = second};
    prompts[2] = (struct prompt){.coded = {ulaw, alaw}, .samples = 0};
}

static struct player start(uint8_t count, const uint16_t *list, int8_t loop_from) {
    struct player player = {0};
    struct playlist playlist = {.count = count, .loop_from = loop_from};
    memcpy(playlist.prompts, list, count * sizeof *list);
    player_start(&player, &playlist);
    return player;
}

TEST(list_plays_in_order_and_its_end_is_filled_with_silence) {
    load(170, 30);
    struct player player = start(2, (uint16_t[]){0, 1}, -1);
    uint8_t out[160];
    CHECK(player_take(&player, prompts, CODEC_PCMU, 160, out));
    CHECK(memcmp(out, ulaw, 160) == 0);
    CHECK(!player_take(&player, prompts, CODEC_PCMU, 160, out));
    CHECK(memcmp(out, ulaw + 160, 10) == 0 && memcmp(out + 10, ulaw + 200, 30) == 0);
    CHECK(!player.playing);
    for (unsigned i = 40; i < 160; i++)
        CHECK_EQUAL(out[i], g711_silence(CODEC_PCMU));
}

TEST(list_that_ends_with_a_frame_ends_there) {
    load(160, 0);
    struct player player = start(1, (uint16_t[]){0}, -1);
    uint8_t out[160];
    CHECK(!player_take(&player, prompts, CODEC_PCMA, 160, out));
    CHECK(memcmp(out, alaw, 160) == 0);
}

TEST(loop_goes_on_from_its_place_for_ever) {
    load(50, 30);
    struct player player = start(2, (uint16_t[]){0, 1}, 1);
    uint8_t out[480];
    for (unsigned round = 0; round < 100; round++)
        CHECK(player_take(&player, prompts, CODEC_PCMU, 480, out));
    for (unsigned i = 0; i < 480; i++)
        CHECK_EQUAL(out[i], ulaw[200 + (99 * 480 - 50 + i) % 30]);
}

TEST(loop_of_empty_prompts_is_silence_and_comes_back) {
    load(10, 10);
    uint16_t empty[PLAYLIST_MAX];
    for (unsigned i = 0; i < PLAYLIST_MAX; i++)
        empty[i] = 2;
    struct player player = start(PLAYLIST_MAX, empty, 0);
    uint8_t out[160];
    for (unsigned round = 0; round < 5; round++) {
        CHECK(player_take(&player, prompts, CODEC_PCMA, 160, out));
        for (unsigned i = 0; i < 160; i++)
            CHECK_EQUAL(out[i], g711_silence(CODEC_PCMA));
    }
}

TEST(codec_changes_in_the_middle_without_losing_the_place) {
    load(400, 0);
    struct player player = start(1, (uint16_t[]){0}, -1);
    uint8_t out[160];
    CHECK(player_take(&player, prompts, CODEC_PCMU, 160, out));
    CHECK(player_take(&player, prompts, CODEC_PCMA, 160, out));
    CHECK(memcmp(out, alaw + 160, 160) == 0);
}

TEST(list_of_nothing_does_not_play) {
    struct player player = start(0, (uint16_t[]){0}, -1);
    CHECK(!player.playing);
}
