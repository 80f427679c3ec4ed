// The far end of the Verilated card's pins, and a C ABI around it.
//
// The clock loop lives here and not in Rust so that one call runs many clocks. What the pins mean is
// in hdl/CONTRACT.md ("Streams", "Bus") and in the port lists of hdl/src/top.rs and card.rs; numbers of registers come
// from the caller. POSTERN_MODELS(X) is defined by build.rs as X(class, width, rings) …, one Verilated class each.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "verilated.h"
#include "verilated_vcd_c.h"

#include "models.h"  // written by build.rs: the header of every Verilated class

namespace {

constexpr unsigned PORTS = 2;
constexpr unsigned STAGES = 8;
constexpr unsigned METADATA_WORDS = 3;
constexpr uint64_t LINK_BUFFER = 512;  // bytes that a link takes over ahead of its speed
constexpr uint64_t ACCESS_CLOCKS = 100000;  // a register that does not answer by then never will

struct Verdict {
    uint32_t metadata[METADATA_WORDS];
    uint64_t stages[STAGES];
};

struct Seen {
    bool is_frame;
    uint32_t port;
    uint64_t first;
    uint64_t last;
    std::vector<uint8_t> frame;
    Verdict verdict;
};

// A frame on its way into a port.
struct Source {
    std::deque<std::vector<uint8_t>> frames;
    size_t sent = 0;
    bool offered = false;
};

// A frame on its way out of a port, and the beat that was refused in the last clock.
template <size_t BYTES> struct Sink {
    std::vector<uint8_t> frame;
    uint64_t first = 0;
    bool refused = false;
    uint8_t data[BYTES];
    uint64_t keep;
    bool last;
};

struct StageClock {
    uint64_t clock;
    bool used;
};

// A beat of a packet on its way into the PCIe endpoint.
struct LinkBeat {
    uint64_t data;
    uint8_t keep;
    bool last;
    uint8_t bar;
    bool poisoned;
};

// What configuration space tells the endpoint; codes of Device Control.
struct LinkFunction {
    uint32_t completer_id;
    uint32_t max_payload;
    uint32_t max_read_request;
    bool bus_master;
    bool boundary_128;
    bool msix_enable;
    bool msix_mask;
};

// The card has PCIe pins or not: so says its class.
template <class TOP, class = void> struct HasLink : std::false_type {};
template <class TOP>
struct HasLink<TOP, std::void_t<decltype(std::declval<TOP&>().pcie_rx_data)>> : std::true_type {};

class Card {
public:
    virtual ~Card() = default;
    virtual void clocks(uint64_t count) = 0;
    virtual uint32_t access(uint32_t address, uint32_t value, bool is_write) = 0;
    virtual bool wave_start(const char* path) = 0;
    virtual void wave_stop() = 0;
    virtual bool has_link() const = 0;
    virtual void set_function(const LinkFunction& function) = 0;
    virtual void function_reset() = 0;

    // A link that carries so many bytes a clock each way, with so many around each packet; at 0 it is as fast as the pins.
    void set_link_speed(uint32_t rate, uint32_t framing) {
        link_rate = rate;
        link_framing = framing;
        sending = receiving = 0;
    }

    // No further than to the end of a packet of the card, or of the last frame on its way in.
    void until_event(uint64_t max) {
        const bool was_waiting = waiting();
        const size_t packets = link_out.size();
        for (uint64_t i = 0; i < max && link_out.size() == packets && waiting() == was_waiting; i++) clocks(1);
    }

    // The DWs of a packet for the endpoint. Poisoned data are told beside it, as the hard block does.
    void offer(const uint32_t* dwords, size_t count, uint8_t bar) {
        const bool poisoned = dwords[0] >> 14 & 1;
        for (size_t i = 0; i < count; i += 2) {
            const bool is_pair = i + 1 < count;
            const uint64_t high = is_pair ? dwords[i + 1] : 0;
            const uint8_t keep = is_pair ? 0xff : 0x0f;
            link_in.push_back({high << 32 | dwords[i], keep, i + 2 >= count, bar, poisoned});
        }
    }

    bool run(uint64_t max, uint32_t status, uint32_t idle) {
        const uint64_t end = max > UINT64_MAX - cycle ? UINT64_MAX : cycle + max;
        while (cycle < end && fault.empty()) {
            if (waiting()) {
                clocks(1);
            } else if (access(status, 0, false) & idle) {
                return true;
            }
        }
        return false;
    }

    bool waiting() const {
        for (const Source& source : sources)
            if (!source.frames.empty()) return true;
        return false;
    }

    void fail(const std::string& what) {
        if (fault.empty()) fault = "clock " + std::to_string(cycle) + ": " + what;
    }

