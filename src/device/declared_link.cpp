// SPDX-License-Identifier: BSD-2-Clause
#include "device/declared_link.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <set>
#include <utility>

#include <fnmatch.h>

#include "core/config.hpp"
#include "core/file.hpp"
#include "core/text.hpp"
#include "os/rdma_netlink.hpp"

namespace rdmaboot::device {
namespace {

struct TypeRow {
  SoftLinkType type;
  std::string_view name;
  std::string_view module;
};
constexpr std::array<TypeRow, 2> kTypes = {
    {{SoftLinkType::kRxe, "rxe", "rdma_rxe"}, {SoftLinkType::kSiw, "siw", "siw"}}};

const TypeRow& row_of(SoftLinkType type) {
  return *std::find_if(kTypes.begin(), kTypes.end(),
                       [&](const TypeRow& row) { return row.type == type; });
}

constexpr std::string_view kBlank = " \t";
constexpr std::string_view kDigits = "0123456789";
constexpr std::string_view kHexDigits = "0123456789abcdef";

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') {
      c = static_cast<char>(c - 'A' + 'a');
    }
  }
  return out;
}

/// A name that the kernel takes ('%' and '/' are not for device names), that is a usable file name
/// and needs no quotes in a shell or a unit.
bool is_link_name(std::string_view name) {
  constexpr std::string_view kOthers = "_-.:";
  const auto good = [&](char c) {
    const char small = static_cast<char>(c | 0x20);
    return (small >= 'a' && small <= 'z') || kDigits.find(c) != std::string_view::npos ||
           kOthers.find(c) != std::string_view::npos;
  };
  return !name.empty() && name.size() <= os::kDeviceNameLimit && name.front() != '.' &&
         name.front() != '-' && std::all_of(name.begin(), name.end(), good);
}

/// "52:54:00:00:00:01" from that, or from the same with '-' or in upper case; empty if it is no
/// Ethernet address.
std::string hardware_address(std::string_view text) {
  constexpr std::size_t kLength = 17;
  std::string address = lower(text);
  std::replace(address.begin(), address.end(), '-', ':');
  if (address.size() != kLength) {
    return {};
  }
  for (std::size_t i = 0; i < address.size(); ++i) {
    const bool good =
        i % 3 == 2 ? address[i] == ':' : kHexDigits.find(address[i]) != std::string::npos;
    if (!good) {
      return {};
    }
  }
  return address;
}

std::optional<bool> parse_boolean(std::string_view text) {
  const std::string value = lower(text);
  if (value == "yes" || value == "true" || value == "on" || value == "1") {
    return true;
  }
  if (value == "no" || value == "false" || value == "off" || value == "0") {
    return false;
  }
  return std::nullopt;
}

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> out;
  for (const std::string_view word : core::split(text, kBlank)) {
    out.emplace_back(word);
  }
  return out;
}

bool any_fits(const std::vector<std::string>& patterns, const std::string& text) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
    return ::fnmatch(pattern.c_str(), text.c_str(), 0) == 0;
  });
}

/// Collects what the lines of one file say.
class FileReader {
 public:
  explicit FileReader(const std::string& file) : file_(file) { link_.file = file; }

  void take(const core::IniEntry& entry) {
    line_ = entry.line;
    if (entry.section != "Link") {
      wrong(entry.section.empty() ? "the section [Link] before this line"
                                  : "no other section than [Link]");
      return;
    }
    const std::string expected = set(entry.key, entry.value);
    if (!expected.empty()) {
      wrong(expected);
    }
  }

  LinkFile finish(bool anything_said) && {
    if (anything_said) {
      require("Name", "Name=");
      require("Type", "Type=rxe or Type=siw");
      if (!said_.contains("NetDev") && !said_.contains("MACAddress") && !said_.contains("Path")) {
        missing("NetDev=, MACAddress= or Path=");
      }
    }
    LinkFile out{std::nullopt, std::move(errors_)};
    if (anything_said && usable_) {
      out.link = std::move(link_);
    }
    return out;
  }

 private:
  /// Sets what `key` stands for. Returns what was expected instead, empty if all is well.
  std::string set(const std::string& key, const std::string& value) {
    if (said_.contains(key)) {
      return key + "= once: a file declares one link";
    }
    std::string expected;
    if (key == "Name") {
      expected = set_name(value);
    } else if (key == "Type") {
      expected = set_type(value);
    } else if (key == "NetDev") {
      expected = set_names(value);
    } else if (key == "MACAddress") {
      expected = set_addresses(value);
    } else if (key == "Path") {
      link_.match.paths = words(value);
      expected = link_.match.paths.empty() ? "Path= with a pattern for ID_PATH" : "";
    } else if (key == "WaitAtBoot") {
      const auto wait = parse_boolean(value);
      link_.wait_at_boot = wait.value_or(true);
      expected = wait ? "" : "WaitAtBoot=yes or WaitAtBoot=no";
    } else {
      return "one of the keys Name=, Type=, NetDev=, MACAddress=, Path= and WaitAtBoot=";
    }
    said_.insert(key);
    if (!expected.empty() && key != "WaitAtBoot") {
      // What the link is to be, or where it belongs, is not known.
      usable_ = false;
    }
    return expected;
  }

