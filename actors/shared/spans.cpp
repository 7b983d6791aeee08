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

void end_span(const tree_context& tree, const span& which, const caf::error& failure) {
  try {
    tree.description.spans->end(which, failure);
  } catch (const std::exception& e) {
    say_thrown(tree, e.what());
  } catch (...) {
    say_thrown(tree, "what is not a std::exception");
  }
}

} // namespace

receipt_handler traced(const tree_context& tree, const topic_name& topic, message& what, receipt_handler answer) {
  if (!tree.description.spans)
    return answer;
  auto parent = trace_context_of(what.properties);
  auto begun = begin_span(tree, span_kind::producer, topic, parent ? parent : current_trace());
  if (!begun)
    return answer;
  set_trace_context(what.properties, begun->context);
  return [hook = tree.description.spans, which = std::move(*begun), log = tree.description.log,
          name = tree.description.name, answer = std::move(answer)](caf::expected<message_id> result) {
    try {
      hook->end(which, result ? caf::error{} : result.error());
    } catch (...) {
      log(log_level::error, name, "the span hook threw");
    }
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
  for (const auto& which : std::exchange(spans_, {}))
    end_span(*tree_, which, failure);
}

trace_in_hand::trace_in_hand(const handling_spans& of) {
  in_hand = of.only();
}

trace_in_hand::~trace_in_hand() {
  in_hand = nullptr;
}

} // namespace internal

} // namespace stargate