    uint64_t cycle = 0;
    uint32_t ready[PORTS] = {~0u, ~0u};
    uint32_t valid = ~0u;
    Source sources[PORTS];
    std::deque<Seen> seen;
    Seen given;  // keeps the last record alive for the caller
    std::deque<LinkBeat> link_in;
    std::deque<std::vector<uint32_t>> link_out;
    std::vector<uint32_t> link_given;  // keeps the last packet alive for the caller
    std::string fault;
    uint32_t link_rate = 0;
    uint32_t link_framing = 0;
    // Bytes that the link has taken over and not carried yet, from the card and to it.
    uint64_t sending = 0;
    uint64_t receiving = 0;
};

template <class TOP, size_t BYTES> class VerilatedCard final : public Card {
public:
    VerilatedCard() : top{&context} {
        context.traceEverOn(true);
        top.reset = 1;
        clocks(4);
        top.reset = 0;
        cycle = 0;
    }

    ~VerilatedCard() override {
        wave_stop();
        top.final();
    }

    void clocks(uint64_t count) override {
        while (count--) clock();
    }

    // One access at a time: the bus holds it until it is acknowledged.
    uint32_t access(uint32_t address, uint32_t value, bool is_write) override {
        top.csr_address = address;
        top.csr_wdata = value;
        top.csr_write = is_write;
        top.csr_read = !is_write;
        acknowledged = false;
        for (uint64_t i = 0; i < ACCESS_CLOCKS && !acknowledged; i++) clock();
        top.csr_write = 0;
        top.csr_read = 0;
        if (!acknowledged) {
            fail("register " + std::to_string(address) + " does not answer");
            return ~0u;
        }
        return answer;
    }

    bool wave_start(const char* path) override {
        wave_stop();
        wave = std::make_unique<VerilatedVcdC>();
        top.trace(wave.get(), 99);
        wave->open(path);
        if (!wave->isOpen()) wave.reset();
        return wave != nullptr;
    }

    void wave_stop() override {
        if (wave) wave->close();
        wave.reset();
    }

    bool has_link() const override { return HasLink<TOP>::value; }

    void set_function(const LinkFunction& function) override { set_function(top, function); }

    void function_reset() override { function_reset(top); }

private:
    // Members of templates, so that a class without the pins is never asked for them.
    template <class T> void set_function(T& t, const LinkFunction& function) {
        if constexpr (HasLink<T>::value) {
            t.pcie_completer_id = function.completer_id;
            t.pcie_max_payload = function.max_payload;
            t.pcie_max_read_request = function.max_read_request;
            t.pcie_bus_master = function.bus_master;
            t.pcie_read_completion_boundary = function.boundary_128;
            t.pcie_msix_enable = function.msix_enable;
            t.pcie_msix_mask = function.msix_mask;
        }
    }

    template <class T> void function_reset(T& t) {
        if constexpr (HasLink<T>::value) {
            t.pcie_function_reset = 1;
            clock();
            t.pcie_function_reset = 0;
        }
    }

    template <class T> void drive_link(T& t) {
        if constexpr (HasLink<T>::value) {
            sending -= sending < link_rate ? sending : link_rate;
            receiving -= receiving < link_rate ? receiving : link_rate;
            t.pcie_tx_ready = sending < LINK_BUFFER;
            // A packet is shown when all of it has come.
            t.pcie_rx_valid = !link_in.empty() && (is_arriving || receiving == 0);
            if (!t.pcie_rx_valid) return;
            const LinkBeat& beat = link_in.front();
            t.pcie_rx_data = beat.data;
            t.pcie_rx_keep = beat.keep;
            t.pcie_rx_last = beat.last;
            t.pcie_rx_bar = beat.bar;
            t.pcie_rx_poisoned = beat.poisoned;
        }
    }

    template <class T> void watch_link(T& t) {
        if constexpr (HasLink<T>::value) {
            if (t.pcie_rx_valid && t.pcie_rx_ready) {
                is_arriving = !t.pcie_rx_last;
                if (link_rate) receiving += keep_bytes(t.pcie_rx_keep) + (t.pcie_rx_last ? link_framing : 0);
                link_in.pop_front();
            }
            if (!t.pcie_tx_valid || !t.pcie_tx_ready) return;
            if (link_rate) sending += keep_bytes(t.pcie_tx_keep) + (t.pcie_tx_last ? link_framing : 0);
            const bool is_pair = t.pcie_tx_keep == 0xff;
            if (!is_pair && !(t.pcie_tx_last && t.pcie_tx_keep == 0x0f)) fail("the link's keep has a gap");
            packet.push_back(static_cast<uint32_t>(t.pcie_tx_data));
            if (is_pair) packet.push_back(static_cast<uint32_t>(t.pcie_tx_data >> 32));
            if (!t.pcie_tx_last) return;
            link_out.push_back(std::move(packet));
            packet.clear();
        }
    }

    void clock() {
        const unsigned phase = cycle % 32;
        top.clock = 0;
        drive(sources[0], phase, top.rx0_data, top.rx0_keep, top.rx0_last, top.rx0_valid);
        drive(sources[1], phase, top.rx1_data, top.rx1_keep, top.rx1_last, top.rx1_valid);
        top.tx0_ready = ready[0] >> phase & 1;
        top.tx1_ready = ready[1] >> phase & 1;
        drive_link(top);
        top.eval();
        if (wave) wave->dump(2 * cycle);
        taken(sources[0], top.rx0_ready && top.rx0_valid);
        taken(sources[1], top.rx1_ready && top.rx1_valid);
        watch(0, top.tx0_data, top.tx0_keep, top.tx0_last, top.tx0_valid, top.tx0_ready);
        watch(1, top.tx1_data, top.tx1_keep, top.tx1_last, top.tx1_valid, top.tx1_ready);
        if (top.csr_ack) acknowledge();
        watch_link(top);
        watch_events();
        top.clock = 1;
        top.eval();
        if (wave) wave->dump(2 * cycle + 1);
        cycle++;
    }

    // A beat, once offered, stays until it is taken; the pattern says when a new one may be offered.
    template <class DATA, class KEEP, class BIT>
    void drive(Source& source, unsigned phase, DATA& data, KEEP& keep, BIT& last, BIT& is_valid) {
        if (source.offered) return;
        source.offered = !source.frames.empty() && (valid >> phase & 1);
        is_valid = source.offered;
        if (!source.offered) return;
        const std::vector<uint8_t>& frame = source.frames.front();
        const size_t left = frame.size() - source.sent;
        const size_t count = left < BYTES ? left : BYTES;
        static_assert(sizeof(DATA) == BYTES, "a port is as wide as its class says");
        std::memset(&data, 0, BYTES);
        std::memcpy(&data, frame.data() + source.sent, count);
        keep = static_cast<KEEP>(mask(count));
        last = left <= BYTES;
    }

    void taken(Source& source, bool is_taken) {
        if (!is_taken) return;
        source.offered = false;
        source.sent += BYTES;
        if (source.sent >= source.frames.front().size()) {
            source.frames.pop_front();
            source.sent = 0;
        }
    }

    template <class DATA>
    void watch(unsigned port, const DATA& data, uint64_t keep, bool last, bool is_valid, bool is_ready) {
        Sink<BYTES>& sink = sinks[port];
        if (sink.refused) check_held(port, sink, &data, keep, last, is_valid);
        sink.refused = is_valid && !is_ready;
        if (sink.refused) {
            std::memcpy(sink.data, &data, BYTES);
            sink.keep = keep;
            sink.last = last;
        }
        if (!is_valid || !is_ready) return;
        const size_t count = last ? __builtin_popcountll(keep) : BYTES;
        if (keep == 0 || keep != mask(count)) fail("port " + std::to_string(port) + ": keep has a gap");
        if (sink.frame.empty()) sink.first = cycle;
        const uint8_t* bytes = reinterpret_cast<const uint8_t*>(&data);
        sink.frame.insert(sink.frame.end(), bytes, bytes + count);
        if (!last) return;
        Seen record{true, port, sink.first, cycle, {}, {}};
        record.frame.swap(sink.frame);
        seen.push_back(std::move(record));
    }

    void check_held(unsigned port, const Sink<BYTES>& sink, const void* data, uint64_t keep, bool last, bool is_valid) {
        const std::string name = "port " + std::to_string(port);
        if (!is_valid) {
            fail(name + ": an offered beat was withdrawn");
        } else if (keep != sink.keep || last != sink.last || std::memcmp(data, sink.data, BYTES) != 0) {
            fail(name + ": an offered beat changed");
        }
    }

    void acknowledge() {
        if (!top.csr_read && !top.csr_write) fail("the register bus acknowledged nothing");
        acknowledged = true;
        answer = top.csr_rdata;
    }

    // A verdict is told when the frame has passed every stage.
    void watch_events() {
        if (top.event_valid) {
            Verdict verdict{};
            for (unsigned i = 0; i < METADATA_WORDS; i++) verdict.metadata[i] = top.event_metadata[i];
            verdicts.push_back(verdict);
        }
        if (!top.stage_strobe) return;
        for (unsigned s = 0; s < STAGES; s++)
            if (top.stage_strobe >> s & 1) stages[s].push_back({cycle, (top.stage_used >> s & 1) != 0});
        while (is_complete()) finish_verdict();
    }

    bool is_complete() const {
        for (const auto& stage : stages)
            if (stage.empty()) return false;
        return !verdicts.empty();
    }

    void finish_verdict() {
        Seen record{false, 0, stages[0].front().clock, stages[STAGES - 1].front().clock, {}, verdicts.front()};
        verdicts.pop_front();
        for (unsigned s = 0; s < STAGES; s++) {
            record.verdict.stages[s] = stages[s].front().used ? stages[s].front().clock : 0;
            stages[s].pop_front();
        }
        seen.push_back(std::move(record));
    }

    static uint64_t keep_bytes(uint64_t keep) { return __builtin_popcountll(keep); }

    static uint64_t mask(size_t count) { return count >= 64 ? ~uint64_t{0} : (uint64_t{1} << count) - 1; }

    VerilatedContext context;
    TOP top;
    std::unique_ptr<VerilatedVcdC> wave;
    Sink<BYTES> sinks[PORTS];
    std::deque<Verdict> verdicts;
    std::deque<StageClock> stages[STAGES];
    std::vector<uint32_t> packet;  // of the card, as far as it has come
    bool is_arriving = false;      // a packet to the card, in part
    bool acknowledged = false;
    uint32_t answer = 0;
};

}  // namespace

