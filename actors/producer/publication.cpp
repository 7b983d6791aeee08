#include "actors/producer/publication.hpp"

#include "actors/shared/inline_execution.hpp"

#include <exception>

namespace stargate::internal {

namespace {

/// Of this thread: the innermost caller who hands messages over.
thread_local answers_elsewhere* handing_over = nullptr;

void say_thrown(const producing* to, const char* what) noexcept {
  try {
    if (to != nullptr && to->log)
      to->log(log_level::error, to->topic, std::string{"the function that takes a receipt threw: "} + what);
  } catch (...) { // a log that throws as well
  }
}

} // namespace

/// The other one is done: whoever has it now answers.
awaited_receipt::awaited_receipt(awaited_receipt&& other) noexcept
  : listener_{std::exchange(other.listener_, {})},
    to_{std::move(other.to_)},
    entered_{other.entered_},
    calls_back_{other.calls_back_},
    transmitted_{other.transmitted_},
    answered_{std::exchange(other.answered_, true)} {}

void awaited_receipt::drop() {
  if (answered_)
    return;
  auto why = transmitted_ ? make_error(errc::outcome_unknown,
                                       "the actor that waited for the receipt ended; the message may be stored")
                          : make_error(errc::not_sent, "an actor on the message's way ended before it was sent");
  if (handing_over == nullptr)
    answer(std::move(why));
  else
    handing_over->add(std::shared_ptr<awaited_receipt>{new awaited_receipt{std::move(*this)}}, std::move(why));
}

void awaited_receipt::answer(caf::expected<message_id> result) {
  if (answered_)
    return;
  if (auto* const here = inline_execution::current(); calls_back_ && here != nullptr) { // the stack of somebody else
    here->elsewhere([who = std::shared_ptr<awaited_receipt>{new awaited_receipt{std::move(*this)}},
                     result = std::move(result)] { who->answer(result); });
    return;
  }
  answered_ = true;
  const auto to = std::exchange(to_, nullptr);
  if (to && entered_)
    to->entrance.leave();
  if (to && calls_back_)
    --to->callbacks;
  const auto listener = std::exchange(listener_, {});
  try {
    if (listener)
      listener(std::move(result));
  } catch (const std::exception& e) {
    say_thrown(to.get(), e.what());
  } catch (...) {
    say_thrown(to.get(), "what is not a std::exception");
  }
}

answers_elsewhere::answers_elsewhere(caf::actor_system& system)
  : system_{system},
    outer_{std::exchange(handing_over, this)} {}

answers_elsewhere::~answers_elsewhere() {
  handing_over = outer_;
  if (!answers_.empty())
    system_.spawn([answers = std::move(answers_)](caf::event_based_actor*) {
      for (const auto& [who, why] : answers)
        who->answer(why);
    });
}

void answers_elsewhere::add(std::shared_ptr<awaited_receipt> who, caf::error why) {
  answers_.emplace_back(std::move(who), std::move(why));
}

} // namespace stargate::internal
