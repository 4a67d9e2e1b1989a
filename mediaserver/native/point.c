#include "point.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#define STATISTICS_TRIES 1000 /* a writer is in the odd state for nanoseconds */

static bool same_address(const struct sockaddr_in *a, const struct sockaddr_in *b) {
    return a->sin_addr.s_addr == b->sin_addr.s_addr && a->sin_port == b->sin_port;
}

void point_open(struct point *point, uint64_t handle, int fd, uint32_t random) {
    unsigned version = atomic_load_explicit(&point->statistics.version, memory_order_relaxed);
    atomic_store_explicit(&point->statistics.version, version + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    size_t statistics = offsetof(struct point, statistics);
    memset(point, 0, statistics);
    atomic_store_explicit(&point->statistics.handle, handle, memory_order_relaxed);
    _Atomic uint64_t *counters[] = {&point->statistics.received, &point->statistics.sent,
                                    &point->statistics.lost,     &point->statistics.late,
                                    &point->statistics.refused,  &point->statistics.concealed_ms,
                                    &point->statistics.remote};
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++)
        atomic_store_explicit(counters[i], 0, memory_order_relaxed);
    atomic_store_explicit(&point->statistics.jitter_us, 0, memory_order_relaxed);
    atomic_store_explicit(&point->statistics.version, version + 2, memory_order_release);
    jitter_reset(&point->jitter);
    point->handle = handle;
    point->fd = fd;
    point->out.ssrc = random;
    point->out.sequence = (uint16_t)(random * 2654435761u >> 16); /* both unpredictable: RFC 3550 section 5.1 */
    point->out.clock_base = random * 2246822519u;
    point->out.timestamp = point->out.clock_base;
}

static void set_connected(struct point *point, bool connected) {
    struct sockaddr_in nobody = {.sin_family = AF_UNSPEC};
    const struct sockaddr_in *address = connected ? &point->remote.address : &nobody;
    /* after a failure (no route) the kernel filters nothing; every packet is checked here as well */
    bool done = connect(point->fd, (const struct sockaddr *)address, sizeof *address) == 0;
    point->connected = connected && done;
    point->verified = connected;
}

void point_set_remote(struct point *point, const struct remote *remote, uint64_t now_ms) {
    /* a learned source stands for the signalled address until that changes */
    bool learned = point->verified && point->remote.learn && remote->learn &&
                   same_address(&point->signalled, &remote->address);
    struct sockaddr_in source = point->remote.address;
    if (point->has_remote && point->remote.codec != remote->codec)
        jitter_reset(&point->jitter);
    if (!point->remote.send && remote->send)
        point->out.source = SOURCE_NONE; /* a pause is no gap in the numbering */
    if (!point->remote.receive && remote->receive && point->peer)
        point->peer->out.source = SOURCE_NONE;
    point->signalled = remote->address;
    point->remote = *remote;
    if (learned)
        point->remote.address = source;
    if (point->verified && !same_address(&source, &point->remote.address))
        set_connected(point, false);
    point->has_remote = true;
    point->timed_out = false;
    point->last_packet_ms = now_ms;
    memset(&point->candidate, 0, sizeof point->candidate);
}

/* Four packets in a row of one stranger, or one of the signalled address, make the source known. */
static bool proves_source(struct point *point, const struct sockaddr_in *from, const struct rtp_packet *packet) {
    if (same_address(from, &point->remote.address))
        return true;
    if (!point->remote.learn)
        return false;
    struct candidate *candidate = &point->candidate;
    bool goes_on = candidate->packets && same_address(from, &candidate->address) &&
                   candidate->ssrc == packet->ssrc && candidate->next == packet->sequence &&
                   candidate->payload_type == packet->payload_type;
    candidate->address = *from;
    candidate->ssrc = packet->ssrc;
    candidate->next = (uint16_t)(packet->sequence + 1);
    candidate->payload_type = packet->payload_type;
    candidate->packets = (uint8_t)(goes_on ? candidate->packets + 1 : 1);
    if (candidate->packets < SOURCE_PROOF_PACKETS)
        return false;
    point->remote.address = *from;
    return true;
}

