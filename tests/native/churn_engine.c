/* The whole engine under churn: the control thread adds, changes, bridges, plays and removes while shards carry RTP.
 * Prints what it did; its judge is the sanitizer it is built with, and that nothing is left over. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "engine.h"
#include "shard.h"

#define SHARDS 2
#define CAPACITY 40
#define LIVE (SHARDS * CAPACITY)
#define RUN_MS 500

static struct live {
    uint64_t cp;
    struct sockaddr_in address;
} live[LIVE];
static unsigned live_count;
static unsigned long long added, busy, events_read, digits;

static int64_t clock_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

static unsigned open_descriptors(void) {
    DIR *folder = opendir("/proc/self/fd");
    unsigned count = 0;
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

static void add_one(struct engine *engine) {
    struct live *one = &live[live_count];
    socklen_t size = sizeof one->address;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    one->address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK(bind(fd, (struct sockaddr *)&one->address, size) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&one->address, &size) == 0);
    if (engine_add(engine, (unsigned)rand() % SHARDS, fd, &one->cp) != ENGINE_OK) {
        close(fd); /* full: still ours */
        busy++;
        return;
    }
    added++;
    live_count++;
}

static void remove_one(struct engine *engine, unsigned index) {
    if (engine_remove(engine, live[index].cp) == ENGINE_OK)
        live[index] = live[--live_count];
}

static void change_one(struct engine *engine, int fd) {
    const struct live *one = &live[(unsigned)rand() % live_count], *other = &live[(unsigned)rand() % live_count];
    struct command command = {.kind = (enum command_kind)(COMMAND_SET_REMOTE + rand() % (COMMAND_REMOVE - 1)),
                              .cp = one->cp};
    switch (command.kind) {
    case COMMAND_SET_REMOTE: {
        struct sockaddr_in sender;
        socklen_t size = sizeof sender;
        getsockname(fd, (struct sockaddr *)&sender, &size);
        command.remote = (struct remote){.address = rand() % 4 ? sender : other->address,
                                         .codec = (enum codec)(rand() % 2),
                                         .dtmf_payload_type = 101, .frame_samples = (uint16_t)(80 + 80 * (rand() % 6)),
                                         .send = rand() % 4, .receive = rand() % 8, .learn = rand() % 2,
                                         .timeout_ms = 50};
        command.remote.payload_type = command.remote.codec == CODEC_PCMA ? 8 : 0;
        break;
    }
    case COMMAND_BRIDGE:
        if (one == other || cp_shard(one->cp) != cp_shard(other->cp))
            return;
        command.other = other->cp;
        break;
    case COMMAND_ECHO:
        command.on = rand() % 2;
        break;
    case COMMAND_PLAY:
        command.playlist = (struct playlist){.count = 1, .loop_from = (int8_t)(rand() % 2 - 1), .play_id = 1,
                                             .interrupt_on_digit = true};
        break;
    case COMMAND_SEND_DIGITS:
        command.digits.count = 2;
        memcpy(command.digits.digits, "5#", 2);
        command.digits.duration_ms = command.digits.gap_ms = 40;
        break;
    default:
        break;
    }
    if (engine_stage(engine, &command) == ENGINE_BUSY)
        busy++;
}

static void speak(int fd) {
    uint8_t bytes[RTP_HEADER_BYTES + RTP_MAX_PAYLOAD_BYTES] = {0};
    static uint16_t sequence;
    static uint32_t timestamp;
    for (unsigned i = 0; i < live_count; i++) {
        const uint8_t types[] = {0, 8, 101, 101};
        uint8_t type = types[rand() % 4];
        bool event = type == 101;
        bytes[12] = 5;
        bytes[13] = event ? 0x80 : 1;
        rtp_write_header(bytes + 12, false, type, sequence++, timestamp += 160, (uint32_t)rand() % 2);
        sendto(fd, bytes, event ? 16 : 12 + 160u * (1 + (unsigned)rand() % 3), MSG_DONTWAIT,
               (struct sockaddr *)&live[i].address, sizeof live[i].address);
    }
    while (recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) >= 0)
        ;
}

static void hear(struct engine *engine) {
    struct event events[64];
    unsigned count = engine_read_events(engine, events, 64);
    events_read += count;
    for (unsigned i = 0; i < count; i++)
        digits += events[i].kind == EVENT_DIGIT;
    for (unsigned i = 0; i < live_count; i++)
        (void)engine_statistics(engine, live[i].cp);
    (void)engine_counters(engine);
}

TEST(churn) {
    static int16_t silence[800];
    unsigned before = open_descriptors();
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    CHECK(bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
    struct engine *engine = engine_create(SHARDS, CAPACITY, 0);
    CHECK(engine && engine_load_prompt(engine, silence, 800) == 0);
    CHECK(engine_start(engine));
    srand(5);
    for (int64_t end = clock_ms() + RUN_MS; clock_ms() < end;) {
        for (unsigned n = 0; n < 20; n++) {
            if (live_count < LIVE && rand() % 3 == 0)
                add_one(engine);
            if (live_count && rand() % 5 == 0)
                remove_one(engine, (unsigned)rand() % live_count);
            if (live_count)
                change_one(engine, fd);
        }
        if (rand() % 10 == 0) { /* another engine comes and goes beside it */
            struct engine *second = engine_create(1, 1, 0);
            engine_destroy(second);
        }
        if (engine_prompts(engine) < PROMPTS_MAX)
            CHECK(engine_load_prompt(engine, silence, 80) > 0);
        engine_flush(engine);
        speak(fd);
        hear(engine);
    }
    for (unsigned tries = 0; live_count && tries < 1000; tries++) {
        remove_one(engine, 0);
        engine_flush(engine);
    }
    CHECK_EQUAL(live_count, 0);
    for (int64_t end = clock_ms() + 5000; engine_counters(engine).active && clock_ms() < end;)
        hear(engine);
    struct engine_counters counters = engine_counters(engine);
    CHECK_EQUAL(counters.active, 0);
    CHECK_EQUAL(counters.stale_commands, 0);
    printf("%llu %llu %llu %llu %llu\n", added, digits, events_read, (unsigned long long)counters.packets_in,
           (unsigned long long)counters.packets_out);
    add_one(engine); /* staged and never seen: its socket must go too */
    engine_stop(engine);
    engine_destroy(engine);
    close(fd);
    CHECK_EQUAL(open_descriptors(), before);
}
