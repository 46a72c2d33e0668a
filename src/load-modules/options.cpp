// SPDX-License-Identifier: BSD-2-Clause
#include "load-modules/options.hpp"

#include <algorithm>
#include <array>

#include <getopt.h>

#include "core/text.hpp"
#include "load-modules/list_parser.hpp"
#include "os/kernel_command_line.hpp"

namespace rdmaboot::load_modules {
namespace {

constexpr std::size_t kLongestListName = 100;
/// Seconds; more is a typing error.
constexpr unsigned kLongestDeadline = 3600;

bool is_list_name(std::string_view name) {
  return !name.empty() && name.size() <= kLongestListName && name.front() != '.' &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return c > ' ' && c <= '~' && c != '/'; });
}

/// The instance of a unit's name may be written as systemd-escape(1) does: my\\x2dlist.
std::string unescaped(std::string name) {
  constexpr std::string_view kDash = "\\x2d";
  for (std::size_t at = 0; (at = name.find(kDash, at)) != std::string::npos; ++at) {
    name.replace(at, kDash.size(), "-");
  }
  return name;
}

core::Result<unsigned> number(std::string_view option, std::string_view value, unsigned most) {
  const auto parsed = core::parse_number<unsigned>(value);
  if (!parsed || *parsed < 1 || *parsed > most) {
    return core::fail("understand option", std::string(option) + "=" + core::printable(value), 0,
                      "expected a number from 1 to " + std::to_string(most));
  }
  return *parsed;
}

core::Result<void> take(int option, const std::string& value, Options& into) {
  switch (option) {
    case 'r':
      into.root = value;
      while (into.root.ends_with('/')) {
        into.root.pop_back();
      }
      return {};
    case 'k':
      if (value.empty() || value.find('/') != std::string::npos) {
        return core::fail("understand option", "--kernel=" + core::printable(value), 0,
                          "expected a kernel release");
      }
      into.kernel = value;
      return {};
    case 'n':
      into.dry_run = true;
      return {};
    case 'f': {
      const auto format = parse_plan_format(value);
      if (!format) {
        return core::fail("understand option", "--format=" + core::printable(value), 0,
                          "expected text, json or dot");
      }
      into.format = *format;
      return {};
    }
    case 'j':
      return number("--jobs", value, os::kMostJobs).map([&](unsigned jobs) { into.jobs = jobs; });
    case 'd':
      return number("--deadline", value, kLongestDeadline).map([&](unsigned seconds) {
        into.deadline_seconds = seconds;
      });
    case 'm':
      return normalise_name(value).map(
          [&](const std::string& name) { into.modules.push_back(name); });
    case 'h':
      into.help = true;
      return {};
    case 'V':
      into.version = true;
      return {};
    default:
      break;
  }
  return core::fail("understand the command line", "", 0, "--help tells the options");
}

}  // namespace

core::Result<Options> parse_options(std::span<char* const> arguments) {
  static constexpr std::array kLong = {
      option{"root", required_argument, nullptr, 'r'},
      option{"kernel", required_argument, nullptr, 'k'},
      option{"dry-run", no_argument, nullptr, 'n'},
      option{"format", required_argument, nullptr, 'f'},
      option{"jobs", required_argument, nullptr, 'j'},
      option{"deadline", required_argument, nullptr, 'd'},
      option{"module", required_argument, nullptr, 'm'},
      option{"help", no_argument, nullptr, 'h'},
      option{"version", no_argument, nullptr, 'V'},
      option{nullptr, 0, nullptr, 0},
  };
  Options options;
  const int count = static_cast<int>(arguments.size());
  ::optind = 0;  // 0 makes getopt start anew: tests parse more than once
  ::opterr = 0;
  while (true) {
    const int found =
        ::getopt_long(count, const_cast<char**>(arguments.data()), "h", kLong.data(), nullptr);
    if (found < 0) {
      break;
    }
    const std::string value = ::optarg != nullptr ? ::optarg : "";
    if (found == '?') {
      const char* const wrong = arguments[static_cast<std::size_t>(::optind) - 1];
      return core::fail("understand option", core::printable(wrong), 0, "--help tells the options");
    }
    if (auto taken = take(found, value, options); !taken) {
      return tl::make_unexpected(std::move(taken.error()));
    }
  }
  for (const char* const argument : arguments.subspan(static_cast<std::size_t>(::optind))) {
    const std::string name = unescaped(argument);
    if (!is_list_name(name)) {
      return core::fail("use list name", "\"" + core::printable(name) + "\"", 0,
                        "expected the NAME of /etc/rdma/modules/NAME.conf");
    }
    options.lists.push_back(name);
  }
  if (options.lists.empty() && options.modules.empty()) {
    options.lists.emplace_back("rdma");
  }
  if (!options.dry_run && (!options.root.empty() || !options.kernel.empty())) {
    return core::fail("load modules of another tree", options.root + options.kernel, 0,
                      "--root and --kernel go with --dry-run only");
  }
  return options;
}

std::string usage() {
  return "Usage: rdma-load-modules [NAME...] [OPTIONS]\n"
         "Loads the kernel modules that /etc/rdma/modules/NAME.conf (and /run, /usr/lib) lists,\n"
         "each as soon as those it needs are live, then waits for the devices they promise.\n"
         "Without NAME: rdma.\n\n"
         "  --module MOD        load MOD too (a name or an alias; may be given again)\n"
         "  --jobs N            so many at once; 1 loads in a reproducible order\n"
         "                      (default: the number of CPUs, at most 8)\n"
         "  --deadline SECONDS  end after this time (default 60)\n"
         "  --dry-run           print the plan, load nothing\n"
         "  --format FORMAT     of the plan: text, json or dot\n"
         "  --root DIR          plan for the tree below DIR\n"
         "  --kernel RELEASE    plan for this kernel instead of the running one\n"
         "  --help, --version\n\n"
         "Kernel command line: rdma_boot.load=0 loads nothing; rdma_boot.jobs=N and\n"
         "rdma_boot.deadline=SECONDS are defaults for the two options.\n"
         "Exit status: 0 unless a module failed or was not done at the deadline.\n";
}

}  // namespace rdmaboot::load_modules
