/// @file
/// Counts durations so that their percentiles are known to one in a thousand.
#pragma once

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace stargate::cli {

/// A histogram whose buckets are 1,024 to an octave: a quarter of a megabyte for times up to weeks. @par Threads one at a time
class histogram {
public:
  void add(std::chrono::microseconds time) {
    ++buckets_[place_of(static_cast<std::uint64_t>(std::max<std::int64_t>(time.count(), 0)))];
    ++count_;
    most_ = std::max(most_, time);
  }
  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::chrono::microseconds most() const { return most_; }

  /// The time within which more than so many of a hundred were, and at most a thousandth more; of all, the longest.
  [[nodiscard]] std::chrono::microseconds percentile(double hundredths) const {
    const auto wanted = static_cast<std::uint64_t>(static_cast<double>(count_) * hundredths / 100);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i + 1 < size; ++i)
      if ((seen += buckets_[i]) > wanted)
        return std::min(std::chrono::microseconds{longest_in(i)}, most_);
    return most_;
  }

private:
  static constexpr unsigned bits = 10;
  static constexpr std::size_t size = std::size_t{32} << bits; // the last has what is too long for the others

  static std::size_t place_of(std::uint64_t value) {
    if (value < (1u << bits))
      return value;
    const auto octave = static_cast<unsigned>(std::bit_width(value)) - bits - 1;
    return std::min((std::size_t{octave} << bits) + static_cast<std::size_t>(value >> octave), size - 1);
  }
  static std::int64_t longest_in(std::size_t place) {
    if (place < (1u << bits))
      return static_cast<std::int64_t>(place);
    const auto octave = (place >> bits) - 1;
    return static_cast<std::int64_t>(((place - (octave << bits) + 1) << octave) - 1);
  }

  std::vector<std::uint64_t> buckets_ = std::vector<std::uint64_t>(size);
  std::uint64_t count_ = 0;
  std::chrono::microseconds most_{0};
};

} // namespace stargate::cli
