/// @file
/// A queue for actors of which there are thousands, most with nothing to do.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <utility>

namespace stargate::internal {

/// A `std::deque` that takes no memory until something is put into it: an empty one takes 600 bytes.
template <class T>
class late_deque {
public:
  using iterator = typename std::deque<T>::iterator;
  using const_iterator = typename std::deque<T>::const_iterator;

  [[nodiscard]] bool empty() const { return !items_ || items_->empty(); }
  [[nodiscard]] std::size_t size() const { return items_ ? items_->size() : 0; }
  [[nodiscard]] T& front() { return items_->front(); }
  [[nodiscard]] T& operator[](std::size_t place) { return (*items_)[place]; }
  [[nodiscard]] const T& operator[](std::size_t place) const { return (*items_)[place]; }
  [[nodiscard]] iterator begin() { return items_ ? items_->begin() : iterator{}; }
  [[nodiscard]] iterator end() { return items_ ? items_->end() : iterator{}; }
  [[nodiscard]] const_iterator begin() const { return items_ ? items_->cbegin() : const_iterator{}; }
  [[nodiscard]] const_iterator end() const { return items_ ? items_->cend() : const_iterator{}; }

  void push_back(T item) {
    if (!items_)
      items_ = std::make_unique<std::deque<T>>();
    items_->push_back(std::move(item));
  }
  void pop_front() { items_->pop_front(); }
  void clear() { items_.reset(); }
  void erase(iterator first, iterator last) {
    if (items_)
      items_->erase(first, last);
  }
  template <class Which>
  std::size_t erase_if(Which which) {
    return items_ ? std::erase_if(*items_, which) : 0;
  }

private:
  std::unique_ptr<std::deque<T>> items_;
};

} // namespace stargate::internal