extern "C" {

// Mirrors `RawRecord` in src/verilated.rs.
struct PosternRecord {
    uint64_t first;
    uint64_t last;
    uint64_t stages[STAGES];
    const uint8_t* frame;  // null in a verdict; valid until the next call
    size_t frame_bytes;
    uint32_t metadata[METADATA_WORDS];
    uint32_t port;
};

// Null when no such card was built.
Card* postern_card_new(uint32_t width, bool has_rings) {
#define POSTERN_CASE(CLASS, WIDTH, RINGS) \
    if (width == WIDTH && has_rings == RINGS) return new VerilatedCard<CLASS, WIDTH / 8>();
    POSTERN_MODELS(POSTERN_CASE)
#undef POSTERN_CASE
    return nullptr;
}

void postern_card_free(Card* card) { delete card; }

void postern_card_feed(Card* card, uint32_t port, const uint8_t* bytes, size_t count) {
    card->sources[port].frames.emplace_back(bytes, bytes + count);
}

void postern_card_step(Card* card, uint64_t clocks) { card->clocks(clocks); }

bool postern_card_run(Card* card, uint64_t max_clocks, uint32_t status, uint32_t idle) {
    return card->run(max_clocks, status, idle);
}

uint64_t postern_card_cycle(const Card* card) { return card->cycle; }

uint32_t postern_card_access(Card* card, uint32_t address, uint32_t value, bool is_write) {
    return card->access(address, value, is_write);
}

void postern_card_set_ready(Card* card, uint32_t port, uint32_t pattern) { card->ready[port] = pattern; }

void postern_card_set_valid(Card* card, uint32_t pattern) { card->valid = pattern; }

bool postern_card_next_record(Card* card, PosternRecord* record) {
    if (card->seen.empty()) return false;
    card->given = std::move(card->seen.front());
    card->seen.pop_front();
    const Seen& given = card->given;
    record->first = given.first;
    record->last = given.last;
    record->port = given.port;
    record->frame = given.is_frame ? given.frame.data() : nullptr;
    record->frame_bytes = given.frame.size();
    std::memcpy(record->stages, given.verdict.stages, sizeof record->stages);
    std::memcpy(record->metadata, given.verdict.metadata, sizeof record->metadata);
    return true;
}

// Null while the card keeps to its protocols.
const char* postern_card_fault(const Card* card) { return card->fault.empty() ? nullptr : card->fault.c_str(); }

bool postern_card_wave_start(Card* card, const char* path) { return card->wave_start(path); }

bool postern_card_has_link(const Card* card) { return card->has_link(); }

// Mirrors `LinkFunction` in src/verilated.rs.
void postern_card_set_function(Card* card, const LinkFunction* function) { card->set_function(*function); }

void postern_card_function_reset(Card* card) { card->function_reset(); }

void postern_card_set_link_speed(Card* card, uint32_t rate, uint32_t framing) { card->set_link_speed(rate, framing); }

void postern_card_until_event(Card* card, uint64_t max_clocks) { card->until_event(max_clocks); }

bool postern_card_is_waiting(const Card* card) { return card->waiting(); }

void postern_card_offer(Card* card, const uint32_t* dwords, size_t count, uint32_t bar) {
    card->offer(dwords, count, static_cast<uint8_t>(bar));
}

bool postern_card_is_taken(const Card* card) { return card->link_in.empty(); }

// Null when there is none; valid until the next call.
const uint32_t* postern_card_take(Card* card, size_t* count) {
    if (card->link_out.empty()) return nullptr;
    card->link_given = std::move(card->link_out.front());
    card->link_out.pop_front();
    *count = card->link_given.size();
    return card->link_given.data();
}

void postern_card_wave_stop(Card* card) { card->wave_stop(); }

}  // extern "C"
