/* What the floor and the generator share: clock, loop, sockets, and the ports they tell the bench and are told by it. */
#ifndef OPENTAS_BENCH_H
#define OPENTAS_BENCH_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MS_NS 1000000ll
#define FRAME_MS 20
#define RTP_HEADER 12
#define RTP_PACKET 172 /* 20 ms of G.711 */
#define PACKET_MAX 1500
#define POINTS_MAX 2000
#define READY_MAX 512
#define REALTIME_PRIORITY 10 /* the media server's own default, so that neither is paced better */

static inline void fail(const char *what) {
    perror(what);
    exit(2);
}

static inline int64_t clock_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000ll + now.tv_nsec;
}

static inline void sleep_until(int64_t ns) {
    struct timespec until = {.tv_sec = ns / 1000000000ll, .tv_nsec = ns % 1000000000ll};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static inline void become_realtime(void) {
    struct sched_param parameters = {.sched_priority = REALTIME_PRIORITY};
    if (sched_setscheduler(0, SCHED_FIFO, &parameters) != 0)
        fprintf(stderr, "no SCHED_FIFO\n");
}

static inline struct sockaddr_in loopback(unsigned port) {
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* `count` sockets on ports of the kernel's choice, which one line on stdout names. */
static inline void open_sockets(int *fds, int count) {
    printf("ports");
    for (int i = 0; i < count; i++) {
        struct sockaddr_in own = loopback(0);
        socklen_t size = sizeof own;
        fds[i] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        if (fds[i] < 0 || bind(fds[i], (struct sockaddr *)&own, sizeof own) != 0)
            fail("socket");
        getsockname(fds[i], (struct sockaddr *)&own, &size);
        printf(" %d", ntohs(own.sin_port));
    }
    printf("\n");
    fflush(stdout);
}

/* Reads a port per socket from stdin and connects to it. */
static inline void connect_sockets(const int *fds, int count) {
    for (int i = 0; i < count; i++) {
        unsigned port;
        if (scanf("%u", &port) != 1)
            fail("ports expected on stdin");
        struct sockaddr_in peer = loopback(port);
        if (connect(fds[i], (struct sockaddr *)&peer, sizeof peer) != 0)
            fail("connect");
    }
}

static inline int watch_sockets(const int *fds, int count) {
    int epoll_fd = epoll_create1(0);
    if (epoll_fd < 0)
        fail("epoll_create1");
    for (int i = 0; i < count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fds[i], &event) != 0)
            fail("epoll_ctl");
    }
    return epoll_fd;
}

static inline void put16(uint8_t *at, unsigned value) {
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}
static inline void put32(uint8_t *at, uint32_t value) {
    put16(at, value >> 16);
    put16(at + 2, value & 0xffff);
}
static inline uint16_t get16(const uint8_t *at) { return (uint16_t)(at[0] << 8 | at[1]); }

#endif
