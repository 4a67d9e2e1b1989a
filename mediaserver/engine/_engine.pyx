# The thin boundary between the control thread and the native engine; documented in _engine.pyi.
import socket
from libc.stdint cimport int16_t, int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset


cdef extern from "<arpa/inet.h>":
    uint16_t htons(uint16_t)
    uint32_t htonl(uint32_t)

cdef extern from "<netinet/in.h>":
    struct in_addr:
        uint32_t s_addr
    struct sockaddr_in:
        uint16_t sin_family
        uint16_t sin_port
        in_addr sin_addr
    int AF_INET

cdef extern from "g711.h":
    ctypedef enum codec_t "enum codec":
        CODEC_PCMU
        CODEC_PCMA
        CODECS
    void g711_init()
    void g711_encode(codec_t, const int16_t *, size_t, uint8_t *)
    void g711_decode(codec_t, const uint8_t *, size_t, int16_t *)

cdef extern from "engine.h":
    enum:
        SHARDS_MAX
        CAPACITY_MAX
        PLAYLIST_MAX
        DIGITS_REQUEST_MAX
        RTP_SAMPLES_PER_MS
        RTP_MAX_PAYLOAD_BYTES
    ctypedef enum event_kind "enum event_kind":
        KIND_FIRST_PACKET "EVENT_FIRST_PACKET"
        KIND_DIGIT "EVENT_DIGIT"
        KIND_PLAY_FINISHED "EVENT_PLAY_FINISHED"
        KIND_RTP_TIMEOUT "EVENT_RTP_TIMEOUT"
    ctypedef enum engine_result "enum engine_result":
        ENGINE_OK
        ENGINE_BUSY
        ENGINE_FULL
        ENGINE_UNKNOWN
    ctypedef enum command_kind "enum command_kind":
        COMMAND_SET_REMOTE
        COMMAND_BRIDGE
        COMMAND_UNBRIDGE
        COMMAND_ECHO
        COMMAND_PLAY
        COMMAND_STOP_PLAY
        COMMAND_SEND_DIGITS
    struct remote:
        sockaddr_in address
        codec_t codec
        uint8_t payload_type
        int16_t dtmf_payload_type
        uint16_t frame_samples
        bint send
        bint receive
        bint learn
        uint32_t timeout_ms
    struct playlist:
        uint16_t prompts[16]
        uint8_t count
        signed char loop_from
        bint interrupt_on_digit
        uint32_t play_id
    ctypedef struct digits_request:
        char digits[64]
        uint16_t count
        uint16_t duration_ms
        uint16_t gap_ms
    struct command:
        command_kind kind
        uint64_t cp
        remote remote
        uint64_t other
        bint on
        playlist playlist
        digits_request digits
    struct event:
        uint64_t cp
        uint32_t kind
        uint32_t a
        uint32_t b
    struct statistics_snapshot:
        uint64_t received
        uint64_t sent
        uint64_t lost
        uint64_t late
        uint64_t refused
        uint64_t concealed_ms
        uint64_t remote
        uint32_t jitter_us
    struct engine_counters_t "engine_counters":
        uint64_t ticks
        uint64_t overruns
        uint64_t packets_in
        uint64_t packets_out
        uint64_t cpu_ns
        uint64_t stale_commands
        uint64_t events_lost
        uint64_t active
    struct engine:
        pass
    engine *engine_create(unsigned, unsigned, int)
    bint engine_start(engine *) nogil
    void engine_stop(engine *) nogil
    void engine_destroy(engine *) nogil
    bint engine_realtime(const engine *)
    int engine_event_fd(const engine *)
    int engine_load_prompt(engine *, const int16_t *, uint32_t) nogil
    unsigned engine_prompts(const engine *)
    unsigned engine_room(const engine *, unsigned)
    engine_result engine_add(engine *, unsigned, int, uint64_t *)
    engine_result engine_remove(engine *, uint64_t)
    engine_result engine_stage(engine *, const command *)
    void engine_flush(engine *)
    unsigned engine_read_events(engine *, event *, unsigned)
    statistics_snapshot engine_statistics_of "engine_statistics"(engine *, uint64_t)
    engine_counters_t engine_counters(engine *)


PCMU = CODEC_PCMU
PCMA = CODEC_PCMA
EVENT_FIRST_PACKET = KIND_FIRST_PACKET
EVENT_DIGIT = KIND_DIGIT
EVENT_PLAY_FINISHED = KIND_PLAY_FINISHED
EVENT_RTP_TIMEOUT = KIND_RTP_TIMEOUT

