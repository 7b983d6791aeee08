#include "simulation/coverage.hpp"

#include "simulation/scenario.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

namespace stargate::simulation {

namespace {

using counts = std::map<std::pair<std::string, std::string>, std::uint64_t>;

constexpr std::array<std::string_view, 7> states{"any",     "starting", "connecting", "connected",
                                                 "waiting", "running",  "stopping"};

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

/// Of connections: who has one, or one that is nobody's yet.
bool is_connection(std::string_view role) {
  return role == "producer" || role == "consumer" || role == "reader" || role == "new";
}

/// The kind of pipeline that an actor belongs to, or nothing.
std::string_view pipeline_of(std::string_view role) {
  for (const auto name : victim_names)
    if (name == role && !name.ends_with('_'))
      return role.starts_with("producer") ? "producer" : role.starts_with("reader") ? "reader" : "consumer";
  return {};
}

fault_kind kind_named(std::string_view name) {
  return static_cast<fault_kind>(std::find(fault_names.begin(), fault_names.end(), name) - fault_names.begin());
}

/// Who can be hit by a fault.
std::vector<std::string> roles_of(fault_kind kind) {
  if (kind >= fault_kind::kill)
    return {victim_names.begin(), victim_names.end()};
  if (kind >= fault_kind::crash)
    return {"broker"};
  if (kind == fault_kind::forget)
    return {"consumer", "reader"};
  return {"producer", "consumer", "reader", "new"};
}

/// A frame of a numbered producer is not spoilt: its number would be lost with it, which no broker does.
bool goes_with(std::string_view kind, std::string_view option) {
  if (kind == fault_names[static_cast<std::size_t>(fault_kind::forget)] && option == "topics=pattern")
    return false;
  return kind != fault_names[static_cast<std::size_t>(fault_kind::spoil_frame_up)]
         || (option != "effectively_once=yes" && !option.starts_with("producer_name="));
}

std::string table(const std::string& title, const counts& cells, const std::vector<std::string>& rows,
                  const std::vector<std::string>& columns, const auto& can_be) {
  std::size_t width = title.size();
  for (const auto& r : rows)
    width = std::max(width, r.size());
  std::string out = padded(title, width);
  for (const auto& c : columns)
    out += "  " + padded(c, 10);
  out += "\n";
  for (const auto& r : rows) {
    out += padded(r, width);
    for (const auto& c : columns) {
      const auto found = cells.find({r, c});
      const auto text = found != cells.end() ? std::to_string(found->second) : can_be(r, c) ? "0 (!)" : "-";
      out += "  " + padded(text, std::max<std::size_t>(10, c.size()));
    }
    out += "\n";
  }
  return out + "\n";
}

} // namespace

void coverage::add_fault(std::string_view kind, std::string_view role, std::string_view state,
                         const std::vector<std::string>& drawn) {
  line_.assign("fault|").append(kind).append("|").append(role).append("|").append(state);
  ++cells_[line_];
  line_.replace(0, 5, "cell").append("|");
  const auto size = line_.size();
  for (const auto& option : drawn) {
    line_.resize(size);
    ++cells_[line_.append(option)];
  }
}

void coverage::add_deed(std::string_view kind) {
  line_.assign("deed|").append(kind);
  ++cells_[line_];
}

bool is_possible(std::string_view kind_name, std::string_view role, std::string_view state) {
  const auto kind = kind_named(kind_name);
  if (kind >= fault_kind::kill) {
    if (state == "any")
      return false;
    const bool is_of_pipeline = !pipeline_of(role).empty();
    if (state == "connecting" || state == "connected" || state == "waiting")
      return is_of_pipeline;
    if (state == "running")
      return !is_of_pipeline;
    // An instance is started when its tree runs.
    return state == "stopping" || role != "pipelines_";
  }
  if (kind >= fault_kind::crash)
    return state == "any";
  if (!is_connection(role) || (state != "connecting" && state != "connected"))
    return false;
  if (role == "new") // the broker has not read its first byte: nothing is under way but the handshake
    return state == "connecting"
           && (kind == fault_kind::cut || kind == fault_kind::half_open || kind == fault_kind::stall
               || kind == fault_kind::close_frame);
  if (state == "connecting" && (kind == fault_kind::spoil_frame_up || role == "producer"))
    return kind == fault_kind::cut || kind == fault_kind::half_open || kind == fault_kind::stall
           || kind == fault_kind::close_frame; // no frame is under way before the handshake was answered
  return true;
}

std::string to_table(const coverage& c) {
  counts by_state, by_option;
  std::map<std::string, std::set<std::string>> options; // by kind of pipeline
  std::set<std::string> filled;
  std::string deeds;
  for (const auto& [cell, count] : c.cells()) {
    const auto parts = split(cell);
    if (parts.at(0) == "fault") {
      by_state[{parts.at(1) + " of " + parts.at(2), parts.at(3)}] += count;
    } else if (parts.at(0) == "cell") {
      const std::string pipeline{pipeline_of(parts.at(2))};
      options[pipeline].insert(parts.at(4));
      by_option[{pipeline + " " + parts.at(4), parts.at(1)}] += count;
      filled.insert(cell);
    }
  }
  for (const auto deed : deed_names) {
    const auto found = c.cells().find("deed|" + std::string{deed});
    deeds +=
      padded(std::string{deed}, 24) + (found == c.cells().end() ? "0 (!)" : std::to_string(found->second)) + "\n";
  }
  std::vector<std::string> rows, option_rows, kinds, empty;
  std::size_t all = 0;
  for (const auto name : fault_names) {
    const std::string kind{name};
    if (kind_named(name) < fault_kind::crash || kind_named(name) >= fault_kind::kill)
      kinds.push_back(kind);
    for (const auto& role : roles_of(kind_named(name))) {
      rows.push_back(kind + " of " + role);
      for (const auto state : states)
        if (is_possible(name, role, state))
          for (const auto& option : options[std::string{pipeline_of(role)}]) {
            if (!goes_with(name, option))
              continue;
            const auto cell = "cell|" + kind + "|" + role + "|" + std::string{state} + "|" + option;
            ++all;
            if (!filled.contains(cell))
              empty.push_back(kind + " of " + role + ", " + std::string{state} + ", " + option);
          }
    }
  }
  for (const auto& [pipeline, list] : options)
    for (const auto& option : list)
      option_rows.push_back(pipeline + " " + option);
  std::erase_if(rows, [&](const std::string& row) { // where nothing can be, there is no row
    const auto of = row.rfind(" of ");
    return std::none_of(states.begin(), states.end(),
                        [&](auto state) { return is_possible(row.substr(0, of), row.substr(of + 4), state); });
  });
  auto text = table("fault, by state of the victim", by_state, rows, {states.begin(), states.end()},
                    [](const std::string& row, const std::string& state) {
                      const auto of = row.rfind(" of ");
                      return is_possible(row.substr(0, of), row.substr(of + 4), state);
                    })
              + table("option of the pipeline that was hit", by_option, option_rows, kinds,
                      [](const std::string& row, const std::string& kind) {
                        const auto roles = roles_of(kind_named(kind)); // of connections, whose they can be
                        const auto pipeline = row.substr(0, row.find(' '));
                        return (kind_named(kind) >= fault_kind::kill
                                || std::find(roles.begin(), roles.end(), pipeline) != roles.end())
                               && goes_with(kind, std::string_view{row}.substr(pipeline.size() + 1));
                      })
              + "what was done\n" + deeds + "\nfault x role x state x option: " + std::to_string(all - empty.size())
              + " of " + std::to_string(all) + " cells filled";
  constexpr std::size_t most_shown = 40;
  for (std::size_t i = 0; i < std::min(most_shown, empty.size()); ++i)
    text += (i == 0 ? "; empty:\n  " : "\n  ") + empty[i];
  if (empty.size() > most_shown)
    text += "\n  and " + std::to_string(empty.size() - most_shown) + " more";
  return text + "\n";
}

} // namespace stargate::simulation
