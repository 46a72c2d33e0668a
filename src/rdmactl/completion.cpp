// SPDX-License-Identifier: BSD-2-Clause
#include "rdmactl/completion.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <set>
#include <string_view>

#include "core/file.hpp"
#include "core/text.hpp"
#include "os/sysfs.hpp"

namespace rdmaboot::rdmactl {
namespace {

using Names = std::set<std::string>;

constexpr const char* kDevices = "/sys/class/infiniband";

/// What the positional words of those verbs are whose options other programs parse.
const std::map<std::string, std::vector<std::string>, std::less<>>& words_of_others() {
  static const std::map<std::string, std::vector<std::string>, std::less<>> kWords = {
      {"wait", {"DEVICE", "PORT", "all", "any"}},
      {"link", {"apply", "list", "check"}},
  };
  return kWords;
}

/// Their options, and what the value of each is that has one; lint.completions compares them with
/// the programs' own --help.
struct OptionOfOther {
  const char* name;
  bool has_value = false;
  std::vector<std::string> kinds;
};
const std::vector<OptionOfOther>& options_of_others(const std::string& verb) {
  static const std::vector<OptionOfOther> kNone;
  static const std::vector<OptionOfOther> kWait = {
      {"--address", true, {}},
      {"--any", false, {}},
      {"--help", false, {}},
      {"--json", false, {}},
      {"--level", true, {"device", "chardev", "port", "address", "path"}},
      {"--peer", true, {"PEER"}},
      {"--quiet", false, {}},
      {"--root", true, {}},
      {"--timeout", true, {}},
      {"--version", false, {}},
  };
  return verb == "wait" ? kWait : kNone;
}

/// What the value of that option is; null: it has none, or is not known.
const std::vector<std::string>* value_of_other(const std::string& verb, std::string_view option) {
  for (const OptionOfOther& known : options_of_others(verb)) {
    if (known.has_value && known.name == option) {
      return &known.kinds;
    }
  }
  return nullptr;
}

bool is_tame(std::string_view name) {
  return !name.empty() && name.front() != '-' &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return std::isalnum(c) != 0 ||
                  std::string_view("._-:@\\+").find(static_cast<char>(c)) != std::string_view::npos;
         });
}

std::vector<std::string> entries_of(const os::Tree& tree, const std::string& path) {
  const auto directory = tree.directory(path);
  return directory ? directory->entries().value_or(std::vector<std::string>())
                   : std::vector<std::string>();
}

void add_ports(const os::Tree& tree, Names& names) {
  for (const std::string& device : entries_of(tree, kDevices)) {
    for (const std::string& port :
         entries_of(tree, std::string(kDevices) + "/" + device + "/ports")) {
      names.insert(device + ":" + port);
    }
  }
}

void add_lists(const os::Tree& tree, Names& names) {
  constexpr std::string_view kEnding = ".conf";
  for (const char* const path :
       {"/etc/rdma/modules", "/run/rdma/modules", "/usr/lib/rdma/modules"}) {
    for (const std::string& file : entries_of(tree, path)) {
      if (file.ends_with(kEnding)) {
        names.insert(file.substr(0, file.size() - kEnding.size()));
      }
    }
  }
}

/// Units of ours, with those that an admin made from our templates.
void add_units(const os::Tree& tree, Names& names) {
  constexpr std::array<std::string_view, 3> kEndings = {".service", ".target", ".path"};
  for (const char* const path : {"/etc/systemd/system", "/run/systemd/system",
                                 "/lib/systemd/system", "/usr/lib/systemd/system"}) {
    for (const std::string& file : entries_of(tree, path)) {
      const bool ours = file.starts_with("rdma") || file.starts_with("iwpmd");
      if (ours && std::any_of(kEndings.begin(), kEndings.end(),
                              [&](std::string_view ending) { return file.ends_with(ending); })) {
        names.insert(file);
      }
    }
  }
}

/// Longest /etc/hosts that is read (bytes).
constexpr std::size_t kHostsLimit = 1U << 20U;

/// The hosts that this machine has a name for, without those of the loopback network.
void add_hosts(const std::string& root, Names& names) {
  const auto text = core::read_file(root + "/etc/hosts", kHostsLimit);
  for (const std::string_view line : core::split(text ? std::string_view(*text) : "", "\n")) {
    const auto words = core::split(line.substr(0, line.find('#')), " \t");
    const bool usable = words.size() > 1 && words.front().find(':') == std::string_view::npos &&
                        !words.front().starts_with("127.");
    for (std::size_t i = 1; usable && i < words.size(); ++i) {
      names.insert(std::string(words[i]));
    }
  }
}