DEF EVENTS_MAX = 256

g711_init()


class EngineBusy(Exception):
    pass


def encode(int codec, bytes pcm):
    if not 0 <= codec < CODECS or len(pcm) % 2:
        raise ValueError("codec must be PCMU or PCMA, and pcm whole samples of 16 bits")
    cdef bytearray coded = bytearray(len(pcm) // 2)
    cdef const char *samples = pcm
    cdef unsigned char *out = coded
    g711_encode(<codec_t>codec, <const int16_t *>samples, len(coded), <uint8_t *>out)
    return bytes(coded)


def decode(int codec, bytes coded):
    if not 0 <= codec < CODECS:
        raise ValueError("codec must be PCMU or PCMA")
    cdef bytearray pcm = bytearray(2 * len(coded))
    cdef const char *codes = coded
    cdef unsigned char *out = pcm
    g711_decode(<codec_t>codec, <const uint8_t *>codes, len(coded), <int16_t *>out)
    return bytes(pcm)


cdef class Engine:
    cdef engine *native
    cdef unsigned shards

    def __cinit__(self, *, int shards=1, int capacity=500, int realtime_priority=10):
        if not 1 <= shards <= SHARDS_MAX or not 1 <= capacity <= CAPACITY_MAX or not 0 <= realtime_priority <= 99:
            raise ValueError(
                f"shards must be 1 to {SHARDS_MAX}, capacity 1 to {CAPACITY_MAX}, realtime_priority 0 to 99"
            )
        self.shards = shards
        self.native = engine_create(shards, capacity, realtime_priority)
        if self.native is NULL:
            raise MemoryError("no memory or descriptors for the media engine")

    def __dealloc__(self):
        if self.native is not NULL:
            with nogil:
                engine_destroy(self.native)

    @property
    def realtime(self):
        return bool(engine_realtime(self.native))

    @property
    def event_fd(self):
        return engine_event_fd(self.native)

    def start(self):
        cdef bint started
        with nogil:
            started = engine_start(self.native)
        if not started:
            raise OSError("the system gives no thread for the media engine")

    def stop(self):
        with nogil:
            engine_stop(self.native)

    def load_prompt(self, bytes pcm):
        cdef const char *samples = pcm
        cdef uint32_t count = len(pcm) // 2
        cdef int handle
        if len(pcm) % 2:
            raise ValueError("pcm must be whole samples of 16 bits")
        with nogil:
            handle = engine_load_prompt(self.native, <const int16_t *>samples, count)
        if handle < 0:
            raise MemoryError("no room for another prompt")
        return handle

    def room(self, unsigned shard=0):
        return engine_room(self.native, shard)

    def add(self, int fd, unsigned shard=0):
        cdef uint64_t cp = 0
        self._check(engine_add(self.native, shard, fd, &cp))
        return cp

    def set_remote(
        self, uint64_t cp, str address, int port, int codec, int payload_type, int ptime_ms, int dtmf_payload_type,
        bint send, bint receive, bint learn, unsigned rtp_timeout_ms,
    ):
        cdef command staged
        cdef bytes packed = socket.inet_aton(address)
        cdef const char *octets = packed
        if (
            not 0 < port < 65536
            or not 0 <= codec < CODECS
            or not 0 <= payload_type < 128
            or not -1 <= dtmf_payload_type < 128
            or not 0 < ptime_ms * RTP_SAMPLES_PER_MS <= RTP_MAX_PAYLOAD_BYTES
        ):
            raise ValueError("port, codec, payload type or ptime_ms out of range")
        memset(&staged, 0, sizeof(staged))
        staged.kind = COMMAND_SET_REMOTE
        staged.cp = cp
        staged.remote.address.sin_family = AF_INET
        staged.remote.address.sin_port = htons(port)
        memcpy(&staged.remote.address.sin_addr, octets, 4)
        staged.remote.codec = <codec_t>codec
        staged.remote.payload_type = payload_type
        staged.remote.dtmf_payload_type = dtmf_payload_type
        staged.remote.frame_samples = ptime_ms * RTP_SAMPLES_PER_MS
        staged.remote.send = send
        staged.remote.receive = receive
        staged.remote.learn = learn
        staged.remote.timeout_ms = rtp_timeout_ms
        self._check(engine_stage(self.native, &staged))

    def bridge(self, uint64_t a, uint64_t b):
        cdef command staged
        if (a >> 16) & 0xFF != (b >> 16) & 0xFF:
            raise ValueError("the two connection points are on different shards")
        memset(&staged, 0, sizeof(staged))
        staged.kind = COMMAND_BRIDGE
        staged.cp = a
        staged.other = b
        self._check(engine_stage(self.native, &staged))

    def unbridge(self, uint64_t cp):
        self._simple(COMMAND_UNBRIDGE, cp, False)

    def echo(self, uint64_t cp, bint on):
        self._simple(COMMAND_ECHO, cp, on)

    def play(self, uint64_t cp, unsigned play_id, prompts, int loop_from=-1, bint interrupt_on_digit=False):
        cdef command staged
        cdef unsigned known = engine_prompts(self.native)
        if not 0 < len(prompts) <= PLAYLIST_MAX or not -1 <= loop_from < len(prompts):
            raise ValueError(f"a list has 1 to {PLAYLIST_MAX} prompts, and loop_from is one of them or -1")
        memset(&staged, 0, sizeof(staged))
        staged.kind = COMMAND_PLAY
        staged.cp = cp
        for index, prompt in enumerate(prompts):
            if not 0 <= prompt < known:
                raise ValueError(f"no prompt {prompt}")
            staged.playlist.prompts[index] = prompt
        staged.playlist.count = len(prompts)
        staged.playlist.loop_from = loop_from
        staged.playlist.interrupt_on_digit = interrupt_on_digit
        staged.playlist.play_id = play_id
        self._check(engine_stage(self.native, &staged))

    def stop_play(self, uint64_t cp):
        self._simple(COMMAND_STOP_PLAY, cp, False)

    def send_digits(self, uint64_t cp, bytes digits, unsigned duration_ms, unsigned gap_ms):
        cdef command staged
        cdef const char *text = digits
        if digits.strip(b"0123456789*#ABCD"):
            raise ValueError("a digit is one of 0123456789*#ABCD")
        if not 0 < len(digits) <= DIGITS_REQUEST_MAX or not 40 <= duration_ms <= 5000 or not 20 <= gap_ms <= 5000:
            raise ValueError("1 to 64 digits, duration_ms 40 to 5000, gap_ms 20 to 5000")
        memset(&staged, 0, sizeof(staged))
        staged.kind = COMMAND_SEND_DIGITS
        staged.cp = cp
        memcpy(staged.digits.digits, text, len(digits))
        staged.digits.count = len(digits)
        staged.digits.duration_ms = duration_ms
        staged.digits.gap_ms = gap_ms
        self._check(engine_stage(self.native, &staged))

    def remove(self, uint64_t cp):
        self._check(engine_remove(self.native, cp))

    def flush(self):
        engine_flush(self.native)

    def read_events(self, unsigned limit=EVENTS_MAX):
        cdef event events[EVENTS_MAX]
        cdef unsigned count = engine_read_events(self.native, events, min(limit, EVENTS_MAX))
        return [(events[i].kind, events[i].cp, events[i].a, events[i].b) for i in range(count)]

    def statistics(self, uint64_t cp):
        cdef statistics_snapshot now = engine_statistics_of(self.native, cp)
        return (
            now.received, now.sent, now.lost, now.late, now.refused, now.jitter_us / 1000.0, now.concealed_ms,
            now.remote >> 16, now.remote & 0xFFFF,
        )

    def engine_statistics(self):
        cdef engine_counters_t now = engine_counters(self.native)
        return {
            "ticks": now.ticks,
            "overruns": now.overruns,
            "packets_in": now.packets_in,
            "packets_out": now.packets_out,
            "cpu_s": now.cpu_ns / 1e9,
            "stale_commands": now.stale_commands,
            "events_lost": now.events_lost,
            "active": now.active,
        }

    cdef _simple(self, command_kind kind, uint64_t cp, bint on):
        cdef command staged
        memset(&staged, 0, sizeof(staged))
        staged.kind = kind
        staged.cp = cp
        staged.on = on
        self._check(engine_stage(self.native, &staged))

    cdef _check(self, engine_result result):
        if result == ENGINE_BUSY:
            raise EngineBusy("the command ring is full: try again in a millisecond")
        if result == ENGINE_FULL:
            raise EngineBusy("all connection points of the shard are taken")
        if result == ENGINE_UNKNOWN:
            raise ValueError("no such connection point or shard")
