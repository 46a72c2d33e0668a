// SPDX-License-Identifier: BSD-2-Clause
#include "rdmactl/table.hpp"

#include <algorithm>
#include <numeric>

namespace rdmaboot::rdmactl {
namespace {

constexpr std::size_t kGap = 2;

/// Width of all that is shown, with the gaps.
std::size_t width_of(const std::vector<std::size_t>& shown,
                     const std::vector<std::size_t>& widths) {
  const std::size_t text =
      std::accumulate(shown.begin(), shown.end(), std::size_t{0},
                      [&](std::size_t sum, std::size_t column) { return sum + widths[column]; });
  return shown.empty() ? 0 : text + kGap * (shown.size() - 1);
}

void append_line(std::string& out, const std::vector<std::size_t>& shown,
                 const std::vector<std::size_t>& widths, const std::vector<Column>& columns,
                 const std::vector<Cell>& cells, const Terminal& terminal) {
  std::string line;
  std::size_t owed = 0;  // spaces that are only written if something follows
  for (const std::size_t column : shown) {
    const std::string text = cut_to(cells[column].text, widths[column]);
    const std::size_t padding = widths[column] - columns_of(text);
    const bool right = columns[column].side == Column::Side::kRight;
    if (!text.empty()) {
      line.append(owed + (right ? padding : 0), ' ');
      line += coloured(text, cells[column].colour, terminal);
      owed = (right ? 0 : padding) + kGap;
    } else {
      owed += widths[column] + kGap;
    }
  }
  out += line + "\n";
}

}  // namespace

void Table::add(std::vector<Cell> row) {
  row.resize(columns_.size());
  rows_.push_back(std::move(row));
}

std::string Table::text(const Terminal& terminal) const {
  std::vector<std::size_t> widths(columns_.size());
  std::vector<std::size_t> shown;
  for (std::size_t column = 0; column < columns_.size(); ++column) {
    for (const auto& row : rows_) {
      widths[column] = std::max(widths[column], columns_of(row[column].text));
    }
    if (widths[column] > 0) {
      widths[column] = std::max(widths[column], columns_of(columns_[column].title));
      shown.push_back(column);
    }
  }
  std::size_t wanted = 0;  // by the last column
  if (terminal.width > 0 && !shown.empty() && width_of(shown, widths) > terminal.width) {
    const std::size_t last = shown.back();
    wanted = widths[last];
    const std::size_t least = columns_[last].least;
    widths[last] = least > 0 ? std::min(wanted, least) : wanted;
  }
  while (terminal.width > 0 && width_of(shown, widths) > terminal.width) {
    const auto least =
        std::max_element(shown.begin(), shown.end(), [&](std::size_t one, std::size_t other) {
          return columns_[one].dispensable < columns_[other].dispensable;
        });
    if (least == shown.end() || columns_[*least].dispensable == 0) {
      // Only what has to stay is left: its last column is cut, but not to nothing.
      const std::size_t over = width_of(shown, widths) - terminal.width;
      std::size_t& last = widths[shown.back()];
      last = last > over + 1 ? last - over : 1;
      break;
    }
    shown.erase(least);
  }
  if (const std::size_t used = width_of(shown, widths); wanted > 0 && used < terminal.width) {
    widths[shown.back()] = std::min(wanted, widths[shown.back()] + terminal.width - used);
  }
  std::string out;
  std::vector<Cell> titles;
  for (const Column& column : columns_) {
    titles.push_back({column.title, Colour::kBold});
  }
  append_line(out, shown, widths, columns_, titles, terminal);
  for (const auto& row : rows_) {
    append_line(out, shown, widths, columns_, row, terminal);
  }
  return out;
}

}  // namespace rdmaboot::rdmactl
