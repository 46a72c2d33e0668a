// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// A table for people: columns as wide as they need to be, the least important ones left out where
// the terminal is narrow. Pure.

#include <cstdint>
#include <string>
#include <vector>

#include "rdmactl/terminal.hpp"

namespace rdmaboot::rdmactl {

struct Cell {
  std::string text;  ///< printable, one line
  Colour colour = Colour::kNone;
};

struct Column {
  enum class Side : std::uint8_t { kLeft, kRight };
  std::string title;
  Side side = Side::kLeft;
  /// Where there is no room, the column with the highest number goes first; 0 always stays.
  unsigned dispensable = 0;
  /// Before another column goes, this one is cut to so many columns; 0 is never cut for that. Of
  /// use in the last column only, which gets what room is left.
  std::size_t least = 0;
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  /// A row has as many cells as there are columns; missing ones are empty, further ones ignored.
  void add(std::vector<Cell> row);

  [[nodiscard]] std::size_t rows() const { return rows_.size(); }

  /// Lines with an end each, titles first. Two spaces between columns, none at a line's end. A
  /// column in which every row is empty is left out. The last column is cut if nothing else helps.
  [[nodiscard]] std::string text(const Terminal& terminal) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace rdmaboot::rdmactl
