// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// What tests of whole engines begin with: one engine and a scripted peer, or two engines, on a
// simulated network.

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine_peer.hpp"

namespace rdmaboot::engine::fixtures {

using tests::Network;
using tests::ScriptedPeer;

inline constexpr std::uint32_t kPortal = 9;
inline constexpr std::uint64_t kBits = 77;

/// The header of a message from the peer to the engine.
inline wire::LnetHeader header_of(wire::LnetCommand command, std::uint32_t payload = 0) {
  wire::LnetHeader header;
  header.destination = Network::nid(0);
  header.source = Network::nid(1);
  header.payload_length = payload;
  header.command = command;
  return header;
}

class EngineAndPeer : public testing::Test {
 protected:
  explicit EngineAndPeer(bool iwarp = false)
      : network(1, true, iwarp), fabric(network.world.fabric(network.hosts[0])), peer(network) {}
  void start(const Settings& settings) {
    auto started = Engine::start(settings, *fabric, network.world.clock());
    ASSERT_TRUE(started) << started.error().message();
    engine = std::move(*started);
    const iovec whole{exposed.data(), exposed.size()};
    ExposeOptions options;
    options.portal = kPortal;
    options.match_bits = kBits;
    ASSERT_TRUE(engine->expose({&whole, 1}, options));
  }
  void start() { start(Network::settings(0)); }
  void run(Duration time = std::chrono::milliseconds(50)) { network.run(time, *engine, peer); }
  void connect() {
    start();
    peer.connect();
    run();
    ASSERT_TRUE(peer.established);
  }
  TransferResult result() {
    TransferResult one;
    EXPECT_EQ(engine->poll({&one, 1}), 1U);
    return one;
  }
  /// The first message of an engine's GET of so many bytes.
  void start_get(std::size_t size) {
    start();
    sink.resize(size);
    range = {sink.data(), size};
    ASSERT_TRUE(engine->get(Network::nid(1), {&range, 1}, GetOptions{kPortal, kBits}));
    run();
  }
  wire::LnetPut put_command() {
    wire::LnetPut put;
    put.portal = kPortal;
    put.match_bits = kBits;
    return put;
  }
  std::string closed_because() {
    const auto peers = engine->peers();
    return peers.empty() ? "" : peers[0].last_detail;
  }
  CloseReason closed_for() { return engine->peers().at(0).last_reason; }

  Network network;
  std::unique_ptr<Fabric> fabric;
  std::unique_ptr<Engine> engine;
  ScriptedPeer peer;
  std::vector<std::byte> exposed = std::vector<std::byte>(100'000);
  std::vector<std::byte> sink;
  iovec range{};
};

class EnginePair : public testing::Test {
 protected:
  explicit EnginePair(bool windows = true, bool iwarp = false) : network(1, windows, iwarp) {
    for (std::uint32_t i = 0; i < 2; ++i) {
      settings[i] = Network::settings(i);
      fabrics[i] = network.world.fabric(network.hosts[i]);
    }
  }
  void start() {
    for (std::uint32_t i = 0; i < 2; ++i) {
      engines[i] = *Engine::start(settings[i], *fabrics[i], network.world.clock());
    }
  }
  void run(Duration time = std::chrono::milliseconds(50)) {
    network.run(time, *engines[0], *engines[1]);
  }
  /// So many bytes in pieces of about `piece`, with gaps between them.
  static std::vector<iovec> cut_up(std::vector<std::byte>& memory, std::size_t size,
                                   std::size_t piece) {
    memory.resize(size + (size / piece + 1) * 8);
    std::vector<iovec> list;
    std::size_t at = 0;
    for (std::size_t done = 0; done < size; done += piece) {
      const std::size_t length = std::min(piece, size - done);
      list.push_back({memory.data() + at, length});
      at += length + 8;
    }
    return list;
  }
  static void fill(std::vector<iovec>& list, unsigned seed) {
    std::size_t i = seed;
    for (const iovec& range : list) {
      for (std::size_t k = 0; k < range.iov_len; ++k, ++i) {
        static_cast<std::byte*>(range.iov_base)[k] = static_cast<std::byte>(i * 31 + (i >> 8));
      }
    }
  }
  static std::vector<std::byte> flat(const std::vector<iovec>& list) {
    std::vector<std::byte> bytes;
    for (const iovec& range : list) {
      const auto* data = static_cast<const std::byte*>(range.iov_base);
      bytes.insert(bytes.end(), data, data + range.iov_len);
    }
    return bytes;
  }
  void expose(std::span<const iovec> buffer, int host = 1) {
    ExposeOptions options;
    options.portal = kPortal;
    options.match_bits = kBits;
    ASSERT_TRUE(engines[host]->expose(buffer, options));
  }
  TransferResult result(int host = 0) {
    TransferResult one;
    EXPECT_EQ(engines[host]->poll({&one, 1}), 1U);
    return one;
  }

  Network network;
  Settings settings[2];
  std::unique_ptr<Fabric> fabrics[2];
  std::unique_ptr<Engine> engines[2];
  std::vector<std::byte> here;
  std::vector<std::byte> there;
};

}  // namespace rdmaboot::engine::fixtures
