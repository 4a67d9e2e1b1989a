/* A connection point: the termination of one media stream, with its UDP socket. */
#ifndef OPENTAS_POINT_H
#define OPENTAS_POINT_H

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "digits.h"
#include "events.h"
#include "jitter.h"
#include "player.h"
#include "stream.h"

#define SOURCE_PROOF_PACKETS 4 /* in sequence, of one SSRC and payload type, before a learned source is believed */

struct remote {
    struct sockaddr_in address;
    enum codec codec;
    uint8_t payload_type;
    int16_t dtmf_payload_type; /* -1: none */
    uint16_t frame_samples;
    bool send, receive;
    bool learn;
    uint32_t timeout_ms; /* 0: never */
};

/* A stranger that may turn out to be the peer behind a NAT. */
struct candidate {
    struct sockaddr_in address;
    uint32_t ssrc;
    uint16_t next;
    uint8_t payload_type;
    uint8_t packets;
};

/* Read by the control thread while the shard writes: a seqlock, odd while it changes. */
struct point_statistics {
    atomic_uint version;
    _Atomic uint64_t handle;
    _Atomic uint64_t received, sent, lost, late, refused, concealed_ms;
    _Atomic uint64_t remote; /* address << 16 | port, host order */
    _Atomic uint32_t jitter_us;
};

struct point {
    uint64_t handle; /* 0: free */
    int fd;
    bool has_remote;
    bool verified; /* the source is known */
    bool connected; /* the socket, to the source */
    bool timed_out;
    bool echo;
    uint8_t slot;
    struct point *slot_previous, *slot_next;
    struct point *peer; /* the other end of the bridge */
    struct remote remote; /* its address is the learned one once that is verified */
    struct sockaddr_in signalled;
    struct candidate candidate;
    struct stream_in in;
    struct stream_out out;
    uint64_t last_packet_ms;
    uint16_t frame_credit; /* samples that have come due and are not yet sent */
    uint64_t last_due_ms;
    struct player player;
    struct digit_in digit_in;
    struct digit_out digit_out;
    uint32_t digit_began; /* timestamp of the event that is being sent */
    bool event_relayed; /* a telephone event goes from a peer with another codec to this point */
    uint32_t event_in, event_out; /* its timestamp there and here */
    struct pending_events pending;
    struct point_statistics statistics;
    struct jitter jitter; /* of what comes in; used only towards another codec */
};

/* Begin, on a bound non-blocking UDP socket. */
void point_open(struct point *point, uint64_t handle, int fd, uint32_t random);
void point_set_remote(struct point *point, const struct remote *remote, uint64_t now_ms);
/* May this packet be used? Learns and locks the source on the way. `first` is set when the source became known. */
bool point_accept(struct point *point, const struct sockaddr_in *from, const struct rtp_packet *packet, bool *first);
/* Send one packet whose header lies before `payload`. */
bool point_send(struct point *point, uint8_t *payload, unsigned length);
/* Nothing came for long: a learned source may have moved. */
void point_forget_source(struct point *point);
void point_count_refused(struct point *point);
/* Let the control thread see the counters of both directions. */
void point_publish(struct point *point);

struct statistics_snapshot {
    uint64_t received, sent, lost, late, refused, concealed_ms, remote;
    uint32_t jitter_us;
};
/* From the control thread; all zero when the shard has not yet begun with this handle. */
struct statistics_snapshot point_read_statistics(struct point *point, uint64_t handle);

/* Digits wait and the peer takes them. */
static inline bool point_sends_digits(const struct point *point) {
    return point->remote.dtmf_payload_type >= 0 && digit_out_busy(&point->digit_out);
}

/* The shard's own additions; only it writes. */
static inline void count(_Atomic uint64_t *counter, uint64_t more) {
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + more, memory_order_relaxed);
}

#endif