bool point_accept(struct point *point, const struct sockaddr_in *from, const struct rtp_packet *packet, bool *first) {
    const struct remote *remote = &point->remote;
    *first = false;
    if (!point->has_remote || (packet->payload_type != remote->payload_type &&
                               (int)packet->payload_type != remote->dtmf_payload_type))
        return false;
    if (point->verified) /* others may have come before the socket was connected */
        return same_address(from, &remote->address);
    if (!proves_source(point, from, packet))
        return false;
    set_connected(point, true);
    *first = true;
    return true;
}

bool point_send(struct point *point, uint8_t *payload, unsigned length) {
    uint8_t *packet = payload - RTP_HEADER_BYTES;
    size_t size = length + RTP_HEADER_BYTES;
    ssize_t sent = point->connected
                       ? send(point->fd, packet, size, MSG_DONTWAIT | MSG_NOSIGNAL)
                       : sendto(point->fd, packet, size, MSG_DONTWAIT | MSG_NOSIGNAL,
                                (const struct sockaddr *)&point->remote.address, sizeof point->remote.address);
    if (sent < 0)
        return false; /* a port that is closed (ECONNREFUSED) or a full queue: RTP goes on */
    count(&point->statistics.sent, 1);
    return true;
}

void point_forget_source(struct point *point) {
    if (point->verified && point->remote.learn)
        set_connected(point, false);
    memset(&point->candidate, 0, sizeof point->candidate);
}

void point_count_refused(struct point *point) { count(&point->statistics.refused, 1); }

void point_publish(struct point *point) {
    struct point_statistics *statistics = &point->statistics;
    uint64_t remote = point->has_remote ? (uint64_t)ntohl(point->remote.address.sin_addr.s_addr) << 16 |
                                              ntohs(point->remote.address.sin_port)
                                        : 0;
    unsigned version = atomic_load_explicit(&statistics->version, memory_order_relaxed);
    atomic_store_explicit(&statistics->version, version + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    atomic_store_explicit(&statistics->received, point->in.received_before + point->in.received,
                          memory_order_relaxed);
    atomic_store_explicit(&statistics->lost, stream_in_lost(&point->in), memory_order_relaxed);
    atomic_store_explicit(&statistics->jitter_us, (uint32_t)(point->in.jitter * 1000 / RTP_SAMPLES_PER_MS),
                          memory_order_relaxed);
    atomic_store_explicit(&statistics->remote, remote, memory_order_relaxed);
    atomic_store_explicit(&statistics->version, version + 2, memory_order_release);
}

struct statistics_snapshot point_read_statistics(struct point *point, uint64_t handle) {
    struct point_statistics *from = &point->statistics;
    struct statistics_snapshot copy = {0};
    uint64_t owner = 0;
    for (int tries = 0; tries < STATISTICS_TRIES; tries++) {
        unsigned before = atomic_load_explicit(&from->version, memory_order_acquire);
        owner = atomic_load_explicit(&from->handle, memory_order_relaxed);
        copy.received = atomic_load_explicit(&from->received, memory_order_relaxed);
        copy.sent = atomic_load_explicit(&from->sent, memory_order_relaxed);
        copy.lost = atomic_load_explicit(&from->lost, memory_order_relaxed);
        copy.late = atomic_load_explicit(&from->late, memory_order_relaxed);
        copy.refused = atomic_load_explicit(&from->refused, memory_order_relaxed);
        copy.concealed_ms = atomic_load_explicit(&from->concealed_ms, memory_order_relaxed);
        copy.remote = atomic_load_explicit(&from->remote, memory_order_relaxed);
        copy.jitter_us = atomic_load_explicit(&from->jitter_us, memory_order_relaxed);
        atomic_thread_fence(memory_order_acquire);
        if (!(before & 1) && atomic_load_explicit(&from->version, memory_order_relaxed) == before)
            break;
    }
    /* the writer may have lost its core while it wrote: then the counters may be of two moments, but of one owner */
    return owner == handle ? copy : (struct statistics_snapshot){0};
}
