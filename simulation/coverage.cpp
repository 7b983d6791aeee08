#include "simulation/coverage.hpp"

#include "simulation/scenario.hpp"

#include <algorithm>
#include <set>
#include <vector>

namespace stargate::simulation {

namespace {

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= text.size();) {
    const auto end = std::min(text.find('|', at), text.size());
    parts.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(width, text.size()), ' ');
  return text;
}

std::string table(const std::string& title, const std::map<std::pair<std::string, std::string>, std::uint64_t>& cells,
                  const std::vector<std::string>& columns) {
  std::set<std::string> rows;
  std::size_t width = title.size();
  for (const auto& [cell, count] : cells) {
    rows.insert(cell.first);
    width = std::max(width, cell.first.size());
  }
  std::string out = padded(title, width);
  for (const auto& c : columns)
    out += "  " + padded(c, 9);
  out += "\n";
  for (const auto& r : rows) {
    out += padded(r, width);
    for (const auto& c : columns) {
      const auto found = cells.find({r, c});
      out +=
        "  " + padded(found == cells.end() ? "0" : std::to_string(found->second), std::max<std::size_t>(9, c.size()));
    }
    out += "\n";
  }
  return out + "\n";
}

} // namespace

std::string to_table(const coverage& c) {
  std::map<std::pair<std::string, std::string>, std::uint64_t> by_state, by_option;
  std::string deeds;
  for (const auto& [cell, count] : c.cells()) {
    const auto parts = split(cell);
    if (parts.at(0) == "fault")
      by_state[{parts.at(1) + " of " + parts.at(2), parts.at(3).empty() ? "any" : parts.at(3)}] += count;
    else if (parts.at(0) == "option")
      by_option[{parts.at(2) + " " + parts.at(3), parts.at(1)}] += count;
    else
      deeds += padded(parts.at(1), 24) + std::to_string(count) + "\n";
  }
  std::vector<std::string> kinds(fault_names.begin(), fault_names.end());
  std::erase_if(kinds, [&](const std::string& kind) {
    return std::none_of(by_option.begin(), by_option.end(), [&](const auto& x) { return x.first.second == kind; });
  });
  return table("fault, by state of the victim", by_state,
               {"any", "starting", "connecting", "connected", "waiting", "closing", "running", "stopping"})
         + table("option of the pipeline that was hit", by_option, kinds) + "what was done\n" + deeds;
}

} // namespace stargate::simulation