/// @param kind what the usage calls a value: "DEVICE"; a word in small letters stands for itself
void add_kind(const std::string& kind, const os::Tree& tree, const std::string& root,
              Names& names) {
  if (kind == "DEVICE") {
    const auto devices = entries_of(tree, kDevices);
    names.insert(devices.begin(), devices.end());
  } else if (kind == "PORT") {
    add_ports(tree, names);
  } else if (kind == "LIST") {
    add_lists(tree, names);
  } else if (kind == "UNIT") {
    add_units(tree, names);
  } else if (kind == "PEER") {
    add_hosts(root, names);
  } else if (std::islower(static_cast<unsigned char>(kind.front())) != 0) {
    names.insert(kind);
  }
}

/// The option of that name that wants the next word as its value; null otherwise.
const CLI::Option* wanting_value(const CLI::App& app, const std::string& word) {
  const CLI::Option* const option = app.get_option_no_throw(word);
  return option != nullptr && option->get_items_expected_max() > 0 ? option : nullptr;
}

/// The verb of that name inside `app`; null if there is none.
const CLI::App* verb_named(const CLI::App& app, const std::string& name) {
  for (const CLI::App* const verb : app.get_subcommands({})) {
    if (verb->get_name() == name) {
      return verb;
    }
  }
  return nullptr;
}

/// Where the words before the last one have led to.
struct Place {
  const CLI::App* app = nullptr;
  const CLI::Option* value_of = nullptr;
  const std::vector<std::string>* kinds_of_value = nullptr;  ///< of an option of another program
  std::size_t positionals = 0;
};

Place place_after(const CLI::App& program, const std::vector<std::string>& words) {
  Place place{&program, nullptr, nullptr, 0};
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    const std::string& word = words[i];
    if (place.value_of != nullptr || place.kinds_of_value != nullptr) {
      place.value_of = nullptr;
      place.kinds_of_value = nullptr;
    } else if (word.starts_with("-")) {
      place.value_of = wanting_value(*place.app, word);
      place.kinds_of_value = value_of_other(place.app->get_name(), word);
    } else if (const CLI::App* const inner = verb_named(*place.app, word)) {
      place.app = inner;
    } else {
      ++place.positionals;
    }
  }
  return place;
}

void add_options(const CLI::App& app, Names& names) {
  for (const CLI::Option* const option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      names.insert("--" + name);
    }
  }
  for (const OptionOfOther& option : options_of_others(app.get_name())) {
    names.insert(option.name);
  }
}

void add_positionals(const Place& place, const os::Tree& tree, const std::string& root,
                     Names& names) {
  for (const CLI::App* const inner : place.app->get_subcommands({})) {
    names.insert(inner->get_name());
  }
  const auto others = words_of_others().find(place.app->get_name());
  if (others != words_of_others().end()) {
    for (const std::string& kind : others->second) {
      add_kind(kind, tree, root, names);
    }
  }
  std::size_t number = 0;
  for (const CLI::Option* const option : place.app->get_options()) {
    if (option->get_positional() && number++ == place.positionals) {
      add_kind(option->get_single_name(), tree, root, names);
    }
  }
}

}  // namespace

std::vector<std::string> complete(const CLI::App& program, const std::vector<std::string>& words,
                                  const std::string& root) {
  const auto tree = os::Tree::open(root);
  if (words.empty() || !tree) {
    return {};
  }
  const Place place = place_after(program, words);
  const std::string& begun = words.back();
  Names options;
  Names names;
  if (place.value_of != nullptr) {
    add_kind(place.value_of->get_type_name(), *tree, root, names);
  } else if (place.kinds_of_value != nullptr) {
    for (const std::string& kind : *place.kinds_of_value) {
      add_kind(kind, *tree, root, names);
    }
  } else if (begun.starts_with("-")) {
    add_options(*place.app, options);
  } else {
    add_positionals(place, *tree, root, names);
  }
  std::vector<std::string> fitting;
  for (const std::string& name : names) {
    if (name.starts_with(begun) && is_tame(name)) {
      fitting.push_back(name);
    }
  }
  for (const std::string& option : options) {
    if (option.starts_with(begun)) {
      fitting.push_back(option);
    }
  }
  return fitting;
}

}  // namespace rdmaboot::rdmactl
