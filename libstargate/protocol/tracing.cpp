#include <stargate/tracing.hpp>

#include <algorithm>
#include <charconv>

namespace stargate {

namespace {

constexpr const char* parent_property = "traceparent";
constexpr const char* state_property = "tracestate";

bool is_id(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); })
         && text.find_first_not_of('0') != std::string_view::npos;
}

} // namespace

std::optional<trace_context> parse_traceparent(std::string_view text) {
  // version-trace-span-flags; a version to come may have more behind that.
  constexpr std::size_t whole = 55;
  if (text.size() < whole || text[2] != '-' || text[35] != '-' || text[52] != '-')
    return std::nullopt;
  const auto version = text.substr(0, 2);
  if (version == "ff" || (version == "00" && text.size() != whole) || (text.size() > whole && text[whole] != '-'))
    return std::nullopt;
  std::uint8_t ignored = 0, flags = 0;
  const auto hex = [](std::string_view two, std::uint8_t& into) {
    const auto is_lower = std::none_of(two.begin(), two.end(), [](char c) { return c >= 'A' && c <= 'F'; });
    const auto [end, wrong] = std::from_chars(two.data(), two.data() + two.size(), into, 16);
    return is_lower && wrong == std::errc{} && end == two.data() + two.size();
  };
  const auto trace = text.substr(3, 32), of_span = text.substr(36, 16);
  if (!hex(version, ignored) || !hex(text.substr(53, 2), flags) || !is_id(trace) || !is_id(of_span))
    return std::nullopt;
  return trace_context{std::string{trace}, std::string{of_span}, flags, {}};
}

std::string to_traceparent(const trace_context& context) {
  constexpr std::string_view digits = "0123456789abcdef";
  return "00-" + context.trace_id + "-" + context.span_id + "-" + digits[context.flags >> 4]
         + digits[context.flags & 15];
}

std::optional<trace_context> trace_context_of(const properties& of) {
  const auto found = of.find(parent_property);
  auto result = found == of.end() ? std::nullopt : parse_traceparent(found->second);
  if (const auto state = of.find(state_property); result && state != of.end())
    result->state = state->second;
  return result;
}

void set_trace_context(properties& of, const trace_context& context) {
  of[parent_property] = to_traceparent(context);
  if (context.state.empty())
    of.erase(state_property);
  else
    of[state_property] = context.state;
}

} // namespace stargate
