// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// A world for iwpm::Session: it records what goes out and gives ports from a counter.

#include <array>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <linux/netlink.h>
#include <rdma/rdma_netlink.h>
#include <sys/socket.h>

#include "iwpm/saved.hpp"
#include "iwpm/session.hpp"

namespace rdmaboot::test {

using Octets = std::vector<std::byte>;

inline Octets octets(std::span<const std::byte> bytes) {
  return {bytes.begin(), bytes.end()};
}

class FakeWorld final : public iwpm::Outside {
 public:
  struct Datagram {
    iwpm::Via via;
    iwpm::Address peer;
    Octets bytes;
  };

  void to_kernel(const iwpm::NetlinkBytes& message) override {
    ++kernel_count;
    if (keep) {
      kernel.push_back(octets(message.view()));
    }
  }
  int to_peer(iwpm::Via via, const iwpm::Address& peer, const iwpm::WireBytes& datagram) override {
    ++peer_count;
    peer_bytes += datagram.size;
    if (keep) {
      peers.push_back({via, peer, octets(datagram.view())});
    }
    return send_error;
  }
  tl::expected<iwpm::ReservedPort, int> reserve_port(iwpm::Family /*family*/,
                                                     std::uint16_t wanted) override {
    if (reserve_error != 0) {
      return tl::make_unexpected(reserve_error);
    }
    const int token = next_token++;
    held.insert(token);
    const auto number = wanted != 0 ? wanted : next_port++;
    return iwpm::ReservedPort{number, token};
  }
  void release_port(int token) override {
    if (held.erase(token) == 0) {
      ++wrong_releases;
    }
  }
  void record(const iwpm::Address& local, const iwpm::Mapping* mapping) override {
    recorded += iwpm::saved_line(local, mapping);
  }
  std::uint64_t random() override {
    random_ = random_ * 6364136223846793005ULL + 1442695040888963407ULL;
    return random_;
  }
  void tell(const std::string& text) override { told.push_back(text); }

  bool keep = true;  ///< remember what was sent
  std::vector<Octets> kernel;
  std::vector<Datagram> peers;
  std::vector<std::string> told;
  std::string recorded;  ///< as the daemon would have written it
  std::set<int> held;
  std::size_t kernel_count = 0;
  std::size_t peer_count = 0;
  std::size_t peer_bytes = 0;
  int send_error = 0;
  int reserve_error = 0;
  int wrong_releases = 0;
  int next_token = 100;
  std::uint16_t next_port = 40000;

 private:
  std::uint64_t random_ = 1;
};

/// A message as the kernel would send it, attribute by attribute.
class KernelSays {
 public:
  KernelSays(unsigned client, unsigned operation, std::uint32_t sequence)
      : KernelSays(static_cast<std::uint16_t>((client << 10U) | operation), sequence) {}
  KernelSays(std::uint16_t type, std::uint32_t sequence) {
    nlmsghdr header{};
    header.nlmsg_type = type;
    header.nlmsg_flags = NLM_F_REQUEST;
    header.nlmsg_seq = sequence;
    append(&header, sizeof(header));
  }
  KernelSays& raw(const void* payload, std::size_t size) {
    append(payload, size);
    return *this;
  }
  KernelSays& attribute(std::uint16_t type, const void* payload, std::size_t size) {
    nlattr header{};
    header.nla_type = type;
    header.nla_len = static_cast<std::uint16_t>(sizeof(header) + size);
    append(&header, sizeof(header));
    append(payload, size);
    bytes_.resize((bytes_.size() + 3) & ~std::size_t{3});
    return *this;
  }
  template <typename T>
  KernelSays& value(std::uint16_t type, T number) {
    return attribute(type, &number, sizeof(number));
  }
  KernelSays& text(std::uint16_t type, const std::string& words) {
    return attribute(type, words.c_str(), words.size() + 1);
  }
  KernelSays& address(std::uint16_t type, const iwpm::Address& address) {
    // By hand, byte by byte: what the codec makes of it is under test.
    std::array<std::uint8_t, 128> storage{};
    const bool v4 = address.family == iwpm::Family::kIpv4;
    const std::uint16_t family = v4 ? AF_INET : AF_INET6;
    std::memcpy(storage.data(), &family, sizeof(family));
    storage[2] = static_cast<std::uint8_t>(address.port >> 8U);
    storage[3] = static_cast<std::uint8_t>(address.port & 0xffU);
    std::memcpy(storage.data() + (v4 ? 4 : 8), address.ip.data(), v4 ? 4 : 16);
    if (!v4) {
      std::memcpy(storage.data() + 24, &address.scope, sizeof(address.scope));
    }
    return attribute(type, storage.data(), storage.size());
  }
  [[nodiscard]] Octets done() {
    const auto length = static_cast<std::uint32_t>(bytes_.size());
    std::memcpy(bytes_.data(), &length, sizeof(length));
    return bytes_;
  }

