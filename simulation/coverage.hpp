/// @file
/// What was tried: which fault hit whom in which state, and with which options.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace stargate::simulation {

class coverage {
public:
  void add(const std::string& cell, std::uint64_t count = 1) { cells_[cell] += count; }
  void add(const coverage& other) {
    for (const auto& [cell, count] : other.cells_)
      cells_[cell] += count;
  }
  [[nodiscard]] const std::map<std::string, std::uint64_t>& cells() const { return cells_; }
  [[nodiscard]] std::uint64_t of(const std::string& cell) const {
    const auto found = cells_.find(cell);
    return found == cells_.end() ? 0 : found->second;
  }
  void clear() { cells_.clear(); }

private:
  std::map<std::string, std::uint64_t>
    cells_; ///< `fault|kind|role|state`, `option|kind|role|option=value`, and counts.
};

/// The tables, for people; a cell that nothing filled stands as 0.
[[nodiscard]] std::string to_table(const coverage& c);

} // namespace stargate::simulation
