// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// A /lib/modules/RELEASE as depmod leaves it, made from a table: no depmod, no real modules.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "temporary_directory.hpp"

namespace rdmaboot::test {

/// Writes the index format that libkmod reads (version 2.1, big endian): a trie with one character
/// an edge, children before their parents.
class IndexFile {
 public:
  void add(const std::string& key, const std::string& value) {
    Node* node = &root_;
    for (const char c : key) {
      auto& child = node->children[static_cast<unsigned char>(c)];
      if (!child) {
        child = std::make_unique<Node>();
      }
      node = child.get();
    }
    node->values.push_back(value);
  }
  [[nodiscard]] std::string bytes() const {
    std::string out(12, '\0');
    const std::uint32_t root = write(root_, out);
    std::string header;
    for (const std::uint32_t word : {0xb007f457U, 0x00020001U, root}) {
      append(header, word);
    }
    return out.replace(0, header.size(), header);
  }

 private:
  struct Node {
    std::map<unsigned char, std::unique_ptr<Node>> children;
    std::vector<std::string> values;
  };

  static void append(std::string& out, std::uint32_t word) {
    for (const unsigned shift : {24U, 16U, 8U, 0U}) {
      out += static_cast<char>(word >> shift & 0xffU);
    }
  }

  static std::uint32_t write(const Node& node, std::string& out) {
    std::map<unsigned char, std::uint32_t> offsets;
    for (const auto& [c, child] : node.children) {
      offsets[c] = write(*child, out);
    }
    auto offset = static_cast<std::uint32_t>(out.size());
    if (!offsets.empty()) {
      offset |= 0x20000000U;
      const unsigned first = offsets.begin()->first;
      const unsigned last = offsets.rbegin()->first;
      out += static_cast<char>(first);
      out += static_cast<char>(last);
      for (unsigned c = first; c <= last; ++c) {
        const auto child = offsets.find(static_cast<unsigned char>(c));
        append(out, child == offsets.end() ? 0 : child->second);
      }
    }
    if (!node.values.empty()) {
      offset |= 0x40000000U;
      append(out, static_cast<std::uint32_t>(node.values.size()));
      for (const std::string& value : node.values) {
        append(out, 0);
        out += value;
        out += '\0';
      }
    }
    return offset;
  }

  Node root_;
};

/// A root with kernel "6.1-test".
class ModuleTree {
 public:
  static constexpr const char* kRelease = "6.1-test";

  /// @param needs names of modules, closest first, as modules.dep has them
  void module(const std::string& name, const std::vector<std::string>& needs = {},
              std::size_t size = 2048) {
    std::string line = "kernel/" + name + ".ko:";
    for (const std::string& need : needs) {
      line += " kernel/" + need + ".ko";
    }
    dependencies_.add(name, line);
    root_.write(directory() + "/kernel/" + name + ".ko", std::string(size, 'x'));
  }
  void alias(const std::string& alias, const std::string& name) { aliases_.add(alias, name); }
  void builtin(const std::string& name) { builtin_.add(name, ""); }
  void modprobe_d(std::string_view text) { root_.write("etc/modprobe.d/test.conf", text); }

  /// Writes the indexes; returns the root.
  const TemporaryDirectory& finish() const {
    root_.write(directory() + "/modules.dep.bin", dependencies_.bytes());
    root_.write(directory() + "/modules.alias.bin", aliases_.bytes());
    root_.write(directory() + "/modules.symbols.bin", IndexFile().bytes());
    root_.write(directory() + "/modules.builtin.bin", builtin_.bytes());
    root_.write(directory() + "/modules.builtin.alias.bin", IndexFile().bytes());
    root_.write(directory() + "/modules.softdep", "");
    return root_;
  }
  [[nodiscard]] static std::string directory() { return std::string("lib/modules/") + kRelease; }

 private:
  TemporaryDirectory root_;
  IndexFile dependencies_;
  IndexFile aliases_;
  IndexFile builtin_;
};

}  // namespace rdmaboot::test
