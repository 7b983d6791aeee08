/// @file
/// What a thread waits for, and how it asks an actor.
#pragma once

#include "actors/shared/environment.hpp"

#include <stargate/caf.hpp>
#include <stargate/error.hpp>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

namespace stargate::internal {

/// Is set once, and waited for. @par Threads any thread
template <class T>
class outcome {
public:
  /// The first counts.
  void set(T value) {
    {
      const std::lock_guard guard{mutex_};
      if (!value_)
        value_.emplace(std::move(value));
    }
    changed_.notify_all();
  }

  /// Nothing when it was not set in time.
  [[nodiscard]] std::optional<T> wait(environment& in, environment::clock::time_point until) {
    std::unique_lock lock{mutex_};
    in.wait(lock, changed_, until, [this] { return value_.has_value(); });
    return value_;
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<T> value_;
};

/// Asks an actor for an `Answer`, and waits for it.
/// @par Threads any thread that may wait (`environment::may_wait`)
/// @par Errors what the actor answers; errc::stopping when it has ended; errc::timed_out
template <class Answer, class Question>
[[nodiscard]] caf::expected<Answer> ask_and_wait(caf::actor_system& system, environment& in, const caf::actor& whom,
                                                 std::chrono::milliseconds patience, Question question) {
  const auto late = [&] {
    return make_error(errc::timed_out, "no answer came within " + std::to_string(patience.count()) + " ms");
  };
  if (!whom || has_ended(whom))
    return make_error(errc::stopping, "the actor that was asked has ended");
  const auto result = std::make_shared<outcome<caf::expected<Answer>>>();
  const auto until = system.clock().now() + patience;
  system.spawn([=, q = std::move(question)](caf::event_based_actor* self) mutable -> caf::behavior {
    const auto gone = [result] { result->set(make_error(errc::stopping, "the actor that was asked has ended")); };
    request(self, whom, patience, std::move(q))
      .then(
        [=](Answer& a) {
          result->set(std::move(a));
          self->quit();
        },
        [=](caf::error& why) {
          if (is_receiver_down(why))
            gone();
          else
            result->set(std::move(why));
          self->quit();
        });
    monitor(self, whom); // in CAF, who ends with a promise in hand never answers
    signal_handlers signals;
    signals.down = [=](const caf::actor_addr&, const caf::error&) {
      gone();
      self->quit();
    };
    return behave(self, std::move(signals));
  });
  auto answer = result->wait(in, until);
  if (!answer || (!*answer && answer->error() == caf::sec::request_timeout))
    return late();
  return std::move(*answer);
}

} // namespace stargate::internal
