/// @file
/// Metrics as Prometheus takes them. @par Source Prometheus' text format 0.0.4
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace stargate::web {

using labels = std::vector<std::pair<std::string_view, std::string>>;

/// Writes families of metrics, each once: `family`, and then its samples.
class exposition {
public:
  enum class type : std::uint8_t { counter, gauge, histogram };

  /// @param name as Prometheus wants it: a counter's ends in `_total`, and the unit is a base unit
  void family(std::string_view name, type of, std::string_view help);
  void sample(const labels& with, double value, std::string_view suffix = {});
  void sample(const labels& with, std::uint64_t value, std::string_view suffix = {});
  /// A whole histogram. @param counts in each bucket alone; the last has no bound @param sum in the unit of the bounds
  void histogram(const labels& with, const std::vector<double>& bounds, const std::vector<std::uint64_t>& counts,
                 double sum);

  [[nodiscard]] const std::string& text() const { return text_; }

private:
  void begin(const labels& with, std::string_view suffix, std::string_view le = {});

  std::string text_, name_;
};

} // namespace stargate::web
