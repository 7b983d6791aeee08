/// @file
/// What a supervisor does to its children, it does one operation at a time.
#pragma once

#include <cstddef>
#include <functional>
#include <list>
#include <utility>

namespace stargate::internal {

/// Operations that take several turns of an actor each. One begins when those before it have called `finish`. The first
/// of all, the beginning, is in hand from the start: what is asked before it waits for it as well.
class operation_queue {
public:
  using operation = std::function<void()>;

  /// Adds an operation, which begins now if none is in hand.
  void add(operation what) {
    waiting_.push_back(std::move(what));
    run();
  }

  /// Every operation ends here.
  void finish() {
    in_hand_ = false;
    run();
  }

  /// Begins all that wait, whatever is in hand: none of them may take more than this turn.
  void run_all() {
    for (const auto& what : std::exchange(waiting_, {}))
      what();
  }

  [[nodiscard]] std::size_t size() const { return waiting_.size(); }

private:
  void run() {
    if (running_)
      return; // an operation ended in the turn in which it began
    running_ = true;
    while (!in_hand_ && !waiting_.empty()) {
      const auto what = std::move(waiting_.front());
      waiting_.pop_front();
      in_hand_ = true;
      what();
    }
    running_ = false;
  }

  std::list<operation> waiting_; // which takes nothing while it is empty
  bool in_hand_ = true;
  bool running_ = false;
};

} // namespace stargate::internal
