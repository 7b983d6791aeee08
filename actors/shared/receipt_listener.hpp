/// @file
/// Who is told of a receipt.
#pragma once

#include <stargate/message.hpp>
#include <stargate/tree.hpp>

#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <utility>
#include <variant>

namespace stargate::internal {

/// Who is told what became of a message: a function of its own, or the one of a call with many messages, and its place
/// among them, which takes no memory for each.
class receipt_listener {
public:
  using of_many = std::function<void(std::size_t, caf::expected<message_id>)>;

  receipt_listener() = default;
  template <class F>
  requires std::constructible_from<receipt_handler, F> receipt_listener(F&& own)
    : to_{receipt_handler{std::forward<F>(own)}} {}
  receipt_listener(std::shared_ptr<const of_many> all, std::size_t place) : to_{one_of_many{std::move(all), place}} {}

  /// Whether there is anybody to tell.
  [[nodiscard]] explicit operator bool() const {
    const auto* const own = std::get_if<receipt_handler>(&to_);
    return own != nullptr ? *own != nullptr : *std::get<one_of_many>(to_).all != nullptr;
  }
  void operator()(caf::expected<message_id> result) const {
    if (const auto* const own = std::get_if<receipt_handler>(&to_))
      return (*own)(std::move(result));
    const auto& of = std::get<one_of_many>(to_);
    (*of.all)(of.place, std::move(result));
  }

private:
  struct one_of_many {
    std::shared_ptr<const of_many> all;
    std::size_t place;
  };
  std::variant<receipt_handler, one_of_many> to_;
};

} // namespace stargate::internal
