/* RTP for every connection point, and the judge of what comes back.
 *
 * generator POINTS SECONDS PAYLOAD_TYPE_EVEN PAYLOAD_TYPE_ODD: points 2n and 2n+1 talk to each other through the engine.
 * generator POINTS SECONDS listen: sends nothing; the engine plays prompts.
 *
 * Each packet carries its number in the signs of its first 32 samples: the top bit of a byte is the sign in A-law and
 * mu-law alike, so the number survives transcoding, and each packet is known to have come once, twice or never.
 * Sending and receiving are looked after every TICK_NS: delays are known to that, and never too small. */
#define _GNU_SOURCE
#include "bench.h"

#define TICK_NS (MS_NS / 5)
#define WARM_UP_FRAMES 25
#define DRAIN_NS (300 * MS_NS) /* a jitter buffer holds 40 to 60 ms */
#define HISTORY 64 /* frames whose time of sending is kept; a power of two */
#define NUMBER_BITS 32
#define LOUD 0x2a /* the greatest magnitude in A-law, a great one in mu-law */
#define NO_NUMBER UINT32_MAX /* silence: all samples positive */

struct samples {
    uint32_t *us;
    size_t count, room;
};

struct stream {
    uint32_t sent, received;
    int64_t sent_at[HISTORY];
    uint8_t *seen; /* by number: how often it came */
    bool heard;
    uint16_t expected;
    int64_t last_ns;
};

static struct {
    uint64_t received, lost, duplicate, silent, gaps, other;
} counted;
static int fds[POINTS_MAX];
static struct stream streams[POINTS_MAX];
static struct samples lateness, delays, intervals;
static int points, frames, payload_types[2];
static bool listening;

static void keep(struct samples *samples, int64_t ns) {
    if (samples->count < samples->room)
        samples->us[samples->count++] = (uint32_t)((ns < 0 ? -ns : ns) / 1000);
}

static void send_frame(int point, int64_t due) {
    struct stream *stream = &streams[point];
    uint32_t number = stream->sent++;
    uint8_t bytes[RTP_PACKET];
    bytes[0] = 0x80;
    bytes[1] = (uint8_t)payload_types[point % 2];
    put16(bytes + 2, (unsigned)(number + 40000) & 0xffff);
    put32(bytes + 4, number * 160);
    put32(bytes + 8, 0x0b000000u + (uint32_t)point);
    memset(bytes + RTP_HEADER, LOUD, sizeof bytes - RTP_HEADER);
    for (int bit = 0; bit < NUMBER_BITS; bit++)
        bytes[RTP_HEADER + bit] |= (uint8_t)((number >> bit & 1) << 7);
    int64_t now = clock_ns();
    stream->sent_at[number % HISTORY] = now;
    if (number >= WARM_UP_FRAMES)
        keep(&lateness, now - due);
    if (send(fds[point], bytes, sizeof bytes, MSG_DONTWAIT) < 0)
        fail("send");
}

static uint32_t number_of(const uint8_t *payload) {
    uint32_t number = 0;
    for (int bit = 0; bit < NUMBER_BITS; bit++)
        number |= (uint32_t)(payload[bit] >> 7) << bit;
    return number;
}

static void judge_number(struct stream *stream, const struct stream *peer, uint32_t number, int64_t now) {
    if (number == NO_NUMBER) {
        counted.silent++;
    } else if (number >= peer->sent) {
        counted.other++;
    } else if (stream->seen[number]++) {
        counted.duplicate += number + 1 < (uint32_t)frames; /* the end of a stream is concealed, and shall be */
    } else if (number >= WARM_UP_FRAMES && peer->sent - number < HISTORY) {
        keep(&delays, now - peer->sent_at[number % HISTORY]);
    }
}

