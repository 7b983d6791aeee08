#include "actors/dead_letter.hpp"

#include "actors/messages.hpp"

#include <utility>

namespace stargate::internal {

namespace {

void produce_again_and_again(const site_ptr& tree, const pipeline_ptr& pipeline, const received_message& original,
                             const std::string& why);

void on_answer(const site_ptr& tree, const pipeline_ptr& pipeline, const received_message& original,
               const std::string& why, const caf::expected<message_id>& answer) {
  if (answer)
    return original.acknowledge();
  const auto code = code_of(answer.error());
  tree->say(log_level::error, pipeline->keys.supervisor(),
            "message " + original.id.value + " is not on the dead-letter topic: " + describe(answer.error()));
  if (!pipeline->position)
    return original.negative_acknowledge();
  if (class_of(code) == error_class::transient && code != errc::stopping && code != errc::not_registered)
    produce_again_and_again(tree, pipeline, original, why);
}

void produce_again_and_again(const site_ptr& tree, const pipeline_ptr& pipeline, const received_message& original,
                             const std::string& why) {
  message copy{.payload = original.payload, .key = original.key, .properties = original.properties};
  copy.event_time = original.event_time;
  copy.properties["REAL_TOPIC"] = to_string(original.topic());
  copy.properties["ORIGIN_MESSAGE_ID"] = original.id.value;
  copy.properties["EXCEPTION"] = why;
  publish batch;
  batch.waits_for_room = true;
  batch.items.push_back(std::make_shared<publication>(
    std::move(copy), [tree, pipeline, original, why](const caf::expected<message_id>& answer) {
      on_answer(tree, pipeline, original, why, answer);
    }));
  const pipeline_keys keys{role::producer, pipeline->dead_letters, {}};
  if (const auto acknowledger = tree->registry().whereis(keys.acknowledger()))
    post(acknowledger, std::move(batch));
  else
    batch.items.front()->answer(make_error(errc::not_registered, "its producer is being restarted"));
}

} // namespace

void bury(const site_ptr& tree, const pipeline_ptr& pipeline, const received_message& message, const std::string& why) {
  produce_again_and_again(tree, pipeline, message, why);
}

} // namespace stargate::internal
