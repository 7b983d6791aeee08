/// @file
/// A message on its way to the broker, and who waits for its answer.
#pragma once

#include "actors/gate.hpp"

#include <stargate/error.hpp>
#include <stargate/message.hpp>
#include <stargate/tree.hpp>

#include <memory>
#include <utility>

namespace stargate::internal {

/// A message and its answer, which is given exactly once: by the ledger, or, whoever drops the publication, by its
/// destructor. So a mailbox that dies with its actor, or a ledger that is killed, leaves nobody waiting.
/// @par Threads handed from thread to thread, used by one at a time
class publication {
public:
  /// @param inside the gate that was entered for it, and is left with the answer
  publication(message what, receipt_handler answer, std::shared_ptr<gate> inside = {})
    : content{std::move(what)},
      answer_{std::move(answer)},
      inside_{std::move(inside)} {}
  publication(const publication&) = delete;
  publication& operator=(const publication&) = delete;
  ~publication() {
    if (answer_)
      answer(transmitted_ ? make_error(errc::outcome_unknown,
                                       "the actor that waited for the receipt ended; the message may be stored")
                          : make_error(errc::not_sent, "an actor on the message's way ended before it was sent"));
  }

  message content; ///< The payload is given up once it is encoded.

  /// From now on nobody can tell whether the broker has the message until it says so.
  void mark_transmitted() { transmitted_ = true; }
  [[nodiscard]] bool is_transmitted() const { return transmitted_; }

  void answer(caf::expected<message_id> result) {
    if (const auto handler = std::exchange(answer_, nullptr)) {
      if (const auto left = std::exchange(inside_, nullptr))
        left->leave();
      try {
        handler(std::move(result));
      } catch (...) {
        // The application's own mistake must not take along the receipts of others.
      }
    }
  }

private:
  receipt_handler answer_;
  std::shared_ptr<gate> inside_;
  bool transmitted_ = false;
};

using publication_ptr = std::shared_ptr<publication>;

} // namespace stargate::internal
