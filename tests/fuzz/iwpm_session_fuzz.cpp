// SPDX-License-Identifier: BSD-2-Clause
// link: iwpm-policy
// Whole sessions: the input is a list of things that happen, each a byte that says what and the
// bytes it needs. Messages of the kernel and of peers are well-formed or arbitrary.
#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "iwpm/dump.hpp"
#include "iwpm/saved.hpp"
#include "iwpm/session.hpp"
#include "iwpm_fakes.hpp"

namespace {

using namespace rdmaboot;
using test::KernelSays;

/// Takes the input apart; zeros when it is at its end.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : rest_(data, size) {}
  [[nodiscard]] bool empty() const { return rest_.empty(); }
  std::uint8_t byte() {
    if (rest_.empty()) {
      return 0;
    }
    const std::uint8_t value = rest_.front();
    rest_ = rest_.subspan(1);
    return value;
  }
  std::vector<std::byte> bytes() {
    const std::size_t size = std::min<std::size_t>(byte(), rest_.size());
    const auto taken = std::as_bytes(rest_.first(size));
    rest_ = rest_.subspan(size);
    return {taken.begin(), taken.end()};
  }
  iwpm::Address address() {
    const std::uint8_t choice = byte();
    constexpr const char* kHosts[] = {"10.0.0.1", "10.0.0.2", "0.0.0.0", "fd00::1", "::"};
    return test::at(kHosts[choice % std::size(kHosts)], static_cast<std::uint16_t>(choice / 64));
  }

 private:
  std::span<const std::uint8_t> rest_;
};

void check(const iwpm::Session& session, const test::FakeWorld& world) {
  std::size_t reserved = 0;
  for (const auto& [local, mapping] : session.mappings().all()) {
    reserved += mapping.reservation != iwpm::kNoReservation ? 1U : 0U;
    if (mapping.references == 0) {
      std::abort();
    }
  }
  if (reserved != world.held.size() || world.wrong_releases != 0) {
    std::abort();
  }
}

/// A process that starts now finds what this one has.
void check_record(const iwpm::Session& session, const test::FakeWorld& world) {
  const auto recorded = iwpm::parse_saved(world.recorded);
  if (recorded.size() != session.mappings().all().size()) {
    std::abort();
  }
  for (const iwpm::SavedMapping& saved : recorded) {
    const auto found = session.mappings().all().find(saved.local);
    if (found == session.mappings().all().end() || found->second.references != saved.references ||
        !(found->second.mapped == saved.mapped)) {
      std::abort();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input in(data, std::min<std::size_t>(size, 4096));
  core::ManualClock clock;
  test::FakeWorld world;
  iwpm::Settings settings;
  settings.rate_limit = in.byte();
  iwpm::Session session(settings, clock, world, 1);
  if (in.byte() % 2 != 0) {
    const iwpm::Address one = in.address();
    const iwpm::Address other = in.address();
    session.recall({{one, one.with_port(40'000), 1, iwpm::kClientIwcm, true},
                    {other, other, 3, iwpm::kClientIwcm, false}});
  }
  session.greet();
  while (!in.empty()) {
    const std::uint8_t what = in.byte();
    const std::uint32_t sequence = what / 16;
    const auto via = (what & 128U) != 0 ? iwpm::Via::kAsking : iwpm::Via::kAnswering;
    const std::size_t answers_before = world.peer_bytes;
    std::size_t asked = 0;
    switch (what % 14) {
      case 0:
        session.from_kernel(KernelSays::add(sequence, in.address(), in.byte() % 2));
        break;
      case 1:
        session.from_kernel(KernelSays::query(sequence, in.address(), in.address(), in.byte() % 2));
        break;
      case 2:
        session.from_kernel(KernelSays::remove(sequence, in.address(), 2 + in.byte() % 2));
        break;
      case 3:
        session.from_kernel(
            KernelSays::mapinfo(sequence, in.address(), in.address(), in.byte() % 2));
        break;
      case 4:
        session.from_kernel(KernelSays::mapinfo_count(sequence, in.byte()));
        break;
      case 5:
        session.from_kernel(KernelSays::hello(in.byte() % 8));
        break;
      case 6: {
        const std::uint8_t how = in.byte();
        session.from_kernel(how % 2 == 0
                                ? KernelSays::finished(sequence, how % 4 == 0 ? 0 : -ENOMEM)
                                : KernelSays::error(sequence, how % 4 == 1 ? -EINVAL : -EBUSY));
        break;
      }
      case 7:
        session.from_kernel(in.bytes());
        break;
      case 8: {
        const auto datagram = in.bytes();
        asked = datagram.size();
        session.from_peer(via, in.address(), datagram);
        break;
      }
      case 9: {
        iwpm::WireMessage message;
        message.type = static_cast<iwpm::WireType>(in.byte() % 4);
        message.handle = in.byte() % 4;
        message.connecting = in.address();
        message.accepting = in.address();
        message.connecting_mapped = in.address();
        const iwpm::WireBytes datagram = encode(message);
        asked = datagram.size;
        session.from_peer(via, in.address(), datagram.view());
        break;
      }
      case 10:
        if (!world.peers.empty()) {
          const auto& last = world.peers.back();
          auto answer = iwpm::decode(last.bytes).value_or(iwpm::WireMessage{});
          answer.type = static_cast<iwpm::WireType>(in.byte() % 4);
          session.from_peer(iwpm::Via::kAsking, iwpm::Address(last.peer), encode(answer).view());
        }
        break;
      case 11:
        if (!world.peers.empty()) {
          const auto last = world.peers.back();
          session.unreachable(last.peer, last.bytes);
        }
        break;
      case 12:
        in.byte() % 2 == 0 ? session.kernel_overrun() : session.device_removed();
        session.device_added();
        break;
      default:
        clock.advance(core::Microseconds(in.byte() * 100'000));
        session.deadline();
    }
    // Who asks gets at most as many bytes as were sent.
    if (asked != 0 && world.peer_bytes - answers_before > asked) {
      std::abort();
    }
    check(session, world);
  }
  check_record(session, world);
  static_cast<void>(dump_json(session));
  int turns = 0;
  for (auto next = session.next_deadline(); next; next = session.next_deadline()) {
    clock.advance(std::max(core::Microseconds(0), *next - clock.now()));
    session.deadline();
    if (++turns > 100'000) {
      std::abort();
    }
  }
  if (session.queries().size() != 0 || session.accepted().size() != 0) {
    std::abort();
  }
  return 0;
}
