// SPDX-License-Identifier: BSD-2-Clause
#include "iwpm/saved.hpp"

#include <array>
#include <optional>
#include <unordered_map>

#include <arpa/inet.h>

#include "core/text.hpp"

namespace rdmaboot::iwpm {
namespace {

std::string ip_text(const Address& address) {
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  const int family = address.family == Family::kIpv4 ? AF_INET : AF_INET6;
  static_cast<void>(::inet_ntop(family, address.ip.data(), buffer.data(), buffer.size()));
  return buffer.data();
}

std::optional<Address> parse_address(std::string_view ip, std::string_view port,
                                     std::string_view scope) {
  auto address = parse_ip(ip);
  const auto number = core::parse_number<std::uint16_t>(port);
  const auto interface = core::parse_number<std::uint32_t>(scope);
  if (!address || !number || !interface) {
    return std::nullopt;
  }
  address->port = *number;
  address->scope = *interface;
  return address;
}

std::optional<SavedMapping> parse_line(std::string_view line) {
  const std::vector<std::string_view> words = core::split(line, " ");
  constexpr std::size_t kWords = 8;
  if (words.size() != kWords) {
    return std::nullopt;
  }
  const auto client = core::parse_number<std::uint8_t>(words[0]);
  const auto references = core::parse_number<std::uint32_t>(words[1]);
  const auto local = parse_address(words[3], words[4], words[5]);
  const auto mapped = parse_address(words[6], words[7], words[5]);
  if (!client || !references || !local || !mapped || local->family != mapped->family) {
    return std::nullopt;
  }
  return SavedMapping{*local, *mapped, *references, *client, words[2] == "1"};
}

}  // namespace

std::string saved_line(const Address& local, const Mapping* mapping) {
  const Address& mapped = mapping != nullptr ? mapping->mapped : local;
  const bool reserved = mapping != nullptr && mapping->reservation != kNoReservation;
  return std::to_string(mapping != nullptr ? mapping->client : 0) + " " +
         std::to_string(mapping != nullptr ? mapping->references : 0) + (reserved ? " 1 " : " 0 ") +
         ip_text(local) + " " + std::to_string(local.port) + " " + std::to_string(local.scope) +
         " " + ip_text(mapped) + " " + std::to_string(mapped.port) + "\n";
}

std::string write_saved(const MappingTable& mappings) {
  std::string text;
  for (const auto& [local, mapping] : mappings.all()) {
    text += saved_line(local, &mapping);
  }
  return text;
}

std::vector<SavedMapping> parse_saved(std::string_view text) {
  std::unordered_map<Address, SavedMapping, AddressHash> last;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) {
      break;  // the writer ended in the middle of it
    }
    if (const auto mapping = parse_line(text.substr(0, end))) {
      last.insert_or_assign(mapping->local, *mapping);
    }
    text.remove_prefix(end + 1);
  }
  std::vector<SavedMapping> saved;
  for (const auto& [local, mapping] : last) {
    if (mapping.references > 0 && saved.size() < kMostMappings) {
      saved.push_back(mapping);
    }
  }
  return saved;
}

}  // namespace rdmaboot::iwpm
