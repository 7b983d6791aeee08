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

publication::~publication() {
  if (answered_)
    return;
  auto why = transmitted_ ? make_error(errc::outcome_unknown,
                                       "the actor that waited for the receipt ended; the message may be stored")
                          : make_error(errc::not_sent, "an actor on the message's way ended before it was sent");
  if (handing_over == nullptr) {
    answer(std::move(why));
  } else {
    handing_over->add(publication_ptr{new publication{std::move(*this)}}, std::move(why));
    answered_ = true;
  }
}

void publication::answer(caf::expected<message_id> result) {
  if (answered_)
    return;
  if (auto* const here = inline_execution::current(); calls_back_ && here != nullptr) { // the stack of somebody else
    here->elsewhere(
      [who = publication_ptr{new publication{std::move(*this)}}, result = std::move(result)] { who->answer(result); });
    answered_ = true;
    return;
  }
  answered_ = true;
  const auto to = std::exchange(to_, nullptr);
  if (to && entered_)
    to->entrance.leave();
  if (to && calls_back_)
    --to->callbacks;
  const auto handler = std::exchange(answer_, nullptr);
  if (!handler)
    return;
  try {
    handler(std::move(result));
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

void answers_elsewhere::add(publication_ptr who, caf::error why) {
  answers_.emplace_back(std::move(who), std::move(why));
}

} // namespace stargate::internal
