/* F, the floor: the least that any media server of this design can do on this kernel.
 *
 * floor POINTS relay: one thread, drained each millisecond: one recv and one send per socket that has a packet.
 * floor POINTS send: what playing prompts cannot go below: one send per socket every 20 ms, in 20 slots of 1 ms. */
#define _GNU_SOURCE
#include "bench.h"

static volatile sig_atomic_t stopping;
static int fds[POINTS_MAX];

static void stop(int number) {
    (void)number;
    stopping = 1;
}

static uint64_t relay(int epoll_fd) {
    struct epoll_event ready[READY_MAX];
    uint8_t bytes[PACKET_MAX];
    int count = epoll_wait(epoll_fd, ready, READY_MAX, 0);
    uint64_t packets = 0;
    for (int i = 0; i < count; i++) {
        unsigned point = ready[i].data.u32;
        ssize_t size = recv(fds[point], bytes, sizeof bytes, MSG_DONTWAIT);
        if (size > 0)
            packets += send(fds[point ^ 1], bytes, (size_t)size, MSG_DONTWAIT) > 0;
    }
    return packets;
}

static uint64_t send_slot(int points, uint64_t ms) {
    static uint8_t bytes[RTP_PACKET] = {0x80, 8};
    uint64_t packets = 0;
    put16(bytes + 2, (unsigned)(ms / FRAME_MS));
    for (int point = (int)(ms % FRAME_MS); point < points; point += FRAME_MS)
        packets += send(fds[point], bytes, sizeof bytes, MSG_DONTWAIT) > 0;
    return packets;
}

int main(int argc, char **argv) {
    int points = argc == 3 ? atoi(argv[1]) : 0;
    if (points < 2 || points > POINTS_MAX || points % 2)
        return fprintf(stderr, "usage: floor POINTS relay|send (an even number to %d)\n", POINTS_MAX), 2;
    bool relays = strcmp(argv[2], "relay") == 0;
    open_sockets(fds, points);
    connect_sockets(fds, points);
    int epoll_fd = watch_sockets(fds, points);
    signal(SIGTERM, stop);
    become_realtime();
    uint64_t packets = 0, ms = 0;
    for (int64_t due = clock_ns(); !stopping; ms++) {
        due += MS_NS;
        sleep_until(due);
        packets += relays ? relay(epoll_fd) : send_slot(points, ms);
    }
    printf("{\"packets\": %llu}\n", (unsigned long long)packets);
    return 0;
}
