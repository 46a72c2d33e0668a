// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// A machine's files, described in a small text: tests/data/doctor/*.tree. A line is one of
//   attr PATH TEXT       a file of one line
//   file PATH            a file; the lines after it that begin with '|' are its own
//   link PATH TARGET     a symbolic link
//   remove PATH          takes away what was there, with all below it
//   time PATH SECONDS    when a file was changed last; else all files are of one age, kUsualTime
//   live POINTER JSON    a fact of the running kernel, by JSON pointer (RFC 6901)
//   finds ID OBJECT      what the doctor has to find
// and '#' begins a comment. A later line replaces what an earlier one said.

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <nlohmann/json.hpp>

#include "temporary_directory.hpp"

namespace rdmaboot::test {

class DoctorTree {
 public:
  static constexpr time_t kUsualTime = 1700000000;
  using Expected = std::multiset<std::pair<std::string, std::string>>;

  /// Adds what the file says, in order.
  void apply(const std::filesystem::path& description) {
    std::ifstream in(description);
    if (!in) {
      throw std::runtime_error("no " + description.string());
    }
    std::string file;
    for (std::string line; std::getline(in, line);) {
      if (line.starts_with('|')) {
        files_.at(file) += line.substr(1) + "\n";
        continue;
      }
      std::istringstream words(line);
      std::string verb;
      std::string path;
      words >> verb >> path;
      std::string rest;
      std::getline(words >> std::ws, rest);
      if (verb == "file") {
        file = path;
        files_[file].clear();
      } else if (verb == "attr") {
        files_[path] = rest.empty() ? std::string{} : rest + "\n";
      } else if (verb == "link") {
        links_[path] = rest;
      } else if (verb == "remove") {
        remove(files_, path);
        remove(links_, path);
      } else if (verb == "time") {
        times_[path] = static_cast<time_t>(std::stoll(rest));
      } else if (verb == "live") {
        live_[nlohmann::json::json_pointer(path)] = nlohmann::json::parse(rest);
      } else if (verb == "finds") {
        expected_.emplace(path, rest);
      } else if (!verb.empty() && verb[0] != '#') {
        throw std::runtime_error(description.string() + ": " + line);
      }
    }
  }

  /// Writes it below `directory`. `with_live`: whether the facts of the kernel are there too.
  void write(const TemporaryDirectory& directory, bool with_live = true) const {
    for (const auto& [path, text] : files_) {
      directory.write(path.substr(1), text);
    }
    for (const auto& [path, target] : links_) {
      directory.link(target, path.substr(1));
    }
    for (const auto& [path, text] : files_) {
      const auto said = times_.find(path);
      const time_t seconds = said == times_.end() ? kUsualTime : said->second;
      const timespec both[2] = {{seconds, 0}, {seconds, 0}};
      if (::utimensat(AT_FDCWD, directory.path(path.substr(1)).c_str(), &both[0], 0) != 0) {
        throw std::runtime_error("utimensat " + path);
      }
    }
    if (with_live) {
      nlohmann::json live = live_;
      live["version"] = 1;
      directory.write("rdmactl-doctor.json", live.dump());
    }
  }

  [[nodiscard]] const Expected& expected() const { return expected_; }

 private:
  template <typename Map>
  static void remove(Map& map, const std::string& path) {
    std::erase_if(map, [&path](const auto& entry) {
      return entry.first == path || entry.first.starts_with(path + "/");
    });
  }

  std::map<std::string, std::string> files_;
  std::map<std::string, std::string> links_;
  std::map<std::string, time_t> times_;
  nlohmann::json live_ = nlohmann::json::object();
  Expected expected_;
};

}  // namespace rdmaboot::test
