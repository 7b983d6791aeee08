/// @file
/// Who asked for how many messages: pure arithmetic of GenStage's demand.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace stargate::internal {

/// The demand of several receivers. @tparam Receiver something that can be compared, such as an actor's handle
template <class Receiver>
class demand {
public:
  void ask(const Receiver& who, std::size_t count) {
    const auto i = find(who);
    if (i == open_.end())
      open_.emplace_back(who, count);
    else
      i->second += count;
    total_ += count;
  }

  void forget(const Receiver& who) {
    if (const auto i = find(who); i != open_.end()) {
      total_ -= i->second;
      open_.erase(i);
    }
  }

  [[nodiscard]] std::size_t total() const { return total_; }
  [[nodiscard]] std::size_t of(const Receiver& who) const {
    const auto i = std::find_if(open_.begin(), open_.end(), [&](const auto& e) { return e.first == who; });
    return i == open_.end() ? 0 : i->second;
  }
  /// Takes `count` off what `who` asked for, which is at least as much.
  void take_from(const Receiver& who, std::size_t count) {
    if (const auto i = find(who); i != open_.end()) {
      i->second -= count;
      total_ -= count;
    }
  }
  [[nodiscard]] bool knows(const Receiver& who) const {
    return std::any_of(open_.begin(), open_.end(), [&](const auto& e) { return e.first == who; });
  }

  /// Divides `available` messages among those who asked, evenly as far as their demand goes, and takes that off their
  /// demand. The remainder goes to whoever is next in turn.
  [[nodiscard]] std::vector<std::pair<Receiver, std::size_t>> take(std::size_t available) {
    std::vector<std::pair<Receiver, std::size_t>> shares;
    available = std::min(available, total_);
    total_ -= available;
    if (available == 0)
      return shares;
    std::rotate(open_.begin(), open_.begin() + 1, open_.end());
    for (const auto& [who, wanted] : open_)
      shares.emplace_back(who, 0);
    for (bool moved = true; available > 0 && moved;) {
      moved = false;
      const auto share = std::max<std::size_t>(1, available / open_.size());
      for (std::size_t i = 0; i < open_.size() && available > 0; ++i) {
        const auto n = std::min({share, open_[i].second, available});
        shares[i].second += n;
        open_[i].second -= n;
        available -= n;
        moved = moved || n > 0;
      }
    }
    std::erase_if(shares, [](const auto& s) { return s.second == 0; });
    return shares;
  }

private:
  auto find(const Receiver& who) {
    return std::find_if(open_.begin(), open_.end(), [&](const auto& e) { return e.first == who; });
  }

  std::vector<std::pair<Receiver, std::size_t>> open_;
  std::size_t total_ = 0;
};

} // namespace stargate::internal