  static Octets add(std::uint32_t sequence, const iwpm::Address& local, std::uint32_t flags,
                    unsigned client = 2) {
    return KernelSays(client, RDMA_NL_IWPM_ADD_MAPPING, sequence)
        .value(1, sequence - 1)
        .address(2, local)
        .value(3, flags)
        .done();
  }
  static Octets query(std::uint32_t sequence, const iwpm::Address& local,
                      const iwpm::Address& remote, std::uint32_t flags) {
    return KernelSays(2, RDMA_NL_IWPM_QUERY_MAPPING, sequence)
        .value(1, sequence - 2)
        .address(2, local)
        .address(3, remote)
        .value(4, flags)
        .done();
  }
  static Octets remove(std::uint32_t sequence, const iwpm::Address& local, unsigned client = 2) {
    return KernelSays(client, RDMA_NL_IWPM_REMOVE_MAPPING, sequence)
        .value(1, sequence)
        .address(2, local)
        .done();
  }
  static Octets mapinfo(std::uint32_t sequence, const iwpm::Address& local,
                        const iwpm::Address& mapped, std::uint32_t flags) {
    return KernelSays(2, RDMA_NL_IWPM_MAPINFO, sequence)
        .address(1, local)
        .address(2, mapped)
        .value(3, flags)
        .done();
  }
  static Octets mapinfo_count(std::uint32_t sequence, std::uint32_t count) {
    return KernelSays(2, RDMA_NL_IWPM_MAPINFO_NUM, sequence)
        .value(1, sequence)
        .value(2, count)
        .done();
  }
  static Octets hello(std::uint16_t version) {
    return KernelSays(2, RDMA_NL_IWPM_HELLO, 1).value(1, version).done();
  }
  static Octets finished(std::uint32_t sequence, int status = 0) {
    return KernelSays(NLMSG_DONE, sequence).raw(&status, sizeof(status)).done();
  }
  static Octets error(std::uint32_t sequence, int number) {
    nlmsgerr body{};
    body.error = number;
    return KernelSays(NLMSG_ERROR, sequence).raw(&body, sizeof(body)).done();
  }

 private:
  void append(const void* data, std::size_t size) {
    const std::size_t before = bytes_.size();
    bytes_.resize(before + size);
    std::memcpy(bytes_.data() + before, data, size);
  }
  Octets bytes_;
};

/// "10.9.0.1", 7200.
inline iwpm::Address at(std::string_view ip, std::uint16_t port) {
  auto address = iwpm::parse_ip(ip);
  return address ? address->with_port(port) : iwpm::Address{};
}

/// One line of tests/data/iwpm: words, the last one bytes in hexadecimal.
struct Line {
  std::vector<std::string> words;
  Octets bytes;
};

inline std::vector<Line> golden(const std::string& file) {
  std::ifstream in(std::string(RDMABOOT_SOURCE_DIR "/tests/data/iwpm/") + file);
  std::vector<Line> lines;
  for (std::string text; std::getline(in, text);) {
    if (text.starts_with('#')) {
      continue;
    }
    std::istringstream words(text);
    Line line;
    for (std::string word; words >> word;) {
      line.words.push_back(word);
    }
    const std::string hex = line.words.back();
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
      line.bytes.push_back(static_cast<std::byte>(std::stoi(hex.substr(i, 2), nullptr, 16)));
    }
    lines.push_back(line);
  }
  return lines;
}

inline std::string hex(const Octets& bytes) {
  std::string text;
  for (const std::byte byte : bytes) {
    constexpr const char* kDigits = "0123456789abcdef";
    text += kDigits[std::to_integer<unsigned>(byte) >> 4U];
    text += kDigits[std::to_integer<unsigned>(byte) & 15U];
  }
  return text;
}

inline std::optional<iwpm::KernelMessage> decoded(const Octets& bytes) {
  std::span<const std::byte> rest(bytes);
  return iwpm::next_message(rest);
}

inline unsigned operation_of(const Octets& message) {
  std::uint16_t type = 0;
  std::memcpy(&type, message.data() + 4, sizeof(type));
  return type & 1023U;
}

/// The payload of an attribute of one of our messages; empty if it is not there.
inline Octets attribute_of(const Octets& message, unsigned type) {
  for (std::size_t i = 16; i + 4 <= message.size();) {
    nlattr header{};
    std::memcpy(&header, message.data() + i, sizeof(header));
    if (header.nla_type == type) {
      return {message.begin() + static_cast<std::ptrdiff_t>(i) + 4,
              message.begin() + static_cast<std::ptrdiff_t>(i) + header.nla_len};
    }
    i += (header.nla_len + 3U) & ~3U;
  }
  return {};
}

inline std::uint16_t u16_of(const Octets& message, unsigned type) {
  std::uint16_t value = 0;
  const Octets payload = attribute_of(message, type);
  std::memcpy(&value, payload.data(), std::min(payload.size(), sizeof(value)));
  return value;
}

}  // namespace rdmaboot::test
