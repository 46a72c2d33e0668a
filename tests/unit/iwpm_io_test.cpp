// SPDX-License-Identifier: BSD-2-Clause
// link: iwpm-io
// The daemon's file and its sockets, on this machine's loopback.
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include "iwpm/record.hpp"
#include "iwpm/sockets.hpp"
#include "iwpm_fakes.hpp"
#include "temporary_directory.hpp"

namespace rdmaboot::iwpm {
namespace {

using test::at;
using test::octets;
using test::Octets;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// The record -----------------------------------------------------------------------------------

Mapping mapped_to(const Address& mapped) {
  Mapping mapping;
  mapping.mapped = mapped;
  mapping.client = kClientIwcm;
  mapping.reservation = 7;
  return mapping;
}

TEST(Record, AProcessThatIsKilledLeavesWhatItHad) {
  const test::TemporaryDirectory directory;
  MappingTable table;
  table.insert(at("10.0.0.1", 7200), mapped_to(at("10.0.0.1", 40000)));
  Record record(directory.path("mappings"));
  ASSERT_TRUE(record.start(table));
  const Mapping later = mapped_to(at("fd00::1", 40001));
  record.add(at("fd00::1", 7201), &later);
  record.add(at("10.0.0.1", 7200), nullptr);
  ASSERT_TRUE(record.flush(table));
  // Nothing is closed, nothing is said: the next process reads.
  const auto left = Record(directory.path("mappings")).read();
  ASSERT_TRUE(left);
  ASSERT_THAT(*left, SizeIs(1));
  EXPECT_EQ(left->front().local, at("fd00::1", 7201));
  EXPECT_EQ(left->front().mapped, at("fd00::1", 40001));
  EXPECT_TRUE(left->front().reserved);
}

TEST(Record, TheFileStaysBoundedHoweverMuchChanges) {
  const test::TemporaryDirectory directory;
  MappingTable table;
  Record record(directory.path("mappings"));
  ASSERT_TRUE(record.start(table));
  const Address local = at("10.0.0.1", 7200);
  const Mapping mapping = mapped_to(at("10.0.0.1", 40000));
  std::uintmax_t largest = 0;
  for (int i = 0; i < 50'000; ++i) {
    record.add(local, &mapping);
    record.add(local, nullptr);
    ASSERT_TRUE(record.flush(table));
    largest = std::max(largest, std::filesystem::file_size(directory.path("mappings")));
  }
  EXPECT_LE(largest, (kSavedSlack + 2) * kSavedLine);
  EXPECT_GT(largest, kSavedSlack);
}

TEST(Record, NothingThereIsNothingLeft) {
  const test::TemporaryDirectory directory;
  const auto left = Record(directory.path("mappings")).read();
  ASSERT_TRUE(left);
  EXPECT_THAT(*left, IsEmpty());
}

TEST(Record, AfterAnErrorNothingOutOfDateStays) {
  const test::TemporaryDirectory directory;
  const std::string path = directory.path("runtime/mappings");
  std::filesystem::create_directory(directory.path("runtime"));
  const MappingTable table;
  Record record(path);
  ASSERT_TRUE(record.start(table));
  std::filesystem::rename(directory.path("runtime"), directory.path("elsewhere"));
  EXPECT_FALSE(record.start(table));
  const Mapping mapping = mapped_to(at("10.0.0.1", 1));
  record.add(at("10.0.0.1", 1), &mapping);
  EXPECT_TRUE(record.flush(table)) << "it has been told once";
  std::filesystem::rename(directory.path("elsewhere"), directory.path("runtime"));
  EXPECT_TRUE(record.start(table));
}

// UDP --------------------------------------------------------------------------------------------

/// A plain socket of a peer.
class Peer {
 public:
  explicit Peer(const Address& own) : socket_(open_udp(own)) {}
  [[nodiscard]] int fd() const { return socket_->get(); }
  void send(const Address& to, std::size_t size) const {
    ASSERT_EQ(send_datagram(fd(), to, Octets(size, std::byte{1}), std::nullopt), 0);
  }

