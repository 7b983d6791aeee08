/// @file
/// What was tried, in how many worlds, and what never was: fault × role × state × option. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace stargate::simulation {

class coverage {
public:
  /// @param role whom it hit: a component, `broker`, or `new` for a connection that nobody knows yet
  /// @param state what that was doing
  /// @param drawn the options of the pipeline that was hit, each as `name=value`
  void add_fault(std::string_view kind, std::string_view role, std::string_view state,
                 const std::vector<std::string>& drawn);
  void add_deed(std::string_view kind);

  // -- from process to process: a cell is one line of text
  void add(const std::string& cell, std::uint64_t count) { cells_[cell] += count; }
  [[nodiscard]] const std::unordered_map<std::string, std::uint64_t>& cells() const { return cells_; }
  void clear() { cells_.clear(); }

private:
  std::unordered_map<std::string, std::uint64_t> cells_;
  std::string line_; ///< To make the next in.
};

/// Whether a fault can meet somebody who is doing that at all.
[[nodiscard]] bool is_possible(std::string_view kind, std::string_view role, std::string_view state);

/// Tables for people: fault by state and by option, with `-` for what cannot be; how many of the cells fault × role ×
/// state × option were filled; and which were not.
[[nodiscard]] std::string to_table(const coverage& c);

} // namespace stargate::simulation
