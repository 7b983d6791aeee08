/// @file
/// A message on its way to the broker, and who waits for its answer.
#pragma once

#include "actors/shared/producing.hpp"
#include "actors/shared/receipt_listener.hpp"
#include "libstargate/protocol/frame_text.hpp"

#include <stargate/caf.hpp>
#include <stargate/error.hpp>
#include <stargate/message.hpp>
#include <stargate/tree.hpp>

#include <memory>
#include <utility>
#include <variant>
#include <vector>

namespace stargate::internal {

/// An answer that somebody waits for, which is given exactly once: by the ledger, or, whoever drops it, by its destructor.
/// So a mailbox that dies with its actor, or a ledger that is killed, leaves nobody waiting.
/// @par Threads handed from thread to thread, used by one at a time
class awaited_receipt {
public:
  /// @param to for the log, if there is one
  /// @param entered whether the entrance of `to` was entered for it, and is left with the answer
  /// @param calls_back whether `listener` is the application's
  explicit awaited_receipt(receipt_listener listener, std::shared_ptr<producing> to = {}, bool entered = false,
                           bool calls_back = false)
    : listener_{std::move(listener)},
      to_{std::move(to)},
      entered_{entered},
      calls_back_{calls_back && to_} {
    if (calls_back_)
      ++to_->callbacks;
  }
  awaited_receipt(const awaited_receipt&) = delete;
  awaited_receipt& operator=(const awaited_receipt&) = delete;
  ~awaited_receipt() { drop(); }

  /// From now on nobody can tell whether the broker has the message until it says so.
  void mark_transmitted() { transmitted_ = true; }
  [[nodiscard]] bool is_transmitted() const { return transmitted_; }

  /// The first answer counts. What the application's handler throws is logged, so that it does not take along the
  /// receipts of others.
  void answer(caf::expected<message_id> result);
  /// Nobody will answer any more, as far as is known: an error says so, unless there was an answer.
  void drop();

private:
  awaited_receipt(awaited_receipt&& other) noexcept;

  receipt_listener listener_;
  std::shared_ptr<producing> to_;
  bool entered_, calls_back_;
  bool transmitted_ = false;
  bool answered_ = false;
};

/// A message on its way, and its answer: first as the application gave it, and from when it is encoded as its frame, which a
/// connection may keep for longer than anybody waits.
class publication : public awaited_receipt {
public:
  template <class... Answer>
  explicit publication(message content, Answer&&... answer)
    : awaited_receipt{std::forward<Answer>(answer)...},
      is_{std::move(content)} {}

  /// Of one that is not encoded.
  [[nodiscard]] message take_content() { return std::move(std::get<message>(is_)); }
  void become(protocol::frame_text frame) { is_ = std::move(frame); }
  /// Of one that is encoded; from then on it does not change.
  [[nodiscard]] const protocol::frame_text& frame() const { return std::get<protocol::frame_text>(is_); }

private:
  std::variant<message, protocol::frame_text> is_;
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

  void add(std::shared_ptr<awaited_receipt> who, caf::error why);

private:
  friend class awaited_receipt;
  caf::actor_system& system_;
  answers_elsewhere* const outer_;
  std::vector<std::pair<std::shared_ptr<awaited_receipt>, caf::error>> answers_;
};

} // namespace stargate::internal