 private:
  core::Result<core::UniqueFd> socket_;
};

std::uint16_t port_of(int fd) {
  sockaddr_storage storage{};
  socklen_t length = sizeof(storage);
  ::getsockname(fd, static_cast<sockaddr*>(static_cast<void*>(&storage)), &length);
  sockaddr_in in{};
  std::memcpy(&in, &storage, sizeof(in));  // the port of an IPv6 socket is at the same place
  return ntohs(in.sin_port);
}

bool readable(int fd, int milliseconds) {
  pollfd wait{fd, POLLIN, 0};
  return ::poll(&wait, 1, milliseconds) == 1;
}

struct Got {
  Address from;
  Destination to;
  std::size_t size = 0;
};

std::vector<Got> received(int fd) {
  std::vector<Got> all;
  EXPECT_TRUE(readable(fd, 5000));
  UdpReceiver().receive(
      fd, [&](const Address& from, const Destination& to, std::span<const std::byte> bytes) {
        all.push_back({from, to, bytes.size()});
      });
  return all;
}

TEST(Udp, OnlyTheListedAddressIsListenedAt) {
  const auto listed = open_udp(at("127.0.0.2", 0));
  ASSERT_TRUE(listed);
  const std::uint16_t port = port_of(listed->get());
  const Peer peer(at("127.0.0.1", 0));
  peer.send(at("127.0.0.2", port), 64);
  EXPECT_THAT(received(listed->get()), SizeIs(1));
  peer.send(at("127.0.0.3", port), 64);
  std::vector<Address> refused;
  ASSERT_TRUE(readable(peer.fd(), 5000)) << "an error is an event";
  receive_errors(peer.fd(), [&](const Address& to, std::span<const std::byte> sent) {
    EXPECT_EQ(octets(sent), Octets(64, std::byte{1}));
    refused.push_back(to);
  });
  EXPECT_THAT(refused, ElementsAre(at("127.0.0.3", port)));
  EXPECT_FALSE(readable(listed->get(), 0));
}

TEST(Udp, AnAnswerLeavesFromTheAddressThatWasAsked) {
  const auto any = open_udp(at("0.0.0.0", 0));
  ASSERT_TRUE(any);
  const Peer peer(at("127.0.0.1", 0));
  peer.send(at("127.0.0.9", port_of(any->get())), 64);
  const auto asked = received(any->get());
  ASSERT_THAT(asked, SizeIs(1));
  EXPECT_EQ(asked[0].from, at("127.0.0.1", port_of(peer.fd())));
  EXPECT_EQ(send_datagram(any->get(), asked[0].from, Octets(48), asked[0].to), 0);
  const auto answers = received(peer.fd());
  ASSERT_THAT(answers, SizeIs(1));
  EXPECT_EQ(answers[0].from, at("127.0.0.9", port_of(any->get())));
}

TEST(Udp, BothFamiliesHaveThePortToThemselves) {
  const auto six = open_udp(at("::", 0));
  if (!six) {
    GTEST_SKIP() << "no IPv6 here";
  }
  const auto four = open_udp(at("0.0.0.0", port_of(six->get())));
  ASSERT_TRUE(four) << four.error().message();
  const Peer peer(at("::1", 0));
  peer.send(at("::1", port_of(six->get())), 64);
  const auto asked = received(six->get());
  ASSERT_THAT(asked, SizeIs(1));
  EXPECT_EQ(send_datagram(six->get(), asked[0].from, Octets(48), asked[0].to), 0);
  EXPECT_THAT(received(peer.fd()), SizeIs(1));
  EXPECT_FALSE(readable(four->get(), 0));
}

TEST(Udp, EveryLengthArrivesAndTheLongOnesAsNothing) {
  const auto any = open_udp(at("127.0.0.1", 0));
  ASSERT_TRUE(any);
  const Peer peer(at("127.0.0.1", 0));
  for (std::size_t size = 0; size <= 2000; ++size) {
    peer.send(at("127.0.0.1", port_of(any->get())), size);
    const auto got = received(any->get());
    ASSERT_THAT(got, SizeIs(1));
    ASSERT_EQ(got[0].size, size <= 128 ? size : 0U);
  }
}

TEST(Udp, ManyAtOnceComeInOrder) {
  const auto any = open_udp(at("127.0.0.1", 0));
  ASSERT_TRUE(any);
  const Peer peer(at("127.0.0.1", 0));
  for (std::size_t size = 1; size <= 100; ++size) {
    peer.send(at("127.0.0.1", port_of(any->get())), size);
  }
  auto got = received(any->get());
  EXPECT_THAT(got, SizeIs(kDatagramsATurn)) << "then others have their turn";
  const auto rest = received(any->get());
  got.insert(got.end(), rest.begin(), rest.end());
  ASSERT_THAT(got, SizeIs(100));
  for (std::size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i].size, i + 1);
  }
}

