/* Telephone events (RFC 4733), without I/O: digits from packets, packets from digits. */
#ifndef OPENTAS_DIGITS_H
#define OPENTAS_DIGITS_H

#include <stdbool.h>
#include <stdint.h>

#define DIGITS_QUEUE 128 /* two requests of 64 */
#define DIGIT_EVENT_BYTES 4
#define DIGIT_END_PACKETS 3 /* section 2.5.1.4 */
#define DIGIT_LOST_END_MS 200 /* an event whose end never came is over after this much silence */
#define DIGIT_VOLUME 10 /* -10 dBm0 */

struct digit_in {
    bool seen; /* there was an event; the fields below are its */
    bool begins; /* with the last packet */
    bool reported;
    uint8_t event;
    uint16_t duration; /* timestamp units */
    uint32_t timestamp;
    uint64_t last_ms;
};

struct digit {
    char digit;
    uint16_t duration_ms;
};

/* A telephone-event payload has come. True when a digit is complete (the one before, when its end was lost). */
bool digit_in_packet(struct digit_in *in, const uint8_t *payload, unsigned length, uint32_t timestamp,
                     uint64_t now_ms, struct digit *digit);
bool digit_in_timeout(struct digit_in *in, uint64_t now_ms, struct digit *digit);

struct digit_out {
    char queue[DIGITS_QUEUE];
    uint8_t head, count;
    uint8_t end_packets; /* still to send */
    bool sounding;
    uint16_t duration; /* wanted, timestamp units */
    uint16_t elapsed;
    uint16_t gap, gap_left;
};

/* Queue digits; those that find no room are not sent and their number is returned. */
unsigned digit_out_queue(struct digit_out *out, const char *digits, unsigned count, unsigned duration_ms,
                         unsigned gap_ms);
static inline bool digit_out_busy(const struct digit_out *out) { return out->count || out->sounding || out->gap_left; }
/* One frame of `samples` is due. True: send `payload`; `first`: an event begins here, all its packets carry this time. */
bool digit_out_frame(struct digit_out *out, unsigned samples, uint8_t payload[DIGIT_EVENT_BYTES], bool *first);

#endif