  std::string set_name(const std::string& value) {
    if (!is_link_name(value)) {
      return "Name= with 1 to " + std::to_string(os::kDeviceNameLimit) +
             " letters, digits, '_', '-', '.' or ':'";
    }
    link_.name = value;
    return {};
  }

  std::string set_type(const std::string& value) {
    const auto type = parse_soft_link_type(value);
    link_.type = type.value_or(SoftLinkType::kRxe);
    return type ? "" : "Type=rxe or Type=siw";
  }

  std::string set_names(const std::string& value) {
    link_.match.names = words(value);
    const bool bad = value.find('/') != std::string::npos;
    return bad || link_.match.names.empty() ? "NetDev= with the name of a network interface" : "";
  }

  std::string set_addresses(const std::string& value) {
    for (const std::string& word : words(value)) {
      link_.match.addresses.push_back(hardware_address(word));
    }
    const auto& all = link_.match.addresses;
    const bool bad = all.empty() || std::find(all.begin(), all.end(), "") != all.end();
    return bad ? "MACAddress= with an Ethernet address such as 52:54:00:12:34:56" : "";
  }

  void require(const std::string& key, std::string_view text) {
    if (!said_.contains(key)) {
      missing(text);
    }
  }

  void missing(std::string_view what) {
    errors_.push_back(
        core::fail("read", file_, 0, "expected " + std::string(what) + " in it").value());
    usable_ = false;
  }

  void wrong(const std::string& expected) {
    errors_.push_back(
        core::fail("parse line " + std::to_string(line_) + " of", file_, 0, "expected " + expected)
            .value());
  }

  const std::string& file_;
  DeclaredLink link_;
  std::set<std::string, std::less<>> said_;
  bool usable_ = true;
  int line_ = 0;
  std::vector<core::Error> errors_;
};

void bound_errors(std::vector<core::Error>& errors, const std::string& file) {
  if (errors.size() > kMostLinkErrors) {
    const std::size_t more = errors.size() - kMostLinkErrors;
    errors.resize(kMostLinkErrors);
    errors.push_back(
        core::fail("parse", file, 0, "there are " + std::to_string(more) + " more errors in it")
            .value());
  }
}

}  // namespace

std::string_view name_of(SoftLinkType type) {
  return row_of(type).name;
}

std::string_view module_of(SoftLinkType type) {
  return row_of(type).module;
}

std::optional<SoftLinkType> parse_soft_link_type(std::string_view text) {
  for (const TypeRow& row : kTypes) {
    if (row.name == text) {
      return row.type;
    }
  }
  return std::nullopt;
}

bool matches(const NetdevMatch& match, const os::NetworkInterface& interface) {
  if (interface.name == "lo") {
    return false;
  }
  const auto& addresses = match.addresses;
  return (match.names.empty() || any_fits(match.names, interface.name)) &&
         (addresses.empty() ||
          std::find(addresses.begin(), addresses.end(), interface.address) != addresses.end()) &&
         (match.paths.empty() || any_fits(match.paths, interface.path));
}

LinkFile parse_link_file(std::string_view text, const std::string& file) {
  core::IniFile ini = core::parse_ini(text, file);
  FileReader reader(file);
  for (const core::IniEntry& entry : ini.entries) {
    reader.take(entry);
  }
  LinkFile out = std::move(reader).finish(!ini.entries.empty() || !ini.errors.empty());
  out.errors.insert(out.errors.begin(), std::make_move_iterator(ini.errors.begin()),
                    std::make_move_iterator(ini.errors.end()));
  bound_errors(out.errors, file);
  return out;
}

DeclaredLinks read_declared_links(const std::string& root) {
  DeclaredLinks all;
  core::ConfigFiles files = core::find_config_directory(core::ConfigLayers::rdma("links.d", root));
  all.complete = files.errors.empty();
  all.errors = std::move(files.errors);
  const auto mix = [&all](std::string_view text) {
    constexpr std::size_t kOdd = 0x9e3779b97f4a7c15U;
    all.fingerprint = all.fingerprint * kOdd + std::hash<std::string_view>{}(text);
  };
  for (const std::string& path : files.paths) {
    const std::string base = path.substr(path.rfind('/') + 1);
    mix(path);
    const auto text = core::read_file(path);
    if (!text) {
      mix(text.error().message());
      all.errors.push_back(text.error());
      all.unusable.push_back(base);
      continue;
    }
    mix(*text);
    LinkFile file = parse_link_file(*text, path);
    const bool wrong = !file.errors.empty();
    std::move(file.errors.begin(), file.errors.end(), std::back_inserter(all.errors));
    if (!file.link) {
      if (wrong) {
        all.unusable.push_back(base);
      }
      continue;
    }
    const auto same = std::find_if(all.links.begin(), all.links.end(), [&](const DeclaredLink& l) {
      return l.name == file.link->name;
    });
    if (same != all.links.end()) {
      all.errors.push_back(core::fail("read", path, 0,
                                      "expected another name than " + same->name + ", which " +
                                          same->file + " declares already")
                               .value());
      all.unusable.push_back(base);
      continue;
    }
    all.links.push_back(std::move(*file.link));
  }
  return all;
}

}  // namespace rdmaboot::device
