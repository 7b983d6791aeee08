#include "actors/shared/spans.hpp"

#include <exception>
#include <string>
#include <utility>

namespace stargate {

namespace {

thread_local const trace_context* in_hand = nullptr;

} // namespace

std::optional<trace_context> current_trace() {
  return in_hand == nullptr ? std::nullopt : std::optional{*in_hand};
}

namespace internal {

namespace {

void say_thrown(const tree_context& tree, const char* what) {
  tree.say(log_level::error, tree.description.name, std::string{"the span hook threw: "} + what);
}

std::optional<span> begin_span(const tree_context& tree, span_kind kind, const topic_name& topic,
                               const std::optional<trace_context>& parent) {
  try {
    return tree.description.spans->begin(kind, topic, parent);
  } catch (const std::exception& e) {
    say_thrown(tree, e.what());
  } catch (...) {
    say_thrown(tree, "what is not a std::exception");
  }
  return std::nullopt;
}

/// Apart from the tree, which it may outlive.
struct span_end {
  std::shared_ptr<span_hook> hook;
  log_hook log;
  std::string name;

  explicit span_end(const options& o) : hook{o.spans}, log{o.log}, name{o.name} {}
  void operator()(const span& which, const caf::error& failure) const {
    try {
      hook->end(which, failure);
    } catch (const std::exception& e) {
      log(log_level::error, name, std::string{"the span hook threw: "} + e.what());
    } catch (...) {
      log(log_level::error, name, "the span hook threw what is not a std::exception");
    }
  }
};

} // namespace

receipt_listener traced(const tree_context& tree, const topic_name& topic, message& what, receipt_listener answer) {
  if (!tree.description.spans)
    return answer;
  auto parent = trace_context_of(what.properties);
  auto begun = begin_span(tree, span_kind::producer, topic, parent ? parent : current_trace());
  if (!begun)
    return answer;
  set_trace_context(what.properties, begun->context);
  return [end = span_end{tree.description}, which = std::move(*begun),
          answer = std::move(answer)](caf::expected<message_id> result) {
    end(which, result ? caf::error{} : result.error());
    if (answer)
      answer(std::move(result));
  };
}

void handling_spans::begin(const std::shared_ptr<tree_context>& tree, const std::vector<received_message>& messages) {
  if (!tree->description.spans)
    return;
  tree_ = tree;
  for (const auto& m : messages)
    if (auto begun = begin_span(*tree, span_kind::consumer, m.topic(), trace_context_of(m.properties)))
      spans_.push_back(std::move(*begun));
}

void handling_spans::end(const caf::error& failure) {
  if (spans_.empty())
    return;
  const span_end tell{tree_->description};
  for (const auto& which : std::exchange(spans_, {}))
    tell(which, failure);
}

trace_in_hand::trace_in_hand(const handling_spans& of) {
  in_hand = of.only();
}

trace_in_hand::~trace_in_hand() {
  in_hand = nullptr;
}

} // namespace internal

} // namespace stargate
