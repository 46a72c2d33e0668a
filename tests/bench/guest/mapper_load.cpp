// SPDX-License-Identifier: BSD-2-Clause
// Peers of a port mapper, as many as it takes to keep it busy; each query is answered and
// acknowledged.
//
//   mapper_load latency MAPPER PEER FIRST-PORT PORTS COUNT     one query after the other:
//   microseconds of each, one a line mapper_load throughput MAPPER PEER FIRST-PORT PORTS SECONDS
//                                                             16 on their way at a time: answers,
//                                                             and seconds
//
// MAPPER is the address that is asked for as well as asked, PEER the one on whose behalf.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

namespace {

constexpr std::uint16_t kMapperPort = 3935;
constexpr std::uint16_t kOwnPort = 5000;
constexpr std::size_t kRequestSize = 64;
constexpr std::size_t kAnswerSize = 48;
constexpr std::uint8_t kRequest = 0x04;  // type 0, IPv4
constexpr std::uint8_t kAccept = 0x14;
constexpr std::uint8_t kAck = 0x24;
constexpr std::size_t kSockets = 8;
constexpr unsigned kEach = 2;
constexpr time_t kPatienceSeconds = 10;

using Clock = std::chrono::steady_clock;

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

class Peer {
 public:
  Peer(const in_addr& mapper, const in_addr& own) : fd_(::socket(AF_INET, SOCK_DGRAM, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(kMapperPort);
    to.sin_addr = mapper;
    const timeval patience{kPatienceSeconds, 0};
    if (fd_ < 0 || ::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof(to)) != 0 ||
        ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0) {
      fail("socket");
    }
    // See src/iwpm/wire_codec.hpp: header, connecting peer, accepting peer, connecting peer mapped.
    const std::uint16_t own_port = htons(kOwnPort);
    request_[0] = kRequest;
    std::memcpy(&request_[2], &own_port, sizeof(own_port));
    std::memcpy(&request_[6], &own_port, sizeof(own_port));
    std::memcpy(&request_[16], &own, sizeof(own));
    std::memcpy(&request_[32], &mapper, sizeof(mapper));
    std::memcpy(&request_[48], &own, sizeof(own));
  }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  ~Peer() { ::close(fd_); }

  void ask(std::uint16_t port, std::uint64_t handle) {
    port = htons(port);
    std::memcpy(&request_[4], &port, sizeof(port));
    std::memcpy(&request_[8], &handle, sizeof(handle));
    send(request_.data(), request_.size());
  }
  /// Waits for the answer of one query. An answer that is no accept ends the program.
  void take_answer() {
    if (::recv(fd_, answer_.data(), answer_.size(), 0) != static_cast<ssize_t>(kAnswerSize) ||
        answer_[0] != kAccept) {
      fail("no accept");
    }
  }
  void acknowledge() {
    answer_[0] = kAck;
    send(answer_.data(), answer_.size());
  }

 private:
  void send(const std::uint8_t* data, std::size_t size) const {
    if (::send(fd_, data, size, 0) != static_cast<ssize_t>(size)) {
      fail("send");
    }
  }

  int fd_;
  std::array<std::uint8_t, kRequestSize> request_{};
  std::array<std::uint8_t, kAnswerSize> answer_{};
};

struct Ports {
  std::uint16_t first;
  std::uint16_t count;
  std::mt19937_64 random{1};
  std::uint16_t any() { return static_cast<std::uint16_t>(first + random() % count); }
};

void latency(const in_addr& mapper, const in_addr& own, Ports ports, unsigned count) {
  Peer peer(mapper, own);
  for (unsigned i = 0; i < count; ++i) {
    const auto begin = Clock::now();
    peer.ask(ports.any(), ports.random());
    peer.take_answer();
    const std::chrono::duration<double, std::micro> took = Clock::now() - begin;
    peer.acknowledge();
    std::printf("%.1f\n", took.count());
  }
}

void throughput(const in_addr& mapper, const in_addr& own, Ports ports, unsigned seconds) {
  std::array<Peer, kSockets> peers{Peer{mapper, own}, Peer{mapper, own}, Peer{mapper, own},
                                   Peer{mapper, own}, Peer{mapper, own}, Peer{mapper, own},
                                   Peer{mapper, own}, Peer{mapper, own}};
  std::array<std::array<Clock::time_point, kSockets>, kEach> asked{};
  std::vector<float> took;
  took.reserve(1U << 20U);
  const auto begin = Clock::now();
  const auto end = begin + std::chrono::seconds(seconds);
  auto now = begin;
  for (unsigned turn = 0; now < end; ++turn) {
    for (std::size_t i = 0; i < kSockets; ++i) {
      Peer& peer = peers[i];
      auto& since = asked[turn % kEach][i];
      // Each answer makes room for the next query of the same peer.
      if (turn >= kEach) {
        peer.take_answer();
        const std::chrono::duration<float, std::micro> one = Clock::now() - since;
        took.push_back(one.count());
        peer.acknowledge();
      }
      now = since = Clock::now();
      peer.ask(ports.any(), ports.random());
    }
  }
  const std::chrono::duration<double> all = now - begin;
  std::sort(took.begin(), took.end());
  std::printf("%zu %.3f %.1f %.1f\n", took.size(), all.count(),
              static_cast<double>(took.at(took.size() / 2)),
              static_cast<double>(took.at(took.size() * 99 / 100)));
}

}  // namespace

int main(int count, char** words) {
  in_addr mapper{};
  in_addr own{};
  if (count != 7 || ::inet_pton(AF_INET, words[2], &mapper) != 1 ||
      ::inet_pton(AF_INET, words[3], &own) != 1) {
    std::fprintf(stderr, "usage: see the head of mapper_load.cpp\n");
    return 2;
  }
  const Ports ports{static_cast<std::uint16_t>(std::stoi(words[4])),
                    static_cast<std::uint16_t>(std::stoi(words[5]))};
  const auto amount = static_cast<unsigned>(std::stoi(words[6]));
  (std::string(words[1]) == "latency" ? latency : throughput)(mapper, own, ports, amount);
  return 0;
}
