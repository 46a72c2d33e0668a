// SPDX-License-Identifier: BSD-2-Clause
// link: rdmactl-path responder-policy rdmaboot-sim
//
// ping, bench and peers, against a responder on a simulated network.
#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "json_schema.hpp"
#include "rdmactl/path/address.hpp"
#include "rdmactl/path/bench.hpp"
#include "rdmactl/path/ping.hpp"
#include "rdmactl/peers.hpp"
#include "responder/dump.hpp"
#include "served_client.hpp"

namespace rdmaboot::rdmactl {
namespace {

using engine::Engine;
using engine::Nid;
using engine::TransferStatus;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using namespace std::chrono_literals;

using test::kClient;
using test::kServer;

class Path : public test::ServedClient {
 protected:
  void serve(std::size_t buffer = kUsualSize) { ServedClient::serve(settings_of(kServer), buffer); }
  PingOptions options(unsigned count = 3) { return {Nid::o2ib(kServer), count, 10ms, 2s}; }
  BenchOptions small_bench() {
    BenchOptions wanted;
    wanted.peer = Nid::o2ib(kServer);
    wanted.size = 64U << 10U;
    wanted.time = 5ms;
    wanted.timeout = 2s;
    return wanted;
  }
};

TEST_F(Path, APingIsAnsweredWithTheNidsOfThePeer) {
  serve();
  start();
  Session one = session();
  const auto pings = run_pings(one, options());
  ASSERT_EQ(pings.size(), 3U);
  EXPECT_FALSE(pings[0].connected);
  EXPECT_TRUE(pings[1].connected);
  EXPECT_GT(pings[0].took, pings[1].took) << "the first one made the connection";
  EXPECT_GT(pings[1].took, 0us);
  EXPECT_THAT(ping_line(pings[0]), StartsWith("1: connected and answered in "));
  EXPECT_THAT(ping_summary(pings), HasSubstr("3 sent, 3 answered; min "));
  EXPECT_THAT(ping_summary(pings), HasSubstr("the peer has: 10.0.0.1@o2ib\n"));
  const auto json = ping_json(pings, Nid::o2ib(kClient), Nid::o2ib(kServer), "sim0");
  EXPECT_THAT(test::JsonSchema::of_documentation("ping").problems(json), ElementsAre());
  EXPECT_EQ(json["answered"], 3);
  EXPECT_EQ(json["latency_usec"]["min"].is_number(), true);
}

TEST_F(Path, AHostWhereNobodyListensIsToldAtOnce) {
  start();
  Session one = session();
  const core::Microseconds begin = world_.clock().now();
  const auto pings = run_pings(one, options(1));
  ASSERT_EQ(pings.size(), 1U);
  EXPECT_FALSE(pings[0].answered());
  EXPECT_LE(world_.clock().now() - begin, 1s);
  EXPECT_THAT(ping_line(pings[0]), StartsWith("1: no answer: "));
  EXPECT_THAT(pings[0].why, HasSubstr("nobody listens"));
  EXPECT_EQ(ping_summary(pings), "1 sent, 0 answered\n");
  const auto json = ping_json(pings, Nid::o2ib(kClient), Nid::o2ib(kServer), "sim0");
  EXPECT_THAT(test::JsonSchema::of_documentation("ping").problems(json), ElementsAre());
  EXPECT_TRUE(json["latency_usec"].is_null());
}

TEST_F(Path, AHostThatIsDeadIsToldAfterTheTimeLimit) {
  serve();
  service_.reset();
  server_fabric_.reset();
  world_.crash(server_);
  start();
  Session one = session();
  const auto pings = run_pings(one, options(1));
  EXPECT_FALSE(pings[0].answered());
  EXPECT_LE(pings[0].took, 3s);
  EXPECT_GE(pings[0].took, 1s);
  EXPECT_NE(pings[0].why, "");
}

TEST_F(Path, APeerThatComesBackIsAnsweredAgain) {
  start();
  Session one = session();
  std::vector<bool> answered;
  const auto pings = run_pings(one, options(2), [&](const Ping& ping) {
    answered.push_back(ping.answered());
    if (!service_) {
      serve();
    }
  });
  EXPECT_THAT(answered, ElementsAre(false, true));
}

TEST_F(Path, AnEngineThatListensAnywhereLeavesThePortToOthers) {
  start();
  const auto fabric = world_.fabric(client_host_);
  engine::Settings other = settings_of(kClient);
  EXPECT_TRUE(Engine::start(other, *fabric, world_.clock()));
}

TEST_F(Path, ABenchMeasuresAndComparesEveryByte) {
  serve();
  Bench bench(small_bench());
  start();
  Session one = session();
  std::vector<double> shares;
  const auto results =
      bench.run(one, [&](const Progress& progress) { shares.push_back(progress.share); });
  ASSERT_TRUE(results) << results.error().message();
  ASSERT_EQ(results->size(), 4U);
  for (const Measured& measured : *results) {
    EXPECT_GT(measured.transfers, 1U);
    EXPECT_EQ(measured.latency.count, measured.transfers);
    EXPECT_GE(measured.took, 5ms);
    EXPECT_GT(measured.rate(), 0);
    EXPECT_LE(measured.latency.least, measured.latency.p50);
    EXPECT_LE(measured.latency.p50, measured.latency.p99);
    EXPECT_LE(measured.latency.p99, measured.latency.most);
  }
  const auto json = bench_json(*results, Nid::o2ib(kClient), Nid::o2ib(kServer), "sim0");
  EXPECT_THAT(test::JsonSchema::of_documentation("bench").problems(json), ElementsAre());
  EXPECT_EQ(json["results"][2]["bytes_compared"], 0);
  EXPECT_EQ(json["results"][3]["bytes_compared"], json["results"][3]["bytes"]);
}

TEST_F(Path, AByteThatIsWrongIsFoundAndNamed) {
  // A responder whose source has one byte that is not what it should be.
  auto engine = *Engine::start(settings_of(kServer), *server_fabric_, world_.clock());
  std::vector<std::byte> memory(64U << 10U);
  for (std::size_t i = 0; i < memory.size(); ++i) {
    memory[i] = static_cast<std::byte>(i % 251);
  }
  memory[5] = std::byte{99};
  for (const bool puts : {true, false}) {
    engine::ExposeOptions exposed;
    exposed.portal = 60;
    exposed.match_bits = puts ? 0x7264'6d61'7369'6e6bU : 0x7264'6d61'7372'6365U;
    exposed.puts = puts;
    exposed.gets = !puts;
    static std::vector<std::byte> sink(64U << 10U);
    const iovec range{puts ? sink.data() : memory.data(), memory.size()};
    ASSERT_TRUE(engine->expose({&range, 1}, exposed));
  }
  server_engine_ = engine.get();
  Bench bench(small_bench());
  start();
  Session one = session();
  const auto results = bench.run(one);
  ASSERT_FALSE(results);
  EXPECT_EQ(results.error().error_number, EBADMSG);
  EXPECT_THAT(results.error().message(), HasSubstr("byte 5 of a GET is 99, not 5"));
}

TEST_F(Path, ABenchWithoutAResponderSaysWhatToLookAt) {
  auto engine = *Engine::start(settings_of(kServer), *server_fabric_, world_.clock());
  server_engine_ = engine.get();
  Bench bench(small_bench());
  start();
  Session one = session();
  const auto results = bench.run(one);
  ASSERT_FALSE(results);
  EXPECT_THAT(results.error().message(), HasSubstr("10.0.0.1@o2ib"));
  EXPECT_THAT(results.error().message(), Not(HasSubstr("Success")));
}

TEST_F(Path, ABufferThatIsTooSmallIsSaid) {
  serve(4096);
  Bench bench(small_bench());
  start();
  Session one = session();
  const auto results = bench.run(one);
  ASSERT_FALSE(results);
  EXPECT_THAT(results.error().message(), HasSubstr("use --size"));
}

TEST_F(Path, AResponderThatDiesEndsTheBenchWithinTheTimeLimit) {
  serve();
  BenchOptions wanted = small_bench();
  wanted.time = 100ms;
  Bench bench(wanted);
  start();
  Session one = session();
  world_.at(world_.clock().now() + 150ms, [&] { world_.crash(server_); });
  const auto results = bench.run(one);
  EXPECT_FALSE(results);
  EXPECT_LE(world_.clock().now(), 30s);
}

TEST_F(Path, ThePeersOfAResponderAreShown) {
  serve();
  start();
  Session one = session();
  ASSERT_TRUE(run_pings(one, options(1)).front().answered());
  const auto json = nlohmann::json::parse(
      responder::dump_json(&service_->engine(), "serving 10.0.0.1@o2ib on sim0 port 1"));
  EXPECT_THAT(test::JsonSchema::of_documentation("peers").problems(json), ElementsAre());
  const std::string text = peers_text(json, {120, false});
  EXPECT_THAT(text, StartsWith("serving 10.0.0.1@o2ib on sim0 port 1\n"
                               "requests: 1 accepted, 0 refused\npings: 1 answered\n"));
  EXPECT_THAT(text, HasSubstr("10.0.0.2@o2ib  established  sim0"));
}

TEST(Peers, WithoutAnEngineTheStateIsSaid) {
  const auto json = nlohmann::json::parse(responder::dump_json(nullptr, "waiting for \x1b[2J"));
  EXPECT_THAT(test::JsonSchema::of_documentation("peers").problems(json), ElementsAre());
  EXPECT_EQ(peers_text(json, {80, false}), "waiting for \\x1b[2J\nNo peer.\n");
}

TEST(Peers, AnswersOfAnotherFormAreSurvivedAndMadePrintable) {
  EXPECT_EQ(peers_text(nlohmann::json(3), {}), "\nNo peer.\n");
  EXPECT_THAT(peers_text(nlohmann::json::parse(
                             R"({"peers":[3,{"nid":"\u001b[2J","connections":[{"state":7}]}]})"),
                         {}),
              Not(HasSubstr("\x1b")));
}

TEST(Latencies, PercentilesAreTheNearestRank) {
  std::vector<core::Microseconds> hundred;
  for (int i = 100; i >= 1; --i) {
    hundred.push_back(core::Microseconds(i));
  }
  const Latencies of = latencies(hundred);
  EXPECT_EQ(of.least, 1us);
  EXPECT_EQ(of.p50, 50us);
  EXPECT_EQ(of.p90, 90us);
  EXPECT_EQ(of.p99, 99us);
  EXPECT_EQ(of.p999, 100us);
  EXPECT_EQ(of.most, 100us);
  EXPECT_DOUBLE_EQ(of.mean, 50.5);
  EXPECT_EQ(latencies({7us}).p50, 7us);
  EXPECT_EQ(latencies({}).count, 0U);
  EXPECT_TRUE(latencies_json({}).is_null());
}

TEST(Bench, SizesAreReadAndWritten) {
  EXPECT_EQ(parse_size("4096").value(), 4096U);
  EXPECT_EQ(parse_size("64K").value(), 65536U);
  EXPECT_EQ(parse_size("64M").value(), kLargestSize);
  for (const char* const wrong : {"", "0", "K", "-1", "1G", "65M", "1k", "1 M", "99999999999999"}) {
    EXPECT_FALSE(parse_size(wrong)) << wrong;
  }
  EXPECT_EQ(size_text(8), "8 B");
  EXPECT_EQ(size_text(1536), "1536 B");
  EXPECT_EQ(size_text(64U << 10U), "64 KiB");
  EXPECT_EQ(size_text(1U << 20U), "1 MiB");
  EXPECT_EQ(rate_text(873.2e6), "873 MB/s");
  EXPECT_EQ(rate_text(12.43e9), "12.4 GB/s");
  EXPECT_EQ(rate_text(1.5e3), "1.50 kB/s");
  EXPECT_EQ(rate_text(0), "0.00 kB/s");
}

TEST(Bench, TheTableFitsTheTerminal) {
  Measured one;
  one.phase = {true, 1U << 20U, 4};
  one.transfers = 1000;
  one.took = 1s;
  one.latency = latencies({900us, 1000us, 12345us});
  EXPECT_EQ(
      bench_text({one}, {0, false}),
      "WHAT   SIZE  AT ONCE  TRANSFERS       RATE     MIN  MEDIAN   90 %   99 %  99.9 %    MAX\n"
      "get   1 MiB        4       1000  1.05 GB/s  900 µs  1.0 ms  12 ms  12 ms   12 ms  12 ms\n");
  const std::string narrow = bench_text({one}, {80, false});
  EXPECT_LE(columns_of(narrow.substr(0, narrow.find('\n'))), 80U);
  EXPECT_THAT(narrow, HasSubstr("MEDIAN"));
}

TEST(Bench, ProgressIsOneLineThatFits) {
  const Progress progress{{false, 1U << 20U, 4}, 0.4, 873e6};
  EXPECT_EQ(progress_text(progress, 80), "[########............]  40 %  put 1 MiB  873 MB/s");
  EXPECT_LE(columns_of(progress_text(progress, 20)), 20U);
}

TEST(PathAddress, PeersAreReadAsAdministratorsWriteThem) {
  EXPECT_EQ(parse_peer("10.0.0.1").value().host, "10.0.0.1");
  EXPECT_EQ(parse_peer("node7@o2ib3").value().host, "node7");
  EXPECT_EQ(parse_peer("node7@o2ib3").value().network, 3);
  for (const char* const wrong : {"", "@o2ib", "a@tcp", "a@", "a@o2ib0x", "a@o2ib@o2ib"}) {
    EXPECT_FALSE(parse_peer(wrong)) << wrong;
  }
  EXPECT_THAT(parse_peer("a@\x1b[2J").error().message(), Not(HasSubstr("\x1b")));
}

device::AddressedPort port_with(const char* name, std::uint32_t ipv4) {
  device::AddressedPort port;
  port.device = name;
  port.ipv4 = ipv4;
  port.active = true;
  return port;
}

TEST(PathAddress, TheRouteDecidesUnlessTheAdministratorDoes) {
  const std::vector<device::AddressedPort> ports = {port_with("rxe0", 0x0a000001),
                                                    port_with("rxe1", 0x0a010001)};
  EXPECT_EQ(choose_source(ports, 0x0a010002, std::nullopt, 0x0a010001).value().device, "rxe1");
  EXPECT_EQ(choose_source(ports, 0x0a010002, 0x0a000001, 0x0a010001).value().device, "rxe0");
}

TEST(PathAddress, ADeviceOrAPortOfItStandsForItsAddresses) {
  std::vector<device::AddressedPort> ports = {
      port_with("rxe0", 0x0a000001), port_with("rxe0", 0x0a000002), port_with("rxe1", 0x0a010001)};
  for (device::AddressedPort& port : ports) {
    port.port = device::PortNumber{1};
  }
  ports[1].port = device::PortNumber{2};
  EXPECT_EQ(ports_on(ports, "rxe0").value().size(), 2U);
  EXPECT_EQ(ports_on(ports, "rxe0:2").value().at(0).ipv4, 0x0a000002U);
  for (const char* const none : {"rxe0:3", "rxe9", "", ":1"}) {
    EXPECT_THAT(ports_on(ports, none).error().message(), HasSubstr("10.1.0.1 (rxe1)")) << none;
  }
  EXPECT_THAT(ports_on(ports, "rxe0:one").error().message(), HasSubstr("DEVICE:PORT"));
}

TEST(PathAddress, OnADeviceTheRouteDecidesWhereItCan) {
  const std::vector<device::AddressedPort> ports = {port_with("rxe0", 0x0a000001),
                                                    port_with("rxe0", 0x0a000002)};
  const auto chosen = [&](std::uint32_t peer, std::optional<std::uint32_t> route) {
    return choose_source(ports, peer, std::nullopt, route, true).value().ipv4;
  };
  EXPECT_EQ(chosen(0x0a000009, 0x0a000002), 0x0a000002U);
  EXPECT_EQ(chosen(0x0a000009, 0x0a010001), 0x0a000001U) << "the route leads over another device";
  EXPECT_EQ(chosen(0x0a000009, std::nullopt), 0x0a000001U);
  EXPECT_EQ(chosen(0x0a000001, 0x0a000001), 0x0a000002U) << "of this host itself";
  EXPECT_FALSE(choose_source({ports[0]}, 0x0a000001, std::nullopt, 0x0a000001, true));
}

TEST(PathAddress, WhatCannotBeAskedFromIsToldWithWhatThereIs) {
  const std::vector<device::AddressedPort> ports = {port_with("rxe0", 0x0a000001)};
  const auto message = [&](std::optional<std::uint32_t> from, std::optional<std::uint32_t> route) {
    return choose_source(ports, 0x0a000009, from, route).error().message();
  };
  EXPECT_THAT(message(std::nullopt, std::nullopt), HasSubstr("10.0.0.1 (rxe0)"));
  EXPECT_THAT(message(std::nullopt, 0xc0a80001), HasSubstr("ask 10.0.0.9 from 192.168.0.1"));
  EXPECT_THAT(message(0x0a000009, std::nullopt), HasSubstr("--from"));
  EXPECT_THAT(choose_source({}, 1, std::nullopt, 2).error().message(),
              HasSubstr("no RDMA port of this host has an IPv4 address"));
}

}  // namespace
}  // namespace rdmaboot::rdmactl
