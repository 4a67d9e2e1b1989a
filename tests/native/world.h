/* A shard without its thread, ticked by hand on a clock of the test's own, and peers with real loopback sockets. */
#ifndef OPENTAS_WORLD_H
#define OPENTAS_WORLD_H

#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "shard.h"

#define POINTS 64
#define PEERS 4
#define AUDIO_PT(codec) ((codec) == CODEC_PCMA ? 8 : 0)
#define DTMF_PT 101

static struct shard *shard;
static uint64_t now_ms;
static uint8_t prompt_bytes[CODECS][8000];
static struct prompt prompts[2];

/* The far end of connection point `cp`. */
struct peer {
    uint64_t cp;
    int fd;
    struct sockaddr_in point; /* where our packets go */
    struct sockaddr_in own;
    uint16_t sequence;
    uint32_t timestamp, ssrc;
};
static struct peer peers[PEERS];

static inline int bound_socket(struct sockaddr_in *address) {
    socklen_t size = sizeof *address;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)address, sizeof *address) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)address, &size) == 0);
    return fd;
}

static inline void ticks(unsigned count) {
    while (count--)
        shard_tick(shard, ++now_ms);
}

static inline void stage(struct command command) {
    struct command *staged = command_ring_stage(&shard->commands);
    CHECK(staged);
    *staged = command;
    command_ring_publish(&shard->commands);
}

static inline uint64_t handle_of(unsigned index, unsigned generation) {
    return (uint64_t)generation << CP_GENERATION_SHIFT | index;
}

static inline struct point *point_of(const struct peer *peer) { return &shard->points[cp_index(peer->cp)]; }

static inline struct remote remote_of(const struct peer *peer, enum codec codec) {
    return (struct remote){.address = peer->own, .codec = codec, .payload_type = AUDIO_PT(codec),
                           .dtmf_payload_type = DTMF_PT, .frame_samples = 160, .send = true, .receive = true};
}

static inline void set_remote(const struct peer *peer, struct remote remote) {
    stage((struct command){.kind = COMMAND_SET_REMOTE, .cp = peer->cp, .remote = remote});
}

/* Connection point `index` with its peer. */
static inline struct peer *add_peer(unsigned index, enum codec codec) {
    struct peer *peer = &peers[index];
    *peer = (struct peer){.cp = handle_of(index, 1), .sequence = (uint16_t)(65000 + index), .ssrc = 100 + index,
                          .timestamp = 0xffffe000};
    peer->fd = bound_socket(&peer->own);
    int fd = bound_socket(&peer->point);
    stage((struct command){.kind = COMMAND_ADD, .cp = peer->cp, .add = {.fd = fd, .random = 0x12345678 + index}});
    set_remote(peer, remote_of(peer, codec));
    return peer;
}

static inline void bridge(const struct peer *a, const struct peer *b) {
    stage((struct command){.kind = COMMAND_BRIDGE, .cp = a->cp, .other = b->cp});
}

static inline void play(const struct peer *peer, int8_t loop_from, bool interrupt, uint32_t play_id) {
    stage((struct command){.kind = COMMAND_PLAY, .cp = peer->cp,
                           .playlist = {.count = 1, .loop_from = loop_from, .interrupt_on_digit = interrupt,
                                        .play_id = play_id}});
}

static inline void send_digits(const struct peer *peer, const char *digits, unsigned duration_ms, unsigned gap_ms) {
    struct command command = {.kind = COMMAND_SEND_DIGITS, .cp = peer->cp};
    command.digits.count = (uint16_t)strlen(digits);
    command.digits.duration_ms = (uint16_t)duration_ms;
    command.digits.gap_ms = (uint16_t)gap_ms;
    memcpy(command.digits.digits, digits, strlen(digits));
    stage(command);
}

static inline void send_raw(struct peer *peer, const uint8_t *payload, unsigned length, unsigned payload_type,
                            bool marker, uint32_t timestamp) {
    uint8_t packet[RTP_HEADER_BYTES + RTP_MAX_PAYLOAD_BYTES];
    memcpy(packet + RTP_HEADER_BYTES, payload, length);
    rtp_write_header(packet + RTP_HEADER_BYTES, marker, (uint8_t)payload_type, peer->sequence++, timestamp, peer->ssrc);
    CHECK(sendto(peer->fd, packet, RTP_HEADER_BYTES + length, 0, (struct sockaddr *)&peer->point,
                 sizeof peer->point) > 0);
}

/* One frame of 20 ms whose bytes are `fill`. */
static inline void talk(struct peer *peer, enum codec codec, uint8_t fill) {
    uint8_t payload[160];
    memset(payload, fill, sizeof payload);
    send_raw(peer, payload, sizeof payload, AUDIO_PT(codec), false, peer->timestamp);
    peer->timestamp += 160;
}

static inline void key(struct peer *peer, uint8_t event, unsigned duration_ms, bool end, uint32_t timestamp) {
    uint8_t payload[4] = {event, (uint8_t)(end << 7 | 10)};
    rtp_put16(payload + 2, (uint16_t)(duration_ms * 8));
    send_raw(peer, payload, sizeof payload, DTMF_PT, duration_ms <= 20, timestamp);
}

/* The next packet the peer got; false when there is none. */
static inline bool heard(struct peer *peer, uint8_t bytes[RTP_MAX_PACKET_BYTES], struct rtp_packet *packet) {
    ssize_t size = recv(peer->fd, bytes, RTP_MAX_PACKET_BYTES, 0);
    if (size < 0)
        return false;
    CHECK(rtp_parse(bytes, (size_t)size, packet));
    return true;
}

static inline unsigned heard_count(struct peer *peer) {
    uint8_t bytes[RTP_MAX_PACKET_BYTES];
    struct rtp_packet packet;
    unsigned count = 0;
    while (heard(peer, bytes, &packet))
        count++;
    return count;
}

/* The next event's kind, 0 when there is none; its other fields in `event`. */
static inline unsigned next_event(struct event *event) { return event_ring_pop(&shard->events, event) ? event->kind : 0; }

static inline void skip_events(void) {
    struct event event;
    while (next_event(&event))
        ;
}

static inline void world_begin(void) {
    g711_init();
    shard = aligned_alloc(64, (sizeof *shard + 63) / 64 * 64);
    CHECK(shard);
    memset(shard, 0, sizeof *shard);
    shard->points = calloc(POINTS, sizeof *shard->points);
    shard->capacity = POINTS;
    shard->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    shard->event_fd = eventfd(0, EFD_NONBLOCK);
    shard->prompts = prompts;
    for (unsigned i = 0; i < sizeof prompt_bytes[0]; i++) {
        prompt_bytes[CODEC_PCMU][i] = (uint8_t)(i / 160);
        prompt_bytes[CODEC_PCMA][i] = (uint8_t)(128 + i / 160);
    }
    prompts[0] = (struct prompt){.coded = {prompt_bytes[0], prompt_bytes[1]}, .samples = 8000};
    now_ms = 0xfffffff0ull; /* the clock of 32 bits wraps on the way */
}

/* Ends the world and insists that every socket of the shard is closed and every slot empty. */
static inline void world_end(void) {
    shard_stop(shard);
    CHECK_EQUAL(atomic_load(&shard->counters.active), 0);
    for (unsigned slot = 0; slot < SLOTS; slot++)
        CHECK(!shard->slots[slot] && !shard->slot_sizes[slot]);
    for (unsigned i = 0; i < PEERS; i++)
        if (peers[i].fd)
            close(peers[i].fd);
    close(shard->epoll_fd);
    close(shard->event_fd);
    free(shard->points);
    free(shard);
}

#endif
