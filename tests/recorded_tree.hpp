// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// One description of a machine for two kinds of test: tests/data/umockdev/*.umockdev is read by
// libumockdev (whole programs, udev properties, uevents) and, here, unpacked into a plain directory
// that the library is given as its root.

#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

#include <unistd.h>

#include "temporary_directory.hpp"

namespace rdmaboot::test {

/// A temporary directory with the sysfs (and empty nodes below dev/) that recordings describe.
/// Understands the records P, N, E, A, H and L of umockdev's format; anything else throws.
class RecordedTree : public TemporaryDirectory {
 public:
  /// @param names recordings in tests/data/umockdev, without the ending
  RecordedTree(std::initializer_list<std::string_view> names) : TemporaryDirectory(memory()) {
    for (const std::string_view name : names) {
      add_recording(name);
    }
  }

  /// Unpacks one more recording from tests/data/umockdev.
  void add_recording(std::string_view name) const {
    const std::string path =
        RDMABOOT_SOURCE_DIR "/tests/data/umockdev/" + std::string(name) + ".umockdev";
    const std::ifstream file(path, std::ios::binary);
    if (!file) {
      throw std::runtime_error("cannot read " + path);
    }
    std::ostringstream text;
    text << file.rdbuf();
    add_records(text.str());
  }

  /// Unpacks records that a test has made itself.
  void add_records(const std::string& text) const {
    std::istringstream lines(text);
    Record record;
    for (std::string line; std::getline(lines, line);) {
      if (line.empty()) {
        finish(record);
        record = {};
        continue;
      }
      if (line.size() < 3 || line[1] != ':' || line[2] != ' ') {
        throw std::runtime_error("not a umockdev record: " + line);
      }
      add_line(record, line[0], line.substr(3));
    }
    finish(record);
  }

 private:
  /// sysfs lives in memory, and its thousands of files should here too where that is possible.
  static std::filesystem::path memory() {
    const std::filesystem::path shared = "/dev/shm";
    return ::access(shared.c_str(), W_OK | X_OK) == 0 ? shared
                                                      : std::filesystem::temp_directory_path();
  }

  struct Record {
    std::string path;
    std::string subsystem;
    std::string uevent;
  };

  void add_line(Record& record, char kind, const std::string& value) const {
    const std::size_t equals = value.find('=');
    const std::string key = value.substr(0, equals);
    const std::string content = equals == std::string::npos ? "" : value.substr(equals + 1);
    switch (kind) {
      case 'P':
        record.path = "sys" + value;
        make_directory(record.path);
        break;
      case 'N':
        write("dev/" + key, "");
        break;
      case 'E':
        if (key == "SUBSYSTEM") {
          record.subsystem = content;
        } else {
          record.uevent +=
              key + "=" + (content.starts_with("/dev/") ? content.substr(5) : content) + "\n";
        }
        break;
      case 'A':
        write(record.path + "/" + key, unescape(content));
        break;
      case 'H':
        write(record.path + "/" + key, unhex(content));
        break;
      case 'L':
        link(content, record.path + "/" + key);
        break;
      default:
        throw std::runtime_error("unknown umockdev record: " + value);
    }
  }

  void finish(const Record& record) const {
    if (record.path.empty()) {
      return;
    }
    const bool is_bus = record.subsystem == "pci" || record.subsystem == "auxiliary";
    const std::string home =
        is_bus ? "sys/bus/" + record.subsystem : "sys/class/" + record.subsystem;
    const std::filesystem::path device(record.path);
    const std::string members = is_bus ? home + "/devices" : home;
    write(record.path + "/uevent", record.uevent);
    link(std::filesystem::path(home).lexically_relative(device).string(),
         record.path + "/subsystem");
    link(device.lexically_relative(members).string(), members + "/" + device.filename().string());
  }

  static std::string unescape(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '\\' && i + 1 < text.size()) {
        ++i;
        out += text[i] == 'n' ? '\n' : text[i];
      } else {
        out += text[i];
      }
    }
    return out;
  }

  static std::string unhex(const std::string& text) {
    std::string out;
    for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
      out += static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16));
    }
    return out;
  }
};

}  // namespace rdmaboot::test
