#include <stargate/supervisor.hpp>

#include <set>

namespace stargate {

namespace {

using std::chrono_literals::operator""s;

/// What is wrong with a child, or nothing.
std::string fault_of(const child_spec& spec, auto_shutdown how) {
  const auto negative = [](const auto& time) { return time && *time < std::chrono::milliseconds::zero(); };
  if (spec.id.empty() || !spec.start)
    return "a child needs an id and a start function";
  if (spec.significant && spec.restart == restart::permanent)
    return "'" + spec.id + "' is significant and permanent: it would always be restarted";
  if (spec.significant && how == auto_shutdown::never)
    return "'" + spec.id + "' is significant, and auto_shutdown is never";
  if (spec.shutdown && !spec.shutdown->kills() && spec.shutdown->timeout() < std::chrono::milliseconds::zero())
    return "'" + spec.id + "' has a negative shutdown time";
  if (negative(spec.start_timeout))
    return "'" + spec.id + "' has a negative start time-out";
  if (spec.backoff
      && (spec.backoff->first <= std::chrono::milliseconds::zero() || spec.backoff->first > spec.backoff->most))
    return "'" + spec.id + "' has a backoff that begins with nothing, or with more than its most";
  return {};
}

} // namespace

caf::error check(const supervisor_options& options) {
  const auto wrong = [&](const std::string& why) {
    return make_error(errc::invalid_child_spec, options.name + ": " + why);
  };
  if (options.period < 1s)
    return wrong("the period is less than a second");
  if (options.strategy == strategy::simple_one_for_one && options.children.size() != 1)
    return wrong("simple_one_for_one takes one template, not " + std::to_string(options.children.size()));
  if (options.max_children && options.strategy != strategy::simple_one_for_one)
    return wrong("max_children is for simple_one_for_one");
  std::set<std::string_view> seen;
  for (const auto& spec : options.children) {
    if (const auto fault = fault_of(spec, options.auto_shutdown); !fault.empty())
      return wrong(fault);
    if (!seen.insert(spec.id).second)
      return wrong("'" + spec.id + "' stands twice among the children");
  }
  return {};
}

} // namespace stargate
