/// @file
/// Distributed tracing: who made a message, and what was made of it, across programs.
#pragma once

#include <stargate/caf.hpp>
#include <stargate/export.hpp>
#include <stargate/key.hpp>
#include <stargate/message.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace STARGATE_API stargate {

/// Where in a trace somebody is. @par Source W3C Trace Context, level 1
struct trace_context {
  std::string trace_id;   ///< 32 hexadecimal digits in lower case, not all 0.
  std::string span_id;    ///< 16 of them, not all 0.
  std::uint8_t flags = 1; ///< Bit 0: it is recorded.
  std::string state = {}; ///< What vendors add, as it came.

  /// Member by member.
  friend bool operator==(const trace_context&, const trace_context&) = default;
};

/// Reads `traceparent: 00-…-…-01`. Nothing when it is not that, as the standard has it. @par Threads any thread
[[nodiscard]] std::optional<trace_context> parse_traceparent(std::string_view text);
/// Writes what `parse_traceparent` reads. @par Threads any thread
[[nodiscard]] std::string to_traceparent(const trace_context& context);

/// What a message's properties `traceparent` and `tracestate` say. @par Threads any thread
[[nodiscard]] std::optional<trace_context> trace_context_of(const properties& of);
/// Sets these properties. @par Threads any thread
void set_trace_context(properties& of, const trace_context& context);

/// Of the message that a handler has in hand on this thread; nothing outside of handlers, for batches of several, and
/// without a hook. @par Threads any thread
[[nodiscard]] std::optional<trace_context> current_trace();

/// Whether a span is that of producing a message or of handling one.
enum class span_kind : std::uint8_t { producer, consumer };

/// A piece of work that is traced: producing a message until its receipt, or handling one.
struct span {
  trace_context context;          ///< Goes out with a message that is produced.
  std::shared_ptr<void> own = {}; ///< Whatever the hook likes to keep with it.
};

/// Is told of the spans of a tree: `options::spans`. Produced and consumed are linked by the messages' properties, and what
/// a handler produces belongs to the message that it has in hand. An example hands them to OpenTelemetry.
/// @par Threads any thread, several at once; what it throws is logged, and the message goes without
class span_hook {
public:
  span_hook() = default;
  span_hook(const span_hook&) = delete;
  span_hook& operator=(const span_hook&) = delete;
  virtual ~span_hook() = default;

  /// Work begins. @param parent where it comes from, if that is known
  [[nodiscard]] virtual span begin(span_kind kind, const topic_name& topic,
                                   const std::optional<trace_context>& parent) = 0;
  /// It ends, exactly once for each that was begun. @param failure empty when it went well
  virtual void end(const span& which, const caf::error& failure) = 0;
};

} // namespace stargate
