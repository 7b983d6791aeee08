/// @file
/// A processor's place beside its connection: where messages come large or one at a time, whoever handles them reads them,
/// which wakes one thread for each instead of two.
#pragma once

#include "actors/shared/handler_threads.hpp"
#include "libstargate/connection/doorbell.hpp"
#include "libstargate/connection/transport.hpp"

#include <stargate/caf.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <utility>

namespace stargate::internal {

/// @par Threads the one that runs the processor; it may wait there
class beside_connection {
public:
  using clock = std::chrono::steady_clock;

  /// Messages came, of so many bytes together. @param by the connection
  void note(const std::weak_ptr<connection::link>& by, std::size_t count, std::size_t bytes, clock::time_point now) {
    const auto pause = now - std::exchange(last_, now);
    const bool are_large = bytes >= count * large;
    is_worth_it_ = pause < often && (are_large || (count == 1 && pause >= pause_of_a_stream));
    link_ = by;
  }

  /// The threads have run so many actors by now. Where others have their turns between this one's, nobody stays beside one
  /// connection.
  void note_turns(std::uint64_t count) {
    const bool are_few = count - std::exchange(turns_, count) <= few_turns;
    turns_alone_ = are_few ? turns_alone_ + 1 : 0;
  }

  /// Has the connection wait, where that is worth it, while there is work.
  void work_on() {
    if (take_place() && !seat_->wait([] { return true; }, {}))
      leave();
  }

  /// Waits for a message, where that is worth it. @return whether there is mail, so that it is to be called again
  [[nodiscard]] bool wait(mail_bell& mail, const std::function<bool()>& has_mail) {
    if (!take_place())
      return false;
    handler_threads::step_aside();
    mail.on_mail([to = bell_.get(), mine = std::this_thread::get_id()] {
      if (std::this_thread::get_id() != mine) // which sees for itself
        to->ring();
    });
    const bool is_kept = seat_->wait(has_mail, clock::now() + longest_wait);
    mail.on_mail({});
    const bool came = has_mail();
    if (!is_kept || !came)
      leave();
    return came;
  }

  /// Has the event loop read what comes.
  void leave() { seat_.reset(); }

private:
  [[nodiscard]] bool take_place() {
    if (!is_worth_it_ || turns_alone_ < alone)
      leave();
    else if (const auto link = seat_ ? nullptr : link_.lock()) {
      if (!bell_)
        bell_ = connection::make_doorbell();
      if (bell_)
        seat_ = link->take_seat(bell_);
    }
    return seat_ != nullptr;
  }

  static constexpr std::size_t large = 32u << 10; // the event loop gathers smaller ones, while they stream
  static constexpr auto pause_of_a_stream = std::chrono::microseconds{400};
  // The loop looks a hundred times a second after those who have seats, so what comes more seldom than that is no gain.
  static constexpr auto often = std::chrono::milliseconds{10};
  static constexpr std::uint64_t few_turns = 3;                       // its own, and those of one other, or two
  static constexpr std::uint32_t alone = 8;                           // times
  static constexpr auto longest_wait = std::chrono::milliseconds{50}; // to leave costs, too: not at every pause

  std::weak_ptr<connection::link> link_;
  std::shared_ptr<connection::doorbell> bell_; ///< Not its thread's: it may be another one that comes back to the seat.
  std::unique_ptr<connection::seat> seat_;
  clock::time_point last_;
  bool is_worth_it_ = false;
  std::uint64_t turns_ = 0;
  std::uint32_t turns_alone_ = 0;
};

} // namespace stargate::internal
