/// @file
/// Memory of large frames that were handled, for those that come next. An allocator gives as much back to the system and
/// takes it again, page by page, which costs more than all that is done with the frame.
#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <iterator>
#include <mutex>
#include <string>
#include <utility>

namespace stargate::connection {

/// @par Threads any thread
class frame_memory {
public:
  static constexpr std::size_t worth_keeping = 16u << 10; ///< Bytes; what is smaller is the allocator's.
  static constexpr std::size_t most_kept = 4u << 20;      ///< Bytes, of all that wait for their next use.

  /// Where a frame may be written: what another of about its size has left, with its text, or an empty string.
  /// @param bytes of the frame, roughly
  [[nodiscard]] std::string take(std::size_t bytes) {
    if (bytes < worth_keeping)
      return {};
    const std::lock_guard guard{mutex_};
    // A small frame that had the memory of a large one would keep it from the large ones.
    const auto fits = [bytes](const std::string& s) { return s.capacity() >= bytes && s.capacity() / 2 <= bytes; };
    const auto found = std::find_if(spare_.rbegin(), spare_.rend(), fits);
    if (found == spare_.rend())
      return {};
    auto result = std::move(*found);
    spare_.erase(std::next(found).base());
    kept_ -= result.capacity();
    return result;
  }

  /// Gives the memory of a text that nobody needs any more.
  void leave(std::string text) {
    if (text.capacity() < worth_keeping)
      return;
    const std::lock_guard guard{mutex_};
    kept_ += text.capacity();
    spare_.push_back(std::move(text));
    while (kept_ > most_kept) { // those go that nobody has taken for longest
      kept_ -= spare_.front().capacity();
      spare_.pop_front();
    }
  }

  [[nodiscard]] std::size_t kept() const {
    const std::lock_guard guard{mutex_};
    return kept_;
  }

private:
  mutable std::mutex mutex_;
  std::deque<std::string> spare_; // guarded by mutex_, as is the next; the last to come is the last
  std::size_t kept_ = 0;
};

} // namespace stargate::connection
