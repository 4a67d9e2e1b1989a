#include "world.h"

static struct point point;

static struct sockaddr_in address(unsigned host, unsigned port) {
    return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + host)};
}

static void begin(bool learn) {
    struct sockaddr_in ignored;
    memset(&point, 0, sizeof point);
    point_open(&point, 77, bound_socket(&ignored), 1);
    struct remote remote = {.address = address(1, 4000), .codec = CODEC_PCMA, .payload_type = 8,
                            .dtmf_payload_type = 101, .frame_samples = 160, .send = true, .receive = true,
                            .learn = learn};
    point_set_remote(&point, &remote, 0);
}

static bool come_as(struct sockaddr_in from, uint16_t sequence, uint32_t ssrc, uint8_t payload_type) {
    struct rtp_packet packet = {.sequence = sequence, .ssrc = ssrc, .payload_type = payload_type};
    bool first;
    bool accepted = point_accept(&point, &from, &packet, &first);
    CHECK(!first || accepted);
    return accepted;
}

static bool come(unsigned host, unsigned port, uint16_t sequence) {
    return come_as(address(host, port), sequence, 1, 8);
}

static bool learn_from(unsigned host, unsigned port) {
    bool accepted = false;
    for (uint16_t n = 0; n < SOURCE_PROOF_PACKETS; n++)
        accepted = come(host, port, (uint16_t)(65534 + n));
    return accepted;
}

TEST(without_a_remote_nobody_is_heard) {
    begin(true);
    point.has_remote = false;
    CHECK(!come(1, 4000, 1));
}

TEST(signalled_address_is_believed_at_once_and_others_never) {
    begin(false);
    for (uint16_t n = 0; n < 100; n++)
        CHECK(!come(2, 4000, n) && !come(1, 4002, n));
    CHECK(come(1, 4000, 1));
    CHECK(point.verified && point.connected);
    for (uint16_t n = 0; n < 100; n++)
        CHECK(!come(2, 4000, n));
}

TEST(other_payload_types_are_refused) {
    begin(false);
    for (unsigned type = 0; type < 128; type++)
        CHECK_EQUAL(come_as(address(1, 4000), 1, 1, (uint8_t)type), type == 8 || type == 101);
    point.remote.dtmf_payload_type = -1;
    CHECK(!come_as(address(1, 4000), 1, 1, 101));
}

TEST(stranger_is_learned_from_four_packets_in_a_row) {
    begin(true);
    CHECK(!come(2, 5000, 65534) && !come(2, 5000, 65535) && !come(2, 5000, 0));
    CHECK(come(2, 5000, 1));
    CHECK(point.verified && point.remote.address.sin_port == htons(5000));
    CHECK(!come(3, 6000, 2)); /* closed again */
    CHECK(!learn_from(3, 6000));
    CHECK(!come(1, 4000, 2)); /* even to the signalled address */
}

TEST(anything_that_breaks_the_row_begins_it_anew) {
    begin(true);
    for (uint16_t n = 0; n < 50; n++)
        CHECK(!come(2, 5000, (uint16_t)(2 * n))); /* gaps */
    for (uint16_t n = 0; n < 50; n++)
        CHECK(!come_as(address(2, 5000), n, n, 8)); /* SSRCs */
    for (uint16_t n = 0; n < 50; n++)
        CHECK(!come_as(address(2, 5000), n, 1, n % 2 ? 8 : 101));
    for (uint16_t n = 0; n < 50; n++)
        CHECK(!come(2 + n % 2, 5000, n / 2)); /* two strangers by turns */
    for (uint16_t n = 0; n < 50; n++)
        CHECK(!come(2, 5000 + n, n)); /* ports */
    CHECK(!point.verified);
    CHECK(learn_from(2, 5000));
}

TEST(signalled_address_wins_over_a_candidate) {
    begin(true);
    CHECK(!come(2, 5000, 1) && !come(2, 5000, 2) && !come(2, 5000, 3));
    CHECK(come(1, 4000, 9));
    CHECK(!come(2, 5000, 4));
}

TEST(learned_source_stays_when_the_same_address_is_signalled_again) {
    begin(true);
    CHECK(learn_from(2, 5000));
    struct remote again = point.remote;
    again.address = address(1, 4000);
    again.codec = CODEC_PCMU;
    again.payload_type = 0;
    point_set_remote(&point, &again, 100);
    CHECK(point.verified && come_as(address(2, 5000), 2, 1, 0));
    again.address = address(1, 4444);
    point_set_remote(&point, &again, 200);
    CHECK(!point.verified && !point.connected);
    CHECK(!come_as(address(2, 5000), 3, 1, 0));
    CHECK(come_as(address(1, 4444), 3, 1, 0));
}

TEST(learned_source_is_forgotten_when_learning_is_forbidden) {
    begin(true);
    CHECK(learn_from(2, 5000));
    struct remote again = point.remote;
    again.address = address(1, 4000);
    again.learn = false;
    point_set_remote(&point, &again, 100);
    CHECK(!point.verified);
    CHECK(!learn_from(2, 5000));
    CHECK(come(1, 4000, 7));
}

TEST(silence_opens_learning_again_but_never_a_closed_point) {
    begin(true);
    CHECK(learn_from(2, 5000));
    point_forget_source(&point);
    CHECK(learn_from(3, 6000)); /* it moved */
    begin(false);
    CHECK(come(1, 4000, 1));
    point_forget_source(&point);
    CHECK(!learn_from(3, 6000));
    CHECK(come(1, 4000, 2));
}

TEST(statistics_belong_to_one_handle) {
    begin(false);
    point_count_refused(&point);
    point.in.received = 5;
    point_publish(&point);
    struct statistics_snapshot mine = point_read_statistics(&point, 77);
    CHECK(mine.received == 5 && mine.refused == 1);
    CHECK_EQUAL(mine.remote, (uint64_t)INADDR_LOOPBACK << 16 | 4000);
    mine = point_read_statistics(&point, 78);
    CHECK(mine.received == 0 && mine.refused == 0 && mine.remote == 0);
    atomic_fetch_add(&point.statistics.version, 1); /* a writer that lost its core in the middle */
    mine = point_read_statistics(&point, 78);
    CHECK(mine.received == 0 && mine.remote == 0);
    CHECK_EQUAL(point_read_statistics(&point, 77).received, 5);
}

TEST(next_owner_starts_from_nothing) {
    struct sockaddr_in ignored;
    begin(true);
    CHECK(learn_from(2, 5000));
    point_count_refused(&point);
    point_publish(&point);
    point_open(&point, 78, bound_socket(&ignored), 2);
    CHECK(!point.verified && !point.has_remote && !point.connected);
    struct statistics_snapshot fresh = point_read_statistics(&point, 78);
    CHECK(fresh.refused == 0 && fresh.received == 0 && fresh.remote == 0);
}