TEST(Udp, WhatIsNoQuestionDoesNotEvenArrive) {
  const auto filtered = open_udp(at("127.0.0.1", 0));
  ASSERT_TRUE(filtered);
  ASSERT_TRUE(take_only_questions(filtered->get()));
  const Peer peer(at("127.0.0.1", 0));
  const Address to = at("127.0.0.1", port_of(filtered->get()));
  const auto arrives = [&](std::size_t size, unsigned first) {
    Octets datagram(size, std::byte{0});
    if (size > 0) {
      datagram[0] = static_cast<std::byte>(first);
    }
    EXPECT_EQ(send_datagram(peer.fd(), to, datagram, std::nullopt), 0);
    const bool there = readable(filtered->get(), 0);  // on loopback it is there at once or never
    UdpReceiver().receive(filtered->get(), [](const auto&, const auto&, const auto&) {});
    return there;
  };
  for (unsigned first = 0; first < 256; ++first) {
    EXPECT_EQ(arrives(kWireRequestSize, first), first == 0x04 || first == 0x06) << first;
    EXPECT_EQ(arrives(kWireSize, first), first == 0x24 || first == 0x26) << first;
  }
  for (std::size_t size = 0; size <= 2000; ++size) {
    for (const unsigned first : {0x04U, 0x24U}) {
      EXPECT_EQ(arrives(size, first), size == (first == 0x04 ? kWireRequestSize : kWireSize));
    }
  }
}

TEST(BindPort, NobodyElseGetsItUntilItIsClosed) {
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    auto held = bind_port(family, 0);
    if (!held && family == Family::kIpv6) {
      GTEST_SKIP() << "no IPv6 here";
    }
    ASSERT_TRUE(held);
    EXPECT_NE(held->number, 0);
    const auto second = bind_port(family, held->number);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error(), EADDRINUSE);
    held->fd.reset();
    EXPECT_TRUE(bind_port(family, held->number));
  }
}

TEST(SparePorts, NoneAreHeldBeforeOneIsWantedAndThenAFew) {
  SparePorts spare;
  spare.fill();
  EXPECT_EQ(spare.size(), 0U);
  const auto first = spare.take(Family::kIpv4);
  ASSERT_TRUE(first);
  EXPECT_EQ(spare.size(), 0U);
  spare.fill();
  EXPECT_EQ(spare.size(), SparePorts::kSpare);
  std::set<std::uint16_t> numbers{first->number};
  std::vector<BoundPort> held;
  for (std::size_t i = 0; i < 2 * SparePorts::kSpare; ++i) {
    auto port = spare.take(Family::kIpv4);
    ASSERT_TRUE(port);
    numbers.insert(port->number);
    held.push_back(std::move(*port));
  }
  EXPECT_THAT(numbers, SizeIs(1 + 2 * SparePorts::kSpare)) << "no port is given twice";
  EXPECT_EQ(spare.size(), 0U);
}

}  // namespace
}  // namespace rdmaboot::iwpm
