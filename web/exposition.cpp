#include "web/exposition.hpp"

#include <array>
#include <charconv>

namespace stargate::web {

namespace {

constexpr std::string_view name_of(exposition::type t) {
  switch (t) {
    case exposition::type::counter: return "counter";
    case exposition::type::gauge: return "gauge";
    case exposition::type::histogram: break;
  }
  return "histogram";
}

void append_escaped(std::string& to, std::string_view text) {
  for (const char c : text)
    switch (c) {
      case '\\': to += "\\\\"; break;
      case '"': to += "\\\""; break;
      case '\n': to += "\\n"; break;
      default: to += c;
    }
}

std::string text_of(double value) {
  std::array<char, 400> digits{}; // of the largest number there is
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value, std::chars_format::fixed).ptr;
  return {digits.data(), end};
}

} // namespace

void exposition::family(std::string_view name, type of, std::string_view help) {
  name_ = name;
  text_.append("# HELP ").append(name).append(" ").append(help).append("\n");
  text_.append("# TYPE ").append(name).append(" ").append(name_of(of)).append("\n");
}

void exposition::begin(const labels& with, std::string_view suffix, std::string_view le) {
  text_.append(name_).append(suffix);
  char before = '{';
  for (const auto& [name, value] : with) {
    text_ += std::exchange(before, ',');
    text_.append(name).append("=\"");
    append_escaped(text_, value);
    text_ += '"';
  }
  if (!le.empty()) {
    text_ += std::exchange(before, ',');
    text_.append("le=\"").append(le).append("\"");
  }
  text_.append(before == ',' ? "} " : " ");
}

void exposition::sample(const labels& with, double value, std::string_view suffix) {
  begin(with, suffix);
  text_.append(text_of(value)).append("\n");
}

void exposition::sample(const labels& with, std::uint64_t value, std::string_view suffix) {
  begin(with, suffix);
  text_.append(std::to_string(value)).append("\n");
}

void exposition::histogram(const labels& with, const std::vector<double>& bounds,
                           const std::vector<std::uint64_t>& counts, double sum) {
  std::uint64_t so_far = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    so_far += counts[i];
    begin(with, "_bucket", i < bounds.size() ? text_of(bounds[i]) : "+Inf");
    text_.append(std::to_string(so_far)).append("\n");
  }
  sample(with, sum, "_sum");
  sample(with, so_far, "_count");
}

} // namespace stargate::web
