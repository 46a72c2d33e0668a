// SPDX-License-Identifier: BSD-2-Clause
#include "udev/node_description.hpp"

#include <algorithm>

namespace rdmaboot::udev {
namespace {

/// A host whose name is not known yet has none, "(none)" (the kernel's default) or "localhost"
/// (systemd's, with or without a domain).
bool is_named(std::string_view hostname) {
  return !hostname.empty() && hostname != "(none)" &&
         hostname.substr(0, hostname.find('.')) != "localhost";
}

bool is_plain(char c) {
  return c >= ' ' && c <= '~' && c != '"' && c != '\\';
}

}  // namespace

std::optional<Property> description_property(const device::DescriptionConfig& config,
                                             const DescriptionFacts& facts) {
  if (!is_named(facts.hostname)) {
    return std::nullopt;
  }
  const std::string text = config.format_for(facts.device, facts.board_id)
                               .expand({facts.hostname, facts.device, facts.index});
  if (text.empty() || !std::ranges::all_of(text, is_plain)) {
    return std::nullopt;
  }
  return Property(kDescriptionProperty, '"' + text + '"');
}

}  // namespace rdmaboot::udev
