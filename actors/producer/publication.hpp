/// @file
/// A message on its way to the broker, and who waits for its answer.
#pragma once

#include "actors/shared/producing.hpp"

#include <stargate/caf.hpp>
#include <stargate/error.hpp>
#include <stargate/message.hpp>
#include <stargate/tree.hpp>

#include <memory>
#include <utility>
#include <vector>

namespace stargate::internal {

/// A message and its answer, which is given exactly once: by the ledger, or, whoever drops the publication, by its
/// destructor. So a mailbox that dies with its actor, or a ledger that is killed, leaves nobody waiting.
/// @par Threads handed from thread to thread, used by one at a time
class publication {
public:
  /// @param to for the log, if there is one
  /// @param entered whether the entrance of `to` was entered for it, and is left with the answer
  /// @param calls_back whether `answer` is the application's
  publication(message what, receipt_handler answer, std::shared_ptr<producing> to = {}, bool entered = false,
              bool calls_back = false)
    : content{std::move(what)},
      answer_{std::move(answer)},
      to_{std::move(to)},
      entered_{entered},
      calls_back_{calls_back && to_} {
    if (calls_back_)
      ++to_->callbacks;
  }
  publication(const publication&) = delete;
  publication& operator=(const publication&) = delete;
  ~publication();

  message content; ///< Taken once it is encoded.

  /// From now on nobody can tell whether the broker has the message until it says so.
  void mark_transmitted() { transmitted_ = true; }
  [[nodiscard]] bool is_transmitted() const { return transmitted_; }

  /// The first answer counts. What the application's handler throws is logged, so that it does not take along the
  /// receipts of others.
  void answer(caf::expected<message_id> result);

private:
  publication(publication&&) noexcept = default;

  receipt_handler answer_;
  std::shared_ptr<producing> to_;
  bool entered_, calls_back_;
  bool transmitted_ = false;
  bool answered_ = false;
};

using publication_ptr = std::shared_ptr<publication>;

/// Lives on the stack of a caller who hands messages over. What cannot be handed over, and what an actor drops at once
/// because it has just ended, is answered by an actor made for it: never on the caller's own stack, on which the caller
/// may hold a lock.
class answers_elsewhere {
public:
  explicit answers_elsewhere(caf::actor_system& system);
  answers_elsewhere(const answers_elsewhere&) = delete;
  answers_elsewhere& operator=(const answers_elsewhere&) = delete;
  ~answers_elsewhere();

  void add(publication_ptr who, caf::error why);

private:
  friend class publication;
  caf::actor_system& system_;
  answers_elsewhere* const outer_;
  std::vector<std::pair<publication_ptr, caf::error>> answers_;
};

} // namespace stargate::internal