static void receive_one(int point) {
    struct stream *stream = &streams[point];
    uint8_t bytes[PACKET_MAX];
    ssize_t size = recv(fds[point], bytes, sizeof bytes, MSG_DONTWAIT);
    int64_t now = clock_ns();
    if (size != RTP_PACKET) {
        counted.other += size >= 0;
        return;
    }
    counted.received++;
    uint16_t sequence = get16(bytes + 2);
    if (stream->heard && sequence != stream->expected)
        counted.gaps += (uint16_t)(sequence - stream->expected);
    if (stream->heard && stream->received > WARM_UP_FRAMES)
        keep(&intervals, now - stream->last_ns - FRAME_MS * MS_NS);
    stream->heard = true;
    stream->received++;
    stream->expected = (uint16_t)(sequence + 1);
    stream->last_ns = now;
    if (!listening)
        judge_number(stream, &streams[point ^ 1], number_of(bytes + RTP_HEADER), now);
}

static void receive_all(int epoll_fd) {
    struct epoll_event ready[READY_MAX];
    int count = epoll_wait(epoll_fd, ready, READY_MAX, 0);
    for (int i = 0; i < count; i++)
        receive_one((int)ready[i].data.u32);
}

static void run(int epoll_fd) {
    int64_t start = clock_ns() + MS_NS, due = start, last = start + (int64_t)frames * FRAME_MS * MS_NS;
    int64_t next = 0, total = listening ? 0 : (int64_t)points * frames;
    while (due < last + DRAIN_NS) {
        due += TICK_NS;
        sleep_until(due);
        for (int64_t now = clock_ns(); next < total; next++) {
            int64_t send_due = start + next * FRAME_MS * MS_NS / points; /* streams evenly over the 20 ms */
            if (send_due > now)
                break;
            send_frame((int)(next % points), send_due);
        }
        receive_all(epoll_fd);
    }
}

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void print_samples(const char *name, struct samples *samples) {
    qsort(samples->us, samples->count, sizeof *samples->us, by_size);
    size_t count = samples->count;
    printf(", \"%s_us\": [%u, %u, %u]", name, count ? samples->us[count / 2] : 0,
           count ? samples->us[count * 99 / 100] : 0, count ? samples->us[count - 1] : 0);
}

static void report(void) {
    uint64_t sent = 0;
    for (int point = 0; point < points; point++) {
        uint32_t of_peer = streams[point ^ 1].sent;
        sent += streams[point].sent;
        for (uint32_t number = 0; number < of_peer; number++)
            counted.lost += streams[point].seen[number] == 0;
    }
    if (listening)
        counted.lost = counted.gaps;
    printf("{\"sent\": %llu, \"received\": %llu, \"lost\": %llu, \"duplicate\": %llu, \"silent\": %llu, \"gaps\": %llu, "
           "\"other\": %llu",
           (unsigned long long)sent, (unsigned long long)counted.received, (unsigned long long)counted.lost,
           (unsigned long long)counted.duplicate, (unsigned long long)counted.silent,
           (unsigned long long)counted.gaps, (unsigned long long)counted.other);
    print_samples("pacing", &lateness);
    print_samples("delay", &delays);
    print_samples("interval", &intervals);
    printf("}\n");
}

static void make_room(struct samples *samples) {
    samples->room = (size_t)points * ((size_t)frames + 50);
    samples->us = calloc(samples->room, sizeof *samples->us);
    if (!samples->us)
        fail("calloc");
}

int main(int argc, char **argv) {
    points = argc >= 4 ? atoi(argv[1]) : 0;
    listening = argc == 4 && strcmp(argv[3], "listen") == 0;
    if (points < 2 || points > POINTS_MAX || points % 2 || (argc != 5 && !listening))
        return fprintf(stderr, "usage: generator POINTS SECONDS listen|PT_EVEN PT_ODD\n"), 2;
    frames = (int)(atof(argv[2]) * 1000 / FRAME_MS);
    for (int i = 0; i < 2 && !listening; i++)
        payload_types[i] = atoi(argv[3 + i]);
    make_room(&lateness);
    make_room(&delays);
    make_room(&intervals);
    for (int point = 0; point < points; point++)
        if (!(streams[point].seen = calloc((size_t)frames + 1, 1)))
            fail("calloc");
    open_sockets(fds, points);
    connect_sockets(fds, points);
    int epoll_fd = watch_sockets(fds, points);
    become_realtime();
    run(epoll_fd);
    report();
    return 0;
}
